//! The coordinator on virtual time. Its rules are those of `gundo_coordinator`; this file has its store, its faults, and
//! the delivery of views to the nodes.

use std::collections::BTreeMap;

use gundo_coordinator::operation::{Answer, Drain, Expire, Join, Operation, Remove, Renew, Request, Step};
use gundo_coordinator::{
    CallError, Candidate, MemoryStore, Record, RowAnswer, RowRequest, StoreAnswer, StoreRequest,
};
use gundo_journal::{Registration, Store};
use gundo_kernel::{Member, Renewal, View};
use gundo_types::{Epoch, NodeId, Planted, Time};

use super::members::Reach;
use super::{Flight, Key, World};
use crate::judge::{Guarantee, Judge, Verdict, violated};
use crate::plan::Dial;
use crate::story::About;

/// A node's request to the coordinator.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Renew {
        sent: Time,
    },
    /// To the journal, not to the coordinator.
    Row {
        sent: Time,
    },
    Remove {
        epoch: Epoch,
        incarnation: u64,
    },
    View,
}

#[derive(Default)]
pub(crate) struct Coordinator {
    store: MemoryStore,
    /// Its own clock, µs. The clock stops while the coordinator is down, because nobody can renew then.
    clock: u64,
    /// When its clock was last advanced, µs.
    looked_at: u64,
    /// The view in its record.
    pub(super) view: View,
    /// The newest view that was sent to nodes, or is in flight to them.
    sent: View,
    /// Views not sent to any node yet.
    fresh: Vec<View>,
    /// It answers nobody until this time, µs.
    down_until: u64,
    /// Who renews now.
    caller: Option<u64>,
    /// Incarnations that were removed and still run, and since when, µs.
    removed: BTreeMap<u64, u64>,
}

/// Where a call to the coordinator stops.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// After this many steps.
    after: u64,
    /// Its next step takes effect, but nobody hears of it.
    unheard: bool,
}

/// About as many steps as the longest operation has.
const STEPS_MAX: u64 = 9;
/// Longest time of a request, and of its answer, µs.
const WAY_US: u64 = 5_000;
/// A removed node stops within this time, µs: it renews every second, and may be frozen for a while first.
const STOPS_US: u64 = 6_000_000;

impl Coordinator {
    /// Advances its clock to `now`: leases may end.
    fn advance(&mut self, now: u64) {
        self.clock += now.saturating_sub(self.looked_at.max(self.down_until));
        self.looked_at = now;
        self.store.advance(Time(self.clock));
    }

    /// It answers nobody until `until`; if that has passed, it answers from `now` on.
    pub(super) fn go_down(&mut self, now: u64, until: u64) {
        self.advance(now);
        self.down_until = until;
    }

    fn ask(&mut self, request: StoreRequest) -> StoreAnswer {
        let answer = self.store.ask(request);
        if let (StoreAnswer::Swapped(_), Some(record)) = (&answer, self.store.record()) {
            let view = Record::decode(record).expect("the rules wrote it").view();
            if view.epoch > self.view.epoch {
                self.view = view.clone();
                self.fresh.push(view);
            }
        }
        answer
    }
}

/// The journal's answer about a row. The judge sees it.
fn row(store: &mut Store, judge: &mut Judge, request: RowRequest, deletes: bool) -> RowAnswer {
    match request {
        RowRequest::Register { incarnation, .. } => match store.register(incarnation) {
            Registration::Registered => {
                judge.join(incarnation);
                RowAnswer::Registered
            }
            Registration::Passed { newest } => RowAnswer::Passed { newest },
        },
        RowRequest::Delete { incarnation } => {
            if deletes {
                store.leave(incarnation);
            }
            judge.leave(incarnation);
            RowAnswer::Deleted
        }
        RowRequest::Stands { incarnation } => RowAnswer::Stands(store.is_member(incarnation)),
    }
}

impl World {
    /// A node sends a request.
    pub(super) fn ask(&mut self, node: Key, what: Asked) {
        let after = 1 + self.net.below(WAY_US);
        self.fly(after, Flight::Asked { node, what });
    }

