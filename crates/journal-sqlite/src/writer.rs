//! The one that writes: judges a group, writes what lands as one transaction, and says how each batch ended.
//!
//! A plain value without threads, so that tests can drive it step by step. Cost of a batch of one event in a group, beyond
//! its share of the commit: one insert of a prepared statement, no query (the newest seq of each stream that was written
//! lately is remembered), no allocation but the maps of the plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gundo_journal::Registration;
use gundo_journal::group::{self, Fences, NameRow, Plan, Verdict};
use gundo_types::{EntityId, Kind, NodeId};
use gundo_wire::journal::{Batch, Outcome};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::open::{JournalFile, OpenError, wall_ms};
use crate::prune::Sweep;
use crate::space::Space;
use crate::stats::Counters;
use crate::{Settings, schema};

/// Streams whose newest seq is remembered; beyond, all are forgotten and read again: 4 MiB at most.
const LAST_SEQS_MAX: usize = 131_072;

pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) settings: Settings,
    pub(crate) sweep: Sweep,
    pub(crate) counters: Arc<Counters>,
    members: HashSet<u64>,
    last_seqs: HashMap<EntityId, u64>,
    fences: Fences,
    space: Space,
    /// Whether the last group could not be written: a fault is logged when it begins, not with every group.
    failing: bool,
}

/// What became of a transaction.
enum Written {
    /// It is durable.
    Landed,
    /// Nothing of it is there nor ever will be.
    Nothing(String),
    /// A key was there already, though the newest seq said otherwise: the file is damaged in one place.
    Collided(String),
    /// Nobody knows.
    Unknown(String),
}

impl Writer {
    pub(crate) fn open(
        file: &JournalFile,
        settings: Settings,
        counters: Arc<Counters>,
    ) -> Result<Self, OpenError> {
        let conn = file.writer(&settings)?;
        let failed = |source| file.error("reading its members", source);
        if let Some(bytes) = settings.file_bytes_max {
            let page: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
            let pages = (bytes / page.max(1) as u64).max(1) as i64;
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(failed)?;
        }
        // Whoever joined before held the directory's lock until it died. A file that cannot be written now is one to tell of at
        // the first append, not one to refuse reading.
        match conn.execute("DELETE FROM members", []) {
            Ok(_) => {}
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
            Err(why) => return Err(failed(why)),
        }
        let space = Space::new(file.dir.clone(), &settings);
        Ok(Self {
            conn,
            sweep: Sweep::new(settings.prune_every_ms),
            settings,
            counters,
            members: HashSet::new(),
            last_seqs: HashMap::new(),
            fences: Fences::default(),
            space,
            failing: false,
        })
    }

    pub(crate) fn register(&mut self, node: NodeId, incarnation: u64) -> rusqlite::Result<Registration> {
        if self.members.contains(&incarnation) {
            return Ok(Registration::Registered);
        }
        let newest = self.conn.query_row(schema::NEWEST_MEMBER, [], |row| row.get::<_, i64>(0)).optional()?;
        let newest = newest.unwrap_or(0) as u64;
        if incarnation <= newest {
            return Ok(Registration::Passed { newest });
        }
        self.conn.execute(schema::INSERT_MEMBER, params![incarnation as i64, node.0, wall_ms() as i64])?;
        self.members.insert(incarnation);
        Ok(Registration::Registered)
    }

    pub(crate) fn leave(&mut self, incarnation: u64) -> rusqlite::Result<()> {
        // First here: whatever becomes of the row, this process writes nothing more of it.
        self.members.remove(&incarnation);
        self.conn.execute("DELETE FROM members WHERE incarnation = ?1", [incarnation as i64])?;
        self.fences.forget(incarnation);
        Ok(())
    }

    /// See [`Fences::bar`].
    pub(crate) fn bar(&mut self, incarnation: u64, entity: EntityId, load: u64) {
        self.fences.bar(incarnation, entity, load);
    }

