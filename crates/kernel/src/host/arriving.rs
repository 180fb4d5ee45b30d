//! Players that arrive by a handoff and are real here once their homes grant them: the new owner's list. The handoff itself is
//! in `handoff`.

use std::collections::BTreeMap;

use gundo_types::{EntityId, NodeId, Planted, Term, Time};

use super::entity::Entity;
use crate::core::{Core, Timer};
use crate::io::Size;
use crate::peer::{HomeMessage, Line, ToEdge, ToPlayer};

/// Between two claims, ms.
const CLAIM_EVERY_MS: u64 = 200;
/// How long an offer is kept without an answer to its claim, ms. After that, the node loads the player from the journal when its
/// edge asks.
const ARRIVING_MS: u64 = 5_000;
/// Players that may arrive at the same time. The node refuses further offers.
const ARRIVING_MAX: usize = 1_024;
/// Messages that wait for an arriving player. The node sends back further ones, and their edges ask again.
const WAITING_MAX: usize = 8;

/// All arriving players.
#[derive(Default)]
pub(super) struct Arrivals {
    arriving: BTreeMap<EntityId, Arriving>,
}

/// An arriving player.
pub(super) struct Arriving {
    /// Its owner, and the owner's term.
    from: (NodeId, Term),
    pub(super) entity: Box<Entity>,
    /// When to repeat the claim.
    due: Time,
    until: Time,
    /// Messages to it meanwhile.
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

    /// Whether this node has claimed it by this term.
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
        assert!(!self.is_full() && !self.has(entity.id), "the caller has checked the offer");
        let (id, now) = (entity.id, core.now.time);
        let until = now.plus_ms(ARRIVING_MS);
        let arriving = Arriving { from, entity: Box::new(entity), due: now, until, waiting };
        self.arriving.insert(id, arriving);
        self.claim(core, id);
    }

    /// Takes it off the list: its home has granted it, or will not.
    pub(super) fn take(&mut self, id: EntityId) -> Option<Arriving> {
        self.arriving.remove(&id)
    }

    /// Forgets an offer by this term or a lower one; returns the messages to the player, for the newer offer.
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

    /// A new view: homes have forgotten all claims.
    pub(super) fn claim_all(&mut self, core: &mut Core) {
        let ids: Vec<_> = self.arriving.keys().copied().collect();
        ids.into_iter().for_each(|id| self.claim(core, id));
    }

    pub(super) fn on_timer(&mut self, core: &mut Core, id: EntityId) {
        let now = core.now.time;
        let Some(arriving) = self.arriving.get(&id).filter(|a| a.due <= now) else { return };
        if arriving.until <= now { self.forget(core, id) } else { self.claim(core, id) }
    }

    /// Gives up an arrival.
    pub(super) fn forget(&mut self, core: &mut Core, id: EntityId) {
        let waiting = self.take(id).map(|a| a.waiting).unwrap_or_default();
        not_here(core, id, waiting);
    }

    pub(super) fn forget_all(&mut self, core: &mut Core) {
        let ids: Vec<_> = self.arriving.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget(core, id));
    }

    /// An edge sent a message to an arriving player: it has learned of the grant sooner than this node.
    pub(super) fn wait(&mut self, core: &mut Core, id: EntityId, line: Line, message: ToPlayer) {
        let Some(arriving) = self.arriving.get_mut(&id) else { return };
        // The edge keeps its client's newest move and sends it later.
        if matches!(message, ToPlayer::Move { .. }) {
            return core.note_early();
        }
        if matches!(message, ToPlayer::Gone { .. }) {
            arriving.forget(|l| l == line);
        }
        if arriving.waiting.len() < WAITING_MAX || core.planted(Planted::UnboundedArriving) {
            arriving.waiting.push((line, message));
        } else if !matches!(message, ToPlayer::Gone { .. }) {
            core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
        }
    }

    /// Whether this connection's edge has spoken to the arriving player.
    pub(super) fn has_heard(&self, id: EntityId, line: Line) -> bool {
        let is_its =
            |(of, message): &(Line, ToPlayer)| *of == line && !matches!(message, ToPlayer::Gone { .. });
        self.arriving.get(&id).is_some_and(|arriving| arriving.waiting.iter().any(is_its))
    }

    /// How full its lists are.
    pub(super) fn sizes(&self, sizes: &mut Vec<Size>) {
        sizes.push(Size { what: "arriving players", used: self.arriving.len(), most: ARRIVING_MAX });
        let used = self.arriving.values().map(|a| a.waiting.len()).max().unwrap_or(0);
        sizes.push(Size { what: "work that waits for an arriving player", used, most: WAITING_MAX });
    }

    /// Edges were lost: nobody has these connections any more.
    pub(super) fn lose_lines(&mut self, core: &Core, gone: &[NodeId]) {
        let leaves_at = core.now.time.plus_ms(core.world().grace_ms);
        for arriving in self.arriving.values_mut() {
            arriving.forget(|line| gone.contains(&line.edge));
            if let Some(player) = &mut arriving.entity.player
                && player.line.is_some_and(|line| gone.contains(&line.edge))
            {
                (player.line, player.leave_at) = (None, Some(leaves_at));
            }
        }
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        assert!(!self.arriving.keys().any(here), "an arriving player is not here yet");
        assert!(self.arriving.len() <= ARRIVING_MAX, "the number of offers is bounded");
        let bounded = |a: &Arriving| a.waiting.len() <= WAITING_MAX;
        assert!(self.arriving.values().all(bounded), "messages that wait are bounded");
    }
}

impl Arriving {
    /// Forgets what these closed connections asked for.
    fn forget(&mut self, is_closed: impl Fn(Line) -> bool) {
        self.waiting.retain(|(line, _)| !is_closed(*line));
    }
}

/// Answers the messages to a player that does not arrive: its edge asks the home again.
pub(super) fn not_here(core: &mut Core, id: EntityId, waiting: Vec<(Line, ToPlayer)>) {
    for (line, _) in waiting {
        core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
    }
}
