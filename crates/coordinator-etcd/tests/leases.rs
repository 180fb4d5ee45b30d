//! Leases that etcd itself ends, and outages that are longer than a lease.

mod common;

use std::time::{Duration, Instant};

use common::{Engine, LEASE_MS, until};
use gundo_coordinator::{RowAnswer, RowRequest};

/// Lets time pass: here it is the thing that is tested.
fn sleep(ms: u64) {
    // No condition to wait for: a lease may end, or not, by itself.
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn a_member_that_does_not_renew_is_removed_after_its_lease() {
    let engine = Engine::start(1);
    let (a, b) = (engine.connect(), engine.connect());
    let seen = [a.watch(), b.watch()];
    let begun = Instant::now();
    let ids = a.join(&[1, 2, 3]);
    let kept = [a.keep(ids[0]), b.keep(ids[1])];
    until("the third is removed", || (b.incarnations() == ids[..2]).then_some(()));
    assert!(begun.elapsed() >= Duration::from_millis(LEASE_MS), "not before its lease is over");
    let stands = engine.rows.answer(RowRequest::Stands { incarnation: ids[2] });
    assert_eq!(stands, RowAnswer::Stands(false), "its row went first");
    assert_eq!(a.try_renew(ids[2]), Ok(false), "it hears of it");
    assert!(kept.into_iter().all(common::Keeping::end), "the others stay");
    seen.iter().for_each(|seen| seen.every_epoch_until(2));
}

#[test]
fn one_process_that_lives_is_enough() {
    let engine = Engine::start(1);
    let (a, b) = (engine.connect(), engine.connect());
    let first = a.join(&[1]);
    let second = b.join(&[2]);
    drop(a);
    let kept = b.keep(second[0]);
    until("the first is removed", || (b.incarnations() == second).then_some(()));
    assert!(kept.end());
    assert_eq!(b.try_renew(first[0]), Ok(false));
}

#[test]
fn after_an_outage_of_etcd_everybody_may_come_back() {
    let mut engine = Engine::start(1);
    let (a, b) = (engine.connect(), engine.connect());
    let ids = a.join(&[1, 2, 3]);
    let kept = [a.keep(ids[0]), b.keep(ids[1]), b.keep(ids[2])];
    engine.etcd.stop(0).expect("it runs");
    until("calls fail", || a.try_view().is_err().then_some(()));
    sleep(2 * LEASE_MS);
    engine.etcd.go_on(0).expect("it runs");
    until("calls work", || a.try_view().ok());
    // A member that has not come back within this time is removed.
    sleep(2 * LEASE_MS);
    assert_eq!((a.incarnations(), a.view().epoch.0), (ids.clone(), 1), "nobody was removed");
    let [first, second, third] = kept;
    assert!(third.end(), "it belonged until the end");
    until("the third is removed", || (a.incarnations() == ids[..2]).then_some(()));
    assert!(first.end() && second.end());
}

#[test]
fn after_an_outage_who_does_not_come_back_is_removed() {
    let mut engine = Engine::start(1);
    let a = engine.connect();
    let ids = a.join(&[1, 2, 3]);
    engine.etcd.stop(0).expect("it runs");
    let kept = [a.keep(ids[0]), a.keep(ids[1])];
    sleep(2 * LEASE_MS);
    engine.etcd.go_on(0).expect("it runs");
    until("the third is removed", || (a.incarnations() == ids[..2]).then_some(()));
    assert!(kept.into_iter().all(common::Keeping::end), "the others have come back");
}
