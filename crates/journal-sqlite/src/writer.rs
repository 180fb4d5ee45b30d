//! The writer: turns the batches of a group that land into rows of one transaction, and registers and deletes members.
//!
//! A plain value without threads, so that tests can drive it step by step. Start with [`Writer::commit_group`]. A batch of one
//! event in a group costs, beyond its share of the commit: one insert with a prepared statement, no query (the writer remembers
//! the newest seq of each recently written stream), no allocation except the maps of the plan.
//!
//! Not here: which batch lands and how it ends; [`gundo_journal`] has those rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gundo_journal::commit::{Committer, Storage, Unplanned, Written};
use gundo_journal::group::{self, Fences, NameRow, Plan};
use gundo_journal::queue::{RefusedStream, batch_bytes};
use gundo_journal::{MemoryFirst, Registration};
use gundo_types::{EntityId, Kind, NodeId};
use gundo_wire::journal::{Batch, NEVER, Outcome};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::damage::Damage;
use crate::log::LogSize;
use crate::open::{JournalFile, OpenError, wall_ms};
use crate::presence::Presence;
use crate::prune::Sweep;
use crate::space::Space;
use crate::stats::Counters;
use crate::{Settings, Synchronous, schema};

/// Streams whose newest seq is remembered; beyond, all are forgotten and read again. 4 MiB at most.
const LAST_SEQS_MAX: usize = 131_072;

pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) settings: Settings,
    pub(crate) sweep: Sweep,
    pub(crate) counters: Arc<Counters>,
    committer: Committer,
    members: HashSet<u64>,
    last_seqs: HashMap<EntityId, u64>,
    /// As in the file: nobody else writes there.
    generation: u64,
    /// What the file notes of the newest event's time.
    newest_at: Option<u64>,
    pub(crate) memory_first: MemoryFirst,
    /// Whether commits wait for the disk now.
    flushes: bool,
    space: Space,
    pub(crate) damage: Damage,
}

impl Writer {
    /// The journal's log.
    pub(crate) fn log_size(&self) -> LogSize {
        self.space.log()
    }

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
        // These members died with the process that had locked the directory. A full disk is no reason to refuse reading; the first
        // append reports it.
        match conn.execute("DELETE FROM members", []) {
            Ok(_) => {}
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
            Err(why) => return Err(failed(why)),
        }
        let generation = schema::generation(&conn).map_err(failed)?;
        let newest_at = schema::newest_at(&conn).map_err(failed)?;
        let log = LogSize::new(file, settings.log_bytes_max);
        let space = Space::new(file.dir.clone(), Presence::of(file), log, &settings);
        Ok(Self {
            conn,
            sweep: Sweep::new(settings.prune_every_ms),
            settings,
            counters,
            committer: Committer::default(),
            members: HashSet::new(),
            last_seqs: HashMap::new(),
            generation,
            newest_at,
            memory_first: MemoryFirst::default(),
            flushes: true,
            space,
            damage: Damage::new(&file.path),
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
        // First in memory: whatever happens to the row, this process writes nothing more for this incarnation.
        self.members.remove(&incarnation);
        self.conn.execute("DELETE FROM members WHERE incarnation = ?1", [incarnation as i64])?;
        self.committer.forget(incarnation);
        Ok(())
    }

    /// Begins the next generation, between two groups.
    pub(crate) fn begin_generation(&mut self, wall_ms: u64) -> rusqlite::Result<u64> {
        let next = group::next_generation(self.generation, wall_ms);
        self.conn.execute(schema::SET_META, [schema::GENERATION, &next.to_string()])?;
        self.generation = next;
        Ok(next)
    }

    /// Bars streams before the group that came with them: see [`Committer::bar`].
    pub(crate) fn bar(&mut self, refused: &[RefusedStream]) {
        self.committer.bar(refused);
    }

    /// Commits `batches` as one group. One outcome for each, in order.
    pub(crate) fn commit_group(&mut self, batches: &[Batch]) -> Vec<Outcome> {
        let mut file = Tables {
            conn: &self.conn,
            members: &self.members,
            last_seqs: &mut self.last_seqs,
            generation: self.generation,
            newest_at: &mut self.newest_at,
            memory_first: &self.memory_first,
            flushes: &mut self.flushes,
            is_full: self.settings.synchronous == Synchronous::Full,
            space: &mut self.space,
            counters: &self.counters,
            damage: &self.damage,
        };
        let outcomes = self.committer.commit(batches, &mut file);
        if let Err(why) = file.flush_again() {
            // The next group tries it again before it begins.
            tracing::warn!(%why, "the journal's file does not take a setting");
        }
        outcomes
    }

    /// These streams are not there any more.
    pub(crate) fn forget(&mut self, streams: &[EntityId]) {
        for entity in streams {
            self.last_seqs.remove(entity);
        }
    }

    pub(crate) fn roll_back(&self) {
        roll_back(&self.conn);
    }
}

/// The file as the rules see it, partly cached.
struct Tables<'a> {
    conn: &'a Connection,
    members: &'a HashSet<u64>,
    last_seqs: &'a mut HashMap<EntityId, u64>,
    generation: u64,
    newest_at: &'a mut Option<u64>,
    memory_first: &'a MemoryFirst,
    flushes: &'a mut bool,
    /// Commits wait for the disk, unless memory is enough at first.
    is_full: bool,
    space: &'a mut Space,
    counters: &'a Counters,
    damage: &'a Damage,
}

