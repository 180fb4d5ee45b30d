//! Rules that never return, in a cluster of real processes: those that ran them abort, in an order that is safe. First the black box is
//! on the disk, then the journal knows whose rule it was, then the process ends; so the others take over without running the rule again
//! and again. Two are lost, no third, and everybody else plays on.

#[path = "support/events.rs"]
mod events;
#[path = "support/walkers.rs"]
mod walkers;

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gundo::{Body, Point};
use gundo_cli::App;
use gundo_client::{Client, Event, Events, SessionSettings};

use events::until;

/// In the environment of processes of this test that are to be a part of the cluster.
const IS_PART: &str = "ABORT_CLUSTER_TEST";
/// With these words this program reaches the game's commands: the test `serves`, and what it is told.
const PREFIX: &[&str] = &["--exact", "serves", "--nocapture", "--"];
/// A cluster takes seconds to start, and longer on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

/// The program, if this process is to be one.
#[test]
fn serves() {
    if std::env::var_os(IS_PART).is_none() {
        return;
    }
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let app = App::new("walkers", |_| walkers::rules()).prefix(PREFIX);
    let done = app.run_from(std::iter::once(OsString::from("walkers")).chain(words));
    // The test's own status says nothing of it.
    std::process::exit(i32::from(format!("{done:?}") != format!("{:?}", std::process::ExitCode::SUCCESS)));
}

fn walkers() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(PREFIX).env(IS_PART, "yes");
    command
}

/// A cluster of three processes. Dropping it ends it.
struct Cluster {
    dir: tempfile::TempDir,
    up: Child,
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // PostgreSQL runs as another user, who must reach its files.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("it is ours");
        let port = free_ports();
        let mut up = walkers()
            .args(["cluster", "up", "--nodes", "3", "--port", &port.to_string(), "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (lines, heard) = (BufReader::new(up.stdout.take().expect("piped")).lines(), Arc::clone(&said));
        // It ends with the process.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| heard.lock().expect("no panic").push(line));
        });
        let cluster = Self { dir, up, port, said };
        cluster.until_up("at the start");
        cluster
    }

    fn words(&self, words: &[&str]) -> String {
        let (what, more) = words.split_first().expect("a command");
        let mut command = walkers();
        command.args(["cluster", what, "--dir"]).arg(self.dir.path()).args(more);
        let output = command.output().expect("the command runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Waits until all three nodes are up.
    fn until_up(&self, when: &str) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let table = self.words(&["status"]);
            if table.matches("  up  ").count() == 3 {
                return;
            }
            assert!(Instant::now() < give_up, "{when}: {table}{:?}", self.said());
        }
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic").clone()
    }

    /// Nodes whose processes have aborted, in order.
    fn aborted(&self) -> Vec<u16> {
        let of = |line: &String| {
            let (node, how) = line.strip_prefix("node ")?.split_once(" ended (")?;
            assert!(how.starts_with("signal: 6"), "a process has ended in another way: {line}");
            node.parse().ok()
        };
        self.said().iter().filter_map(of).collect()
    }

    /// The files that a node has left about hangs.
    fn black_boxes(&self, node: u16) -> Vec<String> {
        let files = std::fs::read_dir(self.dir.path().join(format!("node-{node}/blackbox")));
        let files = files.into_iter().flatten().map(|file| file.expect("readable").path());
        let is_stuck = |path: &Path| path.to_string_lossy().ends_with("stuck.txt");
        files.filter(|path| is_stuck(path)).map(|path| std::fs::read_to_string(path).expect("text")).collect()
    }

    fn client(&self, name: &str, node: u16) -> (Client, Events) {
        let edges = (0..3).map(|n| format!("ws://127.0.0.1:{}", self.port + (node - 1 + n) % 3));
        let edges = edges.map(|url| url.parse().expect("an address")).collect();
        Client::start(SessionSettings::new(edges, name))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have ended; else it ends its children.
        let _ = Command::new("kill").arg(self.up.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.up.wait();
    }
}

/// A port after which as many are free as three nodes need, for clients, operators and peers.
fn free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 30_000 + (std::process::id() % 97) as u16 * 20;
    let all_free = |port: &u16| (0..3).flat_map(|n| [port + n, port + n + 100, port + n + 200]).all(free);
    (0..97).map(|n| first + n * 10).find(all_free).expect("some are free")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_hangs_ends_two_processes_in_a_safe_order_and_no_third() {
    let cluster = Cluster::start();
    let (bob, mut bobs) = cluster.client("Bob", 3);
    until(&mut bobs, |event| matches!(event, Event::Welcomed(_))).await;
    let bob = Arc::new(bob);
    let (snare, mut events) = cluster.client("Snare", 1);
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    let walks = tokio::spawn(async move {
        for x in 0.. {
            snare.walk(Body { at: Point::new(15_000 + x % 2, 15_000), ..Body::default() }).await;
            // As often as a page sends steps.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    // Two nodes are lost over it; then it is told that it rests, by whichever node would have been the third.
    let rests = |event: &Event| match event {
        Event::Refused(refusal) => refusal.code == "suspended",
        Event::Notice(notice) => notice.code == "suspended",
        Event::Corrected(correction) => correction.code == "suspended",
        Event::Ended(closing) => closing.as_ref().is_some_and(|closing| closing.code == "suspended"),
        _ => false,
    };
    tokio::time::timeout(PATIENCE, until(&mut events, rests)).await.expect("it rests");
    // Everybody else plays on, whichever node is left.
    tokio::time::timeout(PATIENCE, async { assert!(bob.command(Vec::new()).await.is_ok(), "he plays") })
        .await
        .expect("he is answered");
    cluster.until_up("after two were lost");
    walks.abort();
    let aborted = cluster.aborted();
    assert_eq!(aborted.len(), 2, "two and no third: {:?}", cluster.said());
    assert_ne!(aborted[0], aborted[1], "the rule was taken over once");
    for node in 1..=3 {
        let boxes = cluster.black_boxes(node);
        assert_eq!(boxes.len(), aborted.iter().filter(|n| **n == node).count(), "node {node}");
        // It was whole before its process ended.
        assert!(boxes.iter().all(|text| text.contains("== events")), "node {node}: {boxes:?}");
    }
    // The journal knows what it was, and everybody who asks.
    let blamed = cluster.words(&["operate", "pardon"]);
    assert!(blamed.contains("not loaded"), "{blamed}");
    assert!(bob.command(Vec::new()).await.is_ok(), "and he still plays");
    let said = cluster.words(&["down"]);
    assert!(said.contains("everything is saved"), "{said}");
}
