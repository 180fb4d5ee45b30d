//! Where a journal is: in a directory, or, for a world of many processes, in PostgreSQL. What the tools read of either.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use gundo_journal::find::{Among, Slice};
use gundo_journal::verify::Report;
use gundo_journal::{Journal, NameRow};
#[cfg(feature = "cluster")]
use gundo_journal_postgres::{PostgresReader, PostgresSettings};
use gundo_journal_sqlite::{Reader, Settings};
use gundo_types::EntityId;
use gundo_wire::journal::{EventRecord, Loaded};

use crate::app::Failure;
use crate::cli::JournalArgs;
use crate::config::{Config, Flags};

/// Where a journal is.
pub(super) enum Place {
    Directory(PathBuf),
    #[cfg(feature = "cluster")]
    Postgres(Box<PostgresSettings>),
}

impl Place {
    /// What the command line says: a configuration's journal, or a directory.
    pub(super) fn of(args: &JournalArgs) -> Result<Self, Failure> {
        let Some(file) = &args.config else { return Ok(Self::Directory(args.data.data.clone())) };
        let config = Config::read(Some(file), &Flags::default())?;
        match config.cluster {
            None => Ok(Self::Directory(config.data)),
            #[cfg(feature = "cluster")]
            Some(cluster) => Ok(Self::Postgres(Box::new(crate::cluster::database(&cluster.postgres)?))),
            #[cfg(not(feature = "cluster"))]
            Some(_) => {
                Err("this program was built without the feature `cluster`, so it knows no PostgreSQL".into())
            }
        }
    }

    /// Opens the journal for reading.
    pub(super) fn read(&self) -> Result<Reading, Failure> {
        Ok(match self {
            Self::Directory(data) => Reading::Directory(Reader::open(data)?),
            #[cfg(feature = "cluster")]
            Self::Postgres(settings) => {
                Reading::Postgres(Box::new(PostgresReader::open(PostgresSettings::clone(settings))?))
            }
        })
    }

    /// Checks the whole journal.
    pub(super) fn verify(&self) -> Result<Report, Failure> {
        Ok(match self {
            Self::Directory(data) => gundo_journal_sqlite::verify(data)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(settings) => PostgresReader::open(PostgresSettings::clone(settings))?.verify()?,
        })
    }

    /// Begins a new generation. Returns the one before, and the new one.
    pub(super) fn begin_generation(&self) -> Result<(u64, u64), Failure> {
        let now_ms = UNIX_EPOCH.elapsed().map_or(0, |passed| passed.as_millis() as u64);
        // Opening would make a journal where there is none.
        drop(self.read()?);
        let journal: Box<dyn Journal> = match self {
            Self::Directory(data) => Box::new(gundo_journal_sqlite::open(data, Settings::default())?),
            #[cfg(feature = "cluster")]
            Self::Postgres(settings) => {
                Box::new(gundo_journal_postgres::open(PostgresSettings::clone(settings))?)
            }
        };
        Ok((journal.generation()?, journal.begin_generation(now_ms)?))
    }
}

/// A journal opened for reading.
pub(super) enum Reading {
    Directory(Reader),
    #[cfg(feature = "cluster")]
    Postgres(Box<PostgresReader>),
}

impl Reading {
    pub(super) fn meta(&mut self, key: &str) -> Result<Option<String>, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.meta(key)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.meta(key)?,
        })
    }

    pub(super) fn name(&mut self, space: &str, name: &str) -> Result<Option<NameRow>, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.name(space, name)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.name(space, name)?,
        })
    }

    /// An entity as a node would load it.
    pub(super) fn load(&mut self, entity: EntityId) -> Result<Loaded, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.load(entity)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.load(entity)?,
        })
    }

    /// The newest snapshot of an entity that ends before event `before`.
    pub(super) fn snapshot(&mut self, entity: EntityId, before: u64) -> Result<Loaded, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.snapshot(entity, before)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.snapshot(entity, before)?,
        })
    }

    /// Of up to `max` events or snapshots after `after`: those that have `bytes`.
    pub(super) fn find(
        &mut self,
        among: Among,
        bytes: &[u8],
        after: Option<(EntityId, u64)>,
        max: usize,
    ) -> Result<Slice, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.find(among, bytes, after, max)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.find(among, bytes, after, max)?,
        })
    }

    pub(super) fn stream(
        &mut self,
        entity: EntityId,
        after: u64,
        max: usize,
    ) -> Result<Vec<(u64, EventRecord)>, Failure> {
        Ok(match self {
            Self::Directory(reader) => reader.stream(entity, after, max)?,
            #[cfg(feature = "cluster")]
            Self::Postgres(reader) => reader.stream(entity, after, max)?,
        })
    }
}
