//! The admin token: the right to act on a running world. The server makes it, the operators' commands read it.

use std::fmt::Write;
use std::path::Path;

use crate::app::Failure;
use crate::config::DATA_DEFAULT;

/// The token's file in a world's data directory.
const TOKEN_FILE: &str = "admin.token";
/// Alternatively this environment variable has the token, for the server and for the commands.
const TOKEN_VARIABLE: &str = "GUNDO_ADMIN_TOKEN";

/// The admin token of the world in `data`: from the environment, or from its file. Makes the file if it does not exist.
///
/// # Errors
/// The file cannot be read or made.
pub(crate) fn settle(data: &Path) -> Result<String, Failure> {
    if let Some(token) = given() {
        return Ok(token);
    }
    let file = data.join(TOKEN_FILE);
    match std::fs::read_to_string(&file) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot read {}: {error}", file.display()).into()),
    }
    let token = draw()?;
    write_private(&file, &token).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    Ok(token)
}

/// The admin token of a world that runs in many processes: they all have the one that its journal notes. Each has it in its own
/// file too, for the commands on its machine.
///
/// # Errors
/// The journal fails, or the file cannot be made.
#[cfg(feature = "cluster")]
pub(crate) fn settle_shared(data: &Path, journal: &dyn gundo_journal::Journal) -> Result<String, Failure> {
    if let Some(token) = given() {
        return Ok(token);
    }
    let token = journal.settle("admin_token", &draw()?)?;
    let file = data.join(TOKEN_FILE);
    if std::fs::read_to_string(&file).is_ok_and(|there| there.trim() == token) {
        return Ok(token);
    }
    write_private(&file, &token).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    Ok(token)
}

/// A new token.
fn draw() -> Result<String, Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|e| format!("no random numbers for an admin token: {e}"))?;
    Ok(secret.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes it");
        text
    }))
}

/// The admin token of the running world in `data`: from the environment, or from its file.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn of_world(data: &Path) -> Result<String, Failure> {
    if let Some(token) = given() {
        return Ok(token);
    }
    let token = std::fs::read_to_string(data.join(TOKEN_FILE)).map_err(|error| {
        let asked = if data == Path::new(DATA_DEFAULT) { ": name the world with --data DIR" } else { "" };
        format!("cannot read the admin token of the world in {} ({error}){asked}", data.display())
    })?;
    Ok(token.trim().to_owned())
}

fn given() -> Option<String> {
    std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty())
}

/// Writes a file that only its owner may read. The file is complete or does not exist.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let new = file.with_extension("new");
    // Remove the rest of an interrupted attempt.
    let _ = std::fs::remove_file(&new);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&new)?;
    writeln!(written, "{text}")?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let token = settle(dir.path()).expect("made");
        assert_eq!(token.len(), 64);
        assert_eq!(settle(dir.path()).expect("found"), token);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(TOKEN_FILE)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(settle(Path::new("/nowhere/at/all")).is_err());
    }
}
