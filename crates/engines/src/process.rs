//! A child process that ends with its value.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::EngineError;

/// A TCP port of loopback that is free now. Another process may take it before the caller does: then its server says so at start.
///
/// # Errors
/// The system has no free port.
pub fn free_port() -> Result<u16, EngineError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    program: String,
    log: PathBuf,
}

impl Process {
    /// Starts a program. What it prints goes to the file `log`, which is begun again.
    ///
    /// # Errors
    /// It cannot be started, or the file not be written.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, EngineError> {
        let file = File::create(log)?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command
            .spawn()
            .map_err(|error| EngineError::Failed { program: program.clone(), what: error.to_string() })?;
        Ok(Self { child, program, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as 15 (SIGTERM).
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&mut self, signal: i32) -> Result<(), EngineError> {
        if let Some(status) = self.child.try_wait()? {
            return Err(self.ended(status));
        }
        let status = Command::new("kill").args([format!("-{signal}"), self.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(self.failed("kill was refused".to_owned())) }
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// It has ended: its status and the last lines of its log.
    pub fn check(&mut self) -> Result<(), EngineError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The system does not say.
    pub fn wait(&mut self) -> Result<ExitStatus, EngineError> {
        Ok(self.child.wait()?)
    }

    /// An error about this program.
    pub fn failed(&self, what: String) -> EngineError {
        EngineError::Failed { program: self.program.clone(), what }
    }

    fn ended(&self, status: ExitStatus) -> EngineError {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let mut last: Vec<&str> = log.lines().rev().take(5).collect();
        last.reverse();
        self.failed(format!("it ended with {status}; it said last: {}", last.join(" | ")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
