//! The journal in PostgreSQL keeps every promise of the suite.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::Server;
use gundo_journal::suite::CASES;

#[test]
fn every_promise_of_the_suite_is_kept() {
    let server = Server::start();
    let broken = CASES.iter().filter(|(_, case)| {
        let journal = server.journal();
        catch_unwind(AssertUnwindSafe(|| case(&journal))).is_err()
    });
    let broken: Vec<_> = broken.map(|(name, _)| name).collect();
    assert!(broken.is_empty(), "broken: {broken:?}");
}