    /// Commits `batches` as one group. One outcome for each, in order.
    pub(crate) fn commit_group(&mut self, batches: &[Batch]) -> Vec<Outcome> {
        let bytes = batches.iter().map(batch_bytes).sum::<usize>() as u64;
        let admitted = self.space.admit(bytes);
        self.counters.on_disk_free(self.space.free());
        if let Err(why) = admitted {
            return self.reject_all(batches, why);
        }
        let plan = match self.begin_and_plan(batches) {
            Ok(plan) => plan,
            Err(why) => {
                self.roll_back();
                return self.reject_all(batches, why.to_string());
            }
        };
        if !plan.verdicts.contains(&Verdict::Lands) {
            self.roll_back();
            return outcomes(&plan, &Outcome::Done);
        }
        match self.write(batches, &plan) {
            Written::Landed => {
                self.failing = false;
                if self.last_seqs.len() > LAST_SEQS_MAX {
                    self.last_seqs.clear();
                }
                self.last_seqs.extend(&plan.last_seqs);
                outcomes(&plan, &Outcome::Done)
            }
            Written::Nothing(why) => self.failed(batches, &plan, &Outcome::Rejected(why)),
            Written::Unknown(why) => {
                self.log_fault(&why, "whether a group landed is not known");
                self.failed(batches, &plan, &Outcome::Unknown)
            }
            Written::Collided(why) => self.one_by_one(batches, &plan, &why),
        }
    }

    fn begin_and_plan(&mut self, batches: &[Batch]) -> rusqlite::Result<Plan> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut view = View { conn: &self.conn, members: &self.members, last_seqs: &self.last_seqs };
        self.fences.plan(batches, &mut view)
    }

    fn write(&mut self, batches: &[Batch], plan: &Plan) -> Written {
        if let Err(why) = self.insert(batches, plan) {
            self.roll_back();
            let text = format!("writing a group: {why}");
            return match why.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => Written::Collided(text),
                _ => Written::Nothing(text),
            };
        }
        let committed = self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        match committed {
            Ok(_) => Written::Landed,
            Err(why) => self.settle(batches, plan, &format!("committing a group: {why}")),
        }
    }

    fn insert(&self, batches: &[Batch], plan: &Plan) -> rusqlite::Result<()> {
        let landing = || batches.iter().zip(&plan.verdicts).filter(|(_, v)| **v == Verdict::Lands);
        let mut event_row = self.conn.prepare_cached(schema::INSERT_EVENT)?;
        for stream in landing().flat_map(|(batch, _)| &batch.streams) {
            let (kind, id) = (stream.entity.kind.0, stream.entity.id as i64);
            let mut seq = stream.after as i64;
            for event in &stream.events {
                seq += 1;
                let (at, event_type) = (event.at.0 as i64, event.event_type as u8);
                event_row.execute(params![
                    kind,
                    id,
                    seq,
                    at,
                    &event.cause[..],
                    event_type,
                    &event.payload[..]
                ])?;
            }
            if let Some(snapshot) = &stream.snapshot {
                let mut row = self.conn.prepare_cached(schema::INSERT_SNAPSHOT)?;
                row.execute(params![kind, id, seq, &snapshot[..]])?;
            }
        }
        for ((space, name), row) in &plan.names {
            let (kind, id) = (row.owner.map(|e| e.kind.0), row.owner.map(|e| e.id as i64));
            let n = row.n as i64;
            self.conn.prepare_cached(schema::INSERT_NAME)?.execute(params![space, name, n, kind, id])?;
            self.conn.prepare_cached(schema::DELETE_OLDER_NAMES)?.execute(params![space, name, n])?;
        }
        Ok(())
    }

    /// A commit failed: its pages may lie in the log, complete and well, and be found after a power cut. Once another commit has
    /// gone to the same place in the log they cannot.
    fn settle(&mut self, batches: &[Batch], plan: &Plan, why: &str) -> Written {
        self.roll_back();
        self.last_seqs.clear();
        let landing = batches.iter().zip(&plan.verdicts).find(|(_, verdict)| **verdict == Verdict::Lands);
        let stream = landing
            .map(|(batch, _)| &batch.streams[0])
            .expect("a group without landing batches is not written");
        let is_there = match last_seq(&self.conn, stream.entity) {
            Ok(last) => last != stream.after,
            Err(_) => true,
        };
        if !is_there && self.conn.execute(schema::SETTLE, []).is_ok() {
            return Written::Nothing(why.to_owned());
        }
        self.roll_back();
        Written::Unknown(why.to_owned())
    }

    fn failed(&mut self, batches: &[Batch], plan: &Plan, outcome: &Outcome) -> Vec<Outcome> {
        if let Outcome::Rejected(why) = outcome {
            self.log_fault(why, "the journal refuses to write");
        }
        for (batch, _) in batches.iter().zip(&plan.verdicts).filter(|(_, v)| **v == Verdict::Lands) {
            self.fences.fail(batch);
        }
        outcomes(plan, outcome)
    }

    /// A damaged stream must not drag others down: those that should land try again alone, in order.
    fn one_by_one(&mut self, batches: &[Batch], plan: &Plan, why: &str) -> Vec<Outcome> {
        self.last_seqs.clear();
        let count = plan.verdicts.iter().filter(|v| **v == Verdict::Lands).count();
        if count == 1 {
            self.log_fault(why, "a stream is damaged; `journal verify` tells more");
            return self.failed(batches, plan, &Outcome::Conflict);
        }
        let alone = |(batch, verdict): (&Batch, &Verdict)| match verdict {
            Verdict::Lands => self.commit_group(std::slice::from_ref(batch)).swap_remove(0),
            Verdict::Conflict | Verdict::Taken => Outcome::Conflict,
        };
        batches.iter().zip(&plan.verdicts).map(alone).collect()
    }

    fn reject_all(&mut self, batches: &[Batch], why: String) -> Vec<Outcome> {
        self.log_fault(&why, "the journal refuses to write");
        batches.iter().for_each(|batch| self.fences.fail(batch));
        vec![Outcome::Rejected(why); batches.len()]
    }

    fn log_fault(&mut self, why: &str, what: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(why, "{what}");
        }
    }

    pub(crate) fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // If even this fails the next group cannot begin, and says so.
            drop(self.conn.execute_batch("ROLLBACK"));
        }
    }
}

