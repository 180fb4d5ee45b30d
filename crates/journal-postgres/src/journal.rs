//! The journal with its threads: writers, readers, one for what is rare, one for members' rows, and one that prunes. Each has a
//! connection.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use gundo_journal::commit::Committer;
use gundo_journal::queue::QueueFault;
use gundo_journal::{
    Fault, Handle, Journal, MemoryFirst, NameRow, Pruned, Registration, Room, Sink, StreamSummary, Why, group,
};
use gundo_types::{EntityId, Figure, NodeId, WorldTime};
use gundo_wire::journal::EventRecord;

use crate::lanes::Lanes;
use crate::link::{Link, Live, ROW_MAX, Role, Trouble};
use crate::open::OpenError;
use crate::prune::{Pruner, Request};
use crate::stats::{Counters, Stats};
use crate::writer::{Memory, Writer, name_row};
use crate::{PostgresSettings, load, migrate, remove, wall_ms};

/// A call that runs on the desk's thread.
type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// A journal in PostgreSQL. Opened by [`open`](crate::open()).
///
/// Dropping it writes what waits in open handles and gives the outcomes. It refuses everything from handles that outlive it.
pub struct PostgresJournal {
    lanes: Arc<Lanes>,
    counters: Arc<Counters>,
    committer: Mutex<Committer>,
    /// What the writers share.
    memory: Arc<Mutex<Memory>>,
    created_ms: u64,
    desk: Option<Sender<Job>>,
    /// Who belongs, and the generation: answered while commits wait for standbys.
    rows: Option<Sender<Job>>,
    pruner: Option<Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
}

