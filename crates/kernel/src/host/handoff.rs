//! A player moves from one live node to another: a handoff.
//!
//! The old owner finishes the work in flight (*freezing*), then stops the player and offers all its state (*frozen*); see `give`.
//! The new owner unpacks the player and claims it at the player's home; see `take`. The home's grant is the moment of change:
//! from then on the old copy is void, whatever happens to the new one. In doubt the old owner asks the home as well, and either
//! gives the copy up or gets a new term, so that a late claim fails. The old owner does not forward what clients send meanwhile:
//! their edges keep it and resend it to the new owner. When players move and where: `drain`.

mod give;
mod take;

use gundo_types::{EntityId, NodeId, Term};

use super::desk::Rooms;
use super::phase::Phase;
use super::room::Host;
use crate::peer::{HandoffMessage, HomeMessage};

impl Host {
    /// A message from the other node of a handoff.
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

    /// A home's message about a handoff: who owns the player now, and the term.
    pub(crate) fn handle_home(&mut self, rooms: &mut Rooms<'_>, from: NodeId, answer: HomeMessage) {
        match answer {
            HomeMessage::Disputed { entity, term, from: claimed } => {
                // The answer to its claim was lost.
                if let Some(claimed) = claimed {
                    self.on_claimed(rooms, entity, claimed, term);
                }
                let answer = match self.entities.get(&entity).map(|e| e.term) {
                    Some(term) => HomeMessage::Confirmed { entity, term },
                    None => HomeMessage::Released { entity, term },
                };
                rooms.core.send_home(from, answer);
            }
            HomeMessage::Claimed { entity, from: claimed, term } => {
                if !self.on_claimed(rooms, entity, claimed, term) {
                    rooms.core.send_home(from, HomeMessage::Released { entity, term });
                }
            }
            HomeMessage::Kept { entity, from: offered, term } => {
                if self.with(rooms, entity, |e, cx| e.on_kept(cx, offered, term)).is_none() {
                    rooms.core.send_home(from, HomeMessage::Released { entity, term });
                }
            }
            HomeMessage::ClaimRefused { entity, from: claimed } => {
                self.on_claim_refused(rooms, entity, claimed);
            }
            HomeMessage::HandedOver { entity, from: offered, to } => {
                self.tell(rooms, entity, |e, cx| e.on_handed_over(cx, offered, to));
            }
            other => unreachable!("{other:?} is not about a handoff"),
        }
    }

    pub(super) fn on_handoff_timer(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        let now = rooms.core.now.time;
        if self.desk.departures.get(id).is_some_and(|l| l.due <= now) {
            self.doubt_or_thaw(rooms, id);
        }
        self.arrivals.on_timer(rooms.core, id);
    }

    fn doubt_or_thaw(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        if self.phase_of(id) == Some(Phase::Frozen) {
            self.desk.departures.doubt(rooms.core, id);
        } else {
            // Its work does not end, or it reloads.
            self.each(rooms, [id], |entity, cx| entity.thaw(cx));
        }
    }

    /// A new view: homes have no record of grants that were in flight, and some nodes were removed.
    pub(crate) fn resume_handoffs(&mut self, rooms: &mut Rooms<'_>, gone: &[NodeId]) {
        let members = &rooms.core.view.members;
        let is_lost = |to: NodeId| !members.iter().any(|m| m.node == to && !m.draining) || gone.contains(&to);
        for id in self.desk.departures.to(is_lost) {
            self.doubt_or_thaw(rooms, id);
        }
        self.arrivals.claim_all(rooms.core);
    }

    /// The node stops, and there may be nobody left to answer. It saves offered players itself: if both nodes write, the journal
    /// accepts only one.
    pub(crate) fn end_handoffs(&mut self, rooms: &mut Rooms<'_>) {
        let leaving = self.desk.departures.ids();
        self.each(rooms, leaving, |entity, cx| entity.thaw(cx));
        self.arrivals.forget_all(rooms.core);
    }
}
