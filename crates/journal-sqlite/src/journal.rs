//! The journal with its threads: one writer and a few readers behind the handles.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use gundo_journal::queue::{Group, QueueFault, Replies, SharedQueues, Work};
use gundo_journal::{
    Fault, Handle, Journal, MemoryFirst, NameRow, Pruned, Registration, Room, Sink, StreamSummary, Why,
};
use gundo_types::{EntityId, Figure, NodeId, WorldTime};
use gundo_wire::journal::{EventRecord, Outcome};
use rusqlite::{Connection, OptionalExtension};

use crate::damage::Check;
use crate::load;
use crate::log::Log;
use crate::open::{JournalFile, OpenError, wall_ms};
use crate::prune::{created_ms, world_time};
use crate::read::Reader;
use crate::space::Watch;
use crate::stats::{Counters, Stats};
use crate::writer::Writer;
use crate::{Settings, schema};

/// A call that runs on the writer's thread between two groups.
type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// A journal in a SQLite file. Opened by [`open`](crate::open()).
///
/// Dropping it writes what waits in open handles, gives the outcomes, moves the log into the file and unlocks the directory. It
/// refuses everything from handles that outlive it.
pub struct SqliteJournal {
    queues: Arc<SharedQueues<Job>>,
    counters: Arc<Counters>,
    reader: Mutex<Reader>,
    watch: Mutex<Watch>,
    check: Option<Check>,
    created_ms: u64,
    threads: Vec<JoinHandle<()>>,
    // Last: the directory is unlocked after everything else is closed.
    _lock: Option<File>,
}

