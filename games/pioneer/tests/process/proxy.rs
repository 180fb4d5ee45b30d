//! A world of three nodes behind a proxy: players come by one address, and nodes are killed, drained and restarted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::http;
use super::server::Server;

/// The page with the configuration that people copy.
const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/proxies.md"));
/// A proxy that does not listen after this time never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays through the proxy at `port` until every node was killed, drained or restarted.
fn play_through(server: &Server, port: u16) {
    let all_up = || server.until("three nodes are up", |table| table.matches("  up  ").count() == 3);
    all_up();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bots = scope.spawn(|| {
            let mut rounds = 0;
            // One more after the last restart.
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                let report = server.bots(port, 12);
                assert!(report.contains("0 lost, 0 doubled"), "{report}");
                rounds += 1;
            }
        });
        let operate = || {
            server.pioneer(&["kill", "1"]);
            assert!(http(port, "/").starts_with("HTTP/1.1 200"), "the page is there while node 1 is down");
            let refused = http(port, "/admin/nodes");
            assert!(
                refused.starts_with("HTTP/1.1 40"),
                "a proxy on this machine makes nobody an operator: {refused}"
            );
            server.pioneer(&["add"]);
            all_up();
            server.pioneer(&["drain", "2"]);
            server.pioneer(&["add"]);
            all_up();
            server.pioneer(&["rollout"]);
            all_up();
        };
        // The bots end also if this fails.
        let operated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(operate));
        done.store(true, Ordering::Relaxed);
        bots.join().expect("nothing is lost");
        operated.expect("the operations succeed");
    });
}

#[test]
fn nothing_is_lost_behind_a_proxy() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    let proxy = Forwarder::start(server.port);
    play_through(&server, proxy.port);
    let refused = http(proxy.port, "/admin/nodes");
    assert!(refused.contains("not_local"), "a proxy on this machine makes nobody local: {refused}");
    let paths = proxy.paths.lock().expect("no panic").clone();
    for path in ["/ws", "/ws/1", "/ws/2", "/ws/3"] {
        assert!(paths.iter().any(|taken| taken == path), "nobody came by {path}: {paths:?}");
    }
}

/// `cargo xtask test` installs nginx where it may. Elsewhere the forwarder above stands for it.
#[test]
fn nothing_is_lost_behind_nginx_with_the_configuration_of_the_guide() {
    if !runs("nginx", "-v") {
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    let place = tempfile::tempdir().expect("a directory");
    let nginx = Proxy::nginx(place.path(), &format!("127.0.0.1:{}", server.port));
    play_through(&server, nginx.port);
    let log = std::fs::File::open(place.path().join("access.log")).expect("its log");
    let lines: Vec<_> = BufReader::new(log).lines().map_while(Result::ok).collect();
    for path in ["/ws ", "/ws/1 ", "/ws/2 ", "/ws/3 "] {
        let came = |line: &String| line.contains(path) && line.contains(" 101 ");
        assert!(lines.iter().any(came), "nobody came by {path}");
    }
}

/// A world that listens on a Unix socket only; operators have an address.
#[test]
fn nothing_is_lost_behind_nginx_that_comes_by_a_unix_socket() {
    if !runs("nginx", "-v") {
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let place = tempfile::tempdir().expect("a directory");
    let socket = format!("unix:{}", data.path().join("world.sock").display());
    let server = Server::start_at(data.path(), &socket);
    let nginx = Proxy::nginx(place.path(), &socket);
    play_through(&server, nginx.port);
}

/// As above.
#[test]
fn nothing_is_lost_behind_haproxy_with_the_configuration_of_the_guide() {
    if !runs("haproxy", "-v") {
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    let place = tempfile::tempdir().expect("a directory");
    let haproxy = Proxy::haproxy(place.path(), server.port);
    play_through(&server, haproxy.port);
}

/// Caddy is large, so nothing installs it: the test runs where it is.
#[test]
fn nothing_is_lost_behind_caddy_with_the_configuration_of_the_guide() {
    if !runs("caddy", "version") {
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_nodes(data.path(), 0, 3);
    let place = tempfile::tempdir().expect("a directory");
    let caddy = Proxy::caddy(place.path(), server.port);
    play_through(&server, caddy.port);
}

fn runs(program: &str, word: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(word)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The operator advertises an address that no client reaches: they have the one they came by.
#[test]
fn an_address_that_nobody_reaches_keeps_nobody_out() {
    let data = tempfile::tempdir().expect("a directory");
    // Nobody listens on port 1.
    let flags = ["--advertise", "ws://127.0.0.1:1/ws/{node}"];
    let server = Server::start_with(data.path(), 0, 3, &flags, Stdio::piped());
    play_through(&server, server.port);
}

/// A proxy that knows no more of HTTP than the head of a request. It says for whom it forwards, as proxies do.
struct Forwarder {
    port: u16,
    /// The path of each request.
    paths: Arc<Mutex<Vec<String>>>,
}

impl Forwarder {
    fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&paths);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || forward(client, upstream, &seen));
            }
        });
        Self { port, paths }
    }
}

