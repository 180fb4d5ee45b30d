//! The journal in PostgreSQL, for a world on many machines: each process opens it, and all write at the same time.
//!
//! ```text
//! handle of node 1 ──► bounded queue ─┐              ┌─► writer, connection ─┐
//! handle of node 2 ──► bounded queue ─┼─► backlog ───┼─► writer, connection ─┼─► PostgreSQL ══► synchronous standby
//!                                     │              └─► writer, connection ─┤
//!                          loads ─────┴─────────────────► readers ───────────┘
//! ```
//! A writer commits everything that waits as one statement: it checks the generation, the members, and for each stream the seq that
//! its events follow, and inserts arrays of rows. If another process was faster anywhere, nothing lands, and the group is planned
//! again on what is there now. No two writers of a process have batches of one stream at a time (`backlog`).
//!
//! Queues, groups, and the rules for what lands and how it ends are in [`gundo_journal`]; connections, SQL and threads are here.
//! Start with [`open`]; the tables are described in `schema.rs`, an operator's view in `docs/postgres.md`. [`raw`] measures what
//! PostgreSQL itself can do.
//!
//! Not here: what events mean; who belongs to the cluster; which server is the primary.

mod backlog;
mod backoff;
mod find;
mod journal;
mod lanes;
mod link;
mod load;
mod migrate;
mod open;
mod prune;
pub mod raw;
mod reader;
mod remove;
mod schema;
mod settings;
mod settle;
mod stats;
mod tables;
mod tls;
mod writer;

pub use journal::PostgresJournal;
pub use open::{OpenError, open};
pub use reader::PostgresReader;
pub use settings::{Password, PostgresSettings};
pub use stats::Stats;
pub use tls::PostgresTls;

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, ms since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
