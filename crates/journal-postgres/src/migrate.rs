//! Makes the tables of a new world, and brings those of an older version up to date: one process at a time, in one transaction.

use tokio_postgres::{Error, Transaction};

use crate::link::{Link, Live, server_error};
use crate::open::OpenError;
use crate::{PostgresSettings, schema, wall_ms};

/// The number of a lock that all processes of a world agree on. FNV-1a, which stays the same between versions.
pub(crate) fn lock_key(settings: &PostgresSettings, what: &str) -> i64 {
    let text = format!("gundo {} {what}", settings.schema);
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, hash) as i64
}

/// Sees that the tables are there and of this build's format.
pub(crate) fn migrate(link: &mut Link, settings: &PostgresSettings) -> Result<(), OpenError> {
    link.connect()?;
    link.block(async |live: &mut Live| {
        let failed = |why: Error| server_error(settings, "creating its tables", &why);
        let tx = live.client.transaction().await.map_err(failed)?;
        tx.batch_execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
            .await
            .map_err(failed)?;
        let key = lock_key(settings, "migrate");
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&key]).await.map_err(failed)?;
        let found = format(&tx, settings).await?;
        if found > schema::FORMAT {
            return Err(OpenError::Newer { place: settings.place(), found, known: schema::FORMAT });
        }
        if found < schema::FORMAT {
            update(&tx, found).await.map_err(failed)?;
            tracing::info!(
                schema = settings.schema,
                from = found,
                to = schema::FORMAT,
                "made the journal's tables"
            );
        }
        tx.commit().await.map_err(failed)
    })
}

/// The format of the tables; 0: there are none. Makes nothing.
pub(crate) async fn found(live: &mut Live, settings: &PostgresSettings) -> Result<u32, OpenError> {
    let failed = |why: Error| server_error(settings, "looking at its tables", &why);
    let tx = live.client.transaction().await.map_err(failed)?;
    let found = tables(&tx, settings).await?;
    tx.commit().await.map_err(failed)?;
    Ok(found)
}

/// As [`found`]. Makes the schema if it is missing.
async fn format(tx: &Transaction<'_>, settings: &PostgresSettings) -> Result<u32, OpenError> {
    let failed = |why: Error| server_error(settings, "looking at its tables", &why);
    let name = &settings.schema;
    let there = tx.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[name]).await.map_err(failed)?;
    if there.is_empty() {
        tx.batch_execute(&format!("CREATE SCHEMA {name}")).await.map_err(failed)?;
    }
    tables(tx, settings).await
}

async fn tables(tx: &Transaction<'_>, settings: &PostgresSettings) -> Result<u32, OpenError> {
    let failed = |why: Error| server_error(settings, "looking at its tables", &why);
    let name = &settings.schema;
    let tables = "SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";
    let tables = tx.query(tables, &[name]).await.map_err(failed)?;
    let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    if tables.is_empty() {
        return Ok(0);
    }
    if !["meta", "streams", "events"].iter().all(|name| tables.iter().any(|table| table == name)) {
        return Err(OpenError::NotAJournal { place: settings.place() });
    }
    let value = tx.query("SELECT value FROM meta WHERE key = 'format'", &[]).await.map_err(failed)?;
    let value: Option<String> = value.first().map(|row| row.get(0));
    let damaged =
        || OpenError::Damaged { place: settings.place(), detail: format!("its format reads {value:?}") };
    value.as_ref().and_then(|value| value.parse().ok()).filter(|format| *format > 0).ok_or_else(damaged)
}

async fn update(tx: &Transaction<'_>, from: u32) -> Result<(), Error> {
    for migration in &schema::MIGRATIONS[from as usize..] {
        tx.batch_execute(migration).await?;
    }
    let (format, now) = (schema::FORMAT.to_string(), wall_ms());
    let set = "INSERT INTO meta VALUES ('format', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    tx.execute(set, &[&format]).await?;
    if from == 0 {
        tx.execute("INSERT INTO meta VALUES ('created_ms', $1)", &[&now.to_string()]).await?;
        tx.batch_execute(&(schema::make_part(0) + &schema::make_part(1))).await?;
        tx.execute("INSERT INTO parts VALUES (1, $1)", &[&(now as i64)]).await?;
    }
    Ok(())
}
