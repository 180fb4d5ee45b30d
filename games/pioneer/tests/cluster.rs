//! A whole cluster on this machine, as an operator has it: etcd, PostgreSQL, and a process for each node. Processes are killed, stopped
//! and replaced while bots play.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A cluster takes seconds to start, and longer on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running cluster. Dropping it ends it.
struct Cluster {
    dir: tempfile::TempDir,
    up: Child,
    out: BufReader<ChildStdout>,
    port: u16,
}

fn pioneer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pioneer"))
}

/// A port after which as many are free as nodes need, for clients, operators and peers.
fn free_ports(nodes: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 20_000 + (std::process::id() % 97) as u16 * 100;
    let all_free = |port: &u16| (0..nodes).flat_map(|n| [port + n, port + n + 100, port + n + 200]).all(free);
    (0..97).map(|n| first + n * 10).find(all_free).expect("some are free")
}

impl Cluster {
    fn start(nodes: u16) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // PostgreSQL runs as another user, who must reach its files.
        open_to_all(dir.path());
        let port = free_ports(nodes + 1);
        let mut up = pioneer()
            .args(["cluster", "up", "--nodes", &nodes.to_string(), "--port", &port.to_string(), "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = BufReader::new(up.stdout.take().expect("piped"));
        let mut cluster = Self { dir, up, out, port };
        cluster.hear(&format!("node {nodes}: http"));
        cluster.until("all nodes are up", |table| up_of(table) == usize::from(nodes));
        cluster
    }

    /// Waits until it says this.
    fn hear(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            if self.out.read_line(&mut line).expect("it talks") == 0 {
                let mut why = String::new();
                let _ = self.up.stderr.take().map(|mut err| err.read_to_string(&mut why));
                panic!("it ended before it said {what:?}: {why}");
            }
        }
    }

