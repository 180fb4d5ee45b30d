//! A writer: commits groups over one connection. It plans on what it remembers of the streams, and has the server check that in the
//! statement which appends.
//!
//! Not here: which batch lands and how it ends; [`gundo_journal`] has those rules. What to do about a lost connection: `settle.rs`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gundo_journal::MemoryFirst;
use gundo_journal::commit::{Storage, Unplanned, Written};
use gundo_journal::group::{Fences, NameRow, Plan, View};
use gundo_types::{EntityId, Kind};
use gundo_wire::journal::Batch;
use tokio_postgres::error::SqlState;

use crate::backoff::Backoff;
use crate::link::{Link, Live, Statements, Trouble};
use crate::schema;
use crate::stats::Counters;
use crate::tables::{Rows, key};

/// Streams whose newest seq is remembered; beyond, all are forgotten and read again. 4 MiB at most.
const LAST_SEQS_MAX: usize = 131_072;
/// So often a group is sent that met a deadlock or a lock.
const SENT_MAX: u32 = 5;

/// What the writers of a process remember together.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    generation: Option<u64>,
    lasts: HashMap<EntityId, u64>,
    pub(crate) memory_first: MemoryFirst,
}

impl Memory {
    fn is_in(&mut self, generation: u64) {
        if self.generation != Some(generation) {
            (self.generation, self.lasts) = (Some(generation), HashMap::new());
        }
    }

    fn extend(&mut self, generation: u64, lasts: impl Iterator<Item = (EntityId, u64)>) {
        if self.generation == Some(generation) {
            if self.lasts.len() > LAST_SEQS_MAX {
                self.lasts.clear();
            }
            self.lasts.extend(lasts);
        }
    }
}

/// What a group is judged on.
#[derive(Debug, Default)]
struct Known {
    generation: u64,
    /// `None`: everybody is taken for a member, until the server says otherwise.
    members: Option<HashSet<u64>>,
    lasts: HashMap<EntityId, u64>,
    names: BTreeMap<(String, String), NameRow>,
}

impl View for Known {
    type Error = Infallible;

    fn generation(&mut self) -> Result<u64, Infallible> {
        Ok(self.generation)
    }

    fn is_member(&mut self, incarnation: u64) -> Result<bool, Infallible> {
        Ok(self.members.as_ref().is_none_or(|members| members.contains(&incarnation)))
    }

    fn last_seq(&mut self, entity: EntityId) -> Result<u64, Infallible> {
        Ok(self.lasts.get(&entity).copied().unwrap_or(0))
    }

    fn name(&mut self, space: &str, name: &str) -> Result<Option<NameRow>, Infallible> {
        Ok(self.names.get(&(space.to_owned(), name.to_owned())).copied())
    }
}

pub(crate) struct Writer {
    pub(crate) link: Link,
    pub(crate) counters: Arc<Counters>,
    memory: Arc<Mutex<Memory>>,
    known: Known,
    /// What is remembered was wrong: everything is read.
    doubt: bool,
}

