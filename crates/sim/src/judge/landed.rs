//! Appends that land in the journal, event by event.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{EntityId, Point};
use gundo_wire::Message;
use gundo_wire::journal::{Batch, Cause, EventRecord, EventType, Snapshot};

use super::guarantee::{Guarantee, Verdict, violated};
use super::replica::{Effect, Replica, later_fields};
use super::{Judge, Line, name_of};
use crate::game::{Flows, Holdings};

/// Answers that a player's durable state keeps.
const ANSWERS: usize = 32;

impl Judge {
    /// A batch has landed in the journal.
    pub(crate) fn landed(&mut self, batch: &Batch) -> Verdict {
        for incarnation in std::iter::once(&batch.incarnation).chain(&batch.prepared_by) {
            if !self.members.contains(incarnation) && !self.lost.replaying {
                let text = format!("an append of incarnation {incarnation}, which has left, has landed");
                return violated(Guarantee::G2, text);
            }
        }
        self.note_landed(batch);
        let mut moved = Holdings::default();
        for append in &batch.streams {
            let (id, mut seq) = (append.entity, append.after);
            let known = self.replicas.get(&id).map_or(0, |r| r.seq);
            if seq != known {
                let text = format!("{}: an append after {seq} has landed on {known}", self.name(id));
                return violated(Guarantee::G2, text);
            }
            for event in &append.events {
                seq += 1;
                self.take(id, seq, event, &mut moved)?;
            }
            if let Some(snapshot) = &append.snapshot {
                self.compare_snapshot(id, seq, snapshot)?;
            }
        }
        if moved != Holdings::default() {
            let ids: Vec<_> = batch.streams.iter().map(|s| self.name(s.entity)).collect();
            let text = format!("one append over {} gives and takes {:?} too much", ids.join(", "), moved.0);
            return violated(Guarantee::G6, text);
        }
        Ok(())
    }

    fn take(&mut self, id: EntityId, seq: u64, event: &EventRecord, moved: &mut Holdings) -> Verdict {
        let rules = Arc::clone(&self.rules);
        let name = || name_of(&rules, id);
        let Some(kind) = rules.kind_of(id.kind) else {
            return violated(Guarantee::G3, format!("{} is of a kind the game does not have", name()));
        };
        if !self.replicas.contains_key(&id) {
            let mut replica = Replica::new(kind.create(id.id));
            // What an entity starts with came into the world with it.
            self.game.holdings(id, &replica.snapshot, &mut replica.holdings);
            self.made.add_all(&replica.holdings, 1);
            self.replicas.insert(id, replica);
            if id.kind != rules.player_kind()
                && let Err(at) = self.known.binary_search(&id)
            {
                self.known.insert(at, id);
            }
        }
        let replica = self.replicas.get_mut(&id).expect("it is there by now");
        replica.seq = seq;
        replica.begun |= event.event_type != EventType::Fenced;
        replica.played |= event.event_type == EventType::Game && replica.session.adoption > 0;
        if event.at < replica.at {
            let text =
                format!("{}: event {seq} is of {}, the one before of {}", name(), event.at.0, replica.at.0);
            return violated(Guarantee::G2, text);
        }
        replica.at = event.at;
        let Ok(cause) = Cause::decode(event.cause.as_ref()) else {
            return violated(Guarantee::G3, format!("{}: the cause of event {seq} does not decode", name()));
        };
        if let Some(place) = &cause.place {
            replica.place = Some((event.at, Point::new(place.x, place.y)));
        }
        if event.event_type == EventType::Session {
            replica.take_session(&name, seq, &event.payload)?;
        }
        if cause.seq > 0 {
            self.take_effect(id, seq, &cause)?;
        }
        self.take_mail(id, event.event_type, &event.payload)?;
        self.take_order(id, event.event_type, &event.payload)?;
        self.take_timer(id, event.at, event.event_type, &event.payload)?;
        if event.event_type == EventType::Game {
            self.take_game(id, seq, &event.payload, moved)?;
            self.take_letter(id, &event.payload);
        }
        self.replicas.get_mut(&id).expect("it is there by now").note(event.at);
        Ok(())
    }

