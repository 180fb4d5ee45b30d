//! Operators on other machines: by a certificate of the world's own authority, at an address of their own.

use std::path::Path;
use std::process::{Command, Stdio};

use super::server::Server;

fn pioneer(words: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_pioneer")).args(words).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Makes an authority, and certificates for node 1, a second node and the operator Ada.
fn certificates(directory: &Path) {
    let dir = directory.to_str().expect("a name");
    let made = pioneer(&["certs", "--dir", dir, "--node", "1", "--node", "2", "--operator", "ada"]);
    assert!(made.expect("made").contains("the operator ada needs"));
}

/// A command with somebody's certificate, by this authority.
fn by(
    certificates: &Path,
    whose: &str,
    authority: &Path,
    url: &str,
    words: &[&str],
) -> Result<String, String> {
    let file = |name: String| certificates.join(name).to_str().expect("a name").to_owned();
    let (certificate, key) = (file(format!("{whose}.pem")), file(format!("{whose}-key.pem")));
    let authority = authority.join("authority.pem");
    let mut all = words.to_vec();
    all.extend(["--url", url, "--certificate", &certificate, "--key", &key]);
    // There is no token: the certificate must be enough.
    all.extend(["--authority", authority.to_str().expect("a name"), "--data", "/nowhere"]);
    pioneer(&all)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A world whose address for operators has TLS. Returns the port.
fn start(data: &Path, certificates: &Path) -> (Server, u16) {
    let file = |name: &str| certificates.join(name).to_str().expect("a name").to_owned();
    let port = free_port();
    let [authority, certificate, key] = ["authority.pem", "node-1.pem", "node-1-key.pem"].map(file);
    let environment = [
        ("GUNDO_ADMIN_TLS__AUTHORITY", &*authority),
        ("GUNDO_ADMIN_TLS__CERTIFICATE", &*certificate),
        ("GUNDO_ADMIN_TLS__KEY", &*key),
    ];
    let listen = port.to_string();
    let server = Server::start_in(data, 0, 3, &["--admin-listen", &listen], &environment, Stdio::piped());
    (server, port)
}

#[test]
fn an_operators_certificate_is_enough_and_no_other_is() {
    let place = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
    certificates(&ours);
    certificates(&theirs);
    let (mut server, port) = start(&place.path().join("data"), &ours);
    let url = format!("https://127.0.0.1:{port}");
    let ada = |words: &[&str]| by(&ours, "operator-ada", &ours, &url, words);
    let up = |count: usize| {
        (0..2_000).any(|_| ada(&["nodes"]).is_ok_and(|table| table.matches("  up  ").count() == count))
    };
    assert!(up(3), "{:?}", ada(&["nodes"]));
    // All that operators do.
    assert!(ada(&["drain", "2"]).expect("drained").contains("node 2 is empty and has ended"));
    assert!(ada(&["add"]).expect("added").contains("node 2 starts"));
    assert!(up(3), "it is back");
    assert!(ada(&["rollout"]).expect("restarted").contains("every node has been restarted"));
    assert_eq!(ada(&["invite", "--count", "3"]).expect("made").lines().count(), 3);
    // Who is no operator.
    let node = by(&ours, "node-2", &ours, &url, &["nodes"]).expect_err("a node is none");
    assert!(node.contains("that of node 2, which is no operator") && node.contains("no_token"), "{node}");
    let foreign = by(&theirs, "operator-ada", &ours, &url, &["nodes"]).expect_err("of another world");
    assert!(foreign.contains("refuses your certificate: another world's authority"), "{foreign}");
    let world = by(&theirs, "operator-ada", &theirs, &url, &["nodes"]).expect_err("she trusts another world");
    assert!(world.contains("no node of your world"), "{world}");
    let plain =
        by(&ours, "operator-ada", &ours, &url.replace("https", "http"), &["nodes"]).expect_err("plain");
    assert!(plain.contains("over TLS only"), "{plain}");
    for said in [&node, &foreign, &world, &plain] {
        assert_eq!(said.trim().lines().count(), 1, "one line: {said}");
    }
    // With the token over TLS; and programs of this machine without TLS.
    let data = place.path().join("data");
    let (data, authority) = (data.to_str().expect("a name"), ours.join("authority.pem"));
    let authority = authority.to_str().expect("a name");
    let with_token = pioneer(&["nodes", "--url", &url, "--authority", authority, "--data", data]);
    assert!(with_token.expect("the token").contains("  up  "));
    let local = pioneer(&["nodes", "--url", &url.replace("https", "http"), "--data", data]);
    assert!(local.expect("this machine").contains("  up  "));
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn what_is_wrong_with_the_certificates_is_said_at_start() {
    let place = tempfile::tempdir().expect("a directory");
    let certs = place.path().join("certs");
    certificates(&certs);
    let said = |certificate: &str, key: &str, listen: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pioneer"));
        command.env("GUNDO_ADMIN_TLS__AUTHORITY", certs.join("authority.pem"));
        command.env("GUNDO_ADMIN_TLS__CERTIFICATE", certs.join(certificate));
        command.env("GUNDO_ADMIN_TLS__KEY", certs.join(key));
        let output = command.args(["--listen", "0", "--data"]).arg(place.path().join("world")).args(listen);
        let output = output.output().expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let listen = ["--admin-listen", "0"];
    let operator = said("operator-ada.pem", "operator-ada-key.pem", &listen);
    assert!(operator.contains("operator-ada.pem is not usable: operators would say"), "{operator}");
    let key = said("node-1.pem", "node-2-key.pem", &listen);
    assert!(key.contains("not the key of the certificate"), "{key}");
    let nowhere = said("node-1.pem", "node-1-key.pem", &[]);
    assert!(nowhere.contains("admin_tls needs admin_listen"), "{nowhere}");
}
