//! Opening the database, and everything that can be wrong with it. Each error says what to do.

use std::path::PathBuf;
use std::sync::Arc;

use gundo_journal::Fault;

use crate::PostgresSettings;
use crate::journal::PostgresJournal;

/// Why a database cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string is not one, or lacks the host or the role.
    #[error(
        "the connection string of PostgreSQL is not readable, or lacks host or user: write it like `host=db1 port=5432 user=gundo \
         dbname=gundo`"
    )]
    ConnectionString,
    /// The schema's name is not a plain one.
    #[error(
        "{schema:?} cannot be the schema: take a small letter, then small letters, digits and `_`, 48 at most"
    )]
    Schema {
        /// The name.
        schema: String,
    },
    /// The file with the password cannot be read.
    #[error("the file {} with PostgreSQL's password cannot be read: let this process read it", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such variable.
    #[error("the environment has no variable {name} with PostgreSQL's password: set it, or name a file")]
    PasswordEnv {
        /// Its name.
        name: String,
    },
    /// What the connection string says of encryption cannot be.
    #[error("{why}")]
    SslMode {
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// A file for TLS cannot be used.
    #[error("the file {} for TLS to PostgreSQL is not usable ({why}): name a PEM file that this process may read", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The encryption cannot begin.
    #[error(
        "TLS to PostgreSQL fails at {place} ({why}): the server needs `ssl = on`, and a certificate for this host's name that our \
         authority has signed"
    )]
    Tls {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// Nobody answers.
    #[error(
        "PostgreSQL does not answer at {place} ({why}): see that it runs, takes connections from here, and is the primary"
    )]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// No standby confirms.
    #[error(
        "PostgreSQL at {place} does not confirm a commit within {ms} ms: start its synchronous standbys, or take those that are gone \
         out of synchronous_standby_names"
    )]
    Unconfirmed {
        /// Where.
        place: String,
        /// How long was waited.
        ms: u64,
    },
    /// The server does not let us in.
    #[error("PostgreSQL refuses us at {place} ({why}): see role, password, database and pg_hba.conf there")]
    Denied {
        /// Where.
        place: String,
        /// What it says.
        why: String,
    },
    /// It only reads.
    #[error(
        "PostgreSQL at {place} takes no writes ({why}): name the primary, or all servers, with target_session_attrs=read-write"
    )]
    ReadOnly {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// A pooler is in between.
    #[error(
        "something between us and PostgreSQL at {place} drops the settings of a session ({why}), as pgbouncer in transaction mode does. \
         Prepared statements and session locks would break there: connect to PostgreSQL itself; {connections} connections per \
         process are enough"
    )]
    Pooler {
        /// Where.
        place: String,
        /// What was noticed.
        why: String,
        /// How many connections a process opens.
        connections: usize,
    },
    /// The server is too old, or another program with the same protocol.
    #[error("the server at {place} is {found}: this journal needs PostgreSQL 14 or later")]
    Version {
        /// Where.
        place: String,
        /// What it says it is.
        found: String,
    },
    /// The server may forget what it has confirmed.
    #[error(
        "PostgreSQL at {place} has {setting} = {value}: an answer could be lost after it was given. Set it to `on`"
    )]
    Careless {
        /// Where.
        place: String,
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The role may not do what it must.
    #[error(
        "the role lacks a right at {place} ({why}): let it own the schema: `CREATE SCHEMA {schema} AUTHORIZATION role`, or grant CREATE \
         on the database"
    )]
    Rights {
        /// Where.
        place: String,
        /// The schema.
        schema: String,
        /// What the server says.
        why: String,
    },
    /// The schema is another program's.
    #[error("the schema at {place} has tables that are not Gundo's: choose another schema for the world")]
    NotAJournal {
        /// Where.
        place: String,
    },
    /// There are no tables, and who asks makes none.
    #[error("there is no journal at {place}: the first node of a world makes it")]
    NoJournal {
        /// Where.
        place: String,
    },
    /// An earlier version wrote it, and who asks changes nothing.
    #[error(
        "the journal at {place} was written by an older Gundo (format {found}; this one reads {known}): the first node of this \
         version brings it up to date"
    )]
    Older {
        /// Where.
        place: String,
        /// Its format.
        found: u32,
        /// The format this build knows.
        known: u32,
    },
    /// A later version wrote it.
    #[error(
        "the journal at {place} was written by a newer Gundo (format {found}; this one reads up to {known}): run that version, or \
         restore a backup made by this one"
    )]
    Newer {
        /// Where.
        place: String,
        /// Its format.
        found: u32,
        /// The newest format this build knows.
        known: u32,
    },
    /// Something in it is not as we left it.
    #[error("the journal at {place} is damaged ({detail}): restore a backup")]
    Damaged {
        /// Where.
        place: String,
        /// What was found.
        detail: String,
    },
    /// Any other error of the server.
    #[error("PostgreSQL at {place} fails while {tried} ({why}): see its log")]
    Server {
        /// Where.
        place: String,
        /// What was tried.
        tried: &'static str,
        /// What it says.
        why: String,
    },
    /// A thread of the journal could not be started.
    #[error("cannot start a thread for the journal: allow the process more threads")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
}

/// Opens the journal of a world in PostgreSQL, and makes its tables if there are none. Several processes may do so at once.
/// Call it from any thread; nothing of the caller's runtime is used.
///
/// # Errors
/// The database cannot be used: [`Fault::Open`], whose source is an [`OpenError`] that says why and what to do.
pub fn open(settings: PostgresSettings) -> Result<PostgresJournal, Fault> {
    let settings = Arc::new(settings);
    PostgresJournal::start(&settings).map_err(|why| Fault::Open { source: why.into() })
}
