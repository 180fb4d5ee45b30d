//! `journal item` and `journal player`, as an operator has them: on the journal of a world that runs.
//!
//! The commands print; so this program runs itself again with their words, and reads what that prints.

use std::path::Path;
use std::process::Command;

use gundo_cli::{App, Lives, Mention, Step, Thing};
use gundo_journal::Journal;
use gundo_journal::suite::Probe;
use gundo_journal_sqlite::{Settings, SqliteJournal, Synchronous, open};
use gundo_kernel::game::{Context, Decision, Done, Entity, Player, Refusal, Rules, State, message};
use gundo_types::{Body, EntityId, Kind, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventRecord, EventType, NameChange, Outcome, Snapshot, StreamAppend};

/// Set in the process that is the command: its words, one a line.
const WORDS: &str = "GUNDO_TEST_WORDS";
/// When the world of the tests began: 2026-11-30 00:00 UTC.
const CREATED_MS: u64 = 1_795_996_800_000;
const RING: u64 = 0x3f2a_07c5_119e_8d40;

/// A ring comes to somebody, or goes.
#[message(crate = gundo_kernel::game)]
struct Moved {
    #[tag(1)]
    ring: u64,
    #[tag(2)]
    came: bool,
    #[tag(3)]
    with: u64,
}

/// Somebody who keeps one ring.
#[message(crate = gundo_kernel::game)]
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "keeper", player, event = Moved, command = Moved)]
struct Keeper {
    #[tag(1)]
    ring: u64,
    #[tag(2)]
    moves: u64,
}

impl Player for Keeper {
    fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new())
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body::default()
    }

    fn speed_max(&self, (): &()) -> u32 {
        0
    }

    fn decide(&self, _: Moved, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().into())
    }

    fn private(&self) {}
}

impl Entity for Keeper {
    fn apply(&mut self, event: &Moved) {
        self.moves += 1;
        self.ring = if event.came { event.ring } else { 0 };
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        None
    }
}

struct Rings;

impl Lives for Rings {
    fn name(&self, entity: EntityId, _: &[u8]) -> Option<String> {
        (entity.id == 1).then(|| "Sméagol".to_owned())
    }

    fn keys(&self, typed: &str) -> Vec<(&'static str, String)> {
        vec![("keeper", typed.to_lowercase())]
    }

    fn describe(&self, _: EntityId, state: &[u8]) -> Vec<String> {
        let Keeper { ring, moves } = Keeper::decode(state).expect("a keeper");
        vec![format!("ring {ring:x} after {moves} moves")]
    }

    fn things(&self, _: EntityId, state: &[u8]) -> Vec<Thing> {
        let id = Keeper::decode(state).expect("a keeper").ring;
        let thing = Thing { id, what: "ring".into(), place: "on a finger".into() };
        Some(thing).filter(|_| id != 0).into_iter().collect()
    }

    fn mentions(&self, _: EntityId, event: &[u8]) -> Vec<Mention> {
        let Moved { ring: id, came, with } = Moved::decode(event).expect("a move");
        let other = (with != 0).then(|| keeper(with));
        let (step, words) = match (came, other) {
            (true, None) => (Step::Made, "made it"),
            (true, Some(_)) => (Step::Comes, "got it of"),
            (false, _) => (Step::Goes, "gave it to"),
        };
        vec![Mention { id, step, words: words.into(), other }]
    }

    /// Ids are no `fixed64` here: field 1 of events and states.
    fn trace(&self, id: u64) -> Vec<u8> {
        Keeper { ring: id, moves: 0 }.encode_to_vec()
    }
}

fn keeper(id: u64) -> EntityId {
    EntityId::new(Kind(1), id)
}

/// The process that is the command.
#[test]
fn as_a_command() {
    let Ok(words) = std::env::var(WORDS) else { return };
    let app = App::new("rings", |_| Rules::new("rings", ()).with::<Keeper>()).lives(Rings);
    let code = app.run_from(std::iter::once("rings").chain(words.lines()));
    println!("{code:?}");
}

