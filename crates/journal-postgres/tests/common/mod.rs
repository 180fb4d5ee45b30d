//! A private server for one test, and worlds on it.

use std::sync::atomic::{AtomicU32, Ordering};

use gundo_engines::postgres::Postgres;
use gundo_journal_postgres::{Password, PostgresJournal, PostgresSettings, open};
use tempfile::TempDir;

pub(crate) struct Server {
    pub(crate) postgres: Postgres,
    pub(crate) dir: TempDir,
    worlds: AtomicU32,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let postgres = Postgres::start(dir.path()).expect("a server");
        Self { postgres, dir, worlds: AtomicU32::new(0) }
    }

    /// Settings for a world of its own.
    pub(crate) fn settings(&self) -> PostgresSettings {
        let file = self.dir.path().join("secret");
        std::fs::write(&file, Postgres::PASSWORD).expect("writable");
        let world = self.worlds.fetch_add(1, Ordering::Relaxed);
        PostgresSettings {
            server: self.postgres.connection(),
            password: Password::File(file),
            schema: format!("world_{world}"),
            writers: 2,
            readers: 1,
            ..PostgresSettings::default()
        }
    }

    #[allow(dead_code, reason = "not every test wants it")]
    pub(crate) fn journal(&self) -> PostgresJournal {
        open(self.settings()).expect("a new world")
    }
}
