//! Callers that die between two steps, and callers that race.

use gundo_types::Epoch;

use super::{Caller, LEASE_MS, Made, assert_settled, candidate, stands};
use crate::operation::{Answer, Join, Operation, Remove, Request, Step};
use crate::{CallError, RowAnswer, RowRequest};

/// How a caller ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Before it sends its next request.
    BeforeAsking,
    /// Its request was done, and the answer was lost.
    Unheard,
}

/// More steps than any operation here has.
const STEPS_MAX: usize = 50;

/// Runs an operation for this many steps. True: it ended before that.
fn steps(made: &impl Made, operation: &mut impl Operation, count: usize) -> bool {
    for _ in 0..count {
        let Step::Ask(request) = operation.next() else { return true };
        let answer = made.ask(request.clone());
        operation.on_answer(answer);
    }
    matches!(operation.next(), Step::Done(_))
}

/// Kills a caller in every possible way: at each step, before it and after it. `begin` gives the operation of a fresh world,
/// `then` checks what must hold.
fn interrupt<M: Made, O: Operation>(make: &impl Fn() -> M, begin: impl Fn(&M) -> O, then: impl Fn(&M, &str)) {
    for count in 0..STEPS_MAX {
        for end in [End::BeforeAsking, End::Unheard] {
            let made = make();
            let mut operation = begin(&made);
            if steps(&made, &mut operation, count) {
                assert!(count > 3, "it was done after {count} steps already");
                return;
            }
            if let (End::Unheard, Step::Ask(request)) = (end, operation.next()) {
                made.ask(request.clone());
            }
            drop(operation);
            then(&made, &format!("{count} steps, then {end:?}"));
        }
    }
    panic!("it has no end");
}

/// A join whose caller dies anywhere is finished by the next join of the node.
pub fn a_join_that_stops_is_finished_by_another<M: Made>(make: impl Fn() -> M) {
    let begin = |made: &M| {
        Caller(made.coordinator()).join(&[1, 2]);
        // One node that joins for the first time, and one that was a member before.
        Join::new(vec![candidate(3), candidate(2)], LEASE_MS)
    };
    interrupt(&make, begin, |made, how| {
        let c = Caller(made.coordinator());
        let highest = (1..100).filter(|i| stands(made, *i)).max().expect("somebody has joined");
        let joined = c.join(&[3, 2]);
        assert!(joined[0] > highest && joined[1] > highest, "higher than all before: {how}");
        assert_eq!(c.incarnations()[1..], [joined[1], joined[0]], "{how}");
        assert!(joined.iter().all(|incarnation| c.renew(*incarnation)), "{how}");
        assert_settled(made, how);
    });
}

/// A removal whose proposer dies anywhere is finished by the next proposal on the same view.
pub fn a_removal_that_stops_is_finished_by_another<M: Made>(make: impl Fn() -> M) {
    let begin = |made: &M| {
        let c = Caller(made.coordinator());
        let ids = c.join(&[1, 2, 3]);
        Remove::proposed(c.epoch(), ids[1])
    };
    interrupt(&make, begin, |made, how| {
        let c = Caller(made.coordinator());
        let (epoch, was_done) = (c.epoch(), c.epoch() > Epoch(1));
        assert!(!c.remove(Epoch(0), 2), "a stale view finishes nothing: {how}");
        assert_eq!(c.epoch(), epoch, "{how}");
        assert_eq!(c.remove(Epoch(1), 2), !was_done, "{how}");
        assert_eq!((c.epoch(), c.incarnations()), (Epoch(2), vec![1, 3]), "{how}");
        assert!(!c.renew(2) && c.renew(1), "{how}");
        assert_settled(made, how);
    });
}

/// A member whose leave stops anywhere has left after it calls leave again.
pub fn a_leave_that_stops_is_finished_by_another<M: Made>(make: impl Fn() -> M) {
    let begin = |made: &M| {
        Caller(made.coordinator()).join(&[1, 2]);
        Remove::leaving(2)
    };
    interrupt(&make, begin, |made, how| {
        let c = Caller(made.coordinator());
        c.leave(2);
        assert_eq!((c.epoch(), c.incarnations()), (Epoch(2), vec![1]), "{how}");
        assert_settled(made, how);
    });
}

/// What nobody calls again ends too, one lease later at most: an interrupted join is gone, unless it was complete, and so is a
/// member whose removal had begun.
pub fn what_stops_ends_by_itself<M: Made>(make: impl Fn() -> M) {
    let join = |made: &M| {
        Caller(made.coordinator()).join(&[1, 2]);
        Join::new(vec![candidate(3), candidate(2)], LEASE_MS)
    };
    interrupt(&make, join, |made, how| {
        until_leases_are_over(made, how);
        assert_eq!(Caller(made.coordinator()).incarnations(), [1], "nobody renews for the others: {how}");
    });
    let remove = |made: &M| {
        Caller(made.coordinator()).join(&[1, 2, 3]);
        Remove::proposed(Epoch(1), 2)
    };
    interrupt(&make, remove, until_leases_are_over);
}

