//! Rules that abort their process: it is known afterwards whose they were, and the third process does not run them.

#[path = "support/events.rs"]
mod events;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use gundo::{
    Body, Context, Decision, Done, Entity, Player, Point, Refusal, Rules, State, WorldTime, message,
};
use gundo_cli::App;
use gundo_client::{Client, Event, SessionSettings};

use events::until;

/// In the environment of a process of this test that is to be the server: the world's data.
const DIR: &str = "ABORT_TEST_DATA";

#[message(name = 1)]
struct Said {
    name: String,
}

/// A player. A step of the one called Bomb overflows the stack.
#[message(name = 1)]
#[derive(State)]
#[state(kind = 1, name = "walker", player, event = Said, command = Said)]
struct Walker {
    name: String,
}

/// As deep as it can.
fn dive(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { dive(depth + 1) + room[1] }
}

impl Player for Walker {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Said { name: name.into() }).take_name("walker", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn decide(&self, _: Said, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().into())
    }

    fn speed_max(&self, (): &()) -> u32 {
        5_000
    }

    fn walk(&self, _: &Body, _: &Body, _: &mut Context<'_, Self>) -> Result<(), Refusal> {
        if self.name == "Bomb" && dive(0) == 1 {
            return Err(Refusal::new("deep", "That was deep."));
        }
        Ok(())
    }

    fn private(&self) {}
}

impl Entity for Walker {
    fn apply(&mut self, event: &Said) {
        self.name.clone_from(&event.name);
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

/// The server, if this process is to be one.
#[test]
fn serves() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let app = App::new("walkers", |_| Rules::new("walkers", ()).with::<Walker>());
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
