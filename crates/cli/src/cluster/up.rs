//! `cluster`: a whole cluster on this machine, on real engines: etcd, PostgreSQL and one process per node.
//!
//! `up` runs in the foreground: it starts the engines and the nodes, starts again what fails, and ends them all. The other commands
//! talk to it by files in the cluster's directory: `up.pid` has its process, `nodes` how many nodes there should be, `node-2/pid` the
//! process of node 2, and `node-2/start` asks for the start of one that has ended. They need nothing else, so they work while nodes hang.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gundo_engines::etcd::{Etcd, EtcdOptions};
use gundo_engines::postgres::Postgres;

use gundo_fabric_grpc::{TlsFiles, certs};
use gundo_node::Listen;
use gundo_types::NodeId;

use super::config::{ClusterConfig, EtcdConfig, PostgresConfig, TlsConfig};
use crate::app::{Failure, say};
use crate::cli::{ClusterArgs, ClusterCommand, UpArgs};
use crate::config::Config;

/// Nodes of one cluster on one machine: each has three ports.
const NODES_MAX: u16 = 64;
/// From the port of a node's clients to those of its operators and of its peers.
const TO_ADMIN: u16 = 100;
const TO_FABRIC: u16 = 200;
/// Between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A process that failed starts again after this time, and after twice as long each time, at most the second.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long nodes may take to save everything at the end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// Executes a command.
pub(crate) fn run(command: &ClusterCommand, prefix: &'static [&'static str]) -> Result<bool, Failure> {
    match command {
        ClusterCommand::Up(args) => up(args, prefix),
        ClusterCommand::Down { cluster } => down(&cluster.dir),
        ClusterCommand::Add { cluster } => add(&cluster.dir),
        ClusterCommand::Kill { node, cluster } => {
            signal(&cluster.dir, *node, "KILL")?;
            say(&format!("node {node} was killed (SIGKILL); its process starts again"));
            Ok(true)
        }
        ClusterCommand::Pause { node, cluster } => {
            signal(&cluster.dir, *node, "STOP")?;
            say(&format!("node {node} is paused (SIGSTOP); `resume {node}` lets it go on"));
            Ok(true)
        }
        ClusterCommand::Resume { node, cluster } => {
            signal(&cluster.dir, *node, "CONT")?;
            say(&format!("node {node} goes on (SIGCONT)"));
            Ok(true)
        }
        ClusterCommand::Status { cluster } => operate(&["nodes".into()], cluster, prefix),
        ClusterCommand::Drain { node, cluster } => {
            operate(&["drain".into(), node.to_string().into()], cluster, prefix)
        }
        ClusterCommand::Rollout { cluster } => operate(&["rollout".into()], cluster, prefix),
        ClusterCommand::Operate { command, cluster } => operate(command, cluster, prefix),
    }
}

/// The files of a cluster.
struct Files {
    dir: PathBuf,
}

impl Files {
    fn new(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        // Engines run in directories of their own.
        let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Self { dir })
    }

    fn of_a_running(dir: &Path) -> Result<Self, Failure> {
        let files = Self { dir: dir.to_owned() };
        match read_number(&files.up()) {
            Some(pid) if is_alive(pid) => Ok(files),
            _ => Err(format!("no cluster runs in {}: `cluster up` starts one", dir.display()).into()),
        }
    }

    fn up(&self) -> PathBuf {
        self.dir.join("up.pid")
    }

    fn count(&self) -> PathBuf {
        self.dir.join("nodes")
    }

    fn port(&self) -> PathBuf {
        self.dir.join("port")
    }

    fn node(&self, node: u16) -> PathBuf {
        self.dir.join(format!("node-{node}"))
    }

    fn pid(&self, node: u16) -> PathBuf {
        self.node(node).join("pid")
    }

    fn start(&self, node: u16) -> PathBuf {
        self.node(node).join("start")
    }

    fn write(&self, file: &Path, text: impl std::fmt::Display) -> Result<(), Failure> {
        fs::write(file, format!("{text}\n"))
            .map_err(|error| format!("cannot write {}: {error}", file.display()).into())
    }
}

fn read_number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn is_alive(pid: u32) -> bool {
    // A process that has ended and was not waited for has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn send(pid: u32, signal: &str) -> Result<(), Failure> {
    let sent =
        Command::new("kill").args([format!("-{signal}"), pid.to_string()]).stderr(Stdio::null()).status()?;
    if sent.success() { Ok(()) } else { Err(format!("process {pid} takes no signal").into()) }
}

fn signal(dir: &Path, node: u16, signal: &str) -> Result<(), Failure> {
    let files = Files::of_a_running(dir)?;
    let pid = read_number(&files.pid(node)).filter(|pid| is_alive(*pid));
    send(pid.ok_or_else(|| format!("node {node} does not run in {}", dir.display()))?, signal)
}