    pub(super) fn asked(&mut self, node: Key, what: Asked) {
        let Some(incarnation) = self.nodes.get(&node).map(|n| n.incarnation) else { return };
        let mut back = 1 + self.net.below(WAY_US);
        if !matches!(what, Asked::Row { .. }) {
            if !self.leader.watches(node.node) {
                return self.fails(node, what);
            }
            match self.reaches_coordinator(node) {
                Reach::Yes => {}
                Reach::Late(us) => back += us,
                Reach::Fails => return self.fails(node, what),
                Reach::Unheard { done: false } => return,
                Reach::Unheard { done: true } => {
                    if let Asked::Renew { .. } = what {
                        drop(self.operate(Renew::new(incarnation, self.settings.membership_ms())));
                    }
                    return;
                }
            }
        }
        match what {
            Asked::Row { sent } => {
                // A journal that cannot be read answers nothing.
                if let Ok(disk) = self.storage.readable(self.now)
                    && self.rows_answer()
                {
                    let stands = disk.store.is_member(incarnation);
                    self.fly(back, Flight::Row { node, sent, stands });
                }
            }
            Asked::Renew { sent } => {
                let lease_ms = self.settings.membership_ms();
                self.coordinator.caller = Some(incarnation);
                let renewed = self.operate(Renew::new(incarnation, lease_ms));
                self.coordinator.caller = None;
                if renewed.is_ok() {
                    self.leader.on_success(Time(self.now), lease_ms);
                }
                let renewal = match renewed {
                    Ok(true) => Renewal::Renewed,
                    Ok(false) => Renewal::Removed,
                    Err(_) => Renewal::Failed,
                };
                self.fly(back, Flight::Renewed { node, sent, renewal });
            }
            Asked::Remove { epoch, incarnation } => self.remove(Remove::proposed(epoch, incarnation)),
            Asked::View if !self.coordinator_is_down() && node.generation == self.generation => {
                let late = self.faulty && self.plan.dials.contains_key(&Dial::Views);
                let after = back + if late { self.wrong.below(1_500_000) } else { 0 };
                let view = self.coordinator.view.clone();
                self.fly(after, Flight::View { node, view });
            }
            Asked::View => {}
        }
    }

    /// A call of a node that cannot reach the coordinator fails.
    fn fails(&mut self, node: Key, what: Asked) {
        if let Asked::Renew { sent } = what {
            let renewal = Renewal::Failed;
            self.fly(WAY_US, Flight::Renewed { node, sent, renewal });
        }
    }

    pub(super) fn coordinator_is_down(&self) -> bool {
        self.now < self.coordinator.down_until.max(self.leader.silent_until)
    }

    /// Runs an operation of the coordinator. Nodes learn of its views by [`spread_views`](Self::spread_views).
    fn operate<O: Operation>(&mut self, mut operation: O) -> Result<O::Output, CallError> {
        if self.coordinator_is_down() {
            return Err(CallError::Unanswered);
        }
        self.coordinator.advance(self.now);
        let stop = self.stop();
        for count in 0.. {
            let request = match operation.next() {
                Step::Ask(request) => request.clone(),
                Step::Done(result) => return result.clone(),
            };
            match stop.filter(|stop| stop.after == count) {
                None => operation.on_answer(self.answer(request)),
                Some(stop) => {
                    if stop.unheard {
                        self.answer(request);
                    }
                    self.on_half_done::<O>(stop);
                    break;
                }
            }
        }
        Err(CallError::Unanswered)
    }

    fn on_half_done<O>(&mut self, Stop { after, unheard }: Stop) {
        *self.counts.faults.entry(Dial::HalfDone).or_insert(0) += 1;
        let what = std::any::type_name::<O>().rsplit("::").next().unwrap_or_default();
        let how = if unheard { ", and the next is done unheard" } else { "" };
        let text = || format!("fault: {what} stops after {after} steps{how}");
        self.story.tell(self.now, About::default(), text);
    }

    fn answer(&mut self, request: Request) -> Answer {
        // A planted bug removes members from the view but leaves their rows.
        let deletes = self.planted != Some(Planted::TakeoverUnfenced);
        match request {
            Request::Store(StoreRequest::Grant { lease, .. }) if self.overlooks_outage(lease) => {
                Answer::Store(StoreAnswer::Granted)
            }
            Request::Store(request) => Answer::Store(self.coordinator.ask(request)),
            Request::Row(request) => {
                Answer::Row(row(&mut self.storage.disk.store, &mut self.judge, request, deletes))
            }
        }
    }

    /// A planted bug: after an outage nobody has leases granted but for itself.
    fn overlooks_outage(&self, lease: u64) -> bool {
        let joined = self.coordinator.view.members.iter().any(|m| m.incarnation == lease);
        self.planted == Some(Planted::OutageExpires) && joined && self.coordinator.caller != Some(lease)
    }

    /// Where the next call stops, if it does. The first process of a world starts without faults.
    fn stop(&mut self) -> Option<Stop> {
        let often = u64::from(self.plan.dials.get(&Dial::HalfDone).copied().unwrap_or(0));
        let stops = self.faulty && self.generation > 0 && often > 0 && self.wrong.below(100) < often;
        stops.then(|| Stop { after: self.wrong.below(STEPS_MAX), unheard: self.wrong.below(2) == 0 })
    }

    /// Nodes join, in one view that is not sent yet; `None`: the coordinator did not answer.
    pub(super) fn join(&mut self, nodes: impl IntoIterator<Item = u16>) -> Option<Vec<Member>> {
        let candidate = |n: u16| {
            let Member { node, address, site, .. } = gundo_rig::member(n, 0);
            Candidate { node, address, site }
        };
        let candidates = nodes.into_iter().map(candidate).collect();
        let joined = self.operate(Join::new(candidates, self.settings.membership_ms()));
        let Ok(members) = joined else {
            self.spread_views();
            return None;
        };
        for member in &members {
            self.fly(self.lease_us(), Flight::LeaseEnds(member.incarnation));
        }
        Some(members)
    }

