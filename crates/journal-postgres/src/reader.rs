//! Reads a journal: for tools. One connection, which makes nothing, writes nothing and holds no lock that an append waits for.

use std::sync::Arc;

use gundo_journal::verify::{self, EventRow, Events, Report};
use gundo_journal::{Fault, StreamSummary, Why};
use gundo_types::EntityId;
use gundo_wire::journal::EventRecord;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use crate::link::{Link, Live, Role, Trouble};
use crate::open::OpenError;
use crate::writer::entity;
use crate::{PostgresSettings, load, migrate, schema};

/// Rows fetched at a time.
const PAGE: &str = "FETCH 2000 FROM looked";

/// A journal opened for reading, also beside running nodes.
pub struct PostgresReader {
    link: Link,
    place: String,
}

impl PostgresReader {
    /// Connects to the journal that the settings name. The server must be the primary: a standby could lack what was answered last.
    ///
    /// # Errors
    /// There is no journal, or it cannot be used: [`Fault::Open`], whose source is an [`OpenError`](crate::OpenError).
    pub fn open(settings: PostgresSettings) -> Result<Self, Fault> {
        Self::connect(&Arc::new(settings)).map_err(|why| Fault::Open { source: why.into() })
    }

    fn connect(settings: &Arc<PostgresSettings>) -> Result<Self, OpenError> {
        let mut link = Link::new(settings, Role::Look)?;
        link.connect()?;
        let found = link.block(async |live: &mut Live| migrate::found(live, settings).await)?;
        let place = settings.place();
        match found {
            0 => Err(OpenError::NoJournal { place }),
            schema::FORMAT => Ok(Self { link, place }),
            found if found > schema::FORMAT => Err(OpenError::Newer { place, found, known: schema::FORMAT }),
            found => Err(OpenError::Older { place, found, known: schema::FORMAT }),
        }
    }

    /// Where it is, as messages name it: no secret.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The note under `key`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn meta(&mut self, key: &str) -> Result<Option<String>, Fault> {
        let value = self.ask(async |live: &mut Live| crate::journal::meta(live, key).await);
        value.map_err(|source| Fault::Meta { key: key.to_owned(), source })
    }

    /// Up to `max` streams in entity order, those after `after`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn streams(&mut self, after: Option<EntityId>, max: usize) -> Result<Vec<StreamSummary>, Fault> {
        let streams = self.ask(async |live: &mut Live| load::streams(live, after, max).await);
        streams.map_err(|source| Fault::Streams { source })
    }

    /// Up to `max` events of a stream with a seq above `after`, ascending; what was pruned is not there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stream(
        &mut self,
        entity: EntityId,
        after: u64,
        max: usize,
    ) -> Result<Vec<(u64, EventRecord)>, Fault> {
        let events = self.ask(async |live: &mut Live| load::stream(live, entity, after, max).await);
        events.map_err(|source| Fault::Stream { entity, source })
    }

    /// Checks the journal as of one moment, even while nodes write: every stream without gaps from where pruning left off to the seq
    /// that its row says, in order of time, with readable causes; every snapshot readable, and its last event there; each name whole.
    /// The pages of the database's files are PostgreSQL's to check: `pg_amcheck`.
    ///
    /// # Errors
    /// The database cannot be read. What it says is in the report.
    pub fn verify(&mut self) -> Result<Report, Fault> {
        let checked = self.ask(async |live: &mut Live| {
            let look = live.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
            let tx = look.read_only(true).start().await?;
            let mut report = Report::default();
            events(&tx, &mut report).await?;
            ends(&tx, &mut report).await?;
            snapshots(&tx, &mut report).await?;
            names(&tx, &mut report).await?;
            tx.commit().await?;
            Ok(report)
        });
        checked.map_err(|source| Fault::Streams { source })
    }

    pub(crate) fn ask<T>(&mut self, ask: impl AsyncFn(&mut Live) -> Result<T, Trouble>) -> Result<T, Why> {
        let until = self.link.patience();
        Ok(self.link.repeat(until, None, ask)?)
    }
}

/// Hands every row of a query to `take`, page by page.
async fn each(
    tx: &Transaction<'_>,
    query: &str,
    mut take: impl FnMut(&Row) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    tx.batch_execute(&format!("DECLARE looked NO SCROLL CURSOR FOR {query}")).await?;
    loop {
        let rows = tx.query(PAGE, &[]).await?;
        if rows.is_empty() {
            return Ok(tx.batch_execute("CLOSE looked").await?);
        }
        rows.iter().try_for_each(&mut take)?;
    }
}

