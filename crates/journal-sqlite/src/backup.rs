//! Backups: a copy of the journal as of one moment, made while the server runs, and putting one back.
//!
//! A backup is a directory with one file, a journal of its own: [`verify`](crate::verify()) and the journal's tools read it like
//! any other. Copying `journal.sqlite` of a running server by hand is no backup: most of it may be in the log beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::open::{JournalFile, OpenError, lock, wall_ms};
use crate::{JOURNAL_FILE, schema};

/// What a backup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Bytes of the file.
    pub bytes: u64,
    /// The wall clock when it was made, ms since 1970.
    pub at_ms: u64,
}

/// Why a backup cannot be made or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The journal, or the backup, cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target is there already.
    #[error("{} is there already: choose a new directory for the backup", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// The data directory has a world.
    #[error(
        "{} has a journal already: stop its server and add --replace, which keeps the old journal in a directory beside it",
        dir.display()
    )]
    Occupied {
        /// The directory.
        dir: PathBuf,
    },
    /// The copy is not sound.
    #[error("the copy of {} is damaged ({detail}): `journal verify` tells more; the backup was not made", file.display())]
    Damaged {
        /// The journal.
        file: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// SQLite failed.
    #[error("cannot copy {} to {}: see that both disks are there, writable and not full", from.display(), to.display())]
    Copy {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file system failed.
    #[error("cannot write {}: see that its disk is there, writable and not full", path.display())]
    Files {
        /// What was being written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies the journal of the data directory `data` into the new directory `target`, as of one moment, also while a server runs on it.
/// Everything acknowledged before the call is in it. The log of the running journal cannot shrink until the copy is done.
///
/// `target` appears at the end, complete and on the disk, or not at all. The copy is checked (SQLite's `quick_check`).
///
/// # Errors
/// There is no journal in `data`, `target` exists, or a disk fails; the message says what to do.
pub fn backup(data: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<BackedUp, BackupError> {
    let (data, target) = (data.as_ref(), target.as_ref());
    if target.exists() {
        return Err(BackupError::Exists { dir: target.to_owned() });
    }
    let source = JournalFile::new(data);
    let from = source.visitor()?;
    let making = beside(target, "making");
    let failed = |why| BackupError::Files { path: making.clone(), source: why };
    if making.exists() {
        fs::remove_dir_all(&making).map_err(failed)?;
    }
    fs::create_dir_all(&making).map_err(failed)?;
    let made = copy(&source, &from, &making.join(JOURNAL_FILE), false).and_then(|at_ms| {
        let bytes = fs::metadata(making.join(JOURNAL_FILE)).map_err(failed)?.len();
        sync(&making).map_err(failed)?;
        fs::rename(&making, target).map_err(failed)?;
        sync_parent(target).map_err(|source| BackupError::Files { path: target.to_owned(), source })?;
        Ok(BackedUp { bytes, at_ms })
    });
    made.inspect_err(|_| drop(fs::remove_dir_all(&making)))
}

fn copy(source: &JournalFile, from: &Connection, path: &Path, goes_back: bool) -> Result<u64, BackupError> {
    let failed = |why| BackupError::Copy { from: source.path.clone(), to: path.to_owned(), source: why };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut to = Connection::open_with_flags(path, flags).map_err(failed)?;
    // All pages in one step: SQLite begins from the first page again whenever somebody writes between two steps.
    Backup::new(from, &mut to).and_then(|copy| copy.step(-1)).map_err(failed)?;
    let at_ms = wall_ms();
    // One file without a log, closed and on the disk.
    to.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    to.execute(schema::SET_META, [schema::IN_USE, "0"]).map_err(failed)?;
    to.execute(schema::SET_META, ["backup_ms", &at_ms.to_string()]).map_err(failed)?;
    if goes_back {
        schema::begin_generation(&to, at_ms).map_err(failed)?;
    }
    let check: String = to.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if check != "ok" {
        return Err(BackupError::Damaged { file: source.path.clone(), detail: check });
    }
    to.close().map_err(|(_, why)| failed(why))?;
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| BackupError::Files { path: path.to_owned(), source })?;
    Ok(at_ms)
}

/// Puts the backup in the directory `backup` back into the data directory `data`, where no server runs. With `replace` a journal that is
/// there is kept, in a directory `replaced-…` in `data`. The journal that results is a new generation: nodes and clients that
/// know more than it has are told so.
///
/// # Errors
/// `backup` has no journal, `data` has one and `replace` is false, a server runs there, or a disk fails; the message says what to do.
pub fn restore(
    backup: impl AsRef<Path>,
    data: impl AsRef<Path>,
    replace: bool,
) -> Result<BackedUp, BackupError> {
    let (backup, data) = (backup.as_ref(), data.as_ref());
    let source = JournalFile::new(backup);
    let from = source.visitor()?;
    fs::create_dir_all(data).map_err(|source| OpenError::CreateDir { dir: data.to_owned(), source })?;
    let _lock = lock(data)?;
    let file = JournalFile::new(data);
    if file.path.exists() && !replace {
        return Err(BackupError::Occupied { dir: data.to_owned() });
    }
    let arriving = data.join("journal.restoring");
    let failed = |source| BackupError::Files { path: arriving.clone(), source };
    if arriving.exists() {
        fs::remove_file(&arriving).map_err(failed)?;
    }
    let at_ms = copy(&source, &from, &arriving, true).inspect_err(|_| drop(fs::remove_file(&arriving)))?;
    let bytes = fs::metadata(&arriving).map_err(failed)?.len();
    if file.path.exists() {
        put_aside(&file, data, at_ms)?;
    }
    fs::rename(&arriving, &file.path).map_err(failed)?;
    sync(data).map_err(failed)?;
    Ok(BackedUp { bytes, at_ms })
}

/// Moves a journal and its log into a directory of their own. The log goes last: a journal without its log is noticed, a log
/// beside another journal would be believed.
fn put_aside(file: &JournalFile, data: &Path, at_ms: u64) -> Result<(), BackupError> {
    let aside = data.join(format!("replaced-{at_ms}"));
    let failed = |source| BackupError::Files { path: aside.clone(), source };
    fs::create_dir(&aside).map_err(failed)?;
    for path in [file.path.clone(), file.log()] {
        if let Some(name) = path.file_name().filter(|_| path.exists()) {
            fs::rename(&path, aside.join(name)).map_err(failed)?;
        }
    }
    let shared = file.beside("-shm");
    if shared.exists() {
        fs::remove_file(shared).map_err(failed)?;
    }
    sync(&aside).and_then(|()| sync(data)).map_err(failed)
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    target.with_file_name(name)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync(parent),
        None => sync(Path::new(".")),
    }
}
