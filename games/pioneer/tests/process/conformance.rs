//! The conformance kit plays client to the real server, and the Python client visits it.

use std::process::{Command, Stdio};

use gundo_conformance::server::{World, check};

use super::server::Server;

/// `Hold` nothing: it succeeds for everybody at any time.
const HOLD_NOTHING: [u8; 2] = [0x32, 0x00];

#[test]
fn the_server_keeps_every_rule_of_the_protocol() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    let url = format!("ws://127.0.0.1:{}/ws", server.port);
    let world = World { url, command: Some(HOLD_NOTHING.to_vec()), names: "Kit".to_owned() };
    let report = check(&world, "", 8);
    assert!(report.is_good() && report.skipped() == 0, "{report}");
}

/// `cargo xtask test` installs Python where it may.
#[test]
fn the_python_client_visits_and_comes_back_as_the_same_player() {
    let runs = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !runs.is_ok_and(|status| status.success()) {
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    let url = format!("ws://127.0.0.1:{}/ws", server.port);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/python/walk.py");
    let keys = data.path().join("keys.json");
    let visit = |name: &str| {
        let mut command = Command::new("python3");
        let output = command.arg("-B").args([script, &url, name]).arg(&keys).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let first = visit("Ada");
    assert!(first.contains("you: Ada"), "{first}");
    assert!(first.contains("command 2, after the connection was lost: done"), "{first}");
    let second = visit("Somebody else");
    assert!(second.contains("you: Ada"), "{second}");
}