impl SqliteJournal {
    pub(crate) fn start(
        file: JournalFile,
        settings: Settings,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        let counters = Arc::new(Counters::default());
        let mut writer = Writer::open(&file, settings.clone(), Arc::clone(&counters))?;
        let (damage, size) = (writer.damage.clone(), writer.log_size());
        let log = Log::watch(&mut writer.conn, size.clone(), settings.checkpoint_pages)
            .map_err(|source| file.error("watching its log", source))?;
        let created_ms =
            created_ms(&writer.conn).map_err(|source| file.error("reading when it was made", source))?;
        let readers: Vec<Connection> =
            (0..settings.readers.max(1)).map(|_| file.reader()).collect::<Result<_, _>>()?;
        let mut journal = Self {
            queues: SharedQueues::new(settings.queue.clone()),
            counters,
            reader: Mutex::new(Reader::of(&file)?),
            watch: Mutex::new(Watch::new(&file, size, damage.clone(), &settings)),
            check: Some(Check::start(&file, damage.clone())?),
            created_ms,
            threads: Vec::new(),
            _lock: lock,
        };
        // On an error this drops it half-made, which stops the running threads.
        let queues = Arc::clone(&journal.queues);
        let run = move || Drive { writer, queues, created_ms, log }.run();
        journal.spawn("journal-writer".to_owned(), run)?;
        for (index, conn) in readers.into_iter().enumerate() {
            let (queues, counters, damage) =
                (Arc::clone(&journal.queues), Arc::clone(&journal.counters), damage.clone());
            journal.spawn(format!("journal-load-{index}"), move || {
                load::serve(&queues, &conn, &counters, &damage)
            })?;
        }
        Ok(journal)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = Builder::new().name(name).spawn(run).map_err(|source| OpenError::Thread { source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The wall clock, ms since 1970, when this journal was begun: the start of world time.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// Its counters so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.counters.read();
        stats.common.rejected += self.queues.refused();
        stats
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` on the writer's thread between two groups, and waits for its result.
    fn on_writer<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Writer) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Why> {
        let (tx, rx) = sync_channel(1);
        // The caller waits for the answer below.
        let job = Box::new(move |writer: &mut Writer| drop(tx.send(call(writer))));
        self.queues.call(job)?;
        // A dropped call means that the journal was closed.
        Ok(rx.recv().map_err(|_| QueueFault::Closed)??)
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        drop(self.check.take());
        self.queues.stop();
        for thread in self.threads.drain(..) {
            // A panic there was logged when it happened.
            drop(thread.join());
        }
        self.queues.close("the journal is closed");
    }
}

impl Journal for SqliteJournal {
    fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
        self.on_writer(move |writer| writer.register(node, incarnation)).map_err(|source| Fault::Register {
            node,
            incarnation,
            source,
        })
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        let left = self.on_writer(move |writer| writer.leave(incarnation));
        left.map_err(|source| Fault::Leave { incarnation, source })
    }

    fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
        self.reader().is_member(incarnation)
    }

    fn generation(&self) -> Result<u64, Fault> {
        self.reader().generation()
    }

    fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault> {
        let begun = self.on_writer(move |writer| writer.begin_generation(wall_ms));
        begun.map_err(|source| Fault::BeginGeneration { source })
    }

    fn handle(&self, _node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
        self.queues.handle(incarnation, sink)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        self.reader().meta(key)
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        let row = [key.to_owned(), value.to_owned()];
        let set = self.on_writer(move |writer| writer.conn.execute(schema::SET_META, row));
        set.map(drop).map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
        // A note that is there costs no write, which a full disk would refuse.
        if let Some(found) = self.meta(key)? {
            return Ok(found);
        }
        let row = [key.to_owned(), value.to_owned()];
        let settled = self.on_writer(move |writer| {
            writer.conn.execute(schema::SETTLE_META, [&row[0], &row[1]])?;
            writer.conn.query_row(schema::META, [&row[0]], |row| row.get(0))
        });
        settled.map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn raise(&self, key: &str, value: u64) -> Result<u64, Fault> {
        let of = key.to_owned();
        let raised = self.on_writer(move |writer| {
            let found: Option<String> =
                writer.conn.query_row(schema::META, [&of], |row| row.get(0)).optional()?;
            let found = found.and_then(|found| found.parse().ok());
            if let Some(found) = found.filter(|found| *found >= value) {
                return Ok(found);
            }
            writer.conn.execute(schema::SET_META, [&of, &value.to_string()])?;
            Ok(value)
        });
        raised.map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        self.reader().name(space, name)
    }

    fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        self.reader().streams(after, max)
    }

    fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
        self.reader().stream(entity, after, max)
    }

    fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault> {
        let streams = streams.to_vec();
        let removed = self.on_writer(move |writer| writer.remove(&streams));
        removed.map_err(|source| Fault::Prune { source })
    }

    fn prune(&self, now: WorldTime) -> Result<Pruned, Fault> {
        self.on_writer(move |writer| writer.prune_all(now)).map_err(|source| Fault::Prune { source })
    }

    fn set_memory_first(&self, types: MemoryFirst) {
        let set = self.on_writer(move |writer| {
            writer.memory_first = types;
            Ok(())
        });
        if let Err(why) = set {
            // Then everything is flushed, or nothing is written at all.
            tracing::debug!(%why, "the journal's writer does not answer");
        }
    }

    fn newest_at(&self) -> Result<Option<WorldTime>, Fault> {
        self.reader().newest_at()
    }

    fn room(&self) -> Room {
        let room = self.watch.lock().unwrap_or_else(PoisonError::into_inner).look();
        if let (Some(_), Some(check)) = (&room.log_long, &self.check) {
            // It may be the reader that the log waits for.
            check.give_up();
        }
        room
    }

    fn figures(&self) -> Vec<Figure> {
        self.stats().figures()
    }
}

/// The writer's thread.
struct Drive {
    writer: Writer,
    queues: Arc<SharedQueues<Job>>,
    created_ms: u64,
    log: Log,
}

impl Drive {
    fn run(mut self) {
        // A panic is a bug, and after it the writer's memory cannot be trusted: the journal closes and logs it.
        if catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            tracing::error!("the journal's writer panicked; the journal takes nothing more");
            self.queues.close("the journal's writer has ended");
        }
        self.writer.roll_back();
        // If this does not reach the file, the next start finds the log beside it.
        let put_away = self.writer.conn.execute(schema::SET_META, [schema::IN_USE, "0"]);
        if let Err(why) = put_away {
            tracing::warn!(%why, "cannot note that the journal is closed");
        }
        self.log.checkpoint(&self.writer.conn, "TRUNCATE", &self.writer.counters);
    }

    fn serve(&mut self) {
        loop {
            let due = self.log.due().into_iter().fold(self.writer.sweep.due(), Instant::min);
            match self.queues.next(due) {
                Work::Do(jobs, group, replies) => {
                    jobs.into_iter().for_each(|job| job(&mut self.writer));
                    self.commit(&group, replies);
                }
                Work::Due => {}
                Work::Stop => return,
            }
            // Between two groups, when every batch has its outcome.
            self.log.tend(&self.writer.conn, &self.writer.counters);
            if Instant::now() >= self.writer.sweep.due() {
                self.writer.prune_slice(world_time(self.created_ms, wall_ms()));
            }
        }
    }

    fn commit(&mut self, group: &Group, replies: Replies) {
        let Group { batches, refused, waiting, .. } = group;
        self.writer.bar(refused);
        if batches.is_empty() {
            return;
        }
        let began = Instant::now();
        let committed = catch_unwind(AssertUnwindSafe(|| self.writer.commit_group(batches)));
        let (outcomes, panicked) = match committed {
            Ok(outcomes) => (outcomes, None),
            Err(panic) => (vec![Outcome::Unknown; batches.len()], Some(panic)),
        };
        let landed = batches.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Done);
        let events: usize = landed.flat_map(|(batch, _)| &batch.streams).map(|s| s.events.len()).sum();
        self.writer.counters.common.on_group(&outcomes, events as u64, *waiting, began.elapsed());
        replies.give(outcomes);
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}
