//! etcd: one member, or several that form a cluster, on loopback.
//!
//! Members are killed, stopped and started again from their files one by one, by their index.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{EngineError, Process, free_port, install};

/// A cluster that is not healthy after this time did not start, s: hundreds of times what it takes.
const START_S: u64 = 120;

/// Another process may take a port between its choice and its use: then all members start again, with others.
const STARTS_MAX: usize = 5;

/// Interval between two looks at a member that starts, ms.
const LOOK_MS: u64 = 20;

/// The signals that stop a process and let it go on.
const SIGSTOP: i32 = 19;
const SIGCONT: i32 = 18;

/// How members are started.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// Encryption for clients. Their certificates must be signed by the same authority.
    pub tls: Option<EtcdCertificates>,
    /// Where members serve clients (default: loopback).
    pub host: Option<Ipv4Addr>,
    /// Further arguments of every member.
    pub arguments: Vec<String>,
}

/// Files in PEM format.
#[derive(Clone, Debug)]
pub struct EtcdCertificates {
    /// The authority of clients.
    pub ca: PathBuf,
    /// The certificate of every member.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A running etcd. Dropping it kills all members; their files stay.
#[derive(Debug)]
pub struct Etcd {
    program: PathBuf,
    options: EtcdOptions,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    folder: PathBuf,
    client: u16,
    peer: u16,
    /// Health and figures, in plain HTTP also where clients need certificates.
    status: u16,
    process: Option<Process>,
}

impl Etcd {
    /// Starts this many members, with their files in `folder`, and waits until each is healthy. A missing etcd is installed where
    /// that can be done.
    ///
    /// # Errors
    /// They do not start.
    pub fn start(folder: &Path, members: usize, options: EtcdOptions) -> Result<Self, EngineError> {
        let program = install::program("etcd", &["/usr/bin"], "etcd-server")?;
        let mut failed = None;
        for attempt in 0..STARTS_MAX {
            let folder = folder.join(format!("start{attempt}"));
            let mut etcd = Self { program: program.clone(), options: options.clone(), members: Vec::new() };
            for number in 1..=members {
                let (name, folder) = (format!("m{number}"), folder.join(format!("m{number}")));
                std::fs::create_dir_all(&folder)?;
                let (client, peer, status) = (free_port()?, free_port()?, free_port()?);
                etcd.members.push(Member { name, folder, client, peer, status, process: None });
            }
            match etcd.start_all() {
                Ok(()) => return Ok(etcd),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("it was tried"))
    }

    /// Addresses of all members for clients.
    pub fn endpoints(&self) -> Vec<String> {
        let (scheme, host) = (self.scheme(), self.host());
        self.members.iter().map(|m| format!("{scheme}://{host}:{}", m.client)).collect()
    }

    /// The directory of a member.
    pub fn folder(&self, index: usize) -> &Path {
        &self.members[index].folder
    }

    /// Whether a member runs.
    pub fn runs(&mut self, index: usize) -> bool {
        self.members[index].process.as_mut().is_some_and(|process| process.check().is_ok())
    }

    /// Number of members.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Starts a member from its files, or for the first time. Does not wait for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_member(&mut self, index: usize) -> Result<(), EngineError> {
        let (scheme, host) = (self.scheme(), self.host());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<String> =
            self.members.iter().map(|m| format!("{}={}", m.name, url(m.peer))).collect();
        let member = &mut self.members[index];
        let client = format!("{scheme}://{host}:{}", member.client);
        let mut command = Command::new(&self.program);
        command
            .args(["--name", &member.name])
            .arg("--data-dir")
            .arg(member.folder.join("data"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args([
                "--listen-peer-urls",
                &url(member.peer),
                "--initial-advertise-peer-urls",
                &url(member.peer),
            ])
            .args(["--listen-metrics-urls", &url(member.status)])
            .args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap"])
            .args(&self.options.arguments);
        if let Some(tls) = &self.options.tls {
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(&tls.ca);
            command.arg("--cert-file").arg(&tls.certificate).arg("--key-file").arg(&tls.key);
        }
        // Settings of the machine's own etcd are not for this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ETCD_")) {
            command.env_remove(name);
        }
        member.process = Some(Process::start(&mut command, &member.folder.join("log"))?);
        Ok(())
    }

    /// Waits until a member that runs serves requests: it has a leader and answers.
    ///
    /// # Errors
    /// It ended, or is not healthy in two minutes.
    pub fn wait_healthy(&mut self, index: usize) -> Result<(), EngineError> {
        let late = Instant::now() + Duration::from_secs(START_S);
        let member = &mut self.members[index];
        loop {
            let Some(process) = &mut member.process else {
                return Err(failed(format!("member {} does not run", member.name)));
            };
            process.check()?;
            if get(member.status, "/health").is_ok_and(|answer| answer.contains("\"true\"")) {
                return Ok(());
            }
            if Instant::now() > late {
                return Err(failed(format!("member {} is not healthy after {START_S} s", member.name)));
            }
            // Another look soon: it says nothing by itself.
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }

    /// Ends a member at once, as SIGKILL does. Its files stay.
    pub fn kill(&mut self, index: usize) {
        self.members[index].process = None;
    }

    /// Stops a member (SIGSTOP): its connections stay, and it answers nothing.
    ///
    /// # Errors
    /// It has ended.
    pub fn stop(&mut self, index: usize) -> Result<(), EngineError> {
        self.signal(index, SIGSTOP)
    }

    /// Lets a stopped member go on (SIGCONT).
    ///
    /// # Errors
    /// It has ended.
    pub fn go_on(&mut self, index: usize) -> Result<(), EngineError> {
        self.signal(index, SIGCONT)
    }

    /// The member that leads, as the members themselves say; `None`: none says so now.
    pub fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| {
            let figures = member.process.as_ref().and_then(|_| get(member.status, "/metrics").ok());
            figures.is_some_and(|text| text.lines().any(|line| line == "etcd_server_is_leader 1"))
        })
    }

    fn start_all(&mut self) -> Result<(), EngineError> {
        (0..self.members.len()).try_for_each(|index| self.start_member(index))?;
        (0..self.members.len()).try_for_each(|index| self.wait_healthy(index))
    }

    fn signal(&mut self, index: usize, signal: i32) -> Result<(), EngineError> {
        let member = &mut self.members[index];
        match &mut member.process {
            Some(process) => process.signal(signal),
            None => Err(failed(format!("member {} does not run", member.name))),
        }
    }

    fn host(&self) -> Ipv4Addr {
        self.options.host.unwrap_or(Ipv4Addr::LOCALHOST)
    }

    fn scheme(&self) -> &'static str {
        if self.options.tls.is_some() { "https" } else { "http" }
    }
}

fn failed(what: String) -> EngineError {
    EngineError::Failed { program: "etcd".into(), what }
}

/// Asks a server on loopback in HTTP; a server that hangs is an error soon.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
