//! One connection, used by one thread, which drives it: no other thread is woken for an answer. It connects again when it was
//! lost, checks the server each time, and says of each failure whether something may have landed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Error, SimpleQueryMessage, Statement};

use crate::backoff::Backoff;
use crate::open::OpenError;
use crate::stats::Counters;
use crate::tls::{Dialer, is_tls};
use crate::{PostgresSettings, schema};

/// What a connection is for: which statements it prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Appends groups.
    Write,
    /// Loads and lists.
    Read,
    /// Everything that is rare.
    Desk,
    /// Members' rows and the generation. It commits nothing, and does not wait for standbys: what it reads makes no write safe.
    Rows,
    /// Pruning: its statements take as long as they take.
    Prune,
    /// A tool that reads: what only concerns writing does not matter to it.
    Look,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no connection: nothing was sent.
    #[error("{0}")]
    Down(String),
    /// The connection was lost: what was sent may have taken effect, or still may.
    #[error("the connection to PostgreSQL was lost: {0}")]
    Lost(String),
    /// The server refused; nothing took effect.
    #[error("PostgreSQL says: {}", said(.0))]
    Refused(Box<DbError>),
    /// The server went on from another timeline than the one that was asked for: nothing was sent.
    #[error("the server has changed its timeline")]
    Elsewhere,
    /// The answer is not what it must be.
    #[error("PostgreSQL answers what it should not: {0}")]
    Strange(String),
}

fn said(error: &DbError) -> String {
    format!("{} ({})", error.message(), error.code().code())
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(db) if ends_session(db) => Self::Lost(said(db)),
            Some(db) => Self::Refused(Box::new(db.clone())),
            None if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>()) =>
            {
                Self::Lost(gundo_journal::chain(&error))
            }
            None => Self::Strange(gundo_journal::chain(&error)),
        }
    }
}

impl Trouble {
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Refused(db) => Some(db.code()),
            _ => None,
        }
    }
}

/// A server that goes down says so, and whether the statement took effect before is open.
fn ends_session(db: &DbError) -> bool {
    matches!(db.severity(), "FATAL" | "PANIC") || db.code().code().starts_with("57P")
}

/// A connection that works.
pub(crate) struct Live {
    pub(crate) client: Client,
    /// The server's history that this is: part of the generation.
    timeline: u32,
    /// The server's process for us, and which start of the server that is.
    pub(crate) session: Session,
    pub(crate) statements: Statements,
    /// Which row of `world` it locks.
    pub(crate) slot: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) process: i32,
    pub(crate) server_start: String,
}

/// What a role has prepared.
pub(crate) enum Statements {
    Write { write: Statement, lasts: Statement, ground: Statement, names: Statement, tokens: Statement },
    Read { load: Statement, list: Statement, wakes: Statement },
    None,
}

/// Bits of a generation that are the server's timeline; the others are the row.
const TIMELINE_BITS: u32 = 20;
/// The highest row that leaves room for the timeline.
pub(crate) const ROW_MAX: u64 = u64::MAX >> (TIMELINE_BITS + 1);

impl Live {
    /// The generation of a row. A connection belongs to one timeline: a server changes it only while nobody who may write is
    /// connected.
    pub(crate) fn generation(&self, row: i64) -> u64 {
        ((row as u64) << TIMELINE_BITS) + u64::from(self.timeline - 1)
    }

    /// The row that makes this generation here; `None`: it is of another timeline.
    pub(crate) fn row(&self, generation: u64) -> Option<i64> {
        let row = (generation >> TIMELINE_BITS) as i64;
        (self.generation(row) == generation).then_some(row)
    }
}

/// A connection, or the attempt to have one.
pub(crate) struct Link {
    runtime: Runtime,
    settings: Arc<PostgresSettings>,
    role: Role,
    live: Option<Live>,
    /// The session that was lost last.
    lost: Option<Session>,
    backoff: Backoff,
    /// When to connect again at the earliest, and why it failed before.
    waits: Option<(Instant, String)>,
    down_since: Option<Instant>,
    counters: Arc<Counters>,
}

