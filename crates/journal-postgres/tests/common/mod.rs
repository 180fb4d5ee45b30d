//! A private server for one test, worlds on it, and nodes that write whatever happens.

#![allow(dead_code, reason = "not every test wants all of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use gundo_engines::postgres::Postgres;
use gundo_journal::suite::{event, join, stream};
use gundo_journal::{Completion, Handle, Journal};
use gundo_journal_postgres::{Password, PostgresJournal, PostgresSettings, open};
use gundo_types::{EntityId, NodeId};
use gundo_wire::journal::{Batch, Loaded, Outcome};
use tempfile::TempDir;

/// How long anything may take before a test gives up; it paces nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) postgres: Postgres,
    pub(crate) dir: TempDir,
    worlds: AtomicU32,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let postgres = Postgres::start(dir.path()).expect("a server");
        Self { postgres, dir, worlds: AtomicU32::new(0) }
    }

    /// Settings for a world of its own.
    pub(crate) fn settings(&self) -> PostgresSettings {
        let file = self.dir.path().join("secret");
        std::fs::write(&file, Postgres::PASSWORD).expect("writable");
        let world = self.worlds.fetch_add(1, Ordering::Relaxed);
        PostgresSettings {
            server: self.postgres.connection(),
            password: Password::File(file),
            schema: format!("world_{world}"),
            writers: 2,
            readers: 1,
            ..PostgresSettings::default()
        }
    }

    pub(crate) fn journal(&self) -> PostgresJournal {
        open(self.settings()).expect("a new world")
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.postgres.sql(sql).expect("the statement is right").trim().to_owned()
    }
}

/// A node that appends to its entities, several batches ahead of the outcomes, and loads them after whatever fails.
pub(crate) struct Busy {
    node: NodeId,
    incarnation: u64,
    handle: Box<dyn Handle>,
    completions: Receiver<Completion>,
    pub(crate) entities: Vec<Line>,
    next_id: u64,
    /// How many batches ended in which way.
    pub(crate) ends: BTreeMap<&'static str, u64>,
}

/// One entity of a busy node.
pub(crate) struct Line {
    pub(crate) entity: EntityId,
    load: u64,
    generation: u64,
    /// The newest seq sent.
    sent: u64,
    /// The newest seq that was answered with `Done`.
    pub(crate) done: u64,
    in_flight: u64,
    is_sound: bool,
}

impl Busy {
    pub(crate) fn join(journal: &dyn Journal, node: u16, entities: &[EntityId]) -> Self {
        let incarnation = join(journal, node);
        let (tx, completions) = channel();
        let handle = journal.handle(NodeId(node), incarnation, Box::new(move |done| drop(tx.send(done))));
        let line = |entity: &EntityId| Line {
            entity: *entity,
            load: 0,
            generation: 0,
            sent: 0,
            done: 0,
            in_flight: 0,
            is_sound: false,
        };
        let entities = entities.iter().map(line).collect();
        let (node, ends) = (NodeId(node), BTreeMap::new());
        Self { node, incarnation, handle, completions, entities, next_id: 1, ends }
    }

    /// Appends until told to stop and everything has ended.
    pub(crate) fn write(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.step();
        }
        while self.entities.iter().any(|line| line.in_flight > 0) {
            self.take();
        }
    }

    /// Appends until `count` more batches were answered with `Done`.
    pub(crate) fn write_some(&mut self, count: u64) {
        let enough = self.done() + count;
        let until = Instant::now() + PATIENCE;
        while self.done() < enough {
            assert!(Instant::now() < until, "only {:?}", self.ends);
            self.step();
        }
        while self.entities.iter().any(|line| line.in_flight > 0) {
            self.take();
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.ends.get("done").copied().unwrap_or(0)
    }

    fn step(&mut self) {
        for index in 0..self.entities.len() {
            let line = &mut self.entities[index];
            if !line.is_sound && line.in_flight == 0 {
                self.load(index);
                continue;
            }
            if line.is_sound && line.in_flight < 4 {
                line.in_flight += 1;
                let count = 1 + self.next_id % 3;
                let after = line.sent;
                line.sent += count;
                let (entity, load, generation) = (line.entity, line.load, line.generation);
                let id = self.next_id << 8 | index as u64;
                self.next_id += 1;
                self.handle.append(Batch {
                    id,
                    node: self.node,
                    incarnation: self.incarnation,
                    generation,
                    prepared_by: Vec::new(),
                    streams: vec![stream(entity, load, after, count)],
                    names: Vec::new(),
                });
            }
        }
        self.take();
    }

    fn load(&mut self, index: usize) {
        let line = &mut self.entities[index];
        line.load += 1;
        line.in_flight += 1;
        self.handle.load(line.entity, line.load);
    }

    /// Takes one completion.
    fn take(&mut self) {
        match self.completions.recv_timeout(PATIENCE).expect("the journal answers") {
            Completion::Appended { batch, outcome } => {
                let line = &mut self.entities[(batch & 0xff) as usize];
                line.in_flight -= 1;
                let end = match outcome {
                    Outcome::Done => "done",
                    Outcome::Conflict => "conflict",
                    Outcome::Unknown => "unknown",
                    Outcome::Rejected(_) => "rejected",
                    Outcome::Generation(_) => "generation",
                    Outcome::Taken => panic!("nobody takes a name"),
                };
                *self.ends.entry(end).or_default() += 1;
                if outcome == Outcome::Done {
                    line.done += 1 + (batch >> 8) % 3;
                } else {
                    line.is_sound = false;
                }
            }
            Completion::Loaded { entity, result, .. } => {
                let line =
                    self.entities.iter_mut().find(|line| line.entity == entity).expect("it was asked for");
                line.in_flight -= 1;
                if let Ok(loaded) = result {
                    check(entity, &loaded);
                    let last = loaded.last_seq();
                    assert!(
                        last >= line.done,
                        "{entity}: {} was acknowledged, {last} is the newest",
                        line.done
                    );
                    (line.sent, line.done, line.generation, line.is_sound) =
                        (last, last, loaded.generation, true);
                }
            }
            Completion::Listed { .. } | Completion::Woken { .. } => panic!("nobody asked"),
        }
    }

    /// Loads every entity and compares it with what was acknowledged.
    pub(crate) fn verify(&mut self) {
        for index in 0..self.entities.len() {
            self.entities[index].is_sound = false;
            while !self.entities[index].is_sound {
                self.load(index);
                self.take();
            }
        }
    }
}

/// The events are whole and what was written.
fn check(entity: EntityId, loaded: &Loaded) {
    for (expected, (seq, found)) in (1..).zip(&loaded.events) {
        assert_eq!((*seq, found), (expected, &event(entity, expected)));
    }
}
