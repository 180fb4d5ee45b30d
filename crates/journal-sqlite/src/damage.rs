//! Damage in the file: found by a check of the whole file behind the start, or by a thread that reads or writes a bad page.
//!
//! The world goes on with what can be read. Operators are told what is damaged and what to do.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::{Connection, ErrorCode, InterruptHandle};

use crate::load::Missing;
use crate::open::{JournalFile, OpenError};

/// The first damage that was found; shared by all threads of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    path: Arc<PathBuf>,
    first: Arc<Mutex<Option<String>>>,
}

impl Damage {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: Arc::new(path.to_owned()), first: Arc::default() }
    }

    /// What was found first, and what to do; `None`: nothing so far.
    pub(crate) fn found(&self) -> Option<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes `what` unless there is something already.
    fn note(&self, what: &str) {
        let path = self.path.display();
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| {
            format!(
                "{path} is damaged ({what}): who or what was stored there cannot be loaded, the rest of the world goes on. Run \
                 `journal verify`, keep a copy of the data directory, then restore a backup, or try `sqlite3 {path} .recover`"
            )
        });
    }

    /// Notes `fault` if damage is behind it.
    pub(crate) fn judge(&self, fault: &(dyn Error + 'static)) {
        let mut cause = Some(fault);
        while let Some(why) = cause {
            let code = why.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
            let is_bad = matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
            if is_bad || why.is::<Missing>() {
                return self.note(&format!("{fault}: {why}"));
            }
            cause = why.source();
        }
    }
}

/// Checks the whole file on a thread of its own, once, while the world already runs on it. Dropping it ends the check.
pub(crate) struct Check {
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl Check {
    pub(crate) fn start(file: &JournalFile, damage: Damage) -> Result<Self, OpenError> {
        let conn = file.reader()?;
        let interrupt = conn.get_interrupt_handle();
        let run = move || match quick_check(&conn) {
            Ok(found) if found == "ok" => {}
            Ok(found) => damage.note(found.lines().last().unwrap_or(&found)),
            Err(why) if why.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                tracing::info!("the check of the journal's file was given up; `journal verify` does it all");
            }
            Err(why) => damage.judge(&why),
        };
        let thread = Builder::new().name("journal-check".into()).spawn(run);
        let thread = thread.map_err(|source| OpenError::Thread { source })?;
        Ok(Self { interrupt, thread: Some(thread) })
    }
}

impl Check {
    /// Ends it, if it still runs.
    pub(crate) fn give_up(&self) {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            self.interrupt.interrupt();
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.interrupt.interrupt();
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn quick_check(conn: &Connection) -> rusqlite::Result<String> {
    conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}
