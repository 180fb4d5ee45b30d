//! A stream is removed whole, or not at all.

use gundo_types::WorldTime;
use gundo_wire::journal::{NameChange, Outcome, StreamAppend};

use super::{Probe, entity, stream};
use crate::Journal;

fn named(name: &str, owner: Option<gundo_types::EntityId>) -> NameChange {
    NameChange { space: "player".into(), name: name.into(), owner }
}

/// What was removed is gone, with its names and its wake, and may begin again. A stream that somebody has appended to since it was read stays.
pub fn a_removed_stream_leaves_nothing(journal: &dyn Journal) {
    let (mut a, mut b) = (Probe::join(journal, 1), Probe::join(journal, 2));
    let [gone, stays] = [entity(1), entity(2)];
    for (id, name) in [(gone, "ada"), (stays, "ben")] {
        let mut batch = a.batch(vec![stream(id, 1, 0, 2)]);
        batch.names = vec![named(name, Some(id)), named(&format!("{name} two"), Some(id))];
        assert_eq!(a.append_all(vec![batch]), [Outcome::Done]);
    }
    // Both have something to do later.
    for id in [gone, stays] {
        let wake = Some(WorldTime(50));
        assert_eq!(a.append(vec![StreamAppend { wake, ..stream(id, 1, 2, 1) }]), Outcome::Done);
    }
    let owner = |name: &str| journal.name("player", name).expect("readable").and_then(|row| row.owner);
    assert_eq!(journal.remove(&[(gone, 2), (stays, 4)]).expect("writable"), 0, "they do not end there");
    assert_eq!((owner("ada"), owner("ben")), (Some(gone), Some(stays)));
    assert_eq!(journal.remove(&[(gone, 3), (stays, 2), (entity(3), 0)]).expect("writable"), 1);
    assert_eq!(a.wakes(None, 99, 9), [(WorldTime(50), stays)], "nobody loads what is gone");
    assert_eq!((owner("ada"), owner("ada two"), owner("ben")), (None, None, Some(stays)));
    assert_eq!(journal.stream(gone, 0, 10).expect("readable"), []);
    let left: Vec<_> = journal.streams(None, 10).expect("readable").iter().map(|s| s.entity).collect();
    assert_eq!(left, [stays]);
    let loaded = a.load(gone);
    assert_eq!((loaded.events.len(), loaded.snapshot), (0, None));

    // Who still has it in memory finds that it has gone, and loads it again.
    assert_eq!(b.append(vec![stream(gone, 1, 3, 1)]), Outcome::Conflict);
    assert_eq!(a.append(vec![stream(gone, 2, 0, 1)]), Outcome::Done, "it begins again");
    assert_eq!(journal.stream(gone, 0, 10).expect("readable").len(), 1);
    // And the names are free.
    let mut batch = a.batch(vec![stream(entity(4), 1, 0, 1)]);
    batch.names = vec![named("ada", Some(entity(4)))];
    assert_eq!(a.append_all(vec![batch]), [Outcome::Done]);
    assert_eq!(owner("ada"), Some(entity(4)));
    assert_eq!(journal.remove(&[(gone, 1)]).expect("writable"), 1);
    assert_eq!(owner("ada"), Some(entity(4)), "another has the name now");
    assert_eq!(journal.remove(&[(gone, 1), (gone, 0)]).expect("writable"), 0, "removed is removed");
}

/// The snapshots of a stream go with it: a load of what begins again finds its own events only.
pub fn a_removed_stream_leaves_no_snapshot(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let id = entity(7);
    let mut append = stream(id, 1, 0, 3);
    append.snapshot = Some("before".into());
    assert_eq!(a.append(vec![append]), Outcome::Done);
    assert_eq!(journal.remove(&[(id, 3)]).expect("writable"), 1);
    let mut again = stream(id, 2, 0, 1);
    again.events[0].at = WorldTime(9_000_000);
    assert_eq!(a.append(vec![again]), Outcome::Done);
    let loaded = a.load(id);
    assert_eq!((loaded.snapshot, loaded.events.len()), (None, 1));
    assert_eq!(loaded.events[0].0, 1);
}