impl Storage for Tables<'_> {
    fn plan(&mut self, batches: &[Batch], fences: &mut Fences) -> Result<Plan, Unplanned> {
        let bytes = batches.iter().map(batch_bytes).sum::<usize>() as u64;
        let admitted = self.space.admit(bytes);
        self.counters.on_disk_free(self.space.free());
        admitted.map_err(Unplanned::Refused)?;
        let mut plan = || {
            self.flush_or_not(batches)?;
            self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            fences.plan(batches, self)
        };
        plan().map_err(|why| {
            self.damage.judge(&why);
            match why.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt) => Unplanned::Damaged(why.to_string()),
                _ => Unplanned::Refused(why.to_string()),
            }
        })
    }

    fn write(&mut self, batches: &[Batch], plan: &Plan) -> Written {
        let newest_at = self.newest_at_of(batches, plan);
        if let Err(why) = self.insert(batches, plan, newest_at) {
            self.roll_back();
            self.damage.judge(&why);
            let text = format!("writing a group: {why}");
            let code = why.sqlite_error_code();
            if matches!(code, Some(ErrorCode::ConstraintViolation | ErrorCode::DatabaseCorrupt)) {
                // A cached newest seq is wrong, or a page is damaged: one batch of the group meets it, the others may land.
                self.last_seqs.clear();
                return Written::Collided(text);
            }
            return Written::Nothing(text);
        }
        let committed = self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        if let Err(why) = committed {
            return self.settle(batches, plan, format!("committing a group: {why}"));
        }
        if self.last_seqs.len() > LAST_SEQS_MAX {
            self.last_seqs.clear();
        }
        self.last_seqs.extend(&plan.last_seqs);
        *self.newest_at = newest_at.or(*self.newest_at);
        Written::Landed
    }

    fn roll_back(&mut self) {
        roll_back(self.conn);
    }
}

impl Tables<'_> {
    /// Whether the next commit waits for the disk. Between two transactions only.
    fn flush_or_not(&mut self, batches: &[Batch]) -> rusqlite::Result<()> {
        if !self.is_full || !self.memory_first.has_all(batches) {
            return self.flush_again();
        }
        self.conn.pragma_update(None, "synchronous", "NORMAL")?;
        *self.flushes = false;
        self.counters.common.on_memory_first();
        Ok(())
    }

    /// All else that is written waits for the disk.
    fn flush_again(&mut self) -> rusqlite::Result<()> {
        if !*self.flushes {
            self.conn.pragma_update(None, "synchronous", "FULL")?;
            *self.flushes = true;
        }
        Ok(())
    }

    /// The time of the newest event, if that is to be noted with this group.
    fn newest_at_of(&self, batches: &[Batch], plan: &Plan) -> Option<u64> {
        let streams = plan.landing(batches).flat_map(|batch| &batch.streams);
        let newest = streams.flat_map(|stream| &stream.events).map(|event| event.at.0).max()?;
        let is_new = |noted: u64| newest >= noted.saturating_add(schema::NEWEST_AT_MS);
        self.newest_at.is_none_or(is_new).then_some(newest)
    }

    fn insert(&self, batches: &[Batch], plan: &Plan, newest_at: Option<u64>) -> rusqlite::Result<()> {
        if let Some(at) = newest_at {
            let mut note = self.conn.prepare_cached(schema::SET_META)?;
            note.execute([schema::NEWEST_AT, &at.to_string()])?;
        }
        let mut event_row = self.conn.prepare_cached(schema::INSERT_EVENT)?;
        for stream in plan.landing(batches).flat_map(|batch| &batch.streams) {
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
            match stream.wake {
                None => {}
                Some(NEVER) => {
                    self.conn.prepare_cached(schema::DELETE_WAKE)?.execute(params![kind, id])?;
                }
                Some(at) => {
                    let at = at.0 as i64;
                    self.conn.prepare_cached(schema::SET_WAKE)?.execute(params![kind, id, at])?;
                }
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

    /// A commit failed. Its pages may be in the log, complete and valid, and be found after a power cut. Once another commit has
    /// overwritten that place in the log, they cannot.
    fn settle(&mut self, batches: &[Batch], plan: &Plan, why: String) -> Written {
        self.roll_back();
        self.last_seqs.clear();
        let batch = plan.landing(batches).next().expect("a group without landing batches is not written");
        let stream = &batch.streams[0];
        let is_there = match last_seq(self.conn, stream.entity) {
            Ok(last) => last != stream.after,
            Err(_) => true,
        };
        if !is_there && self.conn.execute(schema::SETTLE, []).is_ok() {
            return Written::Nothing(why);
        }
        self.roll_back();
        Written::Unknown(why)
    }
}

fn roll_back(conn: &Connection) {
    if !conn.is_autocommit() {
        // If this fails too, the next group cannot begin, and reports it.
        drop(conn.execute_batch("ROLLBACK"));
    }
}

impl group::View for Tables<'_> {
    type Error = rusqlite::Error;

    fn generation(&mut self) -> rusqlite::Result<u64> {
        Ok(self.generation)
    }

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

pub(crate) fn last_seq(conn: &Connection, entity: EntityId) -> rusqlite::Result<u64> {
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