async fn events(tx: &Transaction<'_>, report: &mut Report) -> Result<(), Trouble> {
    // While events are moved from one partition to another there are two rows of each.
    let all = "SELECT kind, id, seq, at, type, cause, sha256(payload) FROM events ORDER BY kind, id, seq";
    let mut events = Events::default();
    let mut before: Option<(EntityId, i64, Vec<u8>, i64)> = None;
    each(tx, all, |row| {
        let (entity, seq) = (entity(row.try_get(0)?, row.try_get(1)?), row.try_get::<_, i64>(2)?);
        let (at, hash): (i64, &[u8]) = (row.try_get(3)?, row.try_get(6)?);
        let event_type = i64::from(row.try_get::<_, i16>(4)?);
        if let Some((same, last, last_hash, last_at)) = &before
            && (*same, *last) == (entity, seq)
        {
            if last_hash != hash || *last_at != at {
                report.problem(format_args!("{entity}: event {seq} is there twice, and differs"));
            }
            return Ok(());
        }
        let cause = row.try_get(5)?;
        events.take(report, &EventRow { entity, seq: seq as u64, at: at as u64, event_type, cause });
        before = Some((entity, seq, hash.to_vec(), at));
        Ok(())
    })
    .await
}

/// What the rows of streams say, against the events and snapshots that are there.
async fn ends(tx: &Transaction<'_>, report: &mut Report) -> Result<(), Trouble> {
    let wrong = "
        WITH e AS (SELECT kind, id, min(seq) AS first, max(seq) AS last FROM events GROUP BY kind, id)
        SELECT coalesce(s.kind, e.kind), coalesce(s.id, e.id), s.last, s.snapshot, e.first, e.last, n.seq
        FROM streams AS s FULL JOIN e ON e.kind = s.kind AND e.id = s.id
        LEFT JOIN LATERAL (
            SELECT seq FROM snapshots AS n WHERE n.kind = s.kind AND n.id = s.id AND n.seq = s.snapshot LIMIT 1
        ) AS n ON true
        WHERE s.last IS DISTINCT FROM e.last OR n.seq IS DISTINCT FROM s.snapshot OR e.first - 1 > coalesce(s.snapshot, 0)";
    each(tx, wrong, |row| {
        let entity = entity(row.try_get(0)?, row.try_get(1)?);
        let seq = |index: usize| row.try_get::<_, Option<i64>>(index);
        let (last, snapshot, first) = (seq(2)?, seq(3)?, seq(4)?);
        let (there, made) = (seq(5)?, seq(6)?);
        if last != there {
            let word = |seq: Option<i64>| seq.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
            report.problem(format_args!(
                "{entity}: its newest event is {} by its row, and {} is there",
                word(last),
                word(there)
            ));
        }
        if let Some(snapshot) = snapshot.filter(|_| made.is_none()) {
            report.problem(format_args!("{entity}: the snapshot at {snapshot} is missing"));
        }
        if let Some(first) = first.filter(|first| first - 1 > snapshot.unwrap_or(0)) {
            report.problem(format_args!("{entity}: begins with event {first}, without a snapshot"));
        }
        Ok(())
    })
    .await
}

async fn snapshots(tx: &Transaction<'_>, report: &mut Report) -> Result<(), Trouble> {
    let all = "
        SELECT DISTINCT ON (n.kind, n.id, n.seq) n.kind, n.id, n.seq, n.payload, EXISTS (
            SELECT 1 FROM events AS e WHERE e.kind = n.kind AND e.id = n.id AND e.seq = n.seq
        ) FROM snapshots AS n ORDER BY n.kind, n.id, n.seq";
    each(tx, all, |row| {
        let (entity, seq) = (entity(row.try_get(0)?, row.try_get(1)?), row.try_get::<_, i64>(2)?);
        verify::snapshot(report, entity, seq as u64, row.try_get(3)?, row.try_get(4)?);
        Ok(())
    })
    .await
}

async fn names(tx: &Transaction<'_>, report: &mut Report) -> Result<(), Trouble> {
    let owned = "SELECT count(*) FROM names WHERE kind IS NOT NULL";
    report.names = tx.query_one(owned, &[]).await?.try_get::<_, i64>(0)? as u64;
    let wrong =
        "SELECT space, name, n FROM names WHERE (kind IS NULL) <> (id IS NULL) OR n < 1 OR prior >= n";
    each(tx, wrong, |row| {
        let text = |index: usize| Ok::<_, Trouble>(String::from_utf8_lossy(row.try_get(index)?).into_owned());
        let (space, name, n) = (text(0)?, text(1)?, row.try_get::<_, i64>(2)?);
        report.problem(format_args!("the row {n} of the name {name:?} in {space:?} is not whole"));
        Ok(())
    })
    .await?;
    let began = tx.query_opt("SELECT 1 FROM meta WHERE key = 'created_ms'", &[]).await?;
    if began.is_none() {
        report.problem("the note of when the world began is missing");
    }
    Ok(())
}
