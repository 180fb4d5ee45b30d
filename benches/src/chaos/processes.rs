//! The processes of the nodes: started, signalled, started again when they end, as systemd would do it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::network::{Network, run};
use crate::Failure;
use crate::stage::look_on;

/// A process that has ended starts again after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nodes may take to save everything at the end.
const END: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// One node.
pub(super) struct Node {
    pub(super) number: u16,
    pub(super) dir: PathBuf,
    pub(super) clients: SocketAddr,
    pub(super) operators: SocketAddr,
    child: Option<Child>,
    /// When it starts.
    due: Option<Instant>,
    /// By how much the clock of its machine is off, as `faketime` writes it; and the library that does it.
    clock: Option<(String, PathBuf)>,
    /// The program of another release that it runs; `None`: this one.
    other: Option<PathBuf>,
    /// We have ended it.
    killed: bool,
    /// How it ended by itself.
    pub(super) ends: Vec<String>,
}

impl Node {
    pub(super) fn new(number: u16, dir: PathBuf, clients: SocketAddr, operators: SocketAddr) -> Self {
        let due = Some(Instant::now());
        Self {
            number,
            dir,
            clients,
            operators,
            child: None,
            due,
            clock: None,
            other: None,
            killed: false,
            ends: Vec::new(),
        }
    }

    /// Starts it if it is due, and notices its end.
    pub(super) fn tend(&mut self, network: Option<&Network>) -> Result<(), Failure> {
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait()? else { return Ok(()) };
            self.child = None;
            if !std::mem::take(&mut self.killed) {
                self.ends.push(format!("node {} ended by itself: {status}", self.number));
            }
            self.due = Some(Instant::now() + AGAIN);
        }
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            self.start(network)?;
        }
        Ok(())
    }

    fn start(&mut self, network: Option<&Network>) -> Result<(), Failure> {
        let (program, words) = match &self.other {
            Some(other) => (other.clone(), &["node"][..]),
            None => (std::env::current_exe()?, &["pioneer", "node"][..]),
        };
        let mut command = match network {
            Some(network) => network.command(self.number, &program),
            None => Command::new(&program),
        };
        command.args(words).arg("--config").arg(self.dir.join("node.toml"));
        if let Some((off, library)) = &self.clock {
            // Only the wall clock: no machine's clock of intervals jumps.
            command.env("LD_PRELOAD", library).env("FAKETIME", off);
            command
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log"))?;
        self.child = Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Kills it. It starts again by itself, with a clock that is so much off.
    pub(super) fn kill(&mut self, clock: Option<(String, PathBuf)>) -> Result<(), Failure> {
        self.clock = clock;
        self.killed = true;
        self.signal("KILL")
    }

    /// Has it hand everything over, and start as the other of two releases.
    pub(super) fn change_version(&mut self, other: Option<PathBuf>) -> Result<(), Failure> {
        self.other = if self.other.is_some() { None } else { other };
        self.killed = true;
        self.signal("TERM")
    }

    pub(super) fn signal(&self, signal: &str) -> Result<(), Failure> {
        let Some(child) = &self.child else { return Ok(()) };
        // It may have ended meanwhile.
        let _ = run(&["kill", &format!("-{signal}"), &child.id().to_string()]);
        Ok(())
    }

    /// What it says at a path for operators; nothing if it does not answer.
    pub(super) fn ask(&self, path: &str) -> Option<String> {
        let limit = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&self.operators, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Black boxes of faults of the engine, and the last lines of its log.
    pub(super) fn boxes(&self, of: &str) -> usize {
        let Ok(dir) = fs::read_dir(self.dir.join("blackbox")) else { return 0 };
        dir.filter_map(Result::ok).filter(|file| file.file_name().to_string_lossy().contains(of)).count()
    }
}

/// Ends all nodes: each saves what it has.
pub(super) fn end(nodes: &mut [Node]) -> Result<(), Failure> {
    for node in &*nodes {
        node.signal("CONT")?;
        node.signal("QUIT")?;
    }
    let give_up = Instant::now() + END;
    for node in nodes {
        let Some(mut child) = node.child.take() else { continue };
        while child.try_wait()?.is_none() {
            if Instant::now() > give_up {
                child.kill()?;
                child.wait()?;
                return Err(format!("node {} did not end within {END:?}", node.number).into());
            }
            look_on(LOOK);
        }
    }
    Ok(())
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The library that sets the clock off, if there is one or it can be installed.
pub(super) fn clock_library() -> Option<PathBuf> {
    gundo_engines::install::program("faketime", &[], "faketime").ok()?;
    let find = |dir: &Path| {
        let entries = fs::read_dir(dir).ok()?.filter_map(Result::ok);
        entries.map(|entry| entry.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())
    };
    find(Path::new("/usr/lib"))
}