impl Link {
    pub(crate) fn new(settings: &Arc<PostgresSettings>, role: Role) -> Result<Self, OpenError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| OpenError::Thread { source })?;
        let settings = Arc::clone(settings);
        Ok(Self {
            runtime,
            settings,
            role,
            live: None,
            lost: None,
            waits: None,
            backoff: Backoff::default(),
            down_since: None,
            counters: Arc::default(),
        })
    }

    /// Counts what happens to it here.
    pub(crate) fn counted(mut self, counters: &Arc<Counters>) -> Self {
        self.counters = Arc::clone(counters);
        self
    }

    /// Connects now, once.
    pub(crate) fn connect(&mut self) -> Result<&mut Live, OpenError> {
        let limit = Duration::from_millis(self.settings.connect_timeout_ms);
        let connected =
            self.runtime.block_on(async { timeout(limit, connect(&self.settings, self.role)).await });
        let live = connected.map_err(|_| OpenError::Unreachable {
            place: self.settings.place(),
            why: format!(
                "no answer within {} ms; a commit also waits for synchronous standbys",
                limit.as_millis()
            ),
        })??;
        self.backoff.reset();
        self.waits = None;
        if let Some(since) = self.down_since.take() {
            self.counters.down.fetch_sub(1, Relaxed);
            let ms = since.elapsed().as_millis() as u64;
            tracing::info!(role = ?self.role, ms, "connected to PostgreSQL again");
        }
        Ok(self.live.insert(live))
    }

    /// The connection, if need be a new one. Tries until `until` at most; at least once.
    pub(crate) fn live(&mut self, until: Instant) -> Result<&mut Live, Trouble> {
        if let Some(live) = &self.live {
            // The connection moves only while its thread waits: let it read what has come, perhaps the server's farewell. What is not
            // sent is not in doubt.
            self.runtime.block_on(async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            });
            if live.client.is_closed() {
                self.drop_live("the server has closed it");
            }
        }
        while self.live.is_none() {
            let now = Instant::now();
            match &self.waits {
                // The server was asked a moment ago.
                Some((next, why)) if *next >= until && *next > now => return Err(Trouble::Down(why.clone())),
                Some((next, _)) => std::thread::sleep(next.saturating_duration_since(now)),
                None => {}
            }
            let Err(why) = self.connect() else { break };
            if self.down_since.is_none() {
                tracing::warn!(role = ?self.role, %why, "cannot connect to PostgreSQL");
                self.down_since = Some(now);
                self.counters.down.fetch_add(1, Relaxed);
            }
            self.waits = Some((Instant::now() + self.backoff.next(), gundo_journal::chain(&why)));
        }
        Ok(self.live.as_mut().expect("it is connected"))
    }

    /// Until when a group waits for a connection: an outage is waited for once, not by each group.
    pub(crate) fn patience(&self) -> Instant {
        let begun = self.down_since.unwrap_or_else(Instant::now);
        begun + Duration::from_millis(self.settings.outage_ms)
    }

    /// Runs `ask` on the connection. It has `limit` for it, if there is one.
    pub(crate) fn run<T>(
        &mut self,
        until: Instant,
        limit: Option<Duration>,
        ask: impl AsyncFnOnce(&mut Live) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.live(until)?;
        let live = self.live.as_mut().expect("it is connected");
        let result = self.runtime.block_on(async {
            let Some(limit) = limit else { return ask(live).await };
            let late = || Trouble::Lost(format!("no answer within {} ms", limit.as_millis()));
            timeout(limit, ask(live)).await.unwrap_or_else(|_| Err(late()))
        });
        if let Err(Trouble::Lost(why) | Trouble::Strange(why)) = &result {
            self.drop_live(why);
        }
        result
    }

    /// Runs `ask` on the connection, which is there, without a limit of time.
    pub(crate) fn block<T>(&mut self, ask: impl AsyncFnOnce(&mut Live) -> T) -> T {
        let live = self.live.as_mut().expect("it is connected");
        self.runtime.block_on(ask(live))
    }

    /// As [`run`](Self::run), for what may be done twice: a lost connection is no reason to give up before `until`.
    pub(crate) fn repeat<T>(
        &mut self,
        until: Instant,
        limit: Option<Duration>,
        ask: impl AsyncFn(&mut Live) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        loop {
            match self.run(until, limit, &ask) {
                Err(Trouble::Lost(_)) if Instant::now() < until => {}
                other => return other,
            }
        }
    }

    /// The session that was lost last.
    pub(crate) fn last_session(&self) -> Option<&Session> {
        self.lost.as_ref()
    }

    pub(crate) fn settings(&self) -> &PostgresSettings {
        &self.settings
    }

    fn drop_live(&mut self, why: &str) {
        if let Some(live) = self.live.take() {
            self.lost = Some(live.session);
            self.counters.lost.fetch_add(1, Relaxed);
            tracing::warn!(role = ?self.role, why, "lost a connection to PostgreSQL");
        }
    }
}

