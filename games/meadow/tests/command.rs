//! The meadow as a command: its page, embedded and from a directory, and its messages for clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn meadow(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meadow"));
    command.args(words);
    command
}

/// A running server. Killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts one node on a free port and waits until it says where it is open.
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = meadow(&["--nodes", "1", "--listen", "127.0.0.1:0"]);
        command.args(more).arg("--data").arg(data).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("open http://") {
            line.clear();
            assert!(out.read_line(&mut line).expect("it talks") > 0, "it ended before it was open");
        }
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.expect("an address").to_owned();
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_its_own_page_and_the_sdk() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(data.path(), &[]);
    assert!(server.get("/").contains("<title>Meadow</title>"));
    for file in ["meadow.js", "draw.js", "gundo.js"] {
        let answer = server.get(&format!("/{file}"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/javascript"), "{file}: {answer}");
    }
    assert!(server.get("/app.js").starts_with("HTTP/1.1 404"), "another game's");
}

#[test]
fn a_directory_is_served_instead() {
    let dir = tempfile::tempdir().expect("a directory");
    let page = dir.path().join("page");
    fs::create_dir(&page).expect("a folder");
    fs::write(page.join("index.html"), "mine").expect("written");
    let page_word = page.to_str().expect("a path in UTF-8");
    let server = Server::start(&dir.path().join("data"), &["--page", page_word]);
    assert!(server.get("/").ends_with("\r\n\r\nmine"));
    assert!(server.get("/meadow.js").starts_with("HTTP/1.1 404"));
    fs::write(page.join("index.html"), "mine, edited").expect("written");
    assert!(server.get("/").ends_with("\r\n\r\nmine, edited"));
}

#[test]
fn the_schema_has_every_message_that_a_client_needs() {
    let output = meadow(&["schema"]).output().expect("the command runs");
    let schema = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success());
    for message in ["Wish", "Nothing", "Flower", "Gardener", "Meadow"] {
        assert!(schema.contains(&format!("message {message} {{")), "no {message} in {schema}");
    }
    assert!(schema.contains("  bool ripe = 4;\n"), "{schema}");
    assert!(!schema.contains("MeadowEvent"), "a client sees no events: {schema}");
}
