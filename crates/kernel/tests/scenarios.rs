//! Scenarios: stories of a small cluster, written as text and compared with the recorded ones. See `tests/scenarios/`.

mod support;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            support::script::check(concat!(stringify!($name), ".txt"));
        })*
    };
}

scenarios! {
    strangers_meet,
    a_name_is_taken_once,
    a_pebble_changes_hands,
    two_lands_in_one_transaction,
    two_want_the_same,
    commands_survive_a_cut,
    the_newer_connection_wins,
    a_forged_token,
    grace_and_leaving,
    a_slow_client,
    lost_frames,
    walking_far,
    the_journal_refuses,
    the_journal_does_not_know,
    the_journal_hangs,
    the_journal_is_slow,
    a_short_hitch,
    too_much_under_way,
    the_disk_is_nearly_full,
    too_much_to_do,
    game_code_panics,
    stop_and_start,
    a_jump_under_way,
    a_resume_refused,
    two_resumes_unknown,
    back_to_an_empty_chunk,
    land_that_is_none,
    a_number_too_high,
    a_jump_before_the_welcome,
    unknown_gains_are_told,
    a_newcomer_unknown,
    a_takeover_unknown,
    a_takeover_refused,
    a_takeover_that_fails,
    stopping_on_a_full_disk,
    a_player_nobody_can_read,
    said_too_often,
    too_late,
    said_again_out_of_turn,
    a_first_welcome_lost,
    a_first_hello_at_two_nodes,
    a_grant_overtaken,
    a_first_hello_and_a_crash,
    a_hello_refused,
    clocks_that_differ,
    said_again_in_a_full_house,
    one_tick_one_frame,
    an_old_hello_comes_late,
    one_token_said_by_many,
    a_node_dies,
    a_node_dies_in_the_middle,
    an_edge_dies,
    back_before_the_takeover,
    gone_during_a_takeover,
    a_player_suspended,
    land_suspended,
    poison,
    poison_for_land,
    poison_for_a_neighbour,
    innocent_twice,
    a_look_that_panics,
}
