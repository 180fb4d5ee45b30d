//! Rules that panic or never return, in whole worlds: what it costs, who is told, and what is written down.

#[path = "support/events.rs"]
mod events;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gundo::testing::{TestSettings, TestWorld};
use gundo::{
    Body, Bytes, Context, Decision, Done, Entity, Message, Player, Point, Refusal, Rules, State, Stored,
    WorldTime, message,
};
use gundo_client::{Client, CommandError, Event, Events, SessionSettings};

use events::{PATIENCE, until};

/// Command, event, state and reply: a number.
#[message]
struct Count {
    /// The number.
    #[tag(1)]
    n: u64,
}

/// Whoever says this makes the rules panic …
const PANIC: u64 = 1_000;
/// … and whoever says this gets no answer before the gate is open.
const HANG: u64 = 2_000;

/// A player that has counted this far cannot take a step before the gate is open.
const STUCK: u64 = 3_000;

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().expect("nobody panics with it") = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().expect("nobody panics with it");
        drop(self.opened.wait_while(open, |open| !*open).expect("nobody panics with it"));
    }
}

/// Opens the gate also when a test fails: its world waits for its threads.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A player that counts.
#[derive(State)]
#[state(kind = 1, name = "counter", player, world = Gate, durable = Count, event = Count)]
#[state(command = Count, reply = Count, public = Count, private = Count)]
struct Counter(u64);

impl Stored for Counter {
    fn load(_: u64, _: &Gate, count: Count) -> Self {
        Self(count.n)
    }

    fn save(&self) -> Count {
        Count { n: self.0 }
    }
}

impl Player for Counter {
    fn decide(&self, command: Count, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        assert_ne!(command.n, PANIC, "nobody has thought of this number");
        if command.n == HANG {
            cx.world.pass();
        }
        Ok(Done::new().event(&command).reply(&Count { n: self.0 + command.n }).into())
    }

    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Count { n: 0 }).take_name("player", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, gate: &Gate) -> u32 {
        if self.0 >= STUCK {
            gate.pass();
        }
        5_000
    }

    fn private(&self) -> Count {
        self.save()
    }
}

impl Entity for Counter {
    fn apply(&mut self, event: &Count) {
        self.0 += event.n;
    }

    fn public(&self, _: WorldTime) -> Option<Count> {
        Some(self.save())
    }
}

fn world(settings: &TestSettings, gate: &Arc<Gate>) -> TestWorld {
    TestWorld::start(settings, |_| Rules::shared("counting", Arc::clone(gate)).with::<Counter>())
}

async fn enter(world: &TestWorld, node: u16, name: &str) -> (Client, Events) {
    let address = world.url(node).parse().expect("an address");
    let (client, mut events) = Client::start(SessionSettings::new(vec![address], name));
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    (client, events)
}

/// What the world answers: a number, or a refusal's code.
async fn count(client: &Client, n: u64) -> Result<u64, String> {
    let answer = client.command(Bytes::from(Count { n }.encode_to_vec()));
    match tokio::time::timeout(PATIENCE, answer).await.expect("an answer") {
        Ok(reply) => Ok(Count::decode(reply).expect("a reply of the game").n),
        Err(CommandError::Refused(refusal)) => Err(refusal.code),
        Err(other) => panic!("{other}"),
    }
}

