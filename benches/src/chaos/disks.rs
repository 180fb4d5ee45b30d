//! Small disks: directories on file systems in memory, which can be filled and emptied.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::network::run;
use crate::Failure;

/// What fills a disk.
const BALLAST: &str = "ballast";
const PIECE: usize = 1 << 20;

/// Directories with a disk of their own. Dropping it takes the disks away.
#[derive(Default)]
pub(super) struct Disks(Vec<PathBuf>);

impl Disks {
    /// Makes the directory with a disk of so many MiB.
    pub(super) fn add(&mut self, dir: &Path, mib: u32) -> Result<(), Failure> {
        fs::create_dir_all(dir)?;
        run(&["mount", "-t", "tmpfs", "-o", &format!("size={mib}m,mode=0755"), "gundo", &text(dir)?])?;
        self.0.push(dir.to_owned());
        Ok(())
    }

    /// Whether the directory is one of them.
    pub(super) fn has(&self, dir: &Path) -> bool {
        self.0.iter().any(|disk| disk == dir)
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for dir in &self.0 {
            // Something may still look at it: then it goes when that ends.
            let _ = text(dir).and_then(|dir| run(&["umount", "-l", &dir]));
        }
    }
}

/// Fills the disk of a directory to the last byte. Returns how much it took.
pub(super) fn fill(dir: &Path) -> Result<u64, Failure> {
    let mut file = File::create(dir.join(BALLAST))?;
    let (mut size, mut written) = (PIECE, 0);
    let zeros = vec![0; PIECE];
    while size > 0 {
        match file.write(&zeros[..size]) {
            Ok(count @ 1..) => written += count as u64,
            _ => size /= 2,
        }
    }
    Ok(written)
}

/// Gives the room back.
pub(super) fn empty(dir: &Path) -> Result<(), Failure> {
    Ok(fs::remove_file(dir.join(BALLAST))?)
}

fn text(dir: &Path) -> Result<String, Failure> {
    dir.to_str().map(str::to_owned).ok_or_else(|| "the directory's name is not UTF-8".into())
}
