//! What every coordinator promises, as tests: [`conformance!`](crate::conformance) makes one test per function here for a
//! coordinator of yours.
//!
//! A case makes its own coordinators, each without members. It also needs the coordinator's store and rows: a caller that dies is
//! an [`operation`](crate::operation) that the case runs by hand for some steps and then drops, and the coordinator has to finish
//! what it left.

mod interrupted;

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};

use gundo_kernel::{Member, View};
use gundo_types::{EdgeAddress, Epoch, NodeId, Site};

pub use interrupted::{
    a_join_that_stops_is_finished_by_another, a_join_that_takes_longer_than_a_lease_gives_up,
    a_late_request_of_a_join_that_gave_up_brings_no_row_back, a_leave_that_stops_is_finished_by_another,
    a_member_that_renews_outlives_a_join_that_stops_early, a_removal_that_stops_is_finished_by_another,
    incarnations_grow_from_view_to_view, joins_of_two_nodes_at_once_both_succeed,
    joins_that_stop_twice_leave_nothing, of_a_join_and_its_end_one_wins, of_two_joins_of_a_node_one_wins,
    of_two_removals_of_each_other_one_wins, what_stops_ends_by_itself,
};

use crate::operation::{Answer, Request};
use crate::{ANSWER_MS, CallError, Candidate, Coordinator, Reply, RowAnswer, RowRequest};

/// Length of a lease in every case, ms.
pub const LEASE_MS: u64 = 5_000;

/// A coordinator without members, and what is behind it.
pub trait Made {
    /// The coordinator, with leases of [`LEASE_MS`].
    fn coordinator(&self) -> &dyn Coordinator;

    /// Asks its store or its journal directly, as another caller would.
    fn ask(&self, request: Request) -> Answer;

    /// Lets this much time pass, ms, at most 500; the coordinator does its own work meanwhile.
    fn pass(&self, ms: u64);

    /// Nobody reaches the store for this long, ms; its time goes on.
    fn outage(&self, ms: u64);

    /// From now on the journal takes requests without answering; or it answers again.
    fn mute_journal(&self, mute: bool);
}

/// Makes one `#[test]` per case of the suite. The argument is a function (or closure) that gives a fresh
/// [`Made`](crate::suite::Made), as often as it is called.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance!(@ $make;
            nodes_join_in_one_view, a_node_that_joins_again_is_another_incarnation,
            incarnations_go_on_where_the_journal_is, a_removal_needs_the_present_view, the_last_member_stays,
            a_member_leaves_even_as_the_last, a_drain_is_a_new_view, a_member_that_does_not_renew_is_removed,
            after_an_outage_everybody_has_a_lease_to_come_back,
            a_member_whose_row_is_gone_hears_it, a_journal_that_hangs_removes_nobody, a_watch_sees_every_epoch_in_order, what_is_not_answered_has_failed,
            a_join_that_stops_is_finished_by_another, a_removal_that_stops_is_finished_by_another,
            a_leave_that_stops_is_finished_by_another, what_stops_ends_by_itself,
            joins_that_stop_twice_leave_nothing, a_join_that_takes_longer_than_a_lease_gives_up,
            a_member_that_renews_outlives_a_join_that_stops_early, of_two_removals_of_each_other_one_wins,
            of_two_joins_of_a_node_one_wins, joins_of_two_nodes_at_once_both_succeed,
            incarnations_grow_from_view_to_view, of_a_join_and_its_end_one_wins,
            a_late_request_of_a_join_that_gave_up_brings_no_row_back
        );
    };
    (@ $make:expr; $($case:ident),*) => { $(
        #[test]
        fn $case() {
            $crate::suite::$case($make);
        }
    )* };
}

/// A candidate as the cases make them.
pub fn candidate(node: u16) -> Candidate {
    let (scheme, host, path) = ("wss".into(), format!("n{node}"), format!("/ws/{node}"));
    let site = Site {
        fabric: format!("10.0.0.{node}:7700"),
        admin: format!("10.0.0.{node}:7800"),
        machine: format!("m{node}"),
        zone: "north".into(),
    };
    Candidate { node: NodeId(node), address: EdgeAddress { scheme, host, port: 7_600 + node, path }, site }
}

/// Makes a call and waits for the answer.
fn call<T: Send + 'static>(ask: impl FnOnce(Reply<T>)) -> Result<T, CallError> {
    let answer = start(ask);
    answer.recv().expect("every call is answered")
}

