//! A player changes its node while both live: a handoff.
//!
//! The old owner lets what is begun end (*freezing*), stops and offers all it has (*frozen*); see `give`. The new one makes it
//! ready and claims it at the player's home; see `take`. The home's grant is the moment of change: from then on the old copy is
//! nothing, whatever becomes of the new one. In doubt the old owner asks the home as well, and either gives the copy up or gets
//! a new term, by which a late claim fails. What clients say meanwhile is not carried along: their edges keep it, and
//! resend it to the new owner. When to do that and to whom: `drain`.

mod give;
mod take;

use std::collections::BTreeMap;

use gundo_types::{Body, EntityId, Epoch, NodeId, Term, Time};

use self::take::Arriving;
use super::phase::Phase;
use super::{Host, Rooms, Timer};
use crate::core::Core;
use crate::peer::{HandoffMessage, HomeMessage, Line, Peer, ToEdge, ToPlayer};

/// How long the old owner waits before it asks the home whose the player is, and between two questions, ms.
const DOUBT_MS: u64 = 300;
/// Between two claims, ms.
const CLAIM_EVERY_MS: u64 = 200;
/// Messages that wait for an arriving player. Beyond, their senders are told to ask again.
const WAITING_MAX: usize = 8;

/// Players that change their node, away from this one or to it.
#[derive(Default)]
pub(super) struct Handoffs {
    leaving: BTreeMap<EntityId, Leaving>,
    arriving: BTreeMap<EntityId, Arriving>,
    /// After the next tick the host looks which players follow their surroundings.
    pub(super) follow_due: bool,
}

/// A player that is to be real on another node.
pub(super) struct Leaving {
    to: NodeId,
    /// The term it was offered by.
    term: Term,
    /// The view it was offered in.
    epoch: Epoch,
    /// When something must have happened.
    due: Time,
    /// The newest wish of its client since.
    walked: Option<(Line, u32, Body)>,
    /// Its line, gone since.
    gone: Option<(Line, bool)>,
}

impl Handoffs {
    pub(super) fn len(&self) -> usize {
        self.leaving.len() + self.arriving.len()
    }

    /// Players that are about to leave.
    pub(super) fn leaving(&self) -> usize {
        self.leaving.len()
    }

    pub(super) fn is_leaving(&self, id: EntityId) -> bool {
        self.leaving.contains_key(&id)
    }

    pub(super) fn is_arriving(&self, id: EntityId) -> bool {
        self.arriving.contains_key(&id)
    }

    pub(super) fn forget_leaving(&mut self, id: EntityId) {
        self.leaving.remove(&id);
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        assert!(self.leaving.keys().all(&here), "only who is here leaves");
        assert!(!self.arriving.keys().any(&here), "nobody arrives who is here");
        assert!(self.arriving.len() <= take::ARRIVING_MAX, "offers beyond the limit are refused");
    }

    /// A client's wish to a frozen player: the newest is fulfilled if it stays.
    pub(super) fn walked(&mut self, id: EntityId, line: Line, seq: u32, wish: Body) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.walked = Some((line, seq, wish));
        }
    }

    /// A line is gone while its player changes its node: the new owner must hear of it.
    pub(super) fn line_gone(&mut self, id: EntityId, line: Line, leave: bool) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.gone = Some((line, leave));
        }
    }

    /// Asks the home whose it is. The answer is `Kept`, `HandedOver`, or, if the home gave it to this node again, `Granted`.
    fn doubt(&mut self, core: &mut Core, id: EntityId) {
        let Some(leaving) = self.leaving.get_mut(&id) else { return };
        leaving.due = core.now.time.plus_ms(DOUBT_MS);
        core.after_ms(DOUBT_MS, Timer::Handoff(id));
        if let Some(home) = core.home_of(id) {
            core.send_home(home, HomeMessage::Keep { entity: id, term: leaving.term });
        }
    }

    fn claim(&mut self, core: &mut Core, id: EntityId) {
        let Some(arriving) = self.arriving.get_mut(&id) else { return };
        arriving.due = core.now.time.plus_ms(CLAIM_EVERY_MS);
        core.after_ms(CLAIM_EVERY_MS, Timer::Handoff(id));
        if let Some(home) = core.home_of(id) {
            core.send_home(home, HomeMessage::Claim { entity: id, from: arriving.from });
        }
    }

    fn forget_arrival(&mut self, core: &mut Core, id: EntityId) {
        let waiting = self.arriving.remove(&id).map(|a| a.waiting).unwrap_or_default();
        not_here(core, id, waiting);
    }

    /// An edge speaks to a player that is about to be here: it has heard of the grant sooner than this node.
    pub(super) fn wait_for_arrival(&mut self, core: &mut Core, id: EntityId, line: Line, message: ToPlayer) {
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
}