async fn connect(settings: &PostgresSettings, role: Role) -> Result<Live, OpenError> {
    let mut config = settings.config()?;
    if matches!(role, Role::Prune | Role::Look) {
        let options = config.get_options().unwrap_or_default().to_owned();
        config.options(options + " -c statement_timeout=0 -c plan_cache_mode=auto");
    } else if !matches!(role, Role::Desk | Role::Rows) {
        // Plans are made once, perhaps while the tables are small, and must suit large ones.
        let options = config.get_options().unwrap_or_default().to_owned();
        let only =
            " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off";
        config.options(options + only);
    }
    let dialer = Dialer::new(settings, &mut config)?;
    let client = dialer.connect(&config).await.map_err(|why| refused(settings, &why))?;
    let (session, timeline) = check(settings, &client, role).await?;
    if !matches!(role, Role::Look | Role::Rows) {
        confirm(settings, &client, &dialer).await?;
    }
    let failed = |why: Error| server_error(settings, "preparing", &why);
    let statements = match role {
        Role::Write => Statements::Write {
            write: client.prepare(schema::WRITE).await.map_err(failed)?,
            lasts: client.prepare(schema::LASTS).await.map_err(failed)?,
            ground: client.prepare(schema::GROUND).await.map_err(failed)?,
            names: client.prepare(schema::NAMES).await.map_err(failed)?,
            tokens: client.prepare(schema::TOKENS).await.map_err(failed)?,
        },
        Role::Read => Statements::Read {
            load: client.prepare(schema::LOAD).await.map_err(failed)?,
            list: client.prepare(schema::LIST).await.map_err(failed)?,
            wakes: client.prepare(schema::WAKES).await.map_err(failed)?,
        },
        Role::Desk | Role::Rows | Role::Prune | Role::Look => Statements::None,
    };
    let slot = (getrandom::u64().unwrap_or_default() % schema::SLOTS as u64) as i32;
    Ok(Live { client, timeline, session, statements, slot })
}

/// Everything about the server that must be true, and who we are to it. With the simple protocol, which any pooler passes.
const LOOK: &str = "
    SELECT (SELECT setting FROM pg_settings WHERE name = 'lock_timeout'), current_setting('search_path'),
        current_setting('server_version_num'), version(), pg_is_in_recovery(), current_setting('transaction_read_only'),
        current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), pg_backend_pid(),
        extract(epoch FROM pg_postmaster_start_time()),
        CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END";