/// Two callers in a row die while they join a node. A third joins it, or nobody does: either way no row of theirs is left.
pub fn joins_that_stop_twice_leave_nothing<M: Made>(make: impl Fn() -> M) {
    const STEPS: usize = 8;
    for (first, second, third) in (0..STEPS * STEPS * 2).map(|n| (n / 2 / STEPS, n / 2 % STEPS, n % 2 == 1)) {
        let made = make();
        let c = Caller(made.coordinator());
        c.join(&[1, 2]);
        for count in [first, second] {
            steps(&made, &mut Join::new(vec![candidate(2)], LEASE_MS), count);
        }
        let how = format!("{first} steps, {second} steps");
        if third {
            let joined = c.join(&[2])[0];
            assert_eq!(c.incarnations(), [1, joined], "{how}");
            assert_settled(&made, &how);
        } else {
            until_leases_are_over(&made, &how);
        }
    }
}

/// A join that stalls for longer than a lease gives up and leaves no row; unless it was complete.
pub fn a_join_that_takes_longer_than_a_lease_gives_up<M: Made>(make: impl Fn() -> M) {
    for count in 0..STEPS_MAX {
        let made = make();
        Caller(made.coordinator()).join(&[1]);
        let mut join = Join::new(vec![candidate(2), candidate(3)], LEASE_MS);
        if steps(&made, &mut join, count) {
            assert!(count > 3, "it was done after {count} steps already");
            return;
        }
        let how = format!("{count} steps before");
        until_leases_are_over(&made, &how);
        assert!(steps(&made, &mut join, STEPS_MAX), "it comes to an end: {how}");
        match result(&join) {
            Ok(members) => {
                let joined: Vec<_> = members.iter().map(|m| m.incarnation).collect();
                assert_eq!(Caller(made.coordinator()).incarnations()[1..], joined, "{how}");
            }
            Err(error) => assert_eq!(error, CallError::Superseded, "{how}"),
        }
        assert_settled(&made, &how);
    }
    panic!("it has no end");
}

/// A member goes on if the caller of another join of its node dies before it has touched the member's row.
pub fn a_member_that_renews_outlives_a_join_that_stops_early<M: Made>(make: impl Fn() -> M) {
    // Read, grant a lease, begin, register.
    for count in 0..=4 {
        let made = make();
        let c = Caller(made.coordinator());
        c.join(&[1, 2]);
        steps(&made, &mut Join::new(vec![candidate(2)], LEASE_MS), count);
        for _ in 0..=LEASE_MS / 500 {
            made.pass(500);
            assert!(c.renew(1) && c.renew(2), "{count} steps");
        }
        assert_eq!((c.epoch(), c.incarnations()), (Epoch(1), vec![1, 2]), "{count} steps");
        assert_settled(&made, &format!("{count} steps"));
    }
}

/// Nobody but the first member renews, until every other lease is over.
fn until_leases_are_over(made: &impl Made, how: &str) {
    let c = Caller(made.coordinator());
    for _ in 0..=LEASE_MS / 500 {
        made.pass(500);
        assert!(c.renew(1), "the one that calls nobody");
    }
    assert_eq!(c.incarnations()[0], 1, "{how}");
    assert_settled(made, how);
}

/// Runs two operations step by step, in the order of the bits of `order`, then each to its end.
fn race<M: Made>(made: &M, order: u32, a: &mut impl Operation, b: &mut impl Operation) {
    for turn in 0..16 {
        if order >> turn & 1 == 0 {
            steps(made, a, 1);
        } else {
            steps(made, b, 1);
        }
    }
    assert!(steps(made, a, STEPS_MAX) && steps(made, b, STEPS_MAX), "both come to an end");
}

fn result<O: Operation>(operation: &O) -> Result<O::Output, CallError> {
    match operation.next() {
        Step::Done(result) => result.clone(),
        Step::Ask(request) => panic!("it still asks {request:?}"),
    }
}

/// Orders in which two operations interleave: enough to cover every pair of their steps.
fn orders() -> impl Iterator<Item = u32> {
    (0..16).flat_map(|first| {
        let block = |length: u32| (1_u32 << length) - 1;
        (0..16 - first).map(move |length| block(length) << first)
    })
}

/// Two members cannot reach each other and propose each other's removal at once. One is removed, the other keeps its row, however
/// their steps interleave.
pub fn of_two_removals_of_each_other_one_wins<M: Made>(make: impl Fn() -> M) {
    for order in orders() {
        let made = make();
        let c = Caller(made.coordinator());
        let ids = c.join(&[1, 2]);
        let (mut a, mut b) = (Remove::proposed(c.epoch(), ids[1]), Remove::proposed(c.epoch(), ids[0]));
        race(&made, order, &mut a, &mut b);
        let (a, b) = (result(&a), result(&b));
        assert!(matches!((&a, &b), (Ok(true), Ok(false)) | (Ok(false), Ok(true))), "{order:b}: {a:?} {b:?}");
        let winner = if a == Ok(true) { ids[0] } else { ids[1] };
        assert_eq!((c.epoch(), c.incarnations()), (Epoch(2), vec![winner]), "{order:b}");
        assert!(c.renew(winner));
        assert_settled(&made, &format!("{order:b}"));
    }
}