impl Host {
    /// What the other node of a handoff says.
    pub(crate) fn handle_handoff(
        &mut self,
        rooms: &mut Rooms<'_>,
        from: NodeId,
        id: EntityId,
        term: Term,
        message: HandoffMessage,
    ) {
        match message {
            HandoffMessage::Image(image) => self.on_image(rooms, id, (from, term), *image),
            HandoffMessage::Refused => self.tell(rooms, id, |e, cx| e.on_offer_refused(cx, (from, term))),
        }
    }

    pub(super) fn on_handoff_timer(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        let now = rooms.core.now.time;
        if self.desk.handoffs.leaving.get(&id).is_some_and(|l| l.due <= now) {
            self.doubt_or_thaw(rooms, id);
        }
        if let Some(arriving) = self.desk.handoffs.arriving.get(&id).filter(|a| a.due <= now) {
            if arriving.until <= now {
                self.desk.handoffs.forget_arrival(rooms.core, id);
            } else {
                self.desk.handoffs.claim(rooms.core, id);
            }
        }
    }

    fn doubt_or_thaw(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        match self.entities.get(&id).map(|e| e.phase()) {
            Some(Phase::Frozen) => self.desk.handoffs.doubt(rooms.core, id),
            // It does not come to rest, or is being reloaded.
            _ => self.each(rooms, [id], |entity, cx| entity.thaw(cx)),
        }
    }

    /// A new view: homes know nothing of grants that were in flight, and some nodes are gone.
    pub(crate) fn resume_handoffs(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        let members = &rooms.core.view.members;
        let is_lost = |to: NodeId| !members.iter().any(|m| m.node == to && !m.draining) || gone.contains(&to);
        let lost = self.desk.handoffs.leaving.iter().filter(|(_, l)| is_lost(l.to)).map(|(id, _)| *id);
        for id in lost.collect::<Vec<_>>() {
            self.doubt_or_thaw(rooms, id);
        }
        let arriving: Vec<_> = self.desk.handoffs.arriving.keys().copied().collect();
        arriving.into_iter().for_each(|id| self.desk.handoffs.claim(rooms.core, id));
    }

    /// The node stops, and nobody is left to answer. What is offered is saved here, and the journal takes one of two.
    pub(crate) fn end_handoffs(&mut self, rooms: &mut Rooms<'_>) {
        let leaving: Vec<_> = self.desk.handoffs.leaving.keys().copied().collect();
        self.each(rooms, leaving, |entity, cx| entity.thaw(cx));
        let arriving: Vec<_> = self.desk.handoffs.arriving.keys().copied().collect();
        arriving.into_iter().for_each(|id| self.desk.handoffs.forget_arrival(rooms.core, id));
    }
}

fn not_here(core: &mut Core, id: EntityId, waiting: Vec<(Line, ToPlayer)>) {
    for (line, _) in waiting {
        core.send_edge(line.edge, line.conn, id, ToEdge::NotHere);
    }
}

/// The message that brings a player's word to its real.
pub(crate) fn to_player(player: EntityId, line: Line, message: ToPlayer) -> Peer {
    Peer::ToPlayer { player, line, message }
}
