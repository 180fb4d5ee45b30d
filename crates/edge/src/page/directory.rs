//! A page that is a directory: what lies there, read into memory, and read again when it has changed.
//!
//! A look lists the directory and compares; only a list that differs from the last one is read. One look runs at a time, and requests that
//! wait for it share the next one. Symbolic links are not followed: what is served is what lies in the directory.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Files, Page};

/// A directory that a page is read from.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    /// Looks begun. One that began after a request came is new enough for it.
    looks: AtomicU64,
    /// Held by the one look that runs.
    seen: Arc<Mutex<Seen>>,
}

/// What the last look found.
#[derive(Debug)]
struct Seen {
    /// What was read last.
    list: Vec<Listed>,
    /// Why the last look failed: the same is not logged twice in a row.
    failure: Option<String>,
}

/// A file in a list.
#[derive(Debug, PartialEq)]
struct Listed {
    /// From the root, with slashes.
    path: String,
    bytes: u64,
    changed: Option<SystemTime>,
}

impl Directory {
    /// Reads everything below `root`.
    pub(super) fn open(root: PathBuf) -> io::Result<(Self, Files)> {
        let list = list(&root)?;
        let files = read(&root, &list)?;
        let seen = Arc::new(Mutex::new(Seen { list, failure: None }));
        Ok((Self { root, looks: AtomicU64::new(0), seen }, files))
    }
}

impl Page {
    /// Reads the page again if it is a directory that has changed.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let Some(directory) = &self.directory else { return };
        let before = directory.looks.load(Ordering::Acquire);
        let seen = Arc::clone(&directory.seen).lock_owned().await;
        if directory.looks.load(Ordering::Acquire) > before {
            return;
        }
        directory.looks.fetch_add(1, Ordering::AcqRel);
        let page = Arc::clone(self);
        // The disk is not waited for on an I/O thread. A look that panicked leaves the page as it was.
        let _ = tokio::task::spawn_blocking(move || page.look(seen)).await;
    }

    fn look(&self, mut seen: OwnedMutexGuard<Seen>) {
        let Some(Directory { root, .. }) = &self.directory else { return };
        let looked = list(root).and_then(|list| match list == seen.list {
            true => Ok(None),
            false => read(root, &list).map(|files| Some((list, files))),
        });
        match looked {
            Ok(None) => seen.failure = None,
            Ok(Some((list, files))) => {
                tracing::info!(page = %root.display(), files = list.len(), "the page has changed and was read again");
                *seen = Seen { list, failure: None };
                self.replace(files);
            }
            Err(error) => {
                let failure = Some(error.to_string());
                if seen.failure != failure {
                    tracing::error!(%error, "the page has changed and cannot be read: the old one is served");
                    seen.failure = failure;
                }
            }
        }
    }
}

/// Every file below `root`, in order.
fn list(root: &Path) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    let mut folders = vec![String::new()];
    let (mut count, mut bytes) = (0, 0);
    while let Some(folder) = folders.pop() {
        // Joined with nothing, a path would end with a slash.
        let here = if folder.is_empty() { root.to_owned() } else { root.join(&folder) };
        for entry in fs::read_dir(&here).map_err(at(&here))? {
            let entry = entry.map_err(at(&here))?;
            count += 1;
            if count > Page::FILES_MAX {
                return Err(too_much(root, &format!("more than {} files and folders", Page::FILES_MAX)));
            }
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // Of the link itself, not of what it points to.
            let data = entry.metadata().map_err(at(&entry.path()))?;
            let Some(name) = name.to_str() else {
                return Err(at(&entry.path())(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its name is not UTF-8",
                )));
            };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if data.is_dir() {
                folders.push(path);
            } else if data.is_file() {
                bytes += data.len();
                if bytes > Page::BYTES_MAX {
                    return Err(too_much(root, &format!("more than {} bytes", Page::BYTES_MAX)));
                }
                listed.push(Listed { path, bytes: data.len(), changed: data.modified().ok() });
            }
        }
    }
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listed)
}

/// The page that is these files.
fn read(root: &Path, list: &[Listed]) -> io::Result<Files> {
    let mut files = Vec::with_capacity(list.len());
    let mut left = Page::BYTES_MAX;
    for listed in list {
        let path = root.join(&listed.path);
        let mut bytes = Vec::new();
        // A file may have grown since it was listed.
        let read = fs::File::open(&path).and_then(|file| file.take(left + 1).read_to_end(&mut bytes));
        read.map_err(at(&path))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| too_much(root, &format!("more than {} bytes", Page::BYTES_MAX)))?;
        files.push((listed.path.clone(), Bytes::from(bytes)));
    }
    let invalid = |why| at(root)(io::Error::new(io::ErrorKind::InvalidData, why));
    Files::new(files, |_| None).map_err(invalid)
}

/// Names the file or directory of an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn too_much(root: &Path, what: &str) -> io::Error {
    at(root)(io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} are too much for a page")))
}
