//! Messages between entities in the simulator: with every fault, and with each planted bug.

use std::sync::Arc;

use gundo_sim::Game;
use gundo_types::Planted;

use crate::post::Mails;
use crate::small::{finds, holds};

#[test]
fn messages_hold_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Mails);
    let taken = holds(&game, |report| report.counts.mail);
    assert!(taken > 300, "{taken} messages");
}

/// That homes load whom nobody needs is found with `timers`: here somebody always comes back.
#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Mails);
    finds(&game, &[Planted::MailEarly, Planted::MailTwice, Planted::OwedForgotten, Planted::OwedPruned]);
}