fn start<T: Send + 'static>(ask: impl FnOnce(Reply<T>)) -> Receiver<Result<T, CallError>> {
    let (tx, rx) = channel();
    // A case may have stopped waiting.
    ask(Box::new(move |answer| drop(tx.send(answer))));
    rx
}

/// A coordinator whose calls wait for their answers.
struct Caller<'a>(&'a dyn Coordinator);

impl Caller<'_> {
    fn join(&self, nodes: &[u16]) -> Vec<u64> {
        let members = self.try_join(nodes).expect("they join");
        members.iter().map(|m| m.incarnation).collect()
    }

    fn try_join(&self, nodes: &[u16]) -> Result<Vec<Member>, CallError> {
        let candidates = nodes.iter().map(|node| candidate(*node)).collect();
        call(|reply| self.0.join(candidates, reply))
    }

    fn renew(&self, incarnation: u64) -> bool {
        call(|reply| self.0.renew(incarnation, reply)).expect("it is asked")
    }

    fn remove(&self, epoch: Epoch, incarnation: u64) -> bool {
        call(|reply| self.0.remove(epoch, incarnation, reply)).expect("it is asked")
    }

    fn leave(&self, incarnation: u64) {
        call(|reply| self.0.leave(incarnation, reply)).expect("it leaves");
    }

    fn drain(&self, incarnation: u64) -> bool {
        call(|reply| self.0.drain(incarnation, reply)).expect("it is asked")
    }

    fn view(&self) -> View {
        call(|reply| self.0.view(reply)).expect("there is a view")
    }

    fn epoch(&self) -> Epoch {
        self.view().epoch
    }

    fn incarnations(&self) -> Vec<u64> {
        self.view().members.iter().map(|m| m.incarnation).collect()
    }
}

fn stands(made: &impl Made, incarnation: u64) -> bool {
    match made.ask(Request::Row(RowRequest::Stands { incarnation })) {
        Answer::Row(RowAnswer::Stands(stands)) => stands,
        other => panic!("the journal cannot be read: {other:?}"),
    }
}

/// The rows in the journal are those of the members, and nothing else is left.
fn assert_settled(made: &impl Made, what: &str) {
    const MORE_THAN_ANY_CASE: u64 = 100;
    let members: BTreeSet<u64> = Caller(made.coordinator()).incarnations().into_iter().collect();
    let rows: BTreeSet<u64> = (1..MORE_THAN_ANY_CASE).filter(|i| stands(made, *i)).collect();
    assert_eq!(rows, members, "rows and members differ: {what}");
}

/// Nodes that join together appear in one view, in node order, with ascending incarnations and a row each.
pub fn nodes_join_in_one_view<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    assert_eq!(c.view(), View::default());
    let members = c.try_join(&[3, 1]).expect("they join");
    assert_eq!(members.iter().map(|m| m.node.0).collect::<Vec<_>>(), [3, 1], "as they were given");
    assert!(members[1].incarnation > members[0].incarnation);
    let view = c.view();
    assert_eq!(view.epoch, Epoch(1));
    assert_eq!(view.members, [members[1].clone(), members[0].clone()]);
    let Candidate { node, address, site } = candidate(1);
    let incarnation = members[1].incarnation;
    assert_eq!(view.members[0], Member { node, incarnation, address, site, weight: 1, draining: false });
    let second = c.join(&[2]);
    assert_eq!((c.epoch(), second[0] > incarnation), (Epoch(2), true));
    assert!(c.incarnations().into_iter().all(|incarnation| c.renew(incarnation)));
    assert_settled(&made, "after two joins");
}

/// A node that joins again replaces its earlier incarnation, in one view, and its number was never used.
pub fn a_node_that_joins_again_is_another_incarnation<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let first = c.join(&[1, 2]);
    let again = c.join(&[2])[0];
    assert!(again > first[1]);
    assert_eq!(c.incarnations(), [first[0], again]);
    assert_eq!(c.epoch(), Epoch(2), "nobody saw a view without the node");
    assert!(!stands(&made, first[1]), "its earlier row is gone");
    assert!(!c.renew(first[1]), "and the earlier incarnation hears of it");
    c.leave(again);
    let third = c.join(&[2])[0];
    assert!(third > again, "higher than all before, also than those that left");
    assert_settled(&made, "after a node's third life");
}