    /// A command has taken effect, by event `seq`.
    fn take_effect(&mut self, id: EntityId, seq: u64, cause: &Cause) -> Verdict {
        let rules = Arc::clone(&self.rules);
        let name = || name_of(&rules, id);
        let line = self.by_player.get(&id).and_then(|conn| self.lines.get(conn));
        let said = |line: &&Line| !line.disordered && line.said.get(&cause.seq) == Some(&cause.fingerprint);
        if let Some(line) = line.filter(said).filter(|_| !self.lost.replaying) {
            match line.heard.get(&cause.seq) {
                None if line.refused_max > cause.seq && !line.unlooked.contains(&cause.seq) => {
                    let text = format!(
                        "{}: command {} was refused before what was decided before it, command {}, was durable",
                        name(),
                        line.refused_max,
                        cause.seq
                    );
                    return violated(Guarantee::G7, text);
                }
                Some(Err(code)) => {
                    let text =
                        format!("{}: command {} was refused ({code}), and takes effect", name(), cause.seq);
                    return violated(Guarantee::G5, text);
                }
                _ => {}
            }
        }
        self.effects += 1;
        let effect = Effect { fingerprint: cause.fingerprint, reply: cause.reply.clone() };
        let replica = self.replicas.get_mut(&id).expect("it is there by now");
        if replica.effects.insert(cause.seq, effect).is_some() {
            let text = format!("{}: command {} took effect twice, again in event {seq}", name(), cause.seq);
            return violated(Guarantee::G5, text);
        }
        Ok(())
    }

    /// The game's part of an event: its effect on goods must be the one it declares.
    fn take_game(&mut self, id: EntityId, seq: u64, payload: &Bytes, moved: &mut Holdings) -> Verdict {
        let rules = Arc::clone(&self.rules);
        let name = || name_of(&rules, id);
        let replica = self.replicas.get_mut(&id).expect("it is there by now");
        if replica.state.apply(payload).is_err() {
            return violated(Guarantee::G3, format!("{}: event {seq} does not decode", name()));
        }
        let mut flows = Flows::default();
        self.game.flows(self.seed, id, &replica.snapshot, payload, &mut flows);
        let holdings = |snapshot: &Bytes| {
            let mut holdings = Holdings::default();
            self.game.holdings(id, snapshot, &mut holdings);
            holdings
        };
        replica.take_game(&name, seq, &flows, holdings)?;
        moved.add_all(&flows.moved, 1);
        self.made.add_all(&flows.made, 1);
        Ok(())
    }

    fn compare_snapshot(&mut self, id: EntityId, seq: u64, bytes: &Bytes) -> Verdict {
        let name = self.name(id);
        let (Ok(snapshot), Ok(later)) = (Snapshot::decode(bytes.as_ref()), later_fields(bytes)) else {
            return violated(Guarantee::G3, format!("{name}: the snapshot at {seq} does not decode"));
        };
        let replica = self.replicas.get_mut(&id).expect("its events have been taken");
        let before = std::mem::replace(&mut replica.later, later);
        let later = &replica.later;
        let kept = |seq: &u64| later.2.contains(seq) || snapshot.answers.iter().all(|a| a.seq != *seq);
        if (before.0 && !later.0) || (before.1 && !later.1) || !before.2.iter().all(kept) {
            let text = format!("{name}: the snapshot at {seq} has lost what a newer version wrote");
            return violated(Guarantee::G1, text);
        }
        if replica.snapshot != snapshot.state {
            return violated(
                Guarantee::G3,
                format!("{name}: the snapshot at {seq} is not what the events make"),
            );
        }
        self.compare_post(id, seq, snapshot.post.as_ref())?;
        self.compare_timers(id, seq, snapshot.timers.as_ref())?;
        let replica = self.replicas.get(&id).expect("its events have been taken");
        // If a snapshot forgot an answer, a repeat would execute the command again.
        let window = replica.effects.keys().rev().take(ANSWERS);
        let kept: BTreeSet<_> = snapshot.answers.iter().map(|a| a.seq).collect();
        if let Some(missing) = window.into_iter().find(|seq| !kept.contains(seq)) {
            return violated(
                Guarantee::G5,
                format!("{name}: the snapshot at {seq} has forgotten answer {missing}"),
            );
        }
        Ok(())
    }
}
