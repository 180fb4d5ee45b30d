//! The list of cases, and what makes tests of it. Start with [`conformance!`](crate::conformance).

use super::*;

/// Calls the macro `$then`, with what is in front of it, for the names of all cases.
#[doc(hidden)]
#[macro_export]
macro_rules! journal_cases {
    ($then:path, $($front:tt)*) => {
        $then! { $($front)*
            the_predecessor_decides, a_stale_append_below_the_pruning_line_is_refused, all_streams_or_none,
            a_conflict_is_isolated, what_depends_on_a_failure_fails_with_it, a_foreign_event_does_not_heal_a_failed_line,
            a_failed_load_bars_no_load_of_another_node,
            a_fence_is_judged_by_seqs_alone, members_fence_writers, incarnations_only_grow, names_are_unique,
            a_snapshot_comes_with_its_event, pruning_keeps_what_loads_need, meta_is_kept, a_note_is_settled_once,
            tools_see_every_stream, lines_do_not_mix, a_list_says_which_entities_have_begun,
            a_batch_of_another_generation_is_refused, wakes_are_what_the_last_append_said, generations_only_grow,
            the_newest_time_is_known, a_raised_note_never_falls, a_removed_stream_leaves_nothing,
            a_removed_stream_leaves_no_snapshot, what_is_in_memory_first_lands_as_all_else
        }
    };
}

/// Makes one `#[test]` per case of the suite. The argument is an expression that gives a fresh, empty [`Journal`] for
/// each; it may be a tuple of the journal and something that must outlive it.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::journal_cases!($crate::conformance, @ $make;);
    };
    (@ $make:expr; $($case:ident),*) => { $(
        #[test]
        fn $case() {
            let made = $make;
            $crate::suite::$case($crate::suite::Made::journal(&made));
        }
    )* };
}

macro_rules! list_cases {
    ($($case:ident),*) => {
        /// Every case with its name: for a journal that is costly to make, and is tested with all of them in one test.
        pub const CASES: &[(&str, fn(&dyn Journal))] = &[$((stringify!($case), $case)),*];
    };
}

journal_cases!(list_cases,);
