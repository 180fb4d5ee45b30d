//! Removes whole streams: see [`Journal::remove`](gundo_journal::Journal::remove).

use gundo_types::EntityId;

use crate::link::{Link, Live, Trouble};
use crate::migrate::lock_key;

/// Without it each removal reads all names. The first removal makes it: older builds use the tables as before.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS names_of_owner ON names (kind, id)";
/// Looks before it makes one, because making one waits for all who append, also if it is there.
const HAS_INDEX: &str = "SELECT to_regclass('names_of_owner') IS NOT NULL";

/// The row of the stream is the fence, as for appends: who appends has changed it or waits for it.
const REMOVE: &str = "
    WITH gone AS (DELETE FROM streams WHERE kind = $1 AND id = $2 AND last = $3 RETURNING kind, id),
    unnamed AS (DELETE FROM names AS n USING gone WHERE n.kind = gone.kind AND n.id = gone.id),
    unwoken AS (DELETE FROM wakes AS w USING gone WHERE w.kind = gone.kind AND w.id = gone.id),
    unwritten AS (DELETE FROM events AS e USING gone WHERE e.kind = gone.kind AND e.id = gone.id),
    unkept AS (DELETE FROM snapshots AS s USING gone WHERE s.kind = gone.kind AND s.id = gone.id)
    SELECT count(*) FROM gone";

/// Removes those that still end in the given seq, each in a transaction of its own. While another process prunes it removes nothing:
/// a row that is being moved from one partition to another would stay.
pub(crate) fn remove(link: &mut Link, streams: &[(EntityId, u64)]) -> Result<usize, Trouble> {
    let (patience, settings) = (link.patience(), link.settings().clone());
    let limit = settings.answer();
    link.run(patience, Some(limit), async |live: &mut Live| {
        if !live.client.query_one(HAS_INDEX, &[]).await?.try_get::<_, bool>(0)? {
            live.client.batch_execute(INDEX).await?;
        }
        let (key, mut removed) = (lock_key(&settings, "prune"), 0);
        for (EntityId { kind, id }, last) in streams {
            let tx = live.client.transaction().await?;
            let turn = "SELECT pg_try_advisory_xact_lock($1)";
            if !tx.query_one(turn, &[&key]).await?.try_get::<_, bool>(0)? {
                return Ok(removed);
            }
            let stream: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&i32::from(kind.0), &(*id as i64), &(*last as i64)];
            let count: i64 = tx.query_one(REMOVE, &stream).await?.try_get(0)?;
            tx.commit().await?;
            removed += count as usize;
        }
        Ok(removed)
    })
}
