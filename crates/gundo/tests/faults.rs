//! What keeps a world from starting, and what ends it, each in words that say what to do.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

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
    journal.set_meta("created_ms", "long ago").expect("noted");
    let fault = refused(&settings(), &journal);
    assert!(matches!(&fault, WorldFault::Note { key: "created_ms", .. }), "{fault}");
    assert!(fault.to_string().contains("\"long ago\""), "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let mut cases = vec![SoloSettings { nodes: 0, ..settings() }, SoloSettings { nodes: 65, ..settings() }];
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
    let fault = refused(&SoloSettings { listen, ..settings() }, &journal());
    assert!(fault.to_string().contains(&format!("{listen} is in use")), "{fault}");
}
