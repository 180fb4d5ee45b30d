//! The operators' commands: list the nodes of a running world; kill, pause, drain, add and restart them.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_node::KeyFiles;
use gundo_node::{AdminBlamed, AdminError, AdminNode, AdminWorld};
use gundo_tls::rustls::ClientConfig;
use serde::de::DeserializeOwned;

use crate::app::{Failure, say};
use crate::cli::{AdminArgs, NodesCommand};
use crate::https::{self, Silence};
use crate::token;

/// Interval between two questions about the progress of a drain or a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a process that restarts may be silent.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);

/// Executes a command. False: it was refused.
pub(crate) fn run(command: &NodesCommand) -> Result<bool, Failure> {
    match command {
        NodesCommand::Nodes { json, admin } => {
            let world = Admin::new(admin)?.world()?;
            let text = if *json { serde_json::to_string_pretty(&world)? } else { table(&world) };
            say(&text);
        }
        NodesCommand::Kill { node, admin } => {
            Admin::new(admin)?.act(*node, "kill")?;
            say(&format!("node {node} is killed; `add` starts it again"));
        }
        NodesCommand::Pause { node, admin } => {
            Admin::new(admin)?.act(*node, "pause")?;
            say(&format!("node {node} is paused; `resume {node}` unfreezes it"));
        }
        NodesCommand::Resume { node, admin } => {
            Admin::new(admin)?.act(*node, "resume")?;
            say(&format!("node {node} runs again"));
        }
        NodesCommand::Drain { node, no_wait, admin } => {
            let admin = Admin::new(admin)?;
            admin.act(*node, "drain")?;
            if *no_wait {
                say(&format!("node {node} is being drained"));
            } else {
                admin.wait_for_drain(*node)?;
            }
        }
        NodesCommand::Add { admin } => {
            let admin = Admin::new(admin)?;
            let done: serde_json::Value = admin.post("/admin/nodes")?;
            let node = done["node"].as_u64().unwrap_or_default();
            let world = admin.world()?;
            let added = world.nodes.iter().find(|n| u64::from(n.node) == node);
            say(&format!("node {node} starts at {}", added.map_or("?", |n| &n.address)));
        }
        NodesCommand::Pardon { entity: None, admin } => {
            say(&list(&Admin::new(admin)?.get::<Vec<_>>("/admin/blamed")?));
        }
        NodesCommand::Pardon { entity: Some(entity), admin } => {
            let _: serde_json::Value = Admin::new(admin)?.post(&format!("/admin/pardon/{entity}"))?;
            say(&format!("{entity} is loaded again when it is needed"));
        }
        NodesCommand::Invite { count, days, admin } => {
            let path = format!("/admin/invitations/{count}/{days}");
            let all: Vec<String> = Admin::new(admin)?.post(&path)?;
            say(&all.join("\n"));
        }
        NodesCommand::Order(order) => return crate::order::run(order),
        NodesCommand::Rollout { no_wait, admin } => {
            let admin = Admin::new(admin)?;
            let before = admin.world()?;
            let _: serde_json::Value = admin.post("/admin/rollout")?;
            if *no_wait {
                say("restarting every node, one after another");
            } else {
                admin.wait_for_rollout(&before)?;
            }
        }
    }
    Ok(true)
}

/// The nodes as a table for people.
fn table(world: &AdminWorld) -> String {
    let mut text = String::from(
        "node  state       edge                        clients    real   ghost  chunks  incarnation\n",
    );
    for n in &world.nodes {
        let state = if n.state == "up" && !n.member { "removed" } else { &n.state };
        writeln!(
            text,
            "{:>4}  {state:<10}  {:<26} {:>8} {:>7} {:>7} {:>7}  {:>11}",
            n.node, n.address, n.sessions, n.reals, n.ghosts, n.chunks, n.incarnation
        )
        .expect("a string takes it");
    }
    write!(text, "view {}", world.epoch).expect("a string takes it");
    if let [first, rest @ ..] = &world.rollout[..] {
        write!(text, "; a rollout renews node {first}, then {} more", rest.len()).expect("a string takes it");
    }
    text
}