impl Writer {
    pub(crate) fn new(link: Link, memory: Arc<Mutex<Memory>>, counters: Arc<Counters>) -> Self {
        Self { link, counters, memory, known: Known::default(), doubt: true }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is locked.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered for `batches`, and the streams of which nothing is. What a batch contradicts is not trusted: the stream was
    /// with another process meanwhile, or a generation has begun. A refusal is never judged on memory alone.
    fn remember(&mut self, batches: &[Batch]) -> HashSet<EntityId> {
        let mut unknown = HashSet::new();
        let mut known = Known::default();
        let memory = self.memory();
        let is_current = |batch: &Batch| memory.generation == Some(batch.generation);
        let doubt = self.doubt || !batches.iter().all(is_current);
        known.generation = memory.generation.unwrap_or(0);
        let mut ends = HashMap::new();
        for stream in batches.iter().flat_map(|batch| &batch.streams) {
            let follows =
                |last: &u64| stream.after == *last || ends.get(&stream.entity) == Some(&stream.after);
            match memory.lasts.get(&stream.entity).filter(|last| !doubt && follows(last)) {
                Some(last) => drop(known.lasts.insert(stream.entity, *last)),
                None => drop(unknown.insert(stream.entity)),
            }
            ends.insert(stream.entity, stream.after + stream.events.len() as u64);
        }
        drop(memory);
        (self.known, self.doubt) = (known, doubt);
        unknown
    }

    /// Reads what is not remembered.
    fn read(&mut self, batches: &[Batch], unknown: &HashSet<EntityId>) -> Result<(), Trouble> {
        let names: Vec<(&str, &str)> =
            batches.iter().flat_map(|b| &b.names).map(|n| (n.space.as_str(), n.name.as_str())).collect();
        if unknown.is_empty() && names.is_empty() && !self.doubt {
            return Ok(());
        }
        let members = batches.iter().flat_map(|b| std::iter::once(&b.incarnation).chain(&b.prepared_by));
        let members: Vec<i64> = members.map(|incarnation| *incarnation as i64).collect();
        let (doubt, until, limit) = (self.doubt, self.link.patience(), self.link.settings().answer());
        let found = self.link.repeat(until, Some(limit), async |live: &mut Live| {
            let ground = async { if doubt { ground(live, &members).await.map(Some) } else { Ok(None) } };
            let reads = tokio::join!(biased; ground, lasts(live, unknown), rows_of_names(live, &names));
            Ok((reads.0?, reads.1?, reads.2?))
        })?;
        let (ground, lasts, names) = found;
        if let Some((generation, members)) = ground {
            (self.known.generation, self.known.members) = (generation, Some(members));
            self.memory().is_in(generation);
        }
        let generation = self.known.generation;
        // A stream that is not there is remembered as well.
        let lasts = unknown.iter().map(|entity| (*entity, lasts.get(entity).copied().unwrap_or(0)));
        self.memory().extend(generation, lasts.clone());
        self.known.lasts.extend(lasts);
        self.known.names = names;
        Ok(())
    }

    fn send(&mut self, rows: &Rows<'_>, plan: &Plan, how: (i64, bool)) -> Result<(), Trouble> {
        let (until, limit) = (self.link.patience(), self.link.settings().answer());
        self.link.run(until, Some(limit), async |live: &mut Live| append(live, rows, plan, how).await)
    }

    fn moved(&mut self, why: String) -> Written {
        self.counters.moved.fetch_add(1, Relaxed);
        self.doubt = true;
        Written::Moved(why)
    }

    /// The group is durable.
    fn landed(&self, plan: &Plan) -> Written {
        self.counters.is_full.store(false, Relaxed);
        self.memory().extend(plan.generation, plan.last_seqs.iter().map(|(entity, last)| (*entity, *last)));
        Written::Landed
    }

    /// The server has refused the group.
    fn refused(&mut self, trouble: &Trouble, code: &SqlState) -> Written {
        let why = format!("writing a group: {trouble}");
        match code {
            code if *code == SqlState::DIVISION_BY_ZERO => self.moved(why),
            // No partition: the statement waited for one to be begun, and looks for it where there was none yet.
            code if *code == SqlState::CHECK_VIOLATION => self.moved(why),
            // A value that does not fit, or a key that exists although the stream's row says otherwise.
            code if code.code().starts_with("22") || code.code().starts_with("23") => {
                self.doubt = true;
                Written::Collided(why)
            }
            code => {
                self.counters.is_full.store(code.code().starts_with("53"), Relaxed);
                self.doubt = true;
                Written::Nothing(why)
            }
        }
    }
}

impl Storage for Writer {
    fn look(&mut self, batches: &[Batch]) -> Result<(), Unplanned> {
        let unknown = self.remember(batches);
        self.read(batches, &unknown).map_err(|why| Unplanned::Refused(why.to_string()))?;
        self.doubt = false;
        Ok(())
    }

    fn plan(&mut self, batches: &[Batch], fences: &mut Fences) -> Result<Plan, Unplanned> {
        let Ok(plan) = fences.plan(batches, &mut self.known);
        Ok(plan)
    }

