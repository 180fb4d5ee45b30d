//! Timers in the simulator: with every fault, and with each planted bug.

use std::sync::Arc;

use gundo_sim::Game;
use gundo_types::Planted;

use crate::savings::Savings;
use crate::small::{finds, holds};

#[test]
fn timers_ring_once_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let rung = holds(&game, |report| report.counts.timers);
    assert!(rung > 300, "{rung} timers");
}

#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let all = [
        Planted::TimerTwice,
        Planted::TimerEarly,
        Planted::TimerLost,
        Planted::TimerPruned,
        Planted::TimerCancelIgnored,
        Planted::NobodyWoken,
    ];
    finds(&game, &all);
}