/// Forwards one connection until either side closes it.
fn forward(mut client: TcpStream, upstream: u16, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let path = String::from_utf8_lossy(&head).split(' ').nth(1)?.to_owned();
    seen.lock().expect("no panic").push(path);
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"X-Forwarded-For: 203.0.113.7\r\n\r\n");
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
    server.write_all(&head).ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let backward = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Both);
    backward.join().ok()
}

/// A proxy with the configuration of the guide. Killed when dropped.
struct Proxy {
    child: Child,
    port: u16,
}

/// The first block of the guide below a title, with these parts put in place of others.
fn block(title: &str, changes: &[(&str, String)]) -> String {
    let section = GUIDE.split(&format!("\n## {title}\n")).nth(1).expect("the guide has the section");
    let block = section.split("```").nth(1).and_then(|block| block.split_once('\n'));
    let (_, block) = block.expect("the section has a configuration");
    changes.iter().fold(block.to_owned(), |block, (from, to)| {
        assert!(block.contains(from), "{from} is not in {block}");
        block.replace(from, to)
    })
}

/// A port that nobody has. Nobody else asks for one in between, or the proxy says so and the test fails.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

impl Proxy {
    fn nginx(place: &Path, upstream: &str) -> Self {
        let port = free_port();
        let listen = format!("listen 127.0.0.1:{port};");
        let block = block("nginx", &[("listen 80;", listen), ("127.0.0.1:7600", upstream.to_owned())]);
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};\n", place.display()))
            .concat();
        let all = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log;\nevents {{ worker_connections 512; }}\n\
             http {{\naccess_log {0}/access.log;\n{paths}{block}}}\n",
            place.display()
        );
        let file = place.join("nginx.conf");
        std::fs::write(&file, all).expect("written");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(place).arg("-e").arg(place.join("error.log")).arg("-c").arg(&file);
        Self::start(command, port)
    }

    fn haproxy(place: &Path, upstream: u16) -> Self {
        let port = free_port();
        let bind = ("bind :443 ssl crt /etc/haproxy/play.pem", format!("bind 127.0.0.1:{port}"));
        let block = block("HAProxy", &[bind, ("127.0.0.1:7600", format!("127.0.0.1:{upstream}"))]);
        let file = place.join("haproxy.cfg");
        std::fs::write(&file, format!("global\n    maxconn 512\n{block}")).expect("written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        Self::start(command, port)
    }

    fn caddy(place: &Path, upstream: u16) -> Self {
        let port = free_port();
        let site = ("play.example.org {", format!("http://127.0.0.1:{port} {{"));
        let block = block("Caddy", &[site, ("127.0.0.1:7600", format!("127.0.0.1:{upstream}"))]);
        let file = place.join("Caddyfile");
        std::fs::write(&file, format!("{{\n    admin off\n}}\n{block}")).expect("written");
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file).env("HOME", place);
        command.env("XDG_DATA_HOME", place).env("XDG_CONFIG_HOME", place).stderr(Stdio::null());
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        let mut child = command.spawn().expect("it starts");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let lives = matches!(child.try_wait(), Ok(None)) && began.elapsed() < PATIENCE;
            assert!(lives, "it does not listen: {command:?}");
            // It is another process and cannot wake us.
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, port }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
