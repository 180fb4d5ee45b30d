//! The journal goes back to an earlier state: what the judge then counts as lost, and who has to say so.
//!
//! The replicas go back with the journal, to what a replica of it had. What was durable in between may have been told, and may
//! still be on its way: it is *past*. Every answer that a client received and that is past must be named by a node's alarm; an
//! alarm names nothing else.

use std::collections::{BTreeMap, HashSet};

use gundo_kernel::TailLost;
use gundo_types::EntityId;
use gundo_wire::journal::Batch;

use super::guarantee::{Guarantee, Verdict, violated};
use super::replica::Effect;
use super::{Holdings, Judge};

/// What was durable, and is lost.
#[derive(Default)]
pub(super) struct Past {
    pub(super) effects: BTreeMap<u64, Effect>,
    pub(super) publics: HashSet<u64>,
    pub(super) privates: HashSet<u64>,
    pub(super) adoption: u64,
    /// Each time: the newest seq before and after.
    cuts: Vec<(u64, u64)>,
    /// The last cut was named.
    named: bool,
    /// Somebody who knew may have ended before it could speak.
    excused: bool,
}

/// What the judge keeps so that it can go back.
#[derive(Default)]
pub(super) struct Lost {
    /// Every batch that landed; only if the journal may go back.
    history: Option<Vec<Batch>>,
    /// A replica has got this many batches, and gets no more.
    mark: Option<usize>,
    /// A node has ended since then.
    ended: bool,
    pub(super) past: BTreeMap<EntityId, Past>,
    pub(super) replaying: bool,
}

impl Judge {
    /// From now on the journal may go back.
    pub(crate) fn keep_history(&mut self) {
        self.lost.history = Some(Vec::new());
    }

    pub(super) fn note_landed(&mut self, batch: &Batch) {
        if let Some(history) = self.lost.history.as_mut().filter(|_| !self.lost.replaying) {
            history.push(batch.clone());
        }
    }

    /// A replica of the journal stays behind from now on.
    pub(crate) fn mark(&mut self) {
        self.lost.mark = self.lost.history.as_ref().map(Vec::len);
        self.lost.ended = false;
    }

    /// A node has ended: it says nothing more of what it knew.
    pub(crate) fn on_node_ended(&mut self) {
        self.lost.ended = true;
        self.lost.past.values_mut().filter(|past| !past.named).for_each(|past| past.excused = true);
    }

    /// That replica takes the journal's place. Returns how many batches are lost.
    pub(crate) fn go_back(&mut self) -> Result<usize, super::Violation> {
        let (Some(mark), Some(mut history)) = (self.lost.mark.take(), self.lost.history.take()) else {
            return Ok(0);
        };
        let gone = history.split_off(mark);
        let replicas = std::mem::take(&mut self.replicas);
        self.made = Holdings::default();
        let (effects, letters) = (self.effects, std::mem::take(&mut self.letters));
        self.mail = super::mail::Mail::default();
        let rung = std::mem::take(&mut self.timers).rung;
        let orders = std::mem::take(&mut self.orders);
        self.lost.replaying = true;
        let replayed = history.iter().try_for_each(|batch| self.landed(batch));
        self.lost.replaying = false;
        self.effects = effects;
        self.timers.rung = rung;
        self.letters.go_back(letters);
        self.orders.go_back(orders);
        self.lost.history = Some(history);
        replayed?;
        let excused = self.lost.ended;
        for (id, before) in replicas {
            let now = self.replicas.get(&id).map_or(0, |replica| replica.seq);
            if now == before.seq {
                // Everything that it has shown was durable all along.
                continue;
            }
            let past = self.lost.past.entry(id).or_default();
            past.cuts.push((before.seq, now));
            past.adoption = past.adoption.max(before.session.adoption);
            (past.named, past.excused) = (false, past.excused && !past.named || excused);
            let kept = self.replicas.get(&id);
            let is_gone = |seq: &u64| kept.is_none_or(|replica| !replica.effects.contains_key(seq));
            past.effects.extend(before.effects.into_iter().filter(|(seq, _)| is_gone(seq)));
            past.publics.extend(before.publics);
            past.privates.extend(before.privates);
        }
        Ok(gone.len())
    }

    /// A player's stream was removed, because it never did anything. Clients may still be shown what it was.
    pub(crate) fn removed(&mut self, player: EntityId) -> Verdict {
        let name = self.name(player);
        let Some(before) = self.replicas.remove(&player) else {
            return violated(Guarantee::G2, format!("{name} is removed, and had no events"));
        };
        if before.played || !before.effects.is_empty() {
            return violated(Guarantee::G1, format!("{name} has done something, and is removed"));
        }
        self.made.add_all(&before.holdings, -1);
        self.timers.forget(player);
        // It is as if it had never been: a replica that takes the journal's place later has none of it either.
        for batch in self.lost.history.iter_mut().flatten() {
            batch.streams.retain(|append| append.entity != player);
        }
        let past = self.lost.past.entry(player).or_default();
        past.cuts.push((before.seq, 0));
        past.adoption = past.adoption.max(before.session.adoption);
        past.publics.extend(before.publics);
        past.privates.extend(before.privates);
        Ok(())
    }

    /// A node's alarm names what is lost.
    pub(crate) fn named(&mut self, node: u16, lost: &TailLost) -> Verdict {
        let TailLost { entity, known, found } = *lost;
        let name = self.name(entity);
        let past = self.lost.past.get_mut(&entity);
        // Two failovers in a row may look like one.
        let is_so = |past: &&mut Past| {
            let (had, has) = (past.cuts.iter().any(|c| known <= c.0), past.cuts.iter().any(|c| found == c.1));
            had && has && found < known
        };
        match past.filter(is_so) {
            Some(past) => {
                past.named = true;
                Ok(())
            }
            None => {
                let text =
                    format!("n{node} says that {name} had {known} events and has {found}, which is not so");
                violated(Guarantee::G1, text)
            }
        }
    }

    /// A command that was answered with success is gone: whether that is past, and was said.
    pub(super) fn may_be_gone(&self, player: EntityId, seq: u64, said: u64) -> bool {
        let Some(past) = self.lost.past.get(&player) else { return false };
        let was = past.effects.get(&seq).is_some_and(|effect| effect.fingerprint == said);
        was && (past.named || past.excused)
    }

    /// The effect of a command that is past.
    pub(super) fn past_effect(&self, player: EntityId, seq: u64) -> Option<&Effect> {
        self.lost.past.get(&player)?.effects.get(&seq)
    }

    /// The newest adoption that was ever durable.
    pub(crate) fn past_adoption(&self, player: EntityId) -> u64 {
        self.lost.past.get(&player).map_or(0, |past| past.adoption)
    }

    /// Whether the world has gone back to a time when this player had not come yet.
    pub(crate) fn has_unbegun(&self, player: EntityId) -> bool {
        self.lost.past.get(&player).is_some_and(|past| past.cuts.iter().any(|(_, now)| *now == 0))
    }
}
