//! Members of etcd that die, hang, are slow or come back, and connections that do.

mod common;

use common::proxy::Proxy;
use common::{Engine, answer, call, start, until};
use gundo_coordinator::suite::candidate;
use gundo_coordinator::{CallError, Coordinator};
use gundo_types::Epoch;

/// Makes one more view.
fn change(caller: &common::Caller, node: u16) -> u64 {
    let joined = caller.join(&[node]);
    caller.leave(joined[0]);
    caller.view().epoch.0
}

#[test]
fn a_leader_that_is_killed_is_replaced() {
    let mut engine = Engine::start(3);
    let caller = engine.connect();
    let seen = caller.watch();
    caller.join(&[1]);
    for _ in 0..2 {
        let leader = until("there is a leader", || engine.etcd.leader());
        engine.etcd.kill(leader);
        let epoch = change(&caller, 2);
        seen.every_epoch_until(epoch);
        engine.etcd.start_member(leader).expect("it starts");
        engine.etcd.wait_healthy(leader).expect("it comes back");
    }
}

#[test]
fn all_members_are_killed_and_come_back_from_disk() {
    let mut engine = Engine::start(3);
    let caller = engine.connect();
    let seen = caller.watch();
    let ids = caller.join(&[1, 2]);
    (0..3).for_each(|index| engine.etcd.kill(index));
    let error = caller.try_view().expect_err("nobody is there");
    assert!(error.to_string().contains("etcd at http://127.0.0.1:"), "{error}");
    (0..3).for_each(|index| engine.etcd.start_member(index).expect("it starts"));
    (0..3).for_each(|index| engine.etcd.wait_healthy(index).expect("it comes back"));
    assert_eq!(caller.incarnations(), ids);
    let epoch = change(&caller, 3);
    seen.every_epoch_until(epoch);
    assert_eq!(caller.incarnations(), ids);
}

#[test]
fn a_minority_that_hangs_is_passed_by() {
    let mut engine = Engine::start(3);
    let caller = engine.connect();
    let seen = caller.watch();
    caller.join(&[1]);
    let leader = until("there is a leader", || engine.etcd.leader());
    for index in [leader, (leader + 1) % 3] {
        engine.etcd.stop(index).expect("it runs");
        let epoch = change(&caller, 2);
        seen.every_epoch_until(epoch);
        engine.etcd.go_on(index).expect("it runs");
        engine.etcd.wait_healthy(index).expect("it goes on");
    }
}

#[test]
fn while_the_majority_hangs_every_call_fails_in_time() {
    let mut engine = Engine::start(3);
    let caller = engine.connect();
    let seen = caller.watch();
    let ids = caller.join(&[1, 2]);
    for index in [0, 1] {
        engine.etcd.stop(index).expect("it runs");
    }
    let c = &caller.0;
    let failed = |error: CallError| {
        assert!(matches!(error, CallError::Unanswered | CallError::Failed { .. }), "{error}")
    };
    let join = start(|reply| c.join(vec![candidate(3)], reply));
    let renewal = start(|reply| c.renew(ids[0], reply));
    let removal = start(|reply| c.remove(Epoch(1), ids[1], reply));
    let leave = start(|reply| c.leave(ids[1], reply));
    let drain = start(|reply| c.drain(ids[1], reply));
    let view = start(|reply| c.view(reply));
    failed(answer(&join).expect_err("nobody decides"));
    failed(answer(&renewal).expect_err("nobody decides"));
    failed(answer(&removal).expect_err("nobody decides"));
    failed(answer(&leave).expect_err("nobody decides"));
    failed(answer(&drain).expect_err("nobody decides"));
    failed(answer(&view).expect_err("nobody decides"));
    for index in [0, 1] {
        engine.etcd.go_on(index).expect("it runs");
    }
    let joined = caller.join(&[3]);
    assert!(caller.incarnations().contains(&joined[0]));
    assert!(until("it is asked", || caller.try_renew(ids[0]).ok()));
    let epoch = caller.view().epoch.0;
    seen.every_epoch_until(epoch);
}

#[test]
fn connections_that_fall_silent_are_made_again() {
    let engine = Engine::start(1);
    let proxy = Proxy::to(&engine.etcd.endpoints()[0]);
    let (caller, other) = (engine.connect_to(vec![proxy.endpoint()]), engine.connect());
    let seen = caller.watch();
    // The other one's views, which only the watch can bring. Those of the drains are etcd's very next revisions.
    let ids = other.join(&[1, 2]);
    seen.every_epoch_until(1);
    proxy.silence();
    assert!(other.drain(ids[0]) && other.drain(ids[1]));
    seen.every_epoch_until(3);
    let epoch = change(&caller, 3);
    seen.every_epoch_until(epoch);
}

#[test]
fn a_slow_member_is_passed_by() {
    let engine = Engine::start(3);
    let endpoints = engine.etcd.endpoints();
    let proxy = Proxy::to(&endpoints[0]);
    let caller = engine.connect_to(vec![proxy.endpoint(), endpoints[1].clone()]);
    let seen = caller.watch();
    // So slow that no call could succeed with it alone.
    proxy.delay(2_000);
    let epoch = change(&caller, 1);
    proxy.delay(0);
    seen.every_epoch_until(epoch);
}

#[test]
fn a_watch_that_missed_compacted_views_goes_on_with_the_present_one() {
    let mut engine = Engine::start(3);
    let endpoints = engine.etcd.endpoints();
    let (behind, ahead) =
        (engine.connect_to(vec![endpoints[2].clone()]), engine.connect_to(endpoints[..2].to_vec()));
    let seen = behind.watch();
    engine.etcd.kill(2);
    let mut epoch = 0;
    for node in 1..4 {
        epoch = change(&ahead, node);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = etcd_client::Client::connect(&endpoints[..2], None).await.expect("etcd is there");
        let revision =
            client.get("x", None).await.expect("it answers").header().expect("it has one").revision();
        client.compact(revision, None).await.expect("it compacts");
    });
    engine.etcd.start_member(2).expect("it starts");
    let last = change(&ahead, 5);
    until("the present view is seen", || (seen.epochs().last() == Some(&last)).then_some(()));
    assert!(seen.epochs().is_sorted(), "{:?} after {epoch}", seen.epochs());
}

#[test]
fn a_call_is_answered_although_too_many_wait() {
    let mut engine = Engine::start(1);
    let caller = engine.connect();
    let ids = caller.join(&[1]);
    engine.etcd.stop(0).expect("it runs");
    let calls: Vec<_> = (0..1_100).map(|_| start(|reply| caller.0.renew(ids[0], reply))).collect();
    assert!(calls.iter().all(|call| answer(call).is_err()));
    engine.etcd.go_on(0).expect("it runs");
    assert!(until("it is asked", || call(|reply| caller.0.renew(ids[0], reply)).ok()), "there is room again");
}
