//! Rules that abort their process: it is known afterwards whose they were, and the third process does not run them.

#[path = "support/events.rs"]
mod events;
#[path = "support/walkers.rs"]
mod walkers;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use gundo::{Body, Point};
use gundo_cli::App;
use gundo_client::{Client, Event, SessionSettings};

use events::until;

/// In the environment of a process of this test that is to be the server: the world's data.
const DIR: &str = "ABORT_TEST_DATA";

/// The server, if this process is to be one.
#[test]
fn serves() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let app = App::new("walkers", |_| walkers::rules());
    let done = app.run_from(["walkers", "--nodes", "1", "--listen", "127.0.0.1:0", "--data", &dir]);
    assert_eq!(format!("{done:?}"), format!("{:?}", ExitCode::SUCCESS));
}

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(dir: &Path) -> Server {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "serves", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("open http://") {
        line.clear();
        assert!(out.read_line(&mut line).expect("it talks") > 0, "it ended before it was open");
    }
    let address = line.split("open http://").nth(1).and_then(|rest| rest.split([' ', ';']).next());
    let url = format!("ws://{}", address.expect("an address").trim_end_matches('/'));
    Server { child, url }
}

fn settings(server: &Server, name: &str) -> SessionSettings {
    SessionSettings::new(vec![server.url.parse().expect("an address")], name)
}

/// Walks until the server is gone.
async fn walk_into_it(server: &mut Server, bomb: &Client) {
    for x in 0.. {
        bomb.walk(Body { at: Point::new(15_000 + x % 2, 15_000), ..Body::default() }).await;
        // As often as a page sends steps.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(status) = server.child.try_wait().expect("it can be asked") {
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(status.signal(), Some(6), "it aborts");
            return;
        }
    }
}

#[tokio::test]
async fn a_rule_that_aborts_ends_two_processes_and_no_third() {
    let data = tempfile::tempdir().expect("a directory");
    let mut server = start(data.path());
    let mut bombs = settings(&server, "Bomb");
    let (bomb, mut events) = Client::start(bombs.clone());
    let welcome = until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    let Event::Welcomed(welcome) = welcome else { unreachable!("it is one") };
    walk_into_it(&mut server, &bomb).await;

    let mut server = start(data.path());
    bombs = SessionSettings { token: welcome.token.clone(), ..settings(&server, "Bomb") };
    let (bomb, mut events) = Client::start(bombs.clone());
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    walk_into_it(&mut server, &bomb).await;

    let server = start(data.path());
    bombs = SessionSettings { token: welcome.token.clone(), ..settings(&server, "Bomb") };
    let (_bomb, mut events) = Client::start(bombs);
    let refused = until(&mut events, |event| matches!(event, Event::Refused(_))).await;
    assert!(matches!(&refused, Event::Refused(r) if r.code == "suspended"), "{refused:?}");
    let (bob, mut events) = Client::start(settings(&server, "Bob"));
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    bob.walk(Body { at: Point::new(15_001, 15_000), ..Body::default() }).await;
    assert!(bob.command(Vec::new()).await.is_ok(), "nobody else notices");
}