fn down(dir: &Path) -> Result<bool, Failure> {
    let files = Files::of_a_running(dir)?;
    let pid = read_number(&files.up()).unwrap_or_default();
    send(pid, "TERM")?;
    let give_up = Instant::now() + END_PATIENCE * 2;
    while is_alive(pid) {
        if Instant::now() > give_up {
            return Err(format!("the cluster (process {pid}) does not end").into());
        }
        // It is no child of ours, so nothing tells when it ends.
        std::thread::sleep(LOOK_EVERY);
    }
    say("the cluster has ended; the process that started it says whether everything is saved");
    Ok(true)
}

fn add(dir: &Path) -> Result<bool, Failure> {
    let files = Files::of_a_running(dir)?;
    let before = read_number(&files.count()).unwrap_or(0);
    let runs = |node: &u16| read_number(&files.pid(*node)).is_some_and(is_alive);
    if let Some(node) = (1..=before as u16).find(|node| !runs(node)) {
        files.write(&files.start(node), "")?;
        say(&format!("node {node} starts"));
        return Ok(true);
    }
    let count = before + 1;
    if count > u32::from(NODES_MAX) {
        return Err(format!("a cluster on one machine has {NODES_MAX} nodes at most").into());
    }
    files.write(&files.count(), count)?;
    say(&format!("node {count} starts"));
    Ok(true)
}

/// An operators' command, to any node that runs.
fn operate(command: &[std::ffi::OsString], cluster: &ClusterArgs, prefix: &[&str]) -> Result<bool, Failure> {
    let files = Files::of_a_running(&cluster.dir)?;
    let port = read_number(&files.port()).unwrap_or_default();
    let count = read_number(&files.count()).unwrap_or(0) as u16;
    let answers = |node: &u16| {
        let alive = read_number(&files.pid(*node)).is_some_and(is_alive);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port as u16 + TO_ADMIN + node - 1));
        alive && std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
    };
    let node = (1..=count).find(answers).ok_or("no node of the cluster answers")?;
    let url = format!("http://127.0.0.1:{}", port as u16 + TO_ADMIN + node - 1);
    let status = Command::new(std::env::current_exe()?)
        .args(prefix)
        .args(command)
        .args(["--url", &url, "--data"])
        .arg(files.node(node))
        .status()?;
    Ok(status.success())
}

/// One node's process.
struct Running {
    node: u16,
    child: Option<Child>,
    began: Instant,
    waits: Duration,
    due: Option<Instant>,
}

/// Starts a cluster, keeps it running, and ends it. `prefix`: words of the program before its commands.
fn up(args: &UpArgs, prefix: &[&str]) -> Result<bool, Failure> {
    let files = Files::new(&args.cluster.dir)?;
    if let Some(pid) = read_number(&files.up()).filter(|pid| is_alive(*pid)) {
        return Err(format!("a cluster runs in {} already (process {pid})", files.dir.display()).into());
    }
    if !(1..=NODES_MAX).contains(&args.nodes) || !matches!(args.etcd_members, 1 | 3 | 5) {
        return Err(format!("a cluster has 1 to {NODES_MAX} nodes, and 1, 3 or 5 members of etcd").into());
    }
    if args.port > u16::MAX - TO_FABRIC - NODES_MAX {
        return Err("the port is too high: the nodes' other ports follow it".into());
    }
    let ended = listen()?;
    let (postgres, etcd) = (files.dir.join("postgres"), files.dir.join("etcd"));
    fs::create_dir_all(&postgres)?;
    say("starting PostgreSQL and etcd");
    let postgres = Postgres::start_again(&postgres)?;
    // Who belonged to the last cluster does not matter: its processes have ended.
    if etcd.exists() {
        fs::remove_dir_all(&etcd)?;
    }
    fs::create_dir_all(&etcd)?;
    let etcd = Etcd::start(&etcd, args.etcd_members, EtcdOptions::default())?;
    files.write(&files.count(), args.nodes)?;
    files.write(&files.port(), args.port)?;
    files.write(&files.up(), std::process::id())?;
    let password = files.dir.join("postgres-password");
    files.write(&password, Postgres::PASSWORD)?;
    let engines = (etcd.endpoints(), postgres.connection(), password);
    let mut nodes: Vec<Running> = Vec::new();
    while !ended.load(Ordering::Acquire) {
        let wanted = read_number(&files.count()).unwrap_or(0).min(u32::from(NODES_MAX)) as u16;
        for node in nodes.len() as u16 + 1..=wanted {
            configure(&files, args, node, &engines)?;
            let now = Instant::now();
            nodes.push(Running { node, child: None, began: now, waits: Duration::ZERO, due: Some(now) });
            say(&format!("node {node}: http://127.0.0.1:{}", args.port + node - 1));
        }
        for running in &mut nodes {
            look(&files, running, prefix)?;
        }
        // Children tell nothing: only looking does.
        std::thread::sleep(LOOK_EVERY);
    }
    say("ending the nodes");
    let saved = end(&mut nodes);
    drop(etcd);
    let mut postgres = postgres;
    postgres.stop();
    // The next start begins it again.
    let _ = fs::remove_file(files.up());
    say(if saved { "everything is saved" } else { "not everything is saved: the nodes' logs say what" });
    Ok(saved)
}

