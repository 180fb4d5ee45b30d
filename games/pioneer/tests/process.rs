//! The program itself, as an operator has it: killed under load, started again, stopped when nobody reads its log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[path = "process/conformance.rs"]
mod conformance;
#[path = "process/directory.rs"]
mod directory;
#[path = "process/files.rs"]
mod files;
#[path = "process/operators.rs"]
mod operators;
#[path = "process/proxy.rs"]
mod proxy;
#[path = "process/server.rs"]
mod server;
#[path = "process/slow.rs"]
mod slow;
#[path = "process/storage.rs"]
mod storage;
#[path = "process/tls.rs"]
mod tls;

use server::Server;

/// What a pipe holds on Linux.
const PIPE_BYTES: usize = 64 << 10;

#[test]
fn it_stops_also_when_nobody_reads_its_log() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(data.path(), 0);
    drop(server.out.take());
    drop(server.child.stderr.take());
    server.terminate();
    assert!(server.wait().success());
}

/// A supervisor of processes that keeps the pipe but does not read it.
#[test]
fn it_plays_restarts_nodes_and_stops_when_the_pipe_of_its_log_is_full() {
    let data = tempfile::tempdir().expect("a directory");
    let (mut unread, mut log) = std::io::pipe().expect("a pipe");
    log.write_all(&[b'x'; PIPE_BYTES]).expect("it fits");
    let mut server = Server::start_with(data.path(), 0, 3, &[], log.into());
    let url = format!("http://127.0.0.1:{}", server.port);
    let nodes = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        let output = command.args(words).args(["--url", &url, "--data"]).arg(data.path()).output();
        String::from_utf8_lossy(&output.expect("the command runs").stdout).into_owned()
    };
    let all_up = |_| nodes(&["nodes"]).matches("  up  ").count() == 3;
    assert!((0..1_000).any(all_up), "three nodes come up");
    // Each of these is logged, by the supervisor and by the other nodes.
    assert!(nodes(&["kill", "2"]).starts_with("node 2 is killed"));
    nodes(&["add"]);
    assert!((0..1_000).any(all_up), "it comes back");
    let bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "8", "--seconds", "1", "--url", &url.replace("http", "ws")])
        .output()
        .expect("the bots play");
    let report = String::from_utf8_lossy(&bots.stdout).into_owned();
    assert!(bots.status.success() && report.contains("0 lost, 0 doubled"), "{report}");
    server.terminate();
    assert!(server.wait().success());
    let mut text = Vec::new();
    unread.read_to_end(&mut text).expect("it reads");
    assert_eq!(text.len(), PIPE_BYTES, "the pipe was full all the time");
}

/// The end of a terminal, and what people send for a reload.
#[test]
fn it_plays_on_after_a_hangup() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(data.path(), 0);
    for _ in 0..2 {
        server.signal("HUP");
        assert!(server.pioneer(&["nodes"]).contains("up"), "it answers");
    }
    server.terminate();
    assert!(server.wait().success(), "it lived, and ends when it is told");
}

#[test]
fn what_was_acknowledged_survives_a_kill_under_load() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(data.path(), 0);
    let port = server.port;
    let mut bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "24", "--seconds", "10", "--url", &format!("ws://127.0.0.1:{port}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the bots start");
    // They say when they play and what they were answered: kill as soon as something durable has happened.
    let progress = BufReader::new(bots.stderr.take().expect("piped"));
    let mut seen = Vec::new();
    for line in progress.lines().map_while(Result::ok) {
        let playing = line.contains("playing");
        seen.push(line);
        if playing {
            server.child.kill().expect("it can be killed");
            server.wait();
            server = Server::start(data.path(), port);
        }
    }
    let output = bots.wait_with_output().expect("the bots end");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{report}", seen.join("\n"));
    assert!(report.contains("0 lost, 0 doubled"), "{report}");
    server.terminate();
    assert!(server.wait().success());
    let verify = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["journal", "verify", "--data"])
        .arg(data.path())
        .output()
        .expect("the journal is verified");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
}

/// One port: operators, page and clients find the world there whichever node is down.
#[test]
fn the_one_port_serves_whichever_node_is_down() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    for node in ["1", "2"] {
        let said = server.pioneer(&["kill", node]);
        assert!(said.starts_with(&format!("node {node} is killed")), "{said}");
        server.until("it is down", |table| table.contains(&format!("{node}  down")));
        assert!(http(server.port, "/").starts_with("HTTP/1.1 200"));
        let answer = http(server.port, &format!("/ws/{node}"));
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("does not run"), "{answer}");
        let played = server.bots(server.port, 4);
        assert!(played.contains("0 lost, 0 doubled"), "{played}");
        assert!(server.pioneer(&["add"]).contains(&format!("/ws/{node}")));
        server.until("it is back", |table| table.matches("  up  ").count() == 3);
    }
}

/// The answer to a request.
fn http(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}
