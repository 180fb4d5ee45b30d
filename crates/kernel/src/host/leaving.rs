//! Players that are to be real on another node: the old owner's list. Plain values; what happens to them is in `handoff`.

use std::collections::BTreeMap;

use gundo_types::{Body, EntityId, Epoch, NodeId, Term, Time};

use crate::core::{Core, Timer};
use crate::peer::{HomeMessage, Line};

/// How long the old owner waits before it asks the home whose the player is, and between two questions, ms.
pub(super) const DOUBT_MS: u64 = 300;

/// All of them.
#[derive(Default)]
pub(super) struct Departures {
    leaving: BTreeMap<EntityId, Leaving>,
}

/// One of them.
pub(super) struct Leaving {
    pub(super) to: NodeId,
    /// The term it was offered by.
    pub(super) term: Term,
    /// The view it was offered in.
    pub(super) epoch: Epoch,
    /// When something must have happened.
    pub(super) due: Time,
    /// The newest wish of its client since.
    pub(super) walked: Option<(Line, u32, Body)>,
    /// Its line, gone since.
    pub(super) gone: Option<(Line, bool)>,
}

impl Departures {
    pub(super) fn len(&self) -> usize {
        self.leaving.len()
    }

    pub(super) fn ids(&self) -> Vec<EntityId> {
        self.leaving.keys().copied().collect()
    }

    /// Those that go to a node for which `is` holds.
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
        assert!(leaving.due > Time::default(), "an offer has a limit");
        self.leaving.insert(id, leaving);
    }

    pub(super) fn remove(&mut self, id: EntityId) -> Option<Leaving> {
        self.leaving.remove(&id)
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
    pub(super) fn doubt(&mut self, core: &mut Core, id: EntityId) {
        let Some(leaving) = self.leaving.get_mut(&id) else { return };
        leaving.due = core.now.time.plus_ms(DOUBT_MS);
        core.after_ms(DOUBT_MS, Timer::Handoff(id));
        if let Some(home) = core.home_of(id) {
            core.send_home(home, HomeMessage::Keep { entity: id, term: leaving.term });
        }
    }

    pub(super) fn check(&self, here: impl Fn(&EntityId) -> bool) {
        assert!(self.leaving.keys().all(here), "only a player that is here leaves");
    }
}