/// Bytes a batch takes in the file, about.
pub(crate) fn batch_bytes(batch: &Batch) -> usize {
    const ROW: usize = 32;
    let stream = |s: &gundo_wire::journal::StreamAppend| {
        let events: usize = s.events.iter().map(|e| ROW + e.cause.len() + e.payload.len()).sum();
        events + s.snapshot.as_ref().map_or(0, |snapshot| ROW + snapshot.len())
    };
    let names: usize = batch.names.iter().map(|n| ROW + n.space.len() + n.name.len()).sum();
    ROW + names + batch.streams.iter().map(stream).sum::<usize>()
}

fn outcomes(plan: &Plan, landed: &Outcome) -> Vec<Outcome> {
    plan.verdicts.iter().map(|verdict| Plan::outcome(*verdict, landed)).collect()
}

/// The storage as of the start of a group, partly from memory.
struct View<'a> {
    conn: &'a Connection,
    members: &'a HashSet<u64>,
    last_seqs: &'a HashMap<EntityId, u64>,
}

impl group::View for View<'_> {
    type Error = rusqlite::Error;

    fn is_member(&mut self, incarnation: u64) -> rusqlite::Result<bool> {
        Ok(self.members.contains(&incarnation))
    }

    fn last_seq(&mut self, entity: EntityId) -> rusqlite::Result<u64> {
        match self.last_seqs.get(&entity) {
            Some(last) => Ok(*last),
            None => last_seq(self.conn, entity),
        }
    }

    fn name(&mut self, space: &str, name: &str) -> rusqlite::Result<Option<NameRow>> {
        name_row(self.conn, space, name)
    }
}

fn last_seq(conn: &Connection, entity: EntityId) -> rusqlite::Result<u64> {
    let mut query = conn.prepare_cached(schema::LAST_SEQ)?;
    let last = query.query_row(params![entity.kind.0, entity.id as i64], |row| row.get::<_, i64>(0));
    Ok(last.optional()?.unwrap_or(0) as u64)
}

pub(crate) fn name_row(conn: &Connection, space: &str, name: &str) -> rusqlite::Result<Option<NameRow>> {
    let row = |row: &rusqlite::Row<'_>| {
        let owner = match (row.get::<_, Option<u16>>(1)?, row.get::<_, Option<i64>>(2)?) {
            (Some(kind), Some(id)) => Some(EntityId::new(Kind(kind), id as u64)),
            _ => None,
        };
        Ok(NameRow { n: row.get::<_, i64>(0)? as u64, owner })
    };
    conn.prepare_cached(schema::NAME)?.query_row(params![space, name], row).optional()
}
