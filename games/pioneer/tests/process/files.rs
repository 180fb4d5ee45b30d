//! A process that may open few files: those inside play on, operators are answered, and newcomers hear why they do not come in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::http;
use super::server::Server;

/// What the process may open, and how many come.
const FILES: u32 = 256;
const COMERS: usize = 400;
/// Room for players then, as docs/operations.md says.
const PLAYERS: usize = 96;
/// Of these for people who have a player.
const KEYED: usize = 6;

/// A client that asks for a WebSocket, says nothing, and stays.
fn knock(port: u16) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let ask = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    write!(socket, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{ask}\r\n\r\n").expect("it reads");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|n| n == 1) {
        answer.push(byte[0]);
    }
    (socket, String::from_utf8_lossy(&answer).into_owned())
}

fn metric(port: u16, name: &str) -> f64 {
    let text = http(port, "/metrics");
    let of = |line: &str| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok();
    text.lines().filter(|line| !line.starts_with('#')).filter_map(of).sum()
}

fn start(data: &Path) -> Server {
    Server::start_limited(data, FILES)
}

#[test]
fn with_256_files_and_400_clients_those_inside_play_on() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = start(data.path());
    let port = server.port;
    server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    let mut bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "40", "--seconds", "8", "--url", &format!("ws://127.0.0.1:{port}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the bots start");
    let progress = BufReader::new(bots.stderr.take().expect("piped"));
    let mut lines = progress.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("playing")), "they come in");
    let comers: Vec<_> = (0..COMERS).map(|_| knock(port)).collect();
    let (inside, told): (Vec<_>, Vec<_>) =
        comers.iter().partition(|(_, said)| said.starts_with("HTTP/1.1 101"));
    for (_, said) in &told {
        assert!(said.starts_with("HTTP/1.1 503") && said.to_lowercase().contains("retry-after: 5"), "{said}");
    }
    assert!(inside.len() >= PLAYERS - 40, "there was room for them: {}", inside.len());
    assert!(told.len() > COMERS / 2, "for most there was none: {}", told.len());
    // All files are in use, and operators are answered.
    let table = server.pioneer(&["nodes"]);
    assert_eq!(table.matches("  up  ").count(), 3, "{table}");
    assert!(metric(port, "gundo_client_files_max") as usize == PLAYERS);
    assert!(metric(port, "gundo_closed_total") as usize >= told.len());
    assert!(metric(port, "process_open_fds") < f64::from(FILES));
    // Somebody who speaks hears the reason.
    let newcomer = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "1", "--seconds", "0.5", "--url", &format!("ws://127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut newcomer = newcomer.expect("a bot starts");
    lines.for_each(drop);
    let output = bots.wait_with_output().expect("the bots end");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(report.contains("0 lost, 0 doubled") && report.contains("40 of 40 in the world"), "{report}");
    // With room again everybody comes in.
    drop(comers);
    let played = server.bots(port, PLAYERS - KEYED - 10);
    assert!(played.contains("0 lost, 0 doubled"), "{played}");
    let _ = newcomer.wait();
    server.terminate();
    assert!(server.wait().success(), "the journal had files for its end");
}
