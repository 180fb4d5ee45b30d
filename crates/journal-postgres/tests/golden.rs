//! A world that an earlier version made is brought up to date when it is opened, and goes on.

mod common;

use common::Server;
use gundo_journal::Journal;
use gundo_journal::suite::{Probe, stream};
use gundo_journal_postgres::open;
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{Outcome, StreamAppend};

#[test]
fn a_world_of_format_1_goes_on_with_wakes() {
    let server = Server::start();
    let settings = server.settings();
    let schema = &settings.schema;
    let tables = include_str!("golden/format_1.sql");
    server.sql(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}; {tables}"));
    let wakes = format!("SELECT to_regclass('{schema}.wakes') IS NULL");
    assert_eq!(server.sql(&wakes), "t", "it had no such table");

    let id = EntityId::new(Kind(9), 1);
    for after in [3, 4] {
        let journal = open(settings.clone()).expect("it is brought up to date, and then it is");
        assert_eq!(server.sql(&format!("SELECT value FROM {schema}.meta WHERE key = 'format'")), "2");
        assert_eq!(journal.created_ms(), 1_795_291_116_300);
        assert_eq!(journal.meta("game").expect("readable").as_deref(), Some("golden"));
        let owner = journal.name("player", "ada").expect("readable").and_then(|row| row.owner);
        assert_eq!(owner, Some(id));
        let mut node = Probe::join(&journal, 1);
        let loaded = node.load(id);
        assert_eq!(loaded.snapshot.map(|(seq, bytes)| (seq, bytes.to_vec())), Some((2, b"both".to_vec())));
        assert_eq!(loaded.events.last().map(|(seq, _)| *seq), Some(after));
        // What is due is known from now on.
        let wake = Some(WorldTime(100 + after));
        assert_eq!(node.append(vec![StreamAppend { wake, ..stream(id, 1, after, 1) }]), Outcome::Done);
        assert_eq!(node.wakes(None, 999, 9), [(WorldTime(100 + after), id)]);
    }
}
