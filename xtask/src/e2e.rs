//! The end-to-end test: a real server with three nodes and real browsers that play in it, for each game.
//!
//! The scenes are in `clients/web/e2e`. This module prepares the stage: a free port, a fresh data directory, and a server
//! that is up before the first scene and gone after the last.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{self, Done, cargo, command, run};
use crate::{debian, web};

const NODES: u16 = 3;
const START_MAX: Duration = Duration::from_secs(60);
/// The scenes use it to end and start nodes.
const ADMIN_TOKEN: (&str, &str) = ("GUNDO_ADMIN_TOKEN", "the end-to-end test");
const POLL: Duration = Duration::from_millis(50);

/// A game, and the script that plays it.
const GAMES: [(&str, &str); 2] = [("meadow", "e2e/meadow.mjs"), ("pioneer", "e2e/run.mjs")];

/// Builds the games, starts each, and plays its scenes.
pub(crate) fn run_all() -> Done {
    web::ensure_node()?;
    web::install()?;
    let chromium = web::ensure_browser()?;
    // The dev profile, with the features of the whole workspace: the same artefacts that the tests were built from.
    debian::ensure_protoc()?;
    run(cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
    let target = shell::target_dir()?;
    GAMES.iter().try_for_each(|(game, script)| play(&target, game, script, &chromium))
}

fn play(target: &Path, game: &str, script: &str, chromium: &str) -> Done {
    let data = Directory::fresh(&target.join("e2e"))?;
    let server = Server::start(&target.join("debug").join(game), &data.path)?;
    let played = run(web::in_web("node")
        .arg(script)
        .env("GUNDO_URL", format!("http://127.0.0.1:{}", server.port))
        .env(ADMIN_TOKEN.0, ADMIN_TOKEN.1)
        .env("CHROMIUM", chromium));
    if played.is_err() {
        println!("--- what the server said ---\n{}", server.said());
    }
    played
}

/// A server process. Dropping this value ends it.
struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Server {
    fn start(binary: &Path, data: &Path) -> Done<Self> {
        let port = free_port()?;
        let log = data.join("server.log");
        let open = || std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()));
        let child = command(&binary.to_string_lossy())
            .args(["--nodes", &NODES.to_string(), "--listen", &port.to_string()])
            .arg("--data")
            .arg(data.join("world"))
            .env(ADMIN_TOKEN.0, ADMIN_TOKEN.1)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(open()?)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
        let mut server = Self { child, port, log };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Done {
        let begin = Instant::now();
        while !is_healthy(self.port) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status}:\n{}", self.said()));
            }
            if begin.elapsed() > START_MAX {
                return Err(format!("the server is not ready after {START_MAX:?}:\n{}", self.said()));
            }
            // The server is another process and cannot wake us: ask again a little later.
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory. Dropping this value deletes it.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn fresh(parent: &Path) -> Done<Self> {
        let path = parent.join(std::process::id().to_string());
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left-overs are in the target directory, where they do no harm.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A port that was free just now. Another program may take it in between; the server then reports it and the run fails
/// loudly.
fn free_port() -> Done<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|error| format!("no port to be had: {error}"))?.port())
}

/// Whether the server at `port` reports that clients can play.
fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(answer: &'static str) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("one asks");
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked);
            stream.write_all(answer.as_bytes()).expect("it listens");
        });
        port
    }

    #[test]
    fn health_is_a_200_and_nothing_else() {
        assert!(is_healthy(answering("HTTP/1.1 200 OK\r\n\r\nok")));
        assert!(!is_healthy(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")));
        assert!(!is_healthy(answering("")));
    }
}
