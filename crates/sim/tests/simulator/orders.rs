//! Operators' orders in the simulator: with every fault, and with each planted bug.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_sim::{Dial, Game};
use gundo_types::Planted;

use crate::savings::Savings;
use crate::small::{finds_with, holds};

#[test]
fn orders_happen_once_while_everything_goes_wrong() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let taken = holds(&game, |report| report.counts.orders);
    assert!(taken > 20, "{taken} orders");
}

#[test]
fn each_planted_bug_is_found() {
    let game: Arc<dyn Game> = Arc::new(Savings);
    let dials = BTreeMap::from([(Dial::NodeCrash, Some(10)), (Dial::Orders, Some(120))]);
    let all = [Planted::OrderTwice, Planted::OrderLost, Planted::OrderRefusalForgotten];
    finds_with(&game, &all, dials);
}