/// A store that is younger than its journal gives no incarnation that the journal has seen.
pub fn incarnations_go_on_where_the_journal_is<M: Made>(make: impl Fn() -> M) {
    const OLD: u64 = 4_000;
    let made = make();
    let register = |incarnation| RowRequest::Register { node: NodeId(9), incarnation };
    assert_eq!(made.ask(Request::Row(register(OLD))), Answer::Row(RowAnswer::Registered));
    let delete = Request::Row(RowRequest::Delete { incarnation: OLD });
    assert_eq!(made.ask(delete), Answer::Row(RowAnswer::Deleted));
    let c = Caller(made.coordinator());
    let joined = c.join(&[1, 2]);
    assert!(joined[0] > OLD && joined[1] > joined[0], "{joined:?}");
    assert!(joined.into_iter().all(|incarnation| stands(&made, incarnation)));
}

/// A removal is for the present view only: of several proposals on one view, the first one wins.
pub fn a_removal_needs_the_present_view<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2, 3]);
    let epoch = c.epoch();
    assert!(!c.remove(Epoch(epoch.0 - 1), ids[1]), "a view that is past");
    assert!(!c.remove(Epoch(epoch.0 + 1), ids[1]), "a view that is not yet");
    assert!(!c.remove(epoch, ids[2] + 7), "nobody");
    assert_eq!((c.epoch(), stands(&made, ids[1])), (epoch, true), "nothing has changed");
    assert!(c.remove(epoch, ids[1]));
    assert!(!stands(&made, ids[1]));
    assert!(!c.renew(ids[1]), "it hears that it was removed");
    assert!(!c.remove(epoch, ids[2]), "this view is past, too");
    assert!(stands(&made, ids[2]));
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(epoch.0 + 1), vec![ids[0], ids[2]]));
}

/// The last member is not removed, neither by a proposal nor because its lease is over.
pub fn the_last_member_stays<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1]);
    assert!(!c.remove(c.epoch(), ids[0]));
    (0..20).for_each(|_| made.pass(500));
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(1), ids.clone()));
    assert!(c.renew(ids[0]), "it gets another lease");
    assert_settled(&made, "after a lease of the last");
}

/// A member leaves; so does the last one; leaving twice changes nothing.
pub fn a_member_leaves_even_as_the_last<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2]);
    c.leave(ids[0]);
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(2), vec![ids[1]]));
    c.leave(ids[0]);
    assert_eq!(c.epoch(), Epoch(2), "once is enough");
    c.leave(ids[1]);
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(3), Vec::new()));
    assert_settled(&made, "after everybody has left");
}

/// A member marked as draining is so in the next view, once.
pub fn a_drain_is_a_new_view<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2]);
    assert!(c.drain(ids[1]) && c.drain(ids[1]));
    let view = c.view();
    assert_eq!(view.epoch, Epoch(2));
    assert_eq!(view.members.iter().map(|m| m.draining).collect::<Vec<_>>(), [false, true]);
    assert!(c.renew(ids[1]), "it still belongs");
    c.leave(ids[1]);
    assert!(!c.drain(ids[1]), "it belongs no more");
    assert_eq!(c.epoch(), Epoch(3));
}

/// Members that renew stay; one that does not is removed when its lease is over, not before.
pub fn a_member_that_does_not_renew_is_removed<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2, 3]);
    let renews = |id: u64| assert!(c.renew(id), "it belongs");
    for _ in 0..3 * LEASE_MS / 500 {
        made.pass(500);
        ids.iter().copied().for_each(renews);
    }
    for _ in 0..LEASE_MS / 500 - 1 {
        made.pass(500);
        ids[..2].iter().copied().for_each(renews);
    }
    assert_eq!(c.incarnations(), ids, "its lease is not over yet");
    for _ in 0..2 {
        made.pass(500);
        ids[..2].iter().copied().for_each(renews);
    }
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(2), ids[..2].to_vec()));
    assert!(!c.renew(ids[2]), "it hears of it");
    assert_settled(&made, "after a lease");
}

/// Nobody could renew for longer than a lease. The first that reaches the store again removes nobody: the others have a lease
/// from then on. Who does not renew within that is removed after all.
pub fn after_an_outage_everybody_has_a_lease_to_come_back<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2, 3]);
    made.outage(3 * LEASE_MS);
    assert!(c.renew(ids[0]), "it belongs");
    for _ in 0..LEASE_MS / 500 - 1 {
        made.pass(500);
        assert!(c.renew(ids[0]), "it belongs");
    }
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(1), ids.clone()), "the others may still come back");
    assert!(c.renew(ids[1]), "it has come back in time");
    for _ in 0..2 {
        made.pass(500);
        ids[..2].iter().for_each(|id| assert!(c.renew(*id), "it belongs"));
    }
    assert_eq!(c.incarnations(), ids[..2], "the third one has not");
    assert_settled(&made, "after an outage");
}