    fn words(&self, words: &[&str]) -> (bool, String) {
        let (what, more) = words.split_first().expect("a command");
        let mut command = pioneer();
        command.args(["cluster", what, "--dir"]).arg(self.dir.path()).args(more);
        let output = command.output().expect("the command runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A tool on the journal, with the configuration of a node.
    fn journal(&self, words: &[&str]) -> (bool, String) {
        let mut command = pioneer();
        command.arg("journal").args(words).arg("--config").arg(self.dir.path().join("node-2/node.toml"));
        let output = command.output().expect("the command runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// No secret is in a log, or in the words of any process of this machine.
    fn keeps_its_secrets(&self) {
        let read = |file: &str| std::fs::read_to_string(self.dir.path().join(file)).expect("it is there");
        let secrets = [read("postgres-password"), read("node-1/admin.token")];
        let logs = (1..=3).map(|node| format!("node-{node}/log"));
        let mut told: Vec<(String, String)> = logs.map(|log| (log.clone(), read(&log))).collect();
        for process in std::fs::read_dir("/proc").expect("it is Linux").map_while(Result::ok) {
            // Others end meanwhile.
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            told.push((process.path().display().to_string(), words));
        }
        for secret in secrets.iter().map(|secret| secret.trim()) {
            assert!(secret.len() > 8, "a secret is there");
            let found = told.iter().find(|(_, text)| text.contains(secret));
            assert!(found.is_none(), "a secret is in {}", found.map_or("", |(place, _)| place));
        }
    }

    fn does(&self, words: &[&str]) -> String {
        let (well, said) = self.words(words);
        assert!(well, "{words:?}: {said}{}", self.logs());
        said
    }

    /// Waits until the table of its nodes is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let (_, said) = self.words(&["status"]);
            if wanted(&said) {
                return;
            }
            assert!(Instant::now() < give_up, "in vain: {what}; {said}{}", self.logs());
        }
    }

    /// Waits until the metrics of a node have all of this.
    fn publishes(&self, node: u16, words: &[&str]) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let mut text = String::new();
            let mut stream =
                TcpStream::connect(("127.0.0.1", self.port + 99 + node)).expect("operators are served");
            write!(stream, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it listens");
            stream.read_to_string(&mut text).expect("it answers");
            let Some(missing) = words.iter().find(|word| !text.contains(**word)) else { return };
            assert!(Instant::now() < give_up, "{missing} is not in {text}");
        }
    }

    fn bots(&self, count: usize, seconds: u32) -> Bots {
        let mut bots = pioneer();
        bots.args(["bots", &count.to_string(), "--seconds", &seconds.to_string()]);
        for node in 0..3 {
            bots.args(["--url", &format!("ws://127.0.0.1:{}", self.port + node)]);
        }
        Bots(bots.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the bots start"))
    }

    fn logs(&self) -> String {
        let log = |node: u16| {
            let text = std::fs::read_to_string(self.dir.path().join(format!("node-{node}/log")));
            let text = text.unwrap_or_default();
            let mut last: Vec<_> = text.lines().rev().take(12).collect();
            last.reverse();
            format!("\nnode {node}:\n{}", last.join("\n"))
        };
        (1..=4).map(log).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have ended; else it ends its children.
        let _ = Command::new("kill").arg(self.up.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.up.wait();
    }
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// How many nodes are up.
fn up_of(table: &str) -> usize {
    table.matches("  up  ").count()
}

/// Bots that play. Killed when dropped: a test that fails leaves nobody behind.
struct Bots(Child);

impl Drop for Bots {
    fn drop(&mut self) {
        // They have ended, unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn report_of(mut bots: Bots) -> String {
    let (mut out, mut err) = (String::new(), String::new());
    let read = "they say it in words";
    bots.0.stdout.take().map(|mut from| from.read_to_string(&mut out).expect(read));
    bots.0.stderr.take().map(|mut from| from.read_to_string(&mut err).expect(read));
    out + &err
}

#[test]
fn everybody_plays_on_while_processes_are_killed_stopped_and_replaced() {
    let mut cluster = Cluster::start(3);
    let bots = cluster.bots(12, 40);
    // Any node takes a request about any other.
    cluster.until("they are in the world", |table| clients_of(table) == 12);
    cluster.publishes(
        1,
        &[
            "gundo_peers_down 0",
            "gundo_peer_up{peer=\"2\"} 1",
            "gundo_postgres_down 0",
            "gundo_coordinator_silent_seconds 0",
            "gundo_journal_commit_seconds_bucket{le=\"+Inf\"}",
            "gundo_fabric_bytes_total{direction=\"in\"}",
        ],
    );
    cluster.does(&["kill", "2"]);
    cluster.until("node 2 is lost", |table| up_of(table) == 2);
    cluster.until("node 2 is back", |table| up_of(table) == 3);
    cluster.does(&["pause", "3"]);
    cluster
        .until("node 3 was removed", |table| table.lines().filter(|line| line.contains("/ws/")).count() == 2);
    cluster.does(&["resume", "3"]);
    cluster.until("node 3 is back", |table| up_of(table) == 3);
    cluster.does(&["rollout"]);
    cluster.until("all were replaced", |table| up_of(table) == 3);
    cluster.does(&["drain", "1"]);
    cluster.until("two are left", |table| up_of(table) == 2);
    cluster.does(&["add"]);
    cluster.until("a fourth is there", |table| up_of(table) == 3);
    let report = report_of(bots);
    // `busy` is a good answer while nodes come and go.
    assert!(report.contains("0 lost, 0 doubled"), "{report}");
    assert!(report.contains("12 of 12 in the world"), "{report}{}", cluster.logs());
    // The books, from the database, while the cluster runs.
    let (well, said) = cluster.journal(&["verify"]);
    assert!(well && said.ends_with("sound\n"), "{said}");
    let (well, said) = cluster.journal(&["stream", "player", "1"]);
    assert!(!well && said.contains("there is no player with id 0x1"), "{said}");
    cluster.keeps_its_secrets();
    let said = cluster.does(&["down"]);
    assert!(said.contains("everything is saved"), "{said}");
    cluster.hear("everything is saved");
}

/// Clients of all nodes, from the table.
fn clients_of(table: &str) -> u64 {
    let count = |line: &str| line.split_whitespace().nth(3).and_then(|text| text.parse::<u64>().ok());
    table.lines().filter(|line| line.contains("/ws/")).filter_map(count).sum()
}