/// What the command `words` prints, about the world in `data`.
fn run(data: &Path, words: &[&str]) -> String {
    let words = [words, &["--data", data.to_str().expect("a path in UTF-8")]].concat().join("\n");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let output = command.args(["--exact", "as_a_command", "--nocapture"]).env(WORDS, words).output();
    let output = output.expect("it runs");
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn moved(at: u64, ring: u64, came: bool, with: u64) -> EventRecord {
    let payload = Moved { ring, came, with }.encode_to_vec().into();
    EventRecord { at: WorldTime(at), cause: [].as_slice().into(), event_type: EventType::Game, payload }
}

fn append(id: u64, after: u64, events: Vec<EventRecord>) -> StreamAppend {
    StreamAppend { entity: keeper(id), load: 1, after, events, snapshot: None, wake: None }
}

/// A world with the life of a ring: 1 made it, and gave it to 2, who has given it to 3. 1 is called Sméagol.
struct World {
    dir: tempfile::TempDir,
    journal: SqliteJournal,
    node: Probe,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings { synchronous: Synchronous::Off, keep_ms: 0, ..Settings::default() };
        let journal = open(dir.path(), settings).expect("a new journal");
        for (key, value) in [("game", "rings"), ("seed", "1"), ("created_ms", &CREATED_MS.to_string())] {
            journal.set_meta(key, value).expect("written");
        }
        let mut node = Probe::join(&journal, 1);
        let name = NameChange { space: "keeper".into(), name: "sméagol".into(), owner: Some(keeper(1)) };
        let made = append(1, 0, vec![moved(1_000, RING, true, 0)]);
        assert_eq!(node.append_names(made, vec![name]), Outcome::Done);
        let mut world = Self { dir, journal, node };
        world.gives(2_000, (1, 1), (2, 0));
        world.gives(90_000_000, (2, 1), (3, 0));
        world
    }

    /// From one keeper to another, after these events of theirs.
    fn gives(&mut self, at: u64, (from, seq): (u64, u64), (to, last): (u64, u64)) {
        let gave = append(from, seq, vec![moved(at, RING, false, to)]);
        let got = append(to, last, vec![moved(at, RING, true, from)]);
        assert_eq!(self.node.append(vec![gave, got]), Outcome::Done);
    }

    fn run(&self, words: &[&str]) -> String {
        run(self.dir.path(), words)
    }
}

#[test]
fn a_thing_has_a_life_from_hand_to_hand() {
    let mut world = World::new();
    let told = world.run(&["journal", "item", "3f2a07c5119e8d40"]);
    let lines: Vec<&str> =
        told.lines().filter(|line| line.starts_with("day") || line.starts_with("now")).collect();
    assert_eq!(
        lines,
        [
            "day 0 00:00:01.000  2026-11-30 00:00:01.000Z  keeper Sméagol (1): made it  [event 1]",
            "day 0 00:00:02.000  2026-11-30 00:00:02.000Z  keeper Sméagol (1): gave it to keeper 2  [event 2]",
            "day 0 00:00:02.000  2026-11-30 00:00:02.000Z  keeper 2: got it of keeper Sméagol (1)  [event 1]",
            "day 1 01:00:00.000  2026-12-01 01:00:00.000Z  keeper 2: gave it to keeper 3  [event 2]",
            "day 1 01:00:00.000  2026-12-01 01:00:00.000Z  keeper 3: got it of keeper 2  [event 1]",
            "now: the ring is on a finger of keeper 3",
        ],
        "{told}"
    );
    assert!(told.contains("ExitCode(unix_exit_status(0))") && !told.contains("PROBLEM"), "{told}");
    // The world runs on, and the next look sees it.
    world.gives(90_001_000, (3, 1), (1, 2));
    assert!(
        world.run(&["journal", "item", "#3f2a07c5119e8d40"]).contains("on a finger of keeper Sméagol (1)")
    );
    // A copy, as a mistake in the rules would make it.
    let copy = append(4, 0, vec![moved(90_002_000, RING, true, 3)]);
    assert_eq!(world.node.append(vec![copy]), Outcome::Done);
    let told = world.run(&["journal", "item", "0x3F2A07C5119E8D40"]);
    assert!(told.contains("PROBLEM: 2 have it") && told.contains("unix_exit_status(1)"), "{told}");

    let told = world.run(&["journal", "item", "1"]);
    assert!(told.contains("nothing with the id 0000000000000001") && told.contains("(1)"), "{told}");
    assert!(world.run(&["journal", "item", "axe"]).contains("hexadecimal"));
}