/// A member whose row is gone must stop, whatever the view still says. A row alone makes no member.
pub fn a_member_whose_row_is_gone_hears_it<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2]);
    let delete = Request::Row(RowRequest::Delete { incarnation: ids[1] });
    assert_eq!(made.ask(delete), Answer::Row(RowAnswer::Deleted));
    assert!(!c.renew(ids[1]));
    assert!(c.renew(ids[0]));
    let register = RowRequest::Register { node: NodeId(9), incarnation: 50 };
    assert_eq!(made.ask(Request::Row(register)), Answer::Row(RowAnswer::Registered));
    assert!(!c.renew(50));
}

/// The journal hangs for longer than a lease, while all members try to renew: they are heard, so nobody is removed.
pub fn a_journal_that_hangs_removes_nobody<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2, 3]);
    made.mute_journal(true);
    for _ in 0..2 * LEASE_MS / 500 {
        ids.iter().for_each(|incarnation| made.coordinator().renew(*incarnation, Box::new(drop)));
        made.pass(500);
    }
    made.mute_journal(false);
    for _ in 0..4 {
        made.pass(500);
        assert!(ids.iter().all(|incarnation| c.renew(*incarnation)), "they go on");
    }
    assert_eq!((c.epoch(), c.incarnations()), (Epoch(1), ids));
}

/// A watch begins with the present view, and gets each later one once, in order, before the call that made the view is answered.
pub fn a_watch_sees_every_epoch_in_order<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1]);
    let (tx, seen) = channel();
    let watch = made.coordinator().watch(Box::new(move |view| drop(tx.send(view))));
    let next = || seen.recv().expect("the watch is there");
    assert_eq!(next(), c.view(), "the present one first");
    let mut epoch = c.epoch();
    let more = c.join(&[2, 3]);
    c.drain(more[0]);
    assert!(c.remove(c.epoch(), more[1]));
    c.join(&[3]);
    c.leave(more[0]);
    assert!(!c.remove(Epoch(1), ids[0]));
    for _ in 0..5 {
        epoch.0 += 1;
        assert_eq!(next().epoch, epoch);
    }
    assert_eq!(c.epoch(), epoch);
    drop(watch);
    c.join(&[4]);
    assert!(seen.recv().is_err(), "nothing after the watch has ended");
}

/// A call that the journal does not answer in time has failed; the same call then continues from there.
pub fn what_is_not_answered_has_failed<M: Made>(make: impl Fn() -> M) {
    let made = make();
    let c = Caller(made.coordinator());
    let ids = c.join(&[1, 2]);
    let epoch = c.epoch();
    made.mute_journal(true);
    let removal = start(|reply| made.coordinator().remove(epoch, ids[1], reply));
    let renewal = start(|reply| made.coordinator().renew(ids[0], reply));
    let join = start(|reply| made.coordinator().join(vec![candidate(3)], reply));
    let leave = start(|reply| made.coordinator().leave(ids[1], reply));
    assert_eq!(c.view().epoch, epoch, "what needs no journal is answered");
    (0..=ANSWER_MS / 500).for_each(|_| made.pass(500));
    assert_eq!(removal.recv().expect("answered"), Err(CallError::Unanswered));
    assert_eq!(renewal.recv().expect("answered"), Err(CallError::Unanswered));
    assert_eq!(join.recv().expect("answered"), Err(CallError::Unanswered));
    assert_eq!(leave.recv().expect("answered"), Err(CallError::Unanswered));
    made.mute_journal(false);
    // The same call again. A look at the leases was waiting for the journal too, and may finish the removal first: then the view
    // is another one, and this call has nothing left to do.
    let removed = c.remove(epoch, ids[1]);
    assert!(removed || c.epoch() != epoch, "the removal is finished by one of them");
    assert!(c.renew(ids[0]));
    let joined = c.join(&[3]);
    assert_eq!(c.incarnations(), [ids[0], joined[0]]);
    assert_settled(&made, "after a journal that said nothing");
}
