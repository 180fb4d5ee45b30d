//! The simulator as a command: its output, and its exit codes.

use std::sync::Arc;

use gundo_sim::main_told;

use crate::purses::{Purses, Wrong};

/// The exit code, and everything that was printed.
fn said(wrong: Wrong, words: &str) -> (u8, String) {
    main_told("play sim", Arc::new(Purses(wrong)), std::iter::once("play").chain(words.split_whitespace()))
}

const SMALL: &str = "--nodes 2 --clients 4 --fault-seconds 6";
const CALM: &str = "--nodes 2 --clients 4 --fault-seconds 6 --faults none";

#[test]
fn what_is_not_understood_is_one_line_and_code_2() {
    let cases = [
        ("--sedes 3", "unexpected argument '--sedes'"),
        ("fly", "unrecognized subcommand 'fly'"),
        ("--seed x", "a seed is a number from 0 to 2^64 - 1"),
        ("--seed 18446744073709551616", "a seed is a number"),
        ("--seed -1", "unexpected argument '-1'"),
        ("--seeds 0", "0 is not in 1.."),
        ("--nodes 0", "0 is not in 1..=64"),
        ("--nodes 99", "99 is not in 1..=64"),
        ("--clients 0", "0 is not in 1..=5000"),
        ("--clients 5001", "5001 is not in 1..=5000"),
        ("--fault-seconds 0", "0 is not in 1..=86400"),
        ("--faults nonsense", "there is no fault `nonsense`; there are delay, partition,"),
        ("--faults crash=often", "`often` is not a number from 0 to 10000"),
        ("--faults crash=10001", "`10001` is not a number from 0 to 10000"),
        ("--plant nothing", "there is no such bug; `mutants --list` names them"),
        ("mutants nothing", "there is no such bug; `mutants --list` names them"),
        ("mistakes nothing", "no rule has the mistake `nothing`; `mistakes --list` names them"),
        ("--mistake nothing", "no rule can make the mistake `nothing` here; `mistakes --list` names them"),
        ("--seed 1 --seeds 3", "'--seed <S>' cannot be used with '--seeds <N>'"),
        ("--story", "--seed <S>"),
        ("--seed 1 --node 1", "--story"),
        ("--seed 1 --story --entity me", "an id is hexadecimal"),
    ];
    for (words, what) in cases {
        let (code, text) = said(Wrong::Nothing, words);
        assert_eq!((code, text.lines().count()), (2, 1), "{words}: {text}");
        assert!(text.starts_with("error: ") && text.contains(what), "{words}: {text}");
        assert!(!text.contains("Usage:"), "{text}");
    }
}

#[test]
fn help_is_no_failure() {
    for words in ["--help", "mutants --help", "mistakes --help"] {
        let (code, text) = said(Wrong::Nothing, words);
        assert!(code == 0 && text.contains("Usage: play sim"), "{text}");
    }
    let (code, text) = said(Wrong::Nothing, "mutants --list");
    assert!(code == 0 && text.contains("early-reply") && text.contains(": G7."), "{text}");
}

#[test]
fn a_good_run_is_code_0_and_says_what_it_checked() {
    let (code, text) = said(Wrong::Nothing, &format!("--seeds 3 --jobs 2 --twice {CALM}"));
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    assert!(text.starts_with("3 seeds, 0 failed; "), "{text}");

    let (code, text) = said(Wrong::Nothing, &format!("--seed 0x3 --story --player 0 {CALM}"));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with(
            "play sim --seed 3 --nodes 2 --clients 4 --faults none --fault-seconds 6\nseed 3: 2 nodes, "
        ),
        "{text}"
    );
    assert!(text.contains(": hello, sim0 (0 bytes of token)\n") && text.contains("\ndigest "), "{text}");
}

#[test]
fn a_failure_begins_and_ends_with_the_command_that_shows_it() {
    let (code, text) = said(Wrong::Doubles, "--seeds 3 --from 7 --nodes 1 --clients 12 --fault-seconds 6");
    assert_eq!(code, 4, "{text}");
    let (first, last) = (text.lines().next().expect("lines"), text.lines().last().expect("lines"));
    assert_eq!(first, "play sim --seed 7 --nodes 1 --clients 12 --fault-seconds 6");
    assert!(last.starts_with("play sim --seed 7 ") && last != first, "{text}");
    assert!(text.contains("safety failure at") && text.contains("G4 conserved: chest"), "{text}");
    for line in [first, last] {
        let words = line.strip_prefix("play sim ").expect("the command");
        let (code, again) = said(Wrong::Doubles, &format!("{words} --no-shrink"));
        assert_eq!(code, 4, "{line}: {again}");
        assert!(again.contains("G4 conserved: chest"), "{again}");
        assert_eq!((again.lines().next(), again.lines().last()), (Some(line), Some(line)));
    }
}

#[test]
fn the_exit_code_tells_crash_safety_and_liveness_apart() {
    let cases = [
        (Wrong::Mad, "--faults none", 3, "crash failure at"),
        (Wrong::Overfills, "--faults none", 4, "the game's own: "),
        (Wrong::Nothing, "--faults none --plant early-reply", 4, "G7 durable before visible"),
        (Wrong::Nothing, "--plant lock-kept --faults reject=300,unknown-lost=300", 5, "liveness failure at"),
    ];
    for (wrong, more, expected, what) in cases {
        let (code, text) = said(wrong, &format!("--seeds 10 --no-shrink {SMALL} {more}"));
        assert_eq!(code, expected, "{text}");
        assert!(text.contains(what), "{text}");
        let last = text.lines().last().expect("lines");
        assert!(last.starts_with("play sim --seed ") && text.starts_with(last), "{text}");
    }
}

#[test]
fn the_checkers_are_proven_by_bugs() {
    let (code, text) =
        said(Wrong::Nothing, &format!("mutants early-reply player-stays --seeds 5 --jobs 2 {CALM}"));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("caught  early-reply ") && text.ends_with("2 of 2 caught\n"), "{text}");
    // A world without faults does not notice that failed loads are not retried.
    let (code, text) = said(Wrong::Nothing, &format!("mutants load-not-retried --seeds 1 {CALM}"));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("MISSED  load-not-retried ") && text.ends_with("0 of 1 caught\n"), "{text}");
}

#[test]
fn a_game_that_is_not_the_same_twice_is_told() {
    let (code, text) = said(Wrong::Fickle, &format!("--seeds 1 --twice {CALM}"));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("it ran in two ways: digest "), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.ends_with(" --twice")), "{text}");
}
