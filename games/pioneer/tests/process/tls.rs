//! A world that speaks TLS itself, without a proxy in front.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gundo_client::{Client, Event, SessionSettings, Trust};

use super::http;
use super::server::Server;

/// A certificate for this machine, which signs itself.
fn make(directory: &Path) -> (PathBuf, PathBuf) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("made");
    let files = (directory.join("certificate.pem"), directory.join("key.pem"));
    std::fs::write(&files.0, made.cert.pem()).expect("written");
    std::fs::write(&files.1, made.signing_key.serialize_pem()).expect("written");
    files
}

fn start(data: &Path, (certificate, key): &(PathBuf, PathBuf)) -> Server {
    let text = |path: &PathBuf| path.to_str().expect("a name").to_owned();
    let environment = [("GUNDO_TLS__CERTIFICATE", text(certificate)), ("GUNDO_TLS__KEY", text(key))];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_in(data, 0, 3, &[], &environment, Stdio::piped())
}

fn bots(url: &str, authority: Option<&Path>) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
    command.args(["bots", "9", "--seconds", "2", "--url", url]);
    if let Some(authority) = authority {
        command.arg("--authority").arg(authority);
    }
    let output = command.output().expect("the bots run");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn players_come_by_tls_and_operators_of_this_machine_without() {
    let data = tempfile::tempdir().expect("a directory");
    let files = make(data.path());
    let mut server = start(data.path(), &files);
    server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    let url = format!("wss://localhost:{}", server.port);
    let (clean, report) = bots(&url, Some(&files.0));
    assert!(clean && report.contains("0 lost, 0 doubled"), "{report}");
    // The bots have learned the addresses of all nodes, and gone there by TLS too.
    let count = |node: &str| {
        let metrics = http(server.port, "/metrics");
        let line = format!("gundo_connections_total{{node=\"{node}\"}} ");
        let value = metrics.split(&line).nth(1).and_then(|rest| rest.lines().next()?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("{metrics}"))
    };
    for node in ["1", "2", "3"] {
        assert!(count(node) >= 1.0, "node {node}");
    }
    let page = http(server.port, "/");
    let wanted = format!("this world speaks TLS: use https://127.0.0.1:{}/\n", server.port);
    assert!(page.starts_with("HTTP/1.1 307") && page.ends_with(&wanted), "{page}");
    let (clean, told) = bots(&url.replace("wss", "ws"), None);
    assert!(!clean && told.contains("no_websocket"), "{told}");
    let (clean, told) = bots(&url, None);
    assert!(
        !clean && told.contains("no bot got into the world"),
        "nobody vouches for the certificate: {told}"
    );
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn the_client_plays_by_tls_with_an_authority_that_it_is_given() {
    let data = tempfile::tempdir().expect("a directory");
    let files = make(data.path());
    let server = start(data.path(), &files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for (name, host) in [("Ada", "localhost"), ("Ben", "127.0.0.1")] {
            let edge = format!("wss://{host}:{}", server.port).parse().expect("an address");
            let settings = SessionSettings::new(vec![edge], name);
            let (client, mut events) = Client::start_trusting(settings, Trust::Authority(files.0.clone()));
            let welcomed = async {
                while let Some((event, _)) = events.recv().await {
                    match event {
                        Some(Event::Welcomed(_)) => return,
                        Some(other) => assert!(!matches!(other, Event::Refused(_)), "{other:?}"),
                        None => {}
                    }
                }
                panic!("it ended before it was welcomed");
            };
            tokio::time::timeout(std::time::Duration::from_secs(60), welcomed).await.expect("a welcome");
            client.leave().await;
        }
    });
}

#[test]
fn what_is_wrong_with_the_files_is_said_at_start() {
    let data = tempfile::tempdir().expect("a directory");
    let (certificate, key) = make(data.path());
    let said = |certificate: &Path, key: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        command.env("GUNDO_TLS__CERTIFICATE", certificate).env("GUNDO_TLS__KEY", key);
        let output = command.args(["--listen", "0", "--data"]).arg(data.path().join("world")).output();
        let output = output.expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let swapped = said(&key, &certificate);
    assert!(swapped.contains("key.pem is not usable: "), "{swapped}");
    let missing = said(&certificate, Path::new("/nowhere/key.pem"));
    assert!(missing.contains("cannot read /nowhere/key.pem"), "{missing}");
}
