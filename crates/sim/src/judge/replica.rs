//! An entity as the landed events make it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use gundo_kernel::game::AnyEntity;
use gundo_types::{Point, WorldTime};
use gundo_wire::journal::{Answer, Session, SnapshotParts};
use gundo_wire::{DecodeError, Kept, fingerprint};

use super::guarantee::{Guarantee, Verdict, violated};
use crate::game::{Flows, Holdings};

/// A command that has taken effect.
pub(super) struct Effect {
    pub(super) fingerprint: u64,
    pub(super) reply: Bytes,
}

/// An entity as the landed events make it.
pub(super) struct Replica {
    pub(super) state: Box<dyn AnyEntity>,
    pub(super) seq: u64,
    pub(super) at: WorldTime,
    pub(super) session: Session,
    /// Its newest recorded place, and when the node that recorded it says that was.
    pub(super) place: Option<(WorldTime, Point)>,
    pub(super) effects: BTreeMap<u64, Effect>,
    pub(super) holdings: Holdings,
    pub(super) snapshot: Bytes,
    /// Fingerprints of states that others, or the own player, may see.
    pub(super) publics: HashSet<u64>,
    pub(super) privates: HashSet<u64>,
    /// Where fields of a later version were once written: in the session, in the snapshot, and in the answers to which
    /// commands.
    pub(super) later: (bool, bool, BTreeSet<u64>),
    /// Its public part changes by time alone, so the replica does not know what may be shown.
    pub(super) changes_by_time: bool,
    /// Something has happened to it since it first came.
    pub(super) played: bool,
    /// It has an event that is more than a fence.
    pub(super) begun: bool,
}

impl Replica {
    pub(super) fn new(state: Box<dyn AnyEntity>) -> Self {
        let mut replica = Self {
            snapshot: state.snapshot(),
            state,
            seq: 0,
            at: WorldTime(0),
            session: Session::default(),
            place: None,
            effects: BTreeMap::new(),
            holdings: Holdings::default(),
            publics: HashSet::new(),
            privates: HashSet::new(),
            later: Default::default(),
            changes_by_time: false,
            played: false,
            begun: false,
        };
        replica.note(WorldTime(0));
        replica
    }

    pub(super) fn note(&mut self, at: WorldTime) {
        self.changes_by_time |= self.state.next_change(at).is_some();
        if let Some(public) = self.state.public(at) {
            self.publics.insert(fingerprint(&public));
        }
        self.privates.insert(fingerprint(&self.state.private()));
    }

    /// A session has landed as event `seq`.
    pub(super) fn take_session(&mut self, name: &dyn Fn() -> String, seq: u64, payload: &Bytes) -> Verdict {
        let Ok(session) = Kept::<Session>::decode(payload.clone()) else {
            let text = format!("{}: the session in event {seq} does not decode", name());
            return violated(Guarantee::G3, text);
        };
        if std::mem::replace(&mut self.later.0, !session.unknown().is_empty()) && !self.later.0 {
            let text = format!("{}: the session in event {seq} has lost what a newer version wrote", name());
            return violated(Guarantee::G1, text);
        }
        let session = session.known;
        if session.adoption <= self.session.adoption {
            let text = format!("{}: adoption {} follows {}", name(), session.adoption, self.session.adoption);
            return violated(Guarantee::G11, text);
        }
        self.session = session;
        Ok(())
    }

    /// A game event has landed as event `seq`, with the flows of goods it declares. `holdings` reads a snapshot.
    pub(super) fn take_game(
        &mut self,
        name: &dyn Fn() -> String,
        seq: u64,
        flows: &Flows,
        holdings: impl Fn(&Bytes) -> Holdings,
    ) -> Verdict {
        self.snapshot = self.state.snapshot();
        let after = holdings(&self.snapshot);
        let mut expected = self.holdings.clone();
        expected.add_all(&flows.own, 1);
        if after != expected {
            let text = format!(
                "{}: event {seq} makes {:?} of {:?}; by its word it should be {:?}",
                name(),
                after.0,
                self.holdings.0,
                expected.0
            );
            return violated(Guarantee::G4, text);
        }
        if let Some((goods, amount)) = after.0.iter().find(|(_, amount)| **amount < 0) {
            return violated(Guarantee::G4, format!("{} has {amount} of {goods:?}", name()));
        }
        self.holdings = after;
        Ok(())
    }
}

/// Where a snapshot has fields that this version does not know: in the session, in itself, in the answers.
pub(super) fn later_fields(bytes: &Bytes) -> Result<(bool, bool, BTreeSet<u64>), DecodeError> {
    let snapshot = Kept::<SnapshotParts>::decode(bytes.clone())?;
    let itself = !snapshot.unknown().is_empty();
    let session = Kept::<Session>::decode(snapshot.known.session.unwrap_or_default())?;
    let mut answers = BTreeSet::new();
    for answer in snapshot.known.answers {
        let answer = Kept::<Answer>::decode(answer)?;
        if !answer.unknown().is_empty() {
            answers.insert(answer.known.seq);
        }
    }
    Ok((!session.unknown().is_empty(), itself, answers))
}
