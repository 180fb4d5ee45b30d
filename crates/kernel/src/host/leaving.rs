//! Players that are being handed to another node: the old owner's list. Plain values; the handoff itself is in `handoff`.

use std::collections::BTreeMap;

use gundo_types::{Body, EntityId, Epoch, NodeId, Term, Time};

use crate::core::{Core, Timer};
use crate::peer::{HomeMessage, Line};

/// How long the old owner waits before it asks the home who owns the player, and between two questions, ms.
pub(super) const DOUBT_MS: u64 = 300;

/// All players that are being handed over.
#[derive(Default)]
pub(super) struct Departures {
    leaving: BTreeMap<EntityId, Leaving>,
}

/// A player that is being handed over.
pub(super) struct Leaving {
    pub(super) to: NodeId,
    /// The term of the offer.
    pub(super) term: Term,
    /// The epoch of the offer.
    pub(super) epoch: Epoch,
    /// When the next step is overdue.
    pub(super) due: Time,
    /// The newest move of its client since.
    pub(super) walked: Option<(Line, u32, Body)>,
    /// Its connection, if that has closed since, and whether the client logged out.
    pub(super) gone: Option<(Line, bool)>,
}

impl Departures {
    pub(super) fn len(&self) -> usize {
        self.leaving.len()
    }

    pub(super) fn ids(&self) -> Vec<EntityId> {
        self.leaving.keys().copied().collect()
    }

    /// Those that go to a node for which `is` is true.
    pub(super) fn to(&self, is: impl Fn(NodeId) -> bool) -> Vec<EntityId> {
        self.leaving.iter().filter(|(_, leaving)| is(leaving.to)).map(|(id, _)| *id).collect()
    }

    pub(super) fn get(&self, id: EntityId) -> Option<&Leaving> {
        self.leaving.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EntityId) -> Option<&mut Leaving> {
        self.leaving.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: EntityId, leaving: Leaving) {
        assert!(leaving.due > Time::default(), "an offer has a deadline");
        self.leaving.insert(id, leaving);
    }

    pub(super) fn remove(&mut self, id: EntityId) -> Option<Leaving> {
        self.leaving.remove(&id)
    }

    /// A client's move of a frozen player: if the player stays, it makes the newest.
    pub(super) fn walked(&mut self, id: EntityId, line: Line, seq: u32, wish: Body) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.walked = Some((line, seq, wish));
        }
    }

    /// A connection has closed during its player's handoff: the new owner must hear of that.
    pub(super) fn line_gone(&mut self, id: EntityId, line: Line, leave: bool) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.gone = Some((line, leave));
        }
    }

    /// Asks the home who owns it. The answer is `Kept`, `HandedOver`, or, if the home gave it to this node again, `Granted`.
    pub(super) fn doubt(&mut self, core: &mut Core, id: EntityId) {
        let Some(leaving) = self.leaving.get_mut(&id) else { return };
        leaving.due = core.now.time.plus_ms(DOUBT_MS);
        core.after_ms(DOUBT_MS, Timer::Handoff(id));
        if let Some(home) = core.home_of(id) {
            core.send_home(home, HomeMessage::Keep { entity: id, term: leaving.term });
        }
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        assert!(self.leaving.keys().all(here), "a player on the list is here");
    }
}