async fn check(
    settings: &PostgresSettings,
    client: &Client,
    role: Role,
) -> Result<(Session, u32), OpenError> {
    let place = || settings.place();
    let version = one_row(client, "SELECT version()")
        .await
        .map_err(|why| server_error(settings, "asking its version", &why))?;
    let found = version.first().cloned().unwrap_or_default();
    if !found.starts_with("PostgreSQL ") {
        return Err(OpenError::Version { place: place(), found });
    }
    let row = one_row(client, LOOK).await.map_err(|why| server_error(settings, "checking it", &why))?;
    let field = |index: usize| row.get(index).map_or("", String::as_str);
    if field(2).parse::<u32>().unwrap_or(0) < 140_000 {
        return Err(OpenError::Version { place: place(), found });
    }
    let lock_timeout = settings.lock_timeout_ms.to_string();
    for (what, found, wanted) in [
        ("lock_timeout", field(0), lock_timeout.as_str()),
        ("search_path", field(1), settings.schema.as_str()),
    ] {
        if found != wanted {
            let why = format!("{what} is {found:?}, not {wanted:?}");
            return Err(OpenError::Pooler { place: place(), why, connections: connections(settings) });
        }
    }
    if field(4) == "t" || field(5) == "on" {
        let why = if field(4) == "t" { "it is a standby" } else { "default_transaction_read_only is on" };
        return Err(OpenError::ReadOnly { place: place(), why: why.to_owned() });
    }
    for (setting, found, good) in [
        ("synchronous_commit", field(6), &["on", "remote_apply"][..]),
        ("fsync", field(7), &["on"]),
        ("full_page_writes", field(8), &["on"]),
    ] {
        if !good.contains(&found) && role != Role::Look {
            return Err(OpenError::Careless { place: place(), setting, value: found.to_owned() });
        }
    }
    let damaged =
        |what: &str| OpenError::Damaged { place: place(), detail: format!("{what} is not readable") };
    let process = field(9).parse().map_err(|_| damaged("the process id"))?;
    let timeline = u32::from_str_radix(field(11), 16)
        .ok()
        .filter(|timeline| (1..=1 << TIMELINE_BITS).contains(timeline));
    let timeline = timeline.ok_or_else(|| damaged("the timeline"))?;
    Ok((Session { process, server_start: field(10).to_owned() }, timeline))
}

/// Waits until everything committed before is confirmed. While the standbys are away that takes for ever, and the server would
/// keep one process for each attempt: so the wait is ended there too. It is the wait of an empty commit, which nobody misses.
async fn confirm(settings: &PostgresSettings, client: &Client, dialer: &Dialer) -> Result<(), OpenError> {
    let limit = Duration::from_millis(settings.connect_timeout_ms / 2);
    match timeout(limit, client.simple_query(schema::BARRIER)).await {
        Ok(confirmed) => {
            confirmed.map(drop).map_err(|why| server_error(settings, "waiting for its standbys", &why))
        }
        Err(_) => {
            // If it cannot be ended either, the server is gone.
            drop(dialer.cancel(client).await);
            Err(OpenError::Unconfirmed { place: settings.place(), ms: limit.as_millis() as u64 })
        }
    }
}

/// Connections that a process opens.
fn connections(settings: &PostgresSettings) -> usize {
    settings.writers.max(1) + settings.readers.max(1) + 3
}

async fn one_row(client: &Client, sql: &str) -> Result<Vec<String>, Error> {
    let messages = client.simple_query(sql).await?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(row.map_or_else(Vec::new, |row| {
        (0..row.len()).map(|index| row.get(index).unwrap_or_default().to_owned()).collect()
    }))
}

/// Why a connection did not come about.
fn refused(settings: &PostgresSettings, error: &Error) -> OpenError {
    let place = settings.place();
    let Some(db) = error.as_db_error() else {
        let why = gundo_journal::chain(error);
        return match why.contains("does not allow writes") {
            true => OpenError::ReadOnly { place, why: "all servers named only read".to_owned() },
            false if is_tls(error) => OpenError::Tls { place, why },
            false => OpenError::Unreachable { place, why },
        };
    };
    let why = said(db);
    let is_parameter = db.message().contains("startup parameter") || db.message().contains("options");
    match db.code().code() {
        _ if is_parameter && db.code().code() != "42704" => {
            OpenError::Pooler { place, why, connections: connections(settings) }
        }
        // It starts, stops, or has no room.
        "57P03" | "57P01" | "57P02" | "53300" => OpenError::Unreachable { place, why },
        _ => OpenError::Denied { place, why },
    }
}

/// What an error of the server means for who opens a journal.
pub(crate) fn server_error(settings: &PostgresSettings, tried: &'static str, error: &Error) -> OpenError {
    let place = settings.place();
    let Some(db) = error.as_db_error() else {
        return OpenError::Unreachable { place, why: gundo_journal::chain(error) };
    };
    let why = said(db);
    match db.code() {
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            OpenError::Rights { place, schema: settings.schema.clone(), why }
        }
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => OpenError::ReadOnly { place, why },
        _ if ends_session(db) => OpenError::Unreachable { place, why },
        _ => OpenError::Server { place, tried, why },
    }
}