/// The blamed entities for people.
fn list(blamed: &[AdminBlamed]) -> String {
    if blamed.is_empty() {
        return "no node was lost over any entity".to_owned();
    }
    let word = |b: &AdminBlamed| if b.suspended { "not loaded" } else { "loaded" };
    let line = |b: &AdminBlamed| format!("{:<24}  {} points  {}", b.entity, b.points, word(b));
    blamed.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A client of a running world's admin API.
pub(crate) struct Admin {
    /// Host and port.
    authority: String,
    /// `None`: a certificate gives the right.
    token: Option<String>,
    line: Line,
}

/// How it is reached.
enum Line {
    Plain(ureq::Agent),
    Secure(Arc<ClientConfig>),
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Admin {
    pub(crate) fn new(args: &AdminArgs) -> Result<Self, Failure> {
        let authority = args.url.authority();
        if args.url.tls {
            let Some(of_world) = &args.authority else {
                let why = "https:// is for the address for operators (admin_listen with admin_tls): name the world's authority with \
                           --authority FILE, and your certificate with --certificate FILE --key FILE";
                return Err(why.into());
            };
            let own = args.certificate.clone().zip(args.key.clone());
            let own = own.map(|(certificate, key)| KeyFiles { certificate, key });
            let token = if own.is_some() { None } else { Some(token::of_world(&args.data)?) };
            let config = gundo_tls::operator_client(of_world, own.as_ref())?;
            return Ok(Self { authority, token, line: Line::Secure(config) });
        }
        if args.certificate.is_some() {
            return Err(
                "a certificate is shown over TLS only: give the address with --url https://HOST:PORT".into(),
            );
        }
        let token = Some(token::of_world(&args.data)?);
        // A refusal has a body that says why.
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Ok(Self { authority, token, line: Line::Plain(agent) })
    }

    fn world(&self) -> Result<AdminWorld, Failure> {
        self.get("/admin/nodes")
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask("GET", path)
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask("POST", path)
    }

    fn act(&self, node: u16, what: &str) -> Result<(), Failure> {
        self.post::<serde_json::Value>(&format!("/admin/nodes/{node}/{what}")).map(drop)
    }

    /// What was answered; a refusal says why.
    fn ask<T: DeserializeOwned>(&self, method: &'static str, path: &str) -> Result<T, Failure> {
        let (status, body) = self.send(method, path, "")?;
        if (200..300).contains(&status) {
            return Ok(serde_json::from_str(&body)?);
        }
        let why = match serde_json::from_str::<AdminError>(&body) {
            Ok(AdminError { code, text }) => format!("{text} ({code})"),
            Err(_) => format!("{} is not a world of this engine: HTTP {status}", self.url(path)),
        };
        Err(why.into())
    }

    fn url(&self, path: &str) -> String {
        let scheme = if matches!(self.line, Line::Secure(_)) { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority)
    }

    /// The status and the body of an answer.
    pub(crate) fn send(
        &self,
        method: &'static str,
        path: &str,
        body: &str,
    ) -> Result<https::Answer, Failure> {
        let url = self.url(path);
        Ok(match &self.line {
            Line::Plain(agent) => {
                let token = self.token.as_deref().unwrap_or_default();
                https::ask_plain(agent, method, &url, token, body).map_err(|error| match error {
                    ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                        self.nobody()
                    }
                    error => format!("{url}: {error}").into(),
                })?
            }
            Line::Secure(config) => {
                let (authority, token) = (&*self.authority, self.token.as_deref());
                let request = https::Request { authority, method, path, token, body, patience: PATIENCE };
                https::ask(config, &request).map_err(|silence| match silence {
                    Silence::Nobody => self.nobody(),
                    Silence::Other(why) => format!("{url}: {why}").into(),
                })?
            }
        })
    }

    fn nobody(&self) -> Failure {
        format!("no world answers at {}: is it running? Give its address with --url", self.authority).into()
    }

    fn wait_for_drain(&self, node: u16) -> Result<(), Failure> {
        let mut told = None;
        loop {
            let world = match self.world() {
                Ok(world) => world,
                // In a cluster its process ends with it, and it was asked itself.
                Err(_) if told.is_some() => {
                    say(&format!("node {node} was being emptied, and its process does not answer any more"));
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let status = world.nodes.iter().find(|n| n.node == node);
            let Some(AdminNode { sessions, reals, .. }) = status.filter(|n| n.state == "draining") else {
                say(&format!("node {node} is empty and has ended"));
                return Ok(());
            };
            if told != Some((*sessions, *reals)) {
                told = Some((*sessions, *reals));
                say(&format!("node {node}: {sessions} clients and {reals} entities still there"));
            }
            // Poll, because the world does not call back.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn wait_for_rollout(&self, before: &AdminWorld) -> Result<(), Failure> {
        let mut left = before.nodes.iter().filter(|n| n.incarnation > 0).count();
        let mut silent_since = None;
        loop {
            let world = match self.world() {
                Ok(world) => world,
                // In a cluster the process that leads the rollout restarts last.
                Err(_) if silent_since.get_or_insert_with(Instant::now).elapsed() < RESTART_PATIENCE => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
                Err(error) => return Err(error),
            };
            silent_since = None;
            if world.rollout.len() != left {
                left = world.rollout.len();
                match world.rollout.first() {
                    Some(node) => say(&format!("node {node} is being restarted; {} more to come", left - 1)),
                    None => true,
                };
            }
            if left > 0 {
                // As above.
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            let old = |n: &&AdminNode| {
                world.nodes.iter().any(|m| n.incarnation > 0 && m.incarnation == n.incarnation)
            };
            let old: Vec<_> = before.nodes.iter().filter(old).map(|n| n.node.to_string()).collect();
            if old.is_empty() {
                say("every node has been restarted");
                return Ok(());
            }
            return Err(format!("the rollout ended early; not restarted: {}", old.join(", ")).into());
        }
    }
}