#[test]
fn a_player_is_shown_as_it_was() {
    let mut world = World::new();
    let show = |world: &World, at: &str| {
        let told = world.run(&["journal", "player", "SMÉAGOL", "--at", at]);
        told.lines().filter(|line| !line.is_empty()).take(5).collect::<Vec<_>>().join("|")
    };
    for at in ["day 0 00:00:01", "2026-11-30 00:00:01.999"] {
        let told = show(&world, at);
        assert!(
            told.contains("keeper Sméagol")
                || told.contains("player Sméagol (1), after event 1 of day 0 00:00:01.000"),
            "{told}"
        );
        assert!(told.contains("ring 3f2a07c5119e8d40 after 1 moves"), "{told}");
    }
    assert!(show(&world, "day 0 00:00:02").contains("ring 0 after 2 moves"));
    assert!(
        show(&world, "day 0 00:00:00")
            .contains("did not exist yet: its first event is of day 0 00:00:01.000")
    );
    assert!(world.run(&["journal", "player", "1"]).contains("ring 0 after 2 moves"), "by its id, as it is");
    assert!(world.run(&["journal", "player", "nobody"]).contains("nobody is called"));
    assert!(world.run(&["journal", "player", "77"]).contains("no player 77"));
    assert!(world.run(&["journal", "player", "1", "--at", "yesterday"]).contains("a time is world time"));

    // Two snapshots later the first events are pruned.
    for (at, seq, moves) in [(10_000, 3, 3), (20_000, 4, 4)] {
        let state = Keeper { ring: RING, moves }.encode_to_vec();
        let snapshot = Snapshot { state: state.into(), at, ..Snapshot::default() }.encode_to_vec().into();
        let more = append(1, seq - 1, vec![moved(at, RING, true, 2)]);
        assert_eq!(world.node.append(vec![StreamAppend { snapshot: Some(snapshot), ..more }]), Outcome::Done);
    }
    assert!(show(&world, "day 0 00:00:02").contains("ring 0 after 2 moves"), "all is there");
    world.journal.prune(WorldTime(30_000)).expect("it prunes");
    let told = show(&world, "day 0 00:00:02");
    assert!(told.contains("does not go back that far") && told.contains("day 0 00:00:10.000"), "{told}");
    assert!(show(&world, "day 0 00:00:15").contains("after event 3"));
    assert!(show(&world, "day 0 00:00:20").contains("after event 4"));
    let told = world.run(&["journal", "item", "3f2a07c5119e8d40"]);
    assert!(told.contains("its first events are not in the journal any more"), "{told}");
}

/// Set `GUNDO_TEST_EVENTS=1000000` to measure: what a search costs, and that it does not hold the journal.
#[test]
fn a_search_goes_through_the_journal_in_slices() {
    let events = std::env::var("GUNDO_TEST_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000u64);
    let mut world = World::new();
    for id in 10..10 + events / 500 {
        let many = (0..500).map(|n| moved(100_000_000 + n, id << 32 | n, true, 1)).collect();
        assert_eq!(world.node.append(vec![append(id, 0, many)]), Outcome::Done);
    }
    world.gives(200_000_000, (3, 1), (10_000_000, 0));
    let began = std::time::Instant::now();
    let told = world.run(&["journal", "item", "3f2a07c5119e8d40"]);
    println!("{events} events: {:?}", began.elapsed());
    assert!(told.contains("now: the ring is on a finger of keeper 989680"), "{told}");
    assert_eq!(told.matches("[event ").count(), 7, "{told}");
}
