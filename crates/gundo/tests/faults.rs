//! What keeps a world from starting, and what ends it, each in words that say what to do.

mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use gundo::App;
use gundo_journal::{Journal, MemoryJournal};
use gundo_node::{LocalNodes, SoloSettings, WorldFault};
use support::rules;

fn settings() -> SoloSettings {
    SoloSettings { nodes: 2, listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..SoloSettings::default() }
}

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new())
}

fn refused(settings: &SoloSettings, journal: &Arc<dyn Journal>) -> WorldFault {
    LocalNodes::start(settings, Arc::clone(journal), rules).err().expect("it does not start")
}

#[test]
fn a_world_keeps_its_seed_and_its_game() {
    let journal = journal();
    let first = LocalNodes::start(&settings(), Arc::clone(&journal), rules).expect("a new world");
    let info = first.info().clone();
    first.stop().expect("saved");
    let again = LocalNodes::start(&settings(), Arc::clone(&journal), rules).expect("the same world");
    assert_eq!(again.info(), &info);
    drop(again);
    let other = SoloSettings { seed: Some(info.seed + 1), ..settings() };
    assert!(matches!(refused(&other, &journal), WorldFault::OtherSeed { found } if found == info.seed));
    journal.set_meta("game", "chess").expect("noted");
    let fault = refused(&settings(), &journal);
    assert!(matches!(&fault, WorldFault::OtherGame { found, .. } if found == "chess"), "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let mut cases = vec![SoloSettings { nodes: 0, ..settings() }, SoloSettings { nodes: 65, ..settings() }];
    cases.push(SoloSettings { listen: SocketAddr::from(([127, 0, 0, 1], 65_535)), ..settings() });
    let mut world = settings().world;
    world.tick_ms = 0;
    cases.push(SoloSettings { world, ..settings() });
    let mut world = settings().world;
    world.sight_chunks = [3, 2, 1];
    cases.push(SoloSettings { world, ..settings() });
    let mut world = settings().world;
    world.tier_ticks[1] = 0;
    cases.push(SoloSettings { world, ..settings() });
    for case in cases {
        let fault = refused(&case, &journal());
        assert!(matches!(fault, WorldFault::Settings(_)), "{fault}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("its address");
    let fault = refused(&SoloSettings { nodes: 1, listen, ..settings() }, &journal());
    assert!(fault.to_string().contains(&format!("{listen} is in use")), "{fault}");
}

/// What the command line `words` ends with.
fn exit(words: &[&str]) -> String {
    let words = std::iter::once("counting").chain(words.iter().copied());
    format!("{:?}", App::new("counting", rules).run_from(words))
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let code = |n: u8| format!("{:?}", ExitCode::from(n));
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a path in UTF-8");
    assert_eq!(exit(&["--help"]), code(0));
    assert_eq!(exit(&["--nodes", "many"]), code(2));
    assert_eq!(exit(&["journal", "stream", "counter", "no-number"]), code(2));
    assert_eq!(exit(&["--config", "/nowhere/gundo.toml", "--data", data]), code(1));
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(1), "there is no journal");
    let busy = gundo_journal_sqlite::open(data, gundo_journal_sqlite::Settings::default()).expect("new");
    assert_eq!(exit(&["--listen", "127.0.0.1:0", "--data", data]), code(1), "somebody else has it");
    drop(busy);
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(0));
    assert_eq!(exit(&["journal", "stream", "counter", "1", "--data", data]), code(1), "no such counter");
}