    fn write(&mut self, batches: &[Batch], plan: &Plan) -> Written {
        let names = std::mem::take(&mut self.known.names);
        let rows = Rows::new(batches, plan, &names);
        let token = getrandom::u64().unwrap_or_else(|_| crate::wall_ms()) as i64;
        let lazy = self.memory().memory_first.has_all(batches);
        if lazy {
            self.counters.common.on_memory_first();
        }
        let mut backoff = Backoff::default();
        for sent in 1.. {
            let trouble = match self.send(&rows, plan, (token, lazy)) {
                Ok(()) => return self.landed(plan),
                Err(trouble) => trouble,
            };
            match trouble.code() {
                Some(code) if is_in_the_way(code) && sent < SENT_MAX => {
                    self.counters.repeated.fetch_add(1, Relaxed);
                    // The back-off between two attempts.
                    std::thread::sleep(backoff.next());
                }
                Some(code) => return self.refused(&trouble, code),
                None => return self.lost(trouble, &rows, plan, token),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn roll_back(&mut self) {}
}

impl Writer {
    /// There is no answer.
    fn lost(&mut self, trouble: Trouble, rows: &Rows<'_>, plan: &Plan, token: i64) -> Written {
        self.doubt = true;
        match trouble {
            Trouble::Down(why) => Written::Nothing(why),
            Trouble::Elsewhere => self.moved(Trouble::Elsewhere.to_string()),
            other => match self.settle(rows, token) {
                Ok(true) => self.landed(plan),
                Ok(false) => self.moved(other.to_string()),
                Err(why) => Written::Unknown(format!("{other}; {why}")),
            },
        }
    }
}

/// Another transaction was in the way; it is over soon.
fn is_in_the_way(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE]
        .contains(code)
}

/// Appends a group.
/// `lazy`: its commit does not wait for the disks.
async fn append(
    live: &Live,
    rows: &Rows<'_>,
    plan: &Plan,
    (token, lazy): (i64, bool),
) -> Result<(), Trouble> {
    let Statements::Write { write, .. } = &live.statements else { return Err(no_statements()) };
    let Some(generation) = live.row(plan.generation) else { return Err(Trouble::Elsewhere) };
    let Rows { incarnations, streams: s, names: n, events: e, snapshots: k, wakes: w } = rows;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 33] = [
        incarnations,
        &s.kinds,
        &s.ids,
        &s.lasts,
        &s.priors,
        &s.snapshots,
        &token,
        &n.spaces,
        &n.names,
        &n.numbers,
        &n.priors,
        &n.kinds,
        &n.ids,
        &e.kinds,
        &e.ids,
        &e.seqs,
        &e.times,
        &e.types,
        &e.causes,
        &e.payloads,
        &k.kinds,
        &k.ids,
        &k.seqs,
        &k.times,
        &k.payloads,
        &generation,
        &live.slot,
        &w.kinds,
        &w.ids,
        &w.times,
        &w.resting_kinds,
        &w.resting_ids,
        &lazy,
    ];
    live.client.execute(write, &values).await?;
    Ok(())
}

async fn ground(live: &Live, members: &[i64]) -> Result<(u64, HashSet<u64>), Trouble> {
    let Statements::Write { ground, .. } = &live.statements else { return Err(no_statements()) };
    let row = live.client.query_one(ground, &[&members]).await?;
    let there: Vec<i64> = row.try_get(1)?;
    Ok((live.generation(row.try_get(0)?), there.into_iter().map(|incarnation| incarnation as u64).collect()))
}

async fn lasts(live: &Live, of: &HashSet<EntityId>) -> Result<HashMap<EntityId, u64>, Trouble> {
    let Statements::Write { lasts, .. } = &live.statements else { return Err(no_statements()) };
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let (kinds, ids): (Vec<i32>, Vec<i64>) = of.iter().map(|entity| key(*entity)).unzip();
    let mut found = HashMap::new();
    for row in live.client.query(lasts, &[&kinds, &ids]).await? {
        found.insert(entity(row.try_get(0)?, row.try_get(1)?), row.try_get::<_, i64>(2)? as u64);
    }
    Ok(found)
}

async fn rows_of_names(
    live: &Live,
    of: &[(&str, &str)],
) -> Result<BTreeMap<(String, String), NameRow>, Trouble> {
    let Statements::Write { names, .. } = &live.statements else { return Err(no_statements()) };
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let spaces: Vec<&[u8]> = of.iter().map(|(space, _)| space.as_bytes()).collect();
    let texts: Vec<&[u8]> = of.iter().map(|(_, name)| name.as_bytes()).collect();
    let mut found = BTreeMap::new();
    for row in live.client.query(names, &[&spaces, &texts]).await? {
        let text = |index: usize| -> Result<String, Trouble> {
            let bytes: Vec<u8> = row.try_get(index)?;
            String::from_utf8(bytes).map_err(|why| Trouble::Strange(why.to_string()))
        };
        found.insert((text(0)?, text(1)?), name_row(&row, 2)?);
    }
    Ok(found)
}

/// A name's number and owner, from column `at` on.
pub(crate) fn name_row(row: &tokio_postgres::Row, at: usize) -> Result<NameRow, Trouble> {
    let owner: (Option<i32>, Option<i64>) = (row.try_get(at + 1)?, row.try_get(at + 2)?);
    let owner = owner.0.zip(owner.1).map(|(kind, id)| entity(kind, id));
    Ok(NameRow { n: row.try_get::<_, i64>(at)? as u64, owner })
}

pub(crate) fn entity(kind: i32, id: i64) -> EntityId {
    EntityId::new(Kind(kind as u16), id as u64)
}

pub(crate) fn no_statements() -> Trouble {
    Trouble::Strange("this connection was made for something else".to_owned())
}

/// The row of a stream, as of now.
pub(crate) struct TokenRow {
    /// Which of the asked ones.
    pub(crate) index: usize,
    pub(crate) last: i64,
    pub(crate) token: i64,
}

/// The streams of `rows` that are there: their newest seq, and whose group wrote it.
pub(crate) async fn tokens(live: &Live, rows: &Rows<'_>) -> Result<Vec<TokenRow>, Trouble> {
    let Statements::Write { tokens, .. } = &live.statements else { return Err(no_statements()) };
    let found = live.client.query(tokens, &[&rows.streams.kinds, &rows.streams.ids]).await?;
    let row = |row: &tokio_postgres::Row| {
        let index = row.try_get::<_, i64>(0)? as usize - 1;
        Ok(TokenRow { index, last: row.try_get(1)?, token: row.try_get(2)? })
    };
    found.iter().map(row).collect()
}

/// See [`schema::BARRIER`].
pub(crate) async fn barrier(live: &Live) -> Result<(), Trouble> {
    live.client.simple_query(schema::BARRIER).await?;
    Ok(())
}
