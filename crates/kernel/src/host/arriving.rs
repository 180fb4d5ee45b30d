//! Players that are real here as soon as their homes say so: the new owner's list. What happens to them is in `handoff`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, NodeId, Term, Time};

use super::entity::Entity;
use crate::core::{Core, Timer};
use crate::peer::{HomeMessage, Line, ToEdge, ToPlayer};

/// Between two claims, ms.
const CLAIM_EVERY_MS: u64 = 200;
/// How long an offer is kept whose claim is not answered, ms. Beyond, the player is loaded from the journal when its edge asks.
const ARRIVING_MS: u64 = 5_000;
/// Players that may be about to arrive here. Beyond, offers are refused.
const ARRIVING_MAX: usize = 1_024;
/// Messages that wait for an arriving player. Beyond, their senders are told to ask again.
const WAITING_MAX: usize = 8;

/// All of them.
#[derive(Default)]
pub(super) struct Arrivals {
    arriving: BTreeMap<EntityId, Arriving>,
}

/// One of them.
pub(super) struct Arriving {
    /// Its owner, and by which term.
    from: (NodeId, Term),
    pub(super) entity: Box<Entity>,
    /// When it is claimed again.
    due: Time,
    until: Time,
    /// What was said to it meanwhile.
    pub(super) waiting: Vec<(Line, ToPlayer)>,
}

impl Arrivals {
    pub(super) fn len(&self) -> usize {
        self.arriving.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.arriving.len() >= ARRIVING_MAX
    }

    pub(super) fn has(&self, id: EntityId) -> bool {
        self.arriving.contains_key(&id)
    }

    /// Whether it was claimed by this term.
    pub(super) fn is_claimed(&self, id: EntityId, term: Term) -> bool {
        self.arriving.get(&id).is_some_and(|a| a.from.1 == term)
    }

    /// Takes an offer, and claims the player.
    pub(super) fn insert(
        &mut self,
        core: &mut Core,
        from: (NodeId, Term),
        entity: Entity,
        waiting: Vec<(Line, ToPlayer)>,
    ) {
        assert!(!self.is_full() && !self.has(entity.id), "an offer was checked before it is taken");
        let (id, now) = (entity.id, core.now.time);
        let until = now.plus_ms(ARRIVING_MS);
        let arriving = Arriving { from, entity: Box::new(entity), due: now, until, waiting };
        self.arriving.insert(id, arriving);
        self.claim(core, id);
    }

    /// It does not arrive any more: its home has granted it, or will not.
    pub(super) fn take(&mut self, id: EntityId) -> Option<Arriving> {
        self.arriving.remove(&id)
    }

    /// Forgets an offer by this term or a lower one; what was said to the player is for the newer offer.
    pub(super) fn outdo(&mut self, id: EntityId, term: Term) -> Vec<(Line, ToPlayer)> {
        if self.arriving.get(&id).is_none_or(|a| a.from.1 > term) {
            return Vec::new();
        }
        self.take(id).map(|a| a.waiting).unwrap_or_default()
    }

    fn claim(&mut self, core: &mut Core, id: EntityId) {
        let Some(arriving) = self.arriving.get_mut(&id) else { return };
        arriving.due = core.now.time.plus_ms(CLAIM_EVERY_MS);
        core.after_ms(CLAIM_EVERY_MS, Timer::Handoff(id));
        if let Some(home) = core.home_of(id) {
            core.send_home(home, HomeMessage::Claim { entity: id, from: arriving.from });
        }
    }

    /// Homes have forgotten what was claimed: a new view.
    pub(super) fn claim_all(&mut self, core: &mut Core) {
        let ids: Vec<_> = self.arriving.keys().copied().collect();
        ids.into_iter().for_each(|id| self.claim(core, id));
    }

    pub(super) fn on_timer(&mut self, core: &mut Core, id: EntityId) {
        let now = core.now.time;
        let Some(arriving) = self.arriving.get(&id).filter(|a| a.due <= now) else { return };
        if arriving.until <= now { self.forget(core, id) } else { self.claim(core, id) }
    }

    /// It does not arrive.
    pub(super) fn forget(&mut self, core: &mut Core, id: EntityId) {
        let waiting = self.take(id).map(|a| a.waiting).unwrap_or_default();
        not_here(core, id, waiting);
    }

    pub(super) fn forget_all(&mut self, core: &mut Core) {
        let ids: Vec<_> = self.arriving.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget(core, id));
    }

    /// An edge speaks to a player that is about to be here: it has heard of the grant sooner than this node.
    pub(super) fn wait(&mut self, core: &mut Core, id: EntityId, line: Line, message: ToPlayer) {
        let Some(arriving) = self.arriving.get_mut(&id) else { return };
        // The edge keeps where its client walks, and will say it.
        if matches!(message, ToPlayer::Move { .. }) {
            return core.note_early();
        }
        if arriving.waiting.len() < WAITING_MAX {
            arriving.waiting.push((line, message));
        } else if !matches!(message, ToPlayer::Gone { .. }) {
            core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        }
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        assert!(!self.arriving.keys().any(here), "no player arrives that is here");
        assert!(self.arriving.len() <= ARRIVING_MAX, "offers beyond the limit are refused");
        let bounded = |a: &Arriving| a.waiting.len() <= WAITING_MAX;
        assert!(self.arriving.values().all(bounded), "what waits for a player is bounded");
    }
}

/// What was said to a player that does not arrive: its edge asks again.
pub(super) fn not_here(core: &mut Core, id: EntityId, waiting: Vec<(Line, ToPlayer)>) {
    for (line, _) in waiting {
        core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
    }
}
