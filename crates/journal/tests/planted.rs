//! The suite finds every bug that can be planted into a journal.

#![cfg(feature = "planted")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use gundo_journal::{Journal, MemoryJournal, suite};
use gundo_types::Planted;

type Case = fn(&dyn Journal);

const SEEN_BY: [(Planted, Case); 10] = [
    (Planted::LeaversWrite, suite::members_fence_writers),
    (Planted::SeqUnchecked, suite::the_predecessor_decides),
    (Planted::GapAccepted, suite::the_predecessor_decides),
    (Planted::StaleAppend, suite::a_stale_append_below_the_pruning_line_is_refused),
    (Planted::BarsOfOthers, suite::a_failed_load_bars_no_load_of_another_node),
    (Planted::LaterBatchLands, suite::a_foreign_event_does_not_heal_a_failed_line),
    (Planted::TornAppend, suite::all_streams_or_none),
    (Planted::TailLost, suite::a_snapshot_comes_with_its_event),
    (Planted::SnapshotUnfenced, suite::a_snapshot_comes_with_its_event),
    (Planted::NameTakenTwice, suite::names_are_unique),
];

#[test]
fn each_is_seen_by_a_case_of_the_suite() {
    let blind = SEEN_BY.iter().filter(|(planted, case)| {
        let journal = MemoryJournal::new();
        case(&journal);
        let journal = MemoryJournal::new();
        journal.plant(Some(*planted));
        catch_unwind(AssertUnwindSafe(|| case(&journal))).is_ok()
    });
    let blind: Vec<_> = blind.map(|(planted, _)| planted.name()).collect();
    assert!(blind.is_empty(), "the suite does not see {blind:?}");
}