impl PostgresJournal {
    pub(crate) fn start(settings: &Arc<PostgresSettings>) -> Result<Self, OpenError> {
        let counters = Arc::new(Counters::default());
        let link = |role: Role| Ok::<_, OpenError>(Link::new(settings, role)?.counted(&counters));
        let mut desk = link(Role::Desk)?;
        migrate::migrate(&mut desk, settings)?;
        let created_ms = desk.block(async |live: &mut Live| greet(live, settings).await)?;
        let mut rows = link(Role::Rows)?;
        rows.connect()?;
        let ((to_desk, jobs), (to_rows, asked)) = (channel::<Job>(), channel::<Job>());
        let (to_pruner, requests) = channel();
        let mut journal = Self {
            lanes: Arc::new(Lanes::new(&settings.queue, &counters)),
            counters: Arc::clone(&counters),
            committer: Mutex::default(),
            memory: Arc::default(),
            created_ms,
            desk: Some(to_desk),
            rows: Some(to_rows),
            pruner: Some(to_pruner),
            threads: Vec::new(),
        };
        // On an error this drops it half-made, which stops the running threads.
        journal.spawn("journal-desk".to_owned(), move || {
            while let Ok(job) = jobs.recv() {
                job(&mut desk);
            }
        })?;
        journal.spawn("journal-rows".to_owned(), move || {
            while let Ok(job) = asked.recv() {
                job(&mut rows);
            }
        })?;
        let pruner = Pruner::new(link(Role::Prune)?, created_ms, &journal.counters);
        journal.spawn("journal-prune".to_owned(), move || pruner.run(&requests))?;
        let memory = Arc::clone(&journal.memory);
        for index in 0..settings.writers.max(1) {
            let mut link = link(Role::Write)?;
            link.connect()?;
            let mut writer = Writer::new(link, Arc::clone(&memory), Arc::clone(&journal.counters));
            let (lanes, mut committer) = (Arc::clone(&journal.lanes), journal.committer().sharing());
            journal
                .spawn(format!("journal-write-{index}"), move || lanes.run(&mut writer, &mut committer))?;
        }
        for index in 0..settings.readers.max(1) {
            let mut link = link(Role::Read)?;
            link.connect()?;
            let (lanes, counters) = (Arc::clone(&journal.lanes), Arc::clone(&journal.counters));
            journal.spawn(format!("journal-load-{index}"), move || {
                load::serve(&lanes.queues, link, &counters)
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
        stats.common.rejected += self.lanes.queues.refused();
        stats
    }

    /// Runs a sweep as the journal does it by itself from time to time, and waits for it: empties partitions that are nearly dead,
    /// and drops them. Returns what it deleted; nothing if another process sweeps.
    ///
    /// # Errors
    /// The database cannot be written; part of it may be done.
    pub fn sweep(&self, now: WorldTime) -> Result<Pruned, Fault> {
        self.ask_pruner(now, false)
    }

    fn ask_pruner(&self, now: WorldTime, all: bool) -> Result<Pruned, Fault> {
        let (reply, answer) = sync_channel(1);
        let closed = || Fault::Prune { source: QueueFault::Closed.into() };
        let pruner = self.pruner.as_ref().ok_or_else(closed)?;
        pruner.send(Request { now, all, reply }).map_err(|_| closed())?;
        let pruned = answer.recv().map_err(|_| closed())?;
        pruned.map_err(|why| Fault::Prune { source: why.into() })
    }

    fn committer(&self) -> std::sync::MutexGuard<'_, Committer> {
        // Nothing panics while it is locked.
        self.committer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` on a thread, and waits for its result.
    fn on<T: Send + 'static>(
        &self,
        thread: &Option<Sender<Job>>,
        call: impl FnOnce(&mut Link) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Why> {
        let (tx, rx) = sync_channel(1);
        // The caller waits for the answer below.
        let job: Job = Box::new(move |link| drop(tx.send(call(link))));
        thread.as_ref().ok_or(QueueFault::Closed)?.send(job).map_err(|_| QueueFault::Closed)?;
        Ok(rx.recv().map_err(|_| QueueFault::Closed)??)
    }

    /// Runs on the desk's thread what may be done twice.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl AsyncFn(&mut Live) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Why> {
        self.on(&self.desk, |link| repeat(link, ask))
    }

    /// The same beside the desk, for what only reads, and is asked while the desk waits.
    fn look<T: Send + 'static>(
        &self,
        ask: impl AsyncFn(&mut Live) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Why> {
        self.on(&self.rows, |link| repeat(link, ask))
    }
}

impl Drop for PostgresJournal {
    fn drop(&mut self) {
        drop((self.desk.take(), self.rows.take(), self.pruner.take()));
        self.lanes.queues.stop();
        for thread in self.threads.drain(..) {
            // A panic there was logged when it happened.
            drop(thread.join());
        }
        self.lanes.queues.close("the journal is closed");
    }
}

fn repeat<T>(link: &mut Link, ask: impl AsyncFn(&mut Live) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let (until, limit) = (link.patience(), link.settings().answer());
    link.repeat(until, Some(limit), ask)
}

/// Says who confirms a commit. Returns when the world began.
async fn greet(live: &Live, settings: &PostgresSettings) -> Result<u64, OpenError> {
    let failed = |why| crate::link::server_error(settings, "reading its notes", &why);
    let sql = "SELECT current_setting('server_version'), current_setting('synchronous_standby_names'),
        (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')), generation,
        (SELECT value FROM meta WHERE key = 'created_ms') FROM world WHERE slot = 0";
    let row = live.client.query_one(sql, &[]).await.map_err(failed)?;
    let (version, names): (String, String) = (row.get(0), row.get(1));
    let (connected, generation): (i64, i64) = (row.get(2), row.get(3));
    let generation = live.generation(generation);
    let place = settings.place();
    if names.is_empty() {
        tracing::warn!(
            version,
            place,
            generation,
            "the journal is open; no standby confirms commits: a failover would lose what was answered"
        );
    } else {
        tracing::info!(
            version,
            place,
            generation,
            names,
            connected,
            "the journal is open; standbys confirm commits"
        );
    }
    let created: Option<String> = row.get(4);
    let damaged = || OpenError::Damaged { place, detail: "the note created_ms is not readable".to_owned() };
    created.and_then(|created| created.parse().ok()).ok_or_else(damaged)
}

impl Journal for PostgresJournal {
    fn register(&self, node: NodeId, incarnation: u64) -> Result<Registration, Fault> {
        let registered = self.ask(async move |live: &mut Live| register(live, node, incarnation).await);
        registered.map_err(|source| Fault::Register { node, incarnation, source })
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        self.committer().forget(incarnation);
        let left = self.ask(async move |live: &mut Live| {
            let delete = "DELETE FROM members WHERE incarnation = $1";
            live.client.execute(delete, &[&(incarnation as i64)]).await?;
            Ok(())
        });
        left.map_err(|source| Fault::Leave { incarnation, source })
    }

    fn is_member(&self, incarnation: u64) -> Result<bool, Fault> {
        let is_member = self.look(async move |live: &mut Live| {
            let select = "SELECT 1 FROM members WHERE incarnation = $1";
            Ok(live.client.query_opt(select, &[&(incarnation as i64)]).await?.is_some())
        });
        is_member.map_err(|source| Fault::IsMember { incarnation, source })
    }

    fn generation(&self) -> Result<u64, Fault> {
        let generation = self.look(async |live: &mut Live| {
            let row = live.client.query_one("SELECT generation FROM world WHERE slot = 0", &[]).await?;
            Ok(live.generation(row.try_get(0)?))
        });
        generation.map_err(|source| Fault::Generation { source })
    }

    fn begin_generation(&self, wall_ms: u64) -> Result<u64, Fault> {
        let begun = self.on(&self.desk, move |link| {
            let (until, limit) = (link.patience(), link.settings().answer());
            link.run(until, Some(limit), async |live: &mut Live| begin_generation(live, wall_ms).await)
        });
        begun.map_err(|source| Fault::BeginGeneration { source })
    }

    fn handle(&self, _node: NodeId, incarnation: u64, sink: Sink) -> Box<dyn Handle> {
        self.lanes.queues.handle(incarnation, sink)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Fault> {
        let of = key.to_owned();
        let value = self.ask(async move |live: &mut Live| meta(live, &of).await);
        value.map_err(|source| Fault::Meta { key: key.to_owned(), source })
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), Fault> {
        let note = [key.to_owned(), value.to_owned()];
        let set = self.ask(async move |live: &mut Live| {
            let set =
                "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            live.client.execute(set, &[&note[0], &note[1]]).await?;
            Ok(())
        });
        set.map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn settle(&self, key: &str, value: &str) -> Result<String, Fault> {
        let note = [key.to_owned(), value.to_owned()];
        let settled = self.ask(async move |live: &mut Live| {
            let insert = "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
            live.client.execute(insert, &[&note[0], &note[1]]).await?;
            // The first writer has committed by now, and this statement sees it.
            meta(live, &note[0]).await?.ok_or_else(|| Trouble::Strange("a note was deleted".to_owned()))
        });
        settled.map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn raise(&self, key: &str, value: u64) -> Result<u64, Fault> {
        let note = [key.to_owned(), value.to_string()];
        let raised = self.ask(async move |live: &mut Live| {
            // The row is locked by the first writer; the next one compares with what it wrote.
            let raise = "INSERT INTO meta AS m VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value
                WHERE CASE WHEN m.value ~ '^[0-9]{1,20}$' THEN m.value::numeric < excluded.value::numeric ELSE true END";
            live.client.execute(raise, &[&note[0], &note[1]]).await?;
            let found = meta(live, &note[0]).await?;
            let strange = || Trouble::Strange("a note is no number".to_owned());
            found.and_then(|found| found.parse().ok()).ok_or_else(strange)
        });
        raised.map_err(|source| Fault::SetMeta { key: key.to_owned(), source })
    }

    fn name(&self, space: &str, name: &str) -> Result<Option<NameRow>, Fault> {
        let key = [space.to_owned(), name.to_owned()];
        let row = self.ask(async move |live: &mut Live| name_of(live, &key[0], &key[1]).await);
        row.map_err(|source| Fault::Name { space: space.to_owned(), name: name.to_owned(), source })
    }

    fn streams(&self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        let streams = self.ask(async move |live: &mut Live| load::streams(live, after, max).await);
        streams.map_err(|source| Fault::Streams { source })
    }

    fn stream(&self, entity: EntityId, after: u64, max: usize) -> Result<Vec<(u64, EventRecord)>, Fault> {
        let events = self.ask(async move |live: &mut Live| load::stream(live, entity, after, max).await);
        events.map_err(|source| Fault::Stream { entity, source })
    }

    fn remove(&self, streams: &[(EntityId, u64)]) -> Result<usize, Fault> {
        let streams = streams.to_vec();
        let removed = self.on(&self.desk, move |link| remove::remove(link, &streams));
        removed.map_err(|source| Fault::Prune { source })
    }

    fn prune(&self, now: WorldTime) -> Result<Pruned, Fault> {
        self.ask_pruner(now, true)
    }

    fn set_memory_first(&self, types: MemoryFirst) {
        // Nothing panics while it is locked.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).memory_first = types;
    }

    /// PostgreSQL does not say how full its disk is. After an append that it refused for want of room, a small write is tried with
    /// each call; while that fails too, there is little room.
    fn room(&self) -> Room {
        if !self.counters.is_full.load(Relaxed) {
            return Room::default();
        }
        let is_low = self.set_meta("room", &wall_ms().to_string()).is_err();
        if !is_low {
            self.counters.is_full.store(false, Relaxed);
        }
        Room { is_low, ..Room::default() }
    }

    fn figures(&self) -> Vec<Figure> {
        self.stats().figures()
    }
}

/// The newest row of a name.
pub(crate) async fn name_of(live: &Live, space: &str, name: &str) -> Result<Option<NameRow>, Trouble> {
    let select = "SELECT n, kind, id FROM names WHERE space = $1 AND name = $2";
    let row = live.client.query_opt(select, &[&space.as_bytes(), &name.as_bytes()]).await?;
    row.map(|row| name_row(&row, 0)).transpose()
}

pub(crate) async fn meta(live: &Live, key: &str) -> Result<Option<String>, Trouble> {
    let row = live.client.query_opt("SELECT value FROM meta WHERE key = $1", &[&key]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn register(live: &Live, node: NodeId, incarnation: u64) -> Result<Registration, Trouble> {
    // The row of the newest number is changed by one registration at a time, and only upwards.
    let insert = "WITH raised AS (
            UPDATE meta SET value = $1 WHERE key = 'newest' AND value::numeric < $1::text::numeric RETURNING 1
        )
        INSERT INTO members SELECT $2, $3, $4 FROM raised";
    let (number, joined) = (incarnation.to_string(), wall_ms() as i64);
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&number, &(incarnation as i64), &i32::from(node.0), &joined];
    live.client.execute(insert, &row).await?;
    let select =
        "SELECT value, EXISTS (SELECT 1 FROM members WHERE incarnation = $1) FROM meta WHERE key = 'newest'";
    let found = live.client.query_one(select, &[&(incarnation as i64)]).await?;
    if found.try_get(1)? {
        return Ok(Registration::Registered);
    }
    let newest: String = found.try_get(0)?;
    let newest =
        newest.parse().map_err(|_| Trouble::Strange(format!("the newest incarnation reads {newest:?}")))?;
    Ok(Registration::Passed { newest })
}

async fn begin_generation(live: &mut Live, wall_ms: u64) -> Result<u64, Trouble> {
    let tx = live.client.transaction().await?;
    let row: i64 =
        tx.query_one("SELECT generation FROM world WHERE slot = 0 FOR UPDATE", &[]).await?.try_get(0)?;
    let next = group::next_generation(row as u64, wall_ms);
    if next > ROW_MAX {
        return Err(Trouble::Strange(format!("{next} is too high for a generation: see the wall clock")));
    }
    tx.execute("UPDATE world SET generation = $1", &[&(next as i64)]).await?;
    tx.commit().await?;
    Ok(live.generation(next as i64))
}