    /// A member that has handed everything over leaves.
    pub(super) fn leave_view(&mut self, incarnation: u64) {
        self.remove(Remove::leaving(incarnation));
    }

    fn remove(&mut self, removal: Remove) {
        // A caller without an answer asks again, or others do.
        let _ = self.operate(removal);
        self.spread_views();
    }

    /// A node is no longer in the view.
    fn on_removed(&mut self, Member { node, incarnation, .. }: &Member) {
        if self.nodes.values().any(|n| n.incarnation == *incarnation) {
            self.coordinator.removed.insert(*incarnation, self.now);
            self.check_removal(*node);
        }
        self.story.tell(self.now, About::node(node.0), || format!("{node} is taken from the view"));
    }

    /// Drains a member.
    pub(super) fn drain(&mut self, incarnation: u64) {
        let _ = self.operate(Drain::new(incarnation));
        self.spread_views();
    }

    /// Makes a new view with the same members.
    pub(super) fn renumber(&mut self) {
        let StoreAnswer::Record(Some((version, value))) = self.coordinator.ask(StoreRequest::Read) else {
            return;
        };
        let mut record = Record::decode(&value).expect("the rules wrote it");
        record.next_epoch();
        self.coordinator.ask(StoreRequest::Swap { expected: Some(version), value: record.encode() });
        self.spread_views();
    }

    /// Whether a node is a member, as far as the coordinator knows.
    pub(crate) fn is_member(&self, node: &super::SimNode) -> bool {
        self.coordinator.view.members.iter().any(|m| m.incarnation == node.incarnation)
    }

    /// A node that is draining.
    pub(crate) fn draining(&self) -> Option<NodeId> {
        self.coordinator.view.members.iter().find(|m| m.draining).map(|m| m.node)
    }

    /// After others have taken over, a removed node must not show its old state for long.
    pub(crate) fn check_removed(&mut self) -> Verdict {
        if self.coordinator.removed.is_empty() {
            return Ok(());
        }
        let alive: BTreeMap<_, _> = self.nodes.iter().map(|(key, n)| (n.incarnation, *key)).collect();
        self.coordinator.removed.retain(|incarnation, _| alive.contains_key(incarnation));
        // While the coordinator is down no node hears of it; then the lease counts.
        // One that is behind has not heard of it yet.
        let behind_at = |incarnation| alive.get(&incarnation).map_or(0, |key| self.behind_at(*key));
        let since = |incarnation: u64, at: u64| {
            at.max(self.coordinator.down_until).max(self.leader.silent_until).max(behind_at(incarnation))
        };
        let late = |(of, at): &(&u64, &u64)| self.now > since(**of, **at) + STOPS_US;
        match self.coordinator.removed.iter().find(late) {
            None => Ok(()),
            Some((incarnation, at)) => {
                let node = alive.get(incarnation).map_or(0, |key| key.node);
                let text = format!("n{node} was removed at {} ms and goes on", at / 1_000);
                violated(Guarantee::G10, text)
            }
        }
    }

    fn lease_us(&self) -> u64 {
        self.settings.membership_ms() * 1_000
    }

    /// The lease of an incarnation ends, unless it was renewed.
    pub(super) fn lease_ends(&mut self, incarnation: u64) {
        if !self.coordinator.view.members.iter().any(|m| m.incarnation == incarnation) {
            return;
        }
        self.coordinator.advance(self.now);
        // Even if it was renewed, finish removals that have begun.
        self.expire();
        let left =
            self.coordinator.store.lease_until(incarnation).map(|until| until.0 - self.coordinator.clock);
        self.fly(left.unwrap_or(self.lease_us()), Flight::LeaseEnds(incarnation));
    }

    /// Somebody looks whose lease is over.
    pub(super) fn expire(&mut self) {
        let knows = self.planted == Some(Planted::OutageExpires) || self.leader.may_expire(Time(self.now));
        if !knows {
            return;
        }
        let _ = self.operate(Expire::new(self.settings.membership_ms()));
        self.spread_views();
    }

    /// Sends every new view. Each node learns of it after its own delay.
    pub(super) fn spread_views(&mut self) {
        let late = self.faulty && self.plan.dials.contains_key(&Dial::Views);
        for view in std::mem::take(&mut self.coordinator.fresh) {
            let before = std::mem::replace(&mut self.coordinator.sent, view.clone());
            self.check_numbers(&before, &view);
            let is_gone = |m: &&Member| view.members.iter().all(|other| other.node != m.node);
            before.members.iter().filter(is_gone).for_each(|member| self.on_removed(member));
            for n in 1..=self.plan.nodes {
                let after = if late { self.wrong.below(1_500_000) } else { 0 };
                let (node, view) = (self.key(n), view.clone());
                if self.leader.watches(n) {
                    self.fly(after, Flight::View { node, view });
                }
            }
        }
    }
}
