//! Opening a data directory: its lock, its file, and everything that can be wrong with them. Each error says what to do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use rustix::fs::{FlockOperation, flock};

use crate::journal::SqliteJournal;
use crate::{JOURNAL_FILE, LOCK_FILE, Settings, schema};

/// Why a data directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist and cannot be created.
    #[error("cannot create the data directory {}: choose another with --data, or make it writable", dir.display())]
    CreateDir {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "the data directory {} is in use by another process (it holds the lock on {LOCK_FILE} there): stop that process, or \
         choose another directory with --data",
        dir.display()
    )]
    DataDirLocked {
        /// The directory.
        dir: PathBuf,
    },
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {}: make the data directory writable, on a disk that knows file locks", file.display())]
    Lock {
        /// The lock file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tool was pointed at a directory without a journal.
    #[error("there is no journal in {} ({JOURNAL_FILE}): give the data directory of a world with --data", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// The file is not one of ours.
    #[error(
        "{} is not a Gundo journal ({found}): move it away to start a new world here, or choose another directory with --data",
        file.display()
    )]
    NotAJournal {
        /// The file.
        file: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// A later version wrote it.
    #[error(
        "{} was written by a newer Gundo (format {found}; this one reads up to {known}): run that version, or restore a backup \
         made by this one",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this build knows.
        known: u32,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged ({detail}): keep a copy of it with its -wal file, then restore a backup, or try `sqlite3 {} .recover`",
        file.display(), file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// The file was in use, and the log that belongs to it is not there.
    #[error(
        "{} was in use by a server, and its log {} is missing: what was saved last is not in the file. If it is a copy, copy both files, \
         or better use `backup`. If the log is lost for good, restore a backup, or go on without it: `journal accept-loss`",
        file.display(), log.display()
    )]
    LogMissing {
        /// The file.
        file: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// Any other error of the storage.
    #[error("cannot open {} while {tried}: see that the disk is there, writable and not full", file.display())]
    Storage {
        /// The file.
        file: PathBuf,
        /// What was tried.
        tried: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// A thread of the journal could not be started.
    #[error("cannot start a thread for the journal: allow the process more threads")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
}

/// Opens the journal in the data directory `dir`, or creates one there. The directory stays locked until the journal is dropped.
/// Members of an earlier process are dead, because that process has lost the lock: their rows are deleted.
///
/// # Errors
/// The directory cannot be used; the message says why and what to do.
pub fn open(dir: impl AsRef<Path>, settings: Settings) -> Result<SqliteJournal, OpenError> {
    let dir = dir.as_ref();
    let created = std::fs::create_dir_all(dir);
    created.map_err(|source| OpenError::CreateDir { dir: dir.to_owned(), source })?;
    let lock = lock(dir)?;
    let file = JournalFile::new(dir);
    SqliteJournal::start(file, settings, Some(lock))
}

/// Declares the journal in `dir` complete although its log is missing. What was saved last, and is in the log only, is lost: the
/// journal becomes a new generation. Returns whether there was anything to accept.
///
/// # Errors
/// The directory cannot be used; the message says why and what to do.
pub fn accept_loss(dir: impl AsRef<Path>) -> Result<bool, OpenError> {
    let dir = dir.as_ref();
    let file = JournalFile::new(dir);
    if !file.path.exists() {
        return Err(OpenError::Missing { dir: dir.to_owned() });
    }
    let _lock = lock(dir)?;
    let had_log = file.has_log();
    let conn = file.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if !file.is_ours(&conn)? {
        return Err(OpenError::Missing { dir: dir.to_owned() });
    }
    let lost = file.lacks_log(&conn, had_log)?;
    if lost {
        let accepted = conn.execute(schema::SET_META, [schema::IN_USE, "0"]);
        accepted
            .and_then(|_| schema::begin_generation(&conn, wall_ms()))
            .map_err(|source| file.error("accepting the loss", source))?;
    }
    Ok(lost)
}

/// Keeps the directory locked until it is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let failed = |source| OpenError::Lock { file: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::DataDirLocked { dir: dir.to_owned() }),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Where the journal is, and which of SQLite's file layers reaches it.
#[derive(Clone, Debug)]
pub(crate) struct JournalFile {
    pub(crate) dir: PathBuf,
    pub(crate) path: PathBuf,
    /// Name of a registered layer; `None`: the operating system's files.
    pub(crate) layer: Option<&'static str>,
}

impl JournalFile {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), path: dir.join(JOURNAL_FILE), layer: None }
    }

    /// Where SQLite keeps its log of this file.
    pub(crate) fn log(&self) -> PathBuf {
        self.beside("-wal")
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Whether it has a log. While a process writes the journal the log is never empty; a tool that looks at a file without one
    /// leaves an empty one.
    fn has_log(&self) -> bool {
        std::fs::metadata(self.log()).is_ok_and(|log| log.len() > 0)
    }

    /// Whether the file was in use when its log went missing. `had_log`: the log was there before the file was opened, which makes one.
    fn lacks_log(&self, conn: &Connection, had_log: bool) -> Result<bool, OpenError> {
        if had_log || self.layer.is_some() {
            return Ok(false);
        }
        let in_use = conn.query_row(schema::META, [schema::IN_USE], |row| row.get::<_, String>(0)).optional();
        let in_use = in_use.map_err(|source| self.error("reading whether it is in use", source))?;
        Ok(in_use.as_deref() == Some("1"))
    }

    fn check_log(&self, conn: &Connection, had_log: bool) -> Result<(), OpenError> {
        if self.lacks_log(conn, had_log)? {
            return Err(OpenError::LogMissing { file: self.path.clone(), log: self.log() });
        }
        Ok(())
    }

    /// The connection that writes; the file was created or has been checked.
    pub(crate) fn writer(&self, settings: &Settings) -> Result<Connection, OpenError> {
        let had_log = self.has_log();
        let conn = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // Before anything in it changes: it may be another program's file.
        let fresh = !self.is_ours(&conn)?;
        let set_up = schema::set_up_writer(&conn, settings.synchronous);
        set_up.map_err(|source| self.error("setting it up", source))?;
        if fresh {
            create(&conn).map_err(|source| self.error("creating its tables", source))?;
        }
        self.check_format(&conn)?;
        self.check_log(&conn, had_log)?;
        conn.execute_batch(schema::CREATE_WAKES).map_err(|source| self.error("adding a table", source))?;
        // In the file itself, not in its log only: somebody who finds the file alone must see that the log is missing.
        let marked = conn.execute(schema::SET_META, [schema::IN_USE, "1"]);
        match marked.and_then(|_| conn.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))) {
            Ok(()) => {}
            // The first append reports it.
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
            Err(source) => return Err(self.error("marking it as in use", source)),
        }
        Ok(conn)
    }

    /// A connection of a tool, which reads a journal that is there.
    pub(crate) fn visitor(&self) -> Result<Connection, OpenError> {
        self.read_with(schema::set_up_visitor)
    }

    /// A connection that reads the journal this process has open.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        self.read_with(schema::set_up_reader)
    }

    fn read_with(&self, set_up: fn(&Connection) -> rusqlite::Result<()>) -> Result<Connection, OpenError> {
        if self.layer.is_none() && !self.path.exists() {
            return Err(OpenError::Missing { dir: self.dir.clone() });
        }
        let had_log = self.has_log();
        // Reading needs write permission too: SQLite first recovers what a killed process left in its log.
        let conn = match self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE) {
            Err(OpenError::Storage { .. }) => self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            other => other?,
        };
        if !self.is_ours(&conn)? {
            return Err(OpenError::Missing { dir: self.dir.clone() });
        }
        set_up(&conn).map_err(|source| self.error("setting it up", source))?;
        self.check_format(&conn)?;
        self.check_log(&conn, had_log)?;
        Ok(conn)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, OpenError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = match self.layer {
            None => Connection::open_with_flags(&self.path, flags),
            Some(layer) => Connection::open_with_flags_and_vfs(&self.path, flags, layer),
        };
        opened.map_err(|source| self.error("opening it", source))
    }

    /// Whether it is a journal; `false`: the file is still empty.
    fn is_ours(&self, conn: &Connection) -> Result<bool, OpenError> {
        let look = || -> rusqlite::Result<(i32, u32)> {
            let id = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
            Ok((id, conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?))
        };
        match look().map_err(|source| self.error("reading its header", source))? {
            (schema::APPLICATION_ID, _) => Ok(true),
            (0, 0) => Ok(false),
            (id, tables) => {
                let found =
                    format!("an SQLite database of another program: application id {id}, {tables} tables");
                Err(OpenError::NotAJournal { file: self.path.clone(), found })
            }
        }
    }

    fn check_format(&self, conn: &Connection) -> Result<(), OpenError> {
        let read = conn.query_row(schema::META, ["format"], |row| row.get::<_, String>(0)).optional();
        let text = read.map_err(|source| self.error("reading its format", source))?;
        let format = text.as_deref().and_then(|text| text.parse::<u32>().ok());
        match format {
            Some(schema::FORMAT) => Ok(()),
            Some(found) if found > schema::FORMAT => {
                Err(OpenError::Newer { file: self.path.clone(), found, known: schema::FORMAT })
            }
            _ => {
                let detail = format!("its format reads {text:?}");
                Err(OpenError::Corrupt { file: self.path.clone(), detail })
            }
        }
    }

    pub(crate) fn error(&self, tried: &'static str, source: rusqlite::Error) -> OpenError {
        let file = self.path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                OpenError::NotAJournal { file, found: "not an SQLite database at all".into() }
            }
            Some(ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { file, detail: source.to_string() },
            // The mark is ours, but a table is missing or different.
            Some(ErrorCode::Unknown) => OpenError::Corrupt { file, detail: source.to_string() },
            _ => OpenError::Storage { file, tried, source },
        }
    }
}

fn create(conn: &Connection) -> rusqlite::Result<()> {
    let now = wall_ms().to_string();
    let create = || -> rusqlite::Result<()> {
        conn.execute_batch(schema::CREATE)?;
        conn.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        conn.execute(schema::SET_META, ["format", &schema::FORMAT.to_string()])?;
        conn.execute(schema::SET_META, ["created_ms", &now])?;
        conn.execute_batch("COMMIT")
    };
    conn.execute_batch("BEGIN IMMEDIATE")?;
    create().inspect_err(|_| drop(conn.execute_batch("ROLLBACK")))
}

/// The wall clock, ms since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
