//! Which entities have something to do.

use gundo_wire::journal::{NEVER, Wake, WakesAsked};

use super::*;

impl Probe {
    /// Reads wakes and waits.
    ///
    /// # Panics
    /// They cannot be read, or the answer is another's.
    pub fn wakes(&mut self, after: Option<Wake>, until: u64, max: usize) -> Vec<Wake> {
        self.handle.wakes(WakesAsked { after, until: WorldTime(until), max }, 79);
        match self.next() {
            Completion::Woken { list: 79, result } => result.expect("the wakes can be read"),
            other => panic!("nobody waits for {other:?}"),
        }
    }
}

/// An append says from when on its entity has something to do, or that it has nothing to do any more; the last word counts. Only what
/// lands says anything, and what is read after the last wake goes on behind it.
pub fn wakes_are_what_the_last_append_said(journal: &dyn Journal) {
    let mut a = Probe::join(journal, 1);
    let wakes = |e: EntityId, load, after, at| StreamAppend { wake: at, ..stream(e, load, after, 1) };
    let (at, ids) = (|n| Some(WorldTime(n)), [1, 2, 3, u64::MAX]);
    for id in ids {
        assert_eq!(a.append(vec![wakes(entity(id), 1, 0, at(50))]), Outcome::Done);
    }
    assert_eq!(a.append(vec![stream(entity(2), 1, 1, 1)]), Outcome::Done, "it says nothing about that");
    assert_eq!(a.append(vec![wakes(entity(3), 1, 1, at(20)), wakes(entity(4), 1, 0, at(30))]), Outcome::Done);
    assert_eq!(a.append(vec![wakes(entity(1), 1, 1, Some(NEVER))]), Outcome::Done);
    assert_eq!(a.append(vec![wakes(entity(2), 1, 9, at(1))]), Outcome::Conflict);
    // Two words in what may be one group.
    let (first, second) = (wakes(entity(5), 1, 0, at(10)), wakes(entity(5), 1, 1, at(70)));
    let batches = vec![a.batch(vec![first]), a.batch(vec![second])];
    assert_eq!(a.append_all(batches), [Outcome::Done, Outcome::Done]);
    assert_eq!(a.wakes(None, 19, 9), []);
    assert_eq!(a.wakes(None, 49, 9), [(WorldTime(20), entity(3)), (WorldTime(30), entity(4))]);
    let (mut all, mut after) = (Vec::new(), None);
    while let Some(next) = a.wakes(after, 70, 1).pop() {
        all.push(next);
        after = Some(next);
    }
    assert_eq!(all, a.wakes(None, u64::MAX, 9), "page by page, or at once");
    assert!(all.is_sorted_by_key(|(at, _)| *at));
    let mut ids: Vec<_> = all.iter().map(|(at, entity)| (at.0, entity.id)).collect();
    ids.sort_unstable();
    assert_eq!(ids, [(20, 3), (30, 4), (50, 2), (50, u64::MAX), (70, 5)]);
    let begun = journal.begin_generation(7).expect("it begins");
    a.generation = begun;
    assert_eq!(a.wakes(None, 29, 9), [(WorldTime(20), entity(3))], "a generation forgets none");
    assert_eq!(a.append(vec![wakes(entity(3), 2, 2, Some(NEVER))]), Outcome::Done);
    assert_eq!(a.append(vec![wakes(entity(3), 2, 3, Some(NEVER))]), Outcome::Done, "twice is once");
    assert_eq!(a.wakes(None, 29, 9), []);
}