/// The black boxes, once there are `least`.
async fn boxes(world: &TestWorld, least: usize) -> Vec<(String, String)> {
    let dir = world.data().join("blackbox");
    let written = async {
        loop {
            let found = read(&dir);
            if found.len() >= least {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("they are written")
}

fn read(dir: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(dir).into_iter().flatten().filter_map(|f| Some(f.ok()?.path()));
    let files = files.filter(|f| f.extension().is_some_and(|e| e == "txt"));
    let name = |f: &Path| f.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files: Vec<_> =
        files.filter_map(|f| Some((name(&f), std::fs::read_to_string(&f).ok()?))).collect();
    files.sort();
    files
}

#[tokio::test]
async fn repeated_panics_suspend_the_player_and_are_written_down() {
    let settings = TestSettings { nodes: 2, black_box: true, ..TestSettings::default() };
    let world = world(&settings, &Arc::default());
    let (ada, mut events) = enter(&world, 1, "Ada").await;
    let (bob, _events) = enter(&world, 1, "Bob").await;
    assert_eq!(count(&ada, 3).await, Ok(3));
    for _ in 0..4 {
        assert_eq!(count(&ada, PANIC).await, Err("game_error".into()));
    }
    assert_eq!(count(&ada, 1).await, Ok(4), "a panic costs one command");
    assert_eq!(count(&ada, PANIC).await, Err("game_error".into()));
    assert_eq!(count(&ada, 1).await, Err("suspended".into()));
    let told = until(&mut events, |event| matches!(event, Event::Notice(_))).await;
    assert!(
        matches!(told, Event::Notice(n) if n.code == "suspended" && n.text.contains("Nothing of yours is lost"))
    );
    assert_eq!(count(&bob, 1).await, Ok(1), "nobody else notices");

    // The first, and the one that was one too many; those between came within the minute.
    let boxes = boxes(&world, 2).await;
    assert_eq!(boxes.len(), 2, "{:?}", boxes.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, text) in &boxes {
        assert!(name.contains("-n1-game-1-"), "{name}");
        assert!(text.contains("the game's `decide` panicked at entity 1/"), "{text}");
        assert!(text.contains("nobody has thought of this number"), "the panic's words: {text}");
        assert!(
            text.contains("isolation::Counter") && text.contains("tests/isolation.rs"),
            "the stack: {text}"
        );
        assert!(text.contains("game_panics: ") && text.contains(env!("CARGO_PKG_VERSION")), "{text}");
        let client = text.rfind(" in  client #").expect("the command that did it");
        let panicked = text.rfind(" out panicked entity 1/").max(text.rfind(" out suspended entity 1/"));
        assert!(panicked.is_some_and(|at| at > client), "{text}");
    }
    assert!(boxes[1].1.contains("the entity is suspended"), "{}", boxes[1].1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let dir = world.data().join("blackbox");
        assert_eq!((mode(&dir), mode(&dir.join(&boxes[0].0))), (0o700, 0o600));
    }
}

/// The node hangs, and so does the next that takes the player over. The third is only asked what became of it.
#[tokio::test]
async fn a_command_that_never_returns_ends_two_nodes_and_no_third() {
    let settings = TestSettings { nodes: 3, black_box: true, watchdog_ms: 1_500, ..TestSettings::default() };
    let gate = Arc::default();
    let world = world(&settings, &gate);
    let _opens = Opens(gate);
    let (ada, _events) = enter(&world, 1, "Ada").await;
    assert_eq!(count(&ada, 3).await, Ok(3));
    assert_eq!(count(&ada, HANG).await, Err("gave_up".into()));
    assert_eq!(count(&ada, 1).await, Ok(4), "and she plays on");
    let boxes = boxes(&world, 2).await;
    let names: Vec<_> = boxes.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.ends_with("-stuck.txt")), "{names:?}");
    for (name, text) in &boxes {
        assert!(text.contains("has not come back for 1500 ms"), "{text}");
        let last = text.lines().rfind(|line| line.contains(" in  "));
        // The command itself, or what brought it to its player again.
        let known = ["client #", "loaded entity", "command from", "timeout"];
        assert!(last.is_some_and(|line| known.iter().any(|k| line.contains(k))), "{name}: {last:?}");
    }
}

/// No command is to blame: every step hangs, whatever is done. The third node does not load the player.
#[tokio::test]
async fn a_rule_that_never_returns_ends_two_nodes_and_no_third() {
    let settings = TestSettings { nodes: 4, watchdog_ms: 1_500, ..TestSettings::default() };
    let gate = Arc::default();
    let world = world(&settings, &gate);
    let opens = Opens(gate);
    let address = world.url(1).parse().expect("an address");
    let mut adas = SessionSettings::new(vec![address], "Ada");
    let (ada, mut events) = Client::start(adas.clone());
    let welcome = until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    let Event::Welcomed(welcome) = welcome else { unreachable!("it is one") };
    let (bob, _events) = enter(&world, 4, "Bob").await;
    assert_eq!(count(&ada, STUCK).await, Ok(STUCK));
    let walks = async {
        for x in 0.. {
            ada.walk(Body { at: Point::new(15_000 + x % 2, 15_000), ..Body::default() }).await;
            // As often as a page sends steps.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let suspended = |event: &Event| match event {
        Event::Refused(refusal) => refusal.code == "suspended",
        Event::Ended(closing) => closing.as_ref().is_some_and(|c| c.code == "suspended"),
        _ => false,
    };
    let told = tokio::select! {
        told = until(&mut events, suspended) => told,
        () = walks => unreachable!("she walks until she is told"),
    };
    assert!(format!("{told:?}").contains("Nothing of yours is lost"), "{told:?}");
    let control = world.control();
    let blamed = control.blamed().expect("the world runs");
    let [(entity, 4)] = blamed[..] else { panic!("{blamed:?}") };
    assert_eq!(count(&bob, 1).await, Ok(1), "nobody else notices");

    opens.0.open();
    control.pardon(entity).expect("she was blamed");
    assert_eq!(control.pardon(entity).map_err(|refused| refused.code), Err("not_blamed".into()));
    assert_eq!(control.blamed(), Ok(Vec::new()));
    adas.token = welcome.token.clone();
    let (ada, mut events) = Client::start(adas);
    until(&mut events, |event| matches!(event, Event::Welcomed(_))).await;
    assert_eq!(count(&ada, 1).await, Ok(STUCK + 1), "she plays again, with what she had");
}