/// Starts a node that is due, and plans the next start of one that has failed.
fn look(files: &Files, running: &mut Running, prefix: &[&str]) -> Result<(), Failure> {
    if let Some(child) = &mut running.child {
        let Some(status) = child.try_wait()? else { return Ok(()) };
        running.child = None;
        // The file of a process that has ended is not needed.
        let _ = fs::remove_file(files.pid(running.node));
        if status.success() {
            say(&format!("node {} has ended", running.node));
            return Ok(());
        }
        let lived = running.began.elapsed();
        running.waits =
            if lived > RESTART.1 { RESTART.0 } else { (running.waits * 2).clamp(RESTART.0, RESTART.1) };
        running.due = Some(Instant::now() + running.waits);
        let log = files.node(running.node).join("log");
        say(&format!("node {} ended ({status}); it starts again. Its log: {}", running.node, log.display()));
        return Ok(());
    }
    if fs::remove_file(files.start(running.node)).is_ok() {
        running.due = Some(Instant::now());
    }
    if running.due.is_some_and(|due| due <= Instant::now()) {
        running.due = None;
        running.began = Instant::now();
        let dir = files.node(running.node);
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(prefix).arg("node").arg("--config").arg(dir.join("node.toml"));
        // Signals of the keyboard are for this process, which ends the nodes in its way.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        files.write(&files.pid(running.node), child.id())?;
        running.child = Some(child);
    }
    Ok(())
}

/// Ends all nodes: each saves what it has.
/// Ends the nodes. Returns whether each says that it has saved everything.
fn end(nodes: &mut [Running]) -> bool {
    let children = || nodes.iter().filter_map(|running| running.child.as_ref());
    for child in children() {
        // A paused one hears the next signal only when it goes on. It may have ended.
        let _ = send(child.id(), "QUIT").and_then(|()| send(child.id(), "CONT"));
    }
    let give_up = Instant::now() + END_PATIENCE;
    let mut saved = true;
    for running in nodes {
        let Some(child) = &mut running.child else { continue };
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < give_up {
            // The standard library waits for a child with a limit only by looking.
            std::thread::sleep(LOOK_EVERY);
        }
        if matches!(child.try_wait(), Ok(None)) {
            say(&format!(
                "node {} did not end in time and was killed; nothing acknowledged is lost",
                running.node
            ));
            let _ = child.kill();
        }
        saved &= child.wait().is_ok_and(|status| status.success());
    }
    saved
}

/// Writes the configuration of a node.
fn configure(
    files: &Files,
    args: &UpArgs,
    node: u16,
    (etcd, postgres, password): &(Vec<String>, String, PathBuf),
) -> Result<(), Failure> {
    let dir = files.node(node);
    fs::create_dir_all(&dir)?;
    let port = args.port + node - 1;
    for port in [port, port + TO_ADMIN, port + TO_FABRIC] {
        TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            format!("port {port} of this machine is not free ({error}): choose others with --port")
        })?;
    }
    let tls = if args.tls {
        let dir = files.dir.join("certs");
        certs::make_authority(&dir)?;
        let TlsFiles { authority, certificate, key } =
            certs::make_node(&dir, NodeId(node), certs::NODE_DAYS)?;
        Some(TlsConfig { authority, certificate, key })
    } else {
        None
    };
    let local = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut config = Config::default();
    config.data.clone_from(&dir);
    config.listen = Listen::Address(local(port));
    config.advertise = format!(":{port}").parse().map_err(|error| format!("{error}"))?;
    config.admin_listen = Some(local(port + TO_ADMIN));
    config.seed = args.seed;
    config.cluster = Some(ClusterConfig {
        node,
        cell: 0,
        fabric_listen: local(port + TO_FABRIC),
        fabric: None,
        admin: None,
        machine: None,
        zone: String::new(),
        drain_ms: 60_000,
        etcd: EtcdConfig {
            endpoints: etcd.clone(),
            prefix: None,
            ca: None,
            certificate: None,
            key: None,
            user: None,
            password_file: None,
        },
        postgres: PostgresConfig {
            server: postgres.clone(),
            password_file: Some(password.clone()),
            ca: None,
            certificate: None,
            key: None,
            schema: None,
            writers: None,
            readers: None,
            keep_hours: None,
        },
        tls,
    });
    let text = toml::to_string(&config).map_err(|error| error.to_string())?;
    files.write(&dir.join("node.toml"), text)
}

/// Whether a signal has come: Ctrl-C, or that of `down`.
fn listen() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let ended = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (interrupt, terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let theirs = Arc::clone(&ended);
    let (mut interrupt, mut terminate) = (interrupt, terminate);
    let wait = move || {
        runtime.block_on(async {
            std::future::poll_fn(|cx| match (interrupt.poll_recv(cx), terminate.poll_recv(cx)) {
                (std::task::Poll::Pending, std::task::Poll::Pending) => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(()),
            })
            .await;
            theirs.store(true, Ordering::Release);
        });
    };
    std::thread::Builder::new().name("gundo-signals".into()).spawn(wait)?;
    Ok(ended)
}
