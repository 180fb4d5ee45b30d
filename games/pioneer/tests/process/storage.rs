//! The world's files as operators handle them: copied, restored and deleted while people play.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server::Server;

fn pioneer(words: &[&str], data: &Path) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
    let output = command.args(words).arg("--data").arg(data).output().expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

#[test]
fn a_backup_made_while_people_play_is_a_world_to_go_on_with() {
    let place = tempfile::tempdir().expect("a directory");
    let (data, copy, restored) =
        (place.path().join("data"), place.path().join("copy"), place.path().join("new"));
    let mut server = Server::start(&data, 0);
    let url = format!("ws://127.0.0.1:{}", server.port);
    let mut bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "24", "--seconds", "3", "--url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the bots start");
    let progress = BufReader::new(bots.stderr.take().expect("piped"));
    let mut said = None;
    for line in progress.lines().map_while(Result::ok) {
        if line.contains("playing") {
            said = Some(pioneer(&["backup", copy.to_str().expect("UTF-8")], &data));
        }
    }
    assert!(said.expect("they played").expect("a backup").contains("checked"));
    assert!(bots.wait_with_output().expect("the bots end").status.success());
    server.terminate();
    assert!(server.wait().success());

    assert!(pioneer(&["journal", "verify"], &copy).expect("sound").contains("sound"));
    pioneer(&["restore", copy.to_str().expect("UTF-8")], &restored).expect("restored");
    let occupied = pioneer(&["restore", copy.to_str().expect("UTF-8")], &data).expect_err("there is a world");
    assert!(occupied.contains("--replace"), "{occupied}");
    let mut server = Server::start(&restored, 0);
    let bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "8", "--seconds", "1", "--url", &format!("ws://127.0.0.1:{}", server.port)])
        .output()
        .expect("the bots play");
    assert!(bots.status.success(), "{}", String::from_utf8_lossy(&bots.stderr));
    server.terminate();
    assert!(server.wait().success());

    // A directory that has lost its journal begins no other world in silence.
    fs::remove_file(restored.join("journal.sqlite")).expect("it is there");
    let why = pioneer(&["--listen", "127.0.0.1:0"], &restored).expect_err("there is no world");
    assert!(why.contains("is the home of the world") && why.contains("restore"), "{why}");
    let restore = ["restore", copy.to_str().expect("UTF-8")];
    pioneer(&restore, &restored).expect("restored");
    drop(Server::start(&restored, 0));
}

#[test]
fn a_world_whose_files_are_deleted_says_so_and_acknowledges_nothing_more() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(data.path(), 0);
    let log = BufReader::new(server.child.stderr.take().expect("piped"));
    assert!(metrics(server.port).contains("gundo_journal_gone 0"));
    for entry in fs::read_dir(data.path()).expect("there") {
        fs::remove_file(entry.expect("readable").path()).expect("deleted");
    }
    let mut lines = log.lines().map_while(Result::ok);
    let alarm = lines.by_ref().find(|line| line.contains("the journal is lost"));
    let alarm = alarm.expect("it says so before it ends");
    assert!(alarm.contains("journal.sqlite was deleted or replaced"), "{alarm}");
    assert!(metrics(server.port).contains("gundo_journal_gone 1"));
    let bots = Command::new(env!("CARGO_BIN_EXE_pioneer"))
        .args(["bots", "3", "--seconds", "1", "--url", &format!("ws://127.0.0.1:{}", server.port)])
        .output()
        .expect("the bots try");
    assert!(!bots.status.success(), "nobody gets in: {}", String::from_utf8_lossy(&bots.stdout));
    server.terminate();
    assert!(!server.wait().success(), "it does not say that everything is saved");
    let last = lines.last().expect("it says something at its end");
    assert!(last.contains("the world has ended, but the journal has refused to write"), "{last}");
    assert!(last.contains("journal.sqlite was deleted or replaced"), "{last}");
}