/// Two callers join the same node at once. One of them succeeds; the other one fails, or its incarnation has been replaced.
pub fn of_two_joins_of_a_node_one_wins<M: Made>(make: impl Fn() -> M) {
    for order in orders() {
        let made = make();
        let c = Caller(made.coordinator());
        c.join(&[1, 2]);
        let join = || Join::new(vec![candidate(2)], LEASE_MS);
        let (mut a, mut b) = (join(), join());
        race(&made, order, &mut a, &mut b);
        let (a, b) = (result(&a), result(&b));
        let incarnation = c.incarnations()[1];
        let has = |joined: &Result<Vec<gundo_kernel::Member>, CallError>| match joined {
            Ok(members) => members[0].incarnation == incarnation,
            Err(error) => {
                assert_eq!(*error, CallError::Superseded, "{order:b}");
                false
            }
        };
        assert!(has(&a) != has(&b), "{order:b}: {a:?} {b:?}, and {incarnation} belongs");
        assert!(c.renew(incarnation));
        assert_settled(&made, &format!("{order:b}"));
    }
}

/// Two callers join two nodes at once, and both nodes belong afterwards.
pub fn joins_of_two_nodes_at_once_both_succeed<M: Made>(make: impl Fn() -> M) {
    for order in orders() {
        let made = make();
        let join = |node| Join::new(vec![candidate(node)], LEASE_MS);
        let (mut a, mut b) = (join(1), join(2));
        race(&made, order, &mut a, &mut b);
        let joined = [result(&a), result(&b)].map(|joined| joined.expect("it joins")[0].incarnation);
        assert_eq!(Caller(made.coordinator()).incarnations(), joined, "{order:b}");
        assert_settled(&made, &format!("{order:b}"));
    }
}

/// However joins interleave, the incarnations that a view adds are above all of earlier views: members tell by that whether an
/// incarnation that they do not know has left or is still to come.
pub fn incarnations_grow_from_view_to_view<M: Made>(make: impl Fn() -> M) {
    for order in orders() {
        let made = make();
        let c = Caller(made.coordinator());
        let join = |nodes: &[u16]| Join::new(nodes.iter().map(|n| candidate(*n)).collect(), LEASE_MS);
        let (mut a, mut b) = (join(&[1, 4]), join(&[2, 3]));
        let mut seen: Vec<u64> = Vec::new();
        // Longer than a race: the slower one may have to begin again.
        for turn in 0..64 {
            if turn < 16 && order >> turn & 1 == 1 || turn >= 40 {
                steps(&made, &mut b, 1);
            } else {
                steps(&made, &mut a, 1);
            }
            let newest = seen.iter().max().copied().unwrap_or(0);
            let added: Vec<_> = c.incarnations().into_iter().filter(|i| !seen.contains(i)).collect();
            assert!(added.iter().all(|i| *i > newest), "{added:?} come after {seen:?}: {order:b}");
            seen.extend(added);
        }
        let joined = [result(&a), result(&b)].map(|joined| joined.expect("they join"));
        assert!(joined.iter().flatten().all(|m| c.renew(m.incarnation)), "{order:b}");
        assert_settled(&made, &format!("{order:b}"));
    }
}

/// A caller ends a join, because its lease seems to be over, and dies anywhere. If the join still succeeds, the node has its row.
pub fn of_a_join_and_its_end_one_wins<M: Made>(make: impl Fn() -> M) {
    for (before, ending) in (0..STEPS_MAX * 8).map(|n| (n / 8, n % 8)) {
        let made = make();
        let c = Caller(made.coordinator());
        c.join(&[1]);
        let mut join = Join::new(vec![candidate(2)], LEASE_MS);
        if steps(&made, &mut join, before) {
            return;
        }
        steps(&made, &mut Remove::lease_over(2), ending);
        steps(&made, &mut join, STEPS_MAX);
        match result(&join) {
            Ok(members) => assert!(c.renew(members[0].incarnation), "{before} steps, {ending} steps"),
            Err(error) => assert_eq!(error, CallError::Superseded, "{before} steps, {ending} steps"),
        }
        until_leases_are_over(&made, &format!("{before} steps, {ending} steps"));
    }
}

/// A registration that a caller sent before it gave up arrives after another caller has joined the node: it creates no row.
pub fn a_late_request_of_a_join_that_gave_up_brings_no_row_back<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    c.join(&[1]);
    let mut given_up = Join::new(vec![candidate(2)], LEASE_MS);
    let late = loop {
        match given_up.next() {
            Step::Ask(request @ Request::Row(RowRequest::Register { .. })) => break request.clone(),
            _ => assert!(!steps(&made, &mut given_up, 1), "a join registers a row"),
        }
    };
    let joined = c.join(&[2])[0];
    assert_eq!(made.ask(late), Answer::Row(RowAnswer::Passed { newest: joined }));
    assert_settled(&made, "after a late registration");
}
