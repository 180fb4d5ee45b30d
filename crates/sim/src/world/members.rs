//! What keeps members apart from each other and from the coordinator, and the checks of what they make of it.

use std::collections::BTreeMap;

use gundo_kernel::View;
use gundo_types::Planted;

use super::{Flight, Key, SimNode, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::plan::Dial;
use crate::story::About;

/// How a call of a node reaches the coordinator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    Yes,
    /// The answer comes this much later, µs.
    Late(u64),
    /// It fails at once.
    Fails,
    /// Nothing is ever heard of it; perhaps it was done.
    Unheard {
        done: bool,
    },
}

/// What is wrong now, and what excuses a node for being removed.
#[derive(Default)]
pub(super) struct Troubles {
    /// Calls to the coordinator are not answered until then, µs.
    hangs_until: u64,
    /// The journal does not answer questions about rows until then, µs.
    rows_hang_until: u64,
    /// It answers late until then, µs.
    lazy_until: u64,
    /// Nodes that do not reach it: until when, µs, and whether their calls fail at once.
    apart: BTreeMap<u16, (u64, bool)>,
    /// Until when a node that runs may be removed, µs.
    excused: BTreeMap<u16, u64>,
    /// By how much the clock of a node's machine was set, ms. It stays wrong when the node starts again.
    clocks: BTreeMap<u16, i64>,
    /// When a view last changed, or somebody last had another trouble, µs.
    calm_since: u64,
    /// The same without troubles that all nodes have together.
    linked_since: u64,
}

/// A cut between two nodes, in one direction or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    a: Key,
    b: Key,
    began: u64,
}

/// Longest delay of a late answer of the coordinator: it still has them within two seconds. µs
const LAZY_US: u64 = 1_900_000;
/// How long after a trouble a node may still be removed because of it: leases end, proposals are repeated. µs
const AFTERMATH_US: u64 = 9_000_000;
/// In calm, a cut between two members is resolved within this time: 2 s of silence, 2 s of waiting, then proposals, of which
/// some fail. µs
const RESOLVED_US: u64 = 9_000_000;

/// Between two nodes that take players world time differs by at most this much, ms: each is within a second of the median, as
/// far as it knows within half a second; and it may have handled its last input a while ago.
const DIFFER_MS: u64 = 3_200;

impl Troubles {
    /// By how much the clock is wrong of the machine on which a node starts. `alone`: no other node knows the time; then somebody
    /// has set it right.
    pub(super) fn set_by(&mut self, node: u16, alone: bool) -> i64 {
        if alone {
            self.clocks.remove(&node);
        }
        self.clocks.get(&node).copied().unwrap_or(0)
    }

    pub(super) fn set_clock(&mut self, node: u16, by_ms: i64) {
        *self.clocks.entry(node).or_insert(0) += by_ms;
    }

    pub(super) fn set_clocks_right(&mut self) {
        self.clocks.clear();
    }

    pub(super) fn end(&mut self, now: u64) {
        (self.hangs_until, self.lazy_until) = (0, 0);
        // From now on nodes can ask, but what they did not hear before still counts.
        self.rows_hang_until = now;
        self.apart.clear();
    }
}

impl World {
    pub(super) fn reaches_coordinator(&mut self, node: Key) -> Reach {
        let now = self.now;
        if now < self.troubles.hangs_until {
            return Reach::Unheard { done: false };
        }
        match self.troubles.apart.get(&node.node) {
            Some((until, true)) if now < *until => return Reach::Fails,
            Some((until, false)) if now < *until => return Reach::Unheard { done: self.wrong.below(4) == 0 },
            _ => {}
        }
        if now < self.troubles.lazy_until { Reach::Late(self.wrong.below(LAZY_US)) } else { Reach::Yes }
    }

    /// A node that runs may be removed until some time after `until`.
    pub(super) fn excuse(&mut self, node: u16, until: u64) {
        let excused = self.troubles.excused.entry(node).or_insert(0);
        *excused = (until + AFTERMATH_US).max(*excused);
        self.troubles.calm_since = self.troubles.calm_since.max(until);
        self.troubles.linked_since = self.troubles.linked_since.max(until);
    }

    /// Something happens until `until` that is no reason to remove anybody.
    pub(super) fn disturb_calm(&mut self, until: u64) {
        self.troubles.calm_since = self.troubles.calm_since.max(until);
    }

    /// Whether something was wrong with a node since then, or is.
    pub(super) fn was_troubled(&self, node: u16, since: u64) -> bool {
        self.troubles.excused.get(&node).is_some_and(|until| *until > since)
            || self.storage.stalled_until > since
    }

    /// The coordinator is down until `until`.
    pub(super) fn excuse_all(&mut self, until: u64) {
        let linked_since = self.troubles.linked_since;
        (1..=self.plan.nodes).for_each(|node| self.excuse(node, until));
        self.troubles.linked_since = linked_since;
    }

    /// Whether the journal answers questions about rows.
    pub(super) fn rows_answer(&self) -> bool {
        self.now >= self.troubles.rows_hang_until
    }

    /// Causes one of the faults of this file; false if nothing suits it.
    pub(super) fn keep_apart(&mut self, dial: Dial) -> bool {
        let second = 1_000_000;
        match dial {
            Dial::Cut => return self.cut_for_long(),
            Dial::Hang => {
                let until = self.now + 500_000 + self.wrong.below(20 * second);
                // Nobody can renew, so its leases stand still too.
                self.coordinator.go_down(self.now, until);
                self.troubles.hangs_until = until;
                // Now and then it is the journal behind it that hangs.
                if self.wrong.below(2) == 0 {
                    self.troubles.rows_hang_until = until;
                }
                self.excuse_all(until);
            }
            Dial::Lazy => {
                self.troubles.lazy_until = self.now + second + self.wrong.below(10 * second);
            }
            Dial::Apart => {
                let until = self.now + second + self.wrong.below(20 * second);
                let fails = self.wrong.below(2) == 0;
                let count = 1 + self.wrong.below(u64::from(self.plan.nodes));
                for _ in 0..count {
                    let node = self.some_node().node;
                    self.troubles.apart.insert(node, (until, fails));
                    self.excuse(node, until);
                }
            }
            _ => return false,
        }
        self.story.tell(self.now, About::default(), || format!("fault: {dial}"));
        true
    }

    /// Two nodes do not reach each other, or one does not reach the other, for long; all others reach both.
    fn cut_for_long(&mut self) -> bool {
        let second = 1_000_000;
        let (a, b) = (self.some_node(), self.some_node());
        if a == b || ![a, b].iter().all(|key| self.nodes.contains_key(key)) {
            return false;
        }
        let until = self.now + 3 * second + self.wrong.below(27 * second);
        let ways = if self.wrong.below(3) == 0 { vec![(a, b)] } else { vec![(a, b), (b, a)] };
        for way in &ways {
            let link = self.links.entry(*way).or_default();
            link.held_until = link.held_until.max(until);
        }
        let cut = Cut { a, b, began: self.now };
        self.queue.push(until, Flight::CutEnds(cut));
        for key in [a, b] {
            let excused = self.troubles.excused.entry(key.node).or_insert(0);
            *excused = (until + AFTERMATH_US).max(*excused);
        }
        self.troubles.linked_since = self.troubles.linked_since.max(until);
        let how = if ways.len() == 2 { "do not reach each other" } else { "are cut in one direction" };
        self.tell_fault(a, || format!("n{} and n{} {how} until {} ms", a.node, b.node, until / 1_000));
        true
    }

    /// World time is nearly the same on all nodes that take players.
    pub(crate) fn check_time(&self) -> Verdict {
        // One that was removed may not have heard so.
        let counts = |node: &SimNode| !node.paused && self.is_member(node) && node.kernel.is_ready();
        // A node that is behind shows the time of its last input.
        let is_behind = |key: &Key| self.behind_at(*key) == self.now;
        let ready = self.nodes.iter().filter(|(key, node)| counts(node) && !is_behind(key));
        let ready: Vec<_> = ready.map(|(key, _)| key).collect();
        let shows = |key: &&Key| (self.nodes[*key].kernel.counters().world_ms, key.node);
        let (first, last) = (ready.iter().map(&shows).min(), ready.iter().map(&shows).max());
        let (Some((low, a)), Some((high, b))) = (first, last) else { return Ok(()) };
        if high - low > DIFFER_MS {
            let text = format!("n{a} takes players at {low} ms of the world, and n{b} at {high} ms");
            return violated(Guarantee::G10, text);
        }
        Ok(())
    }

    /// A cut ends. If all else was calm for long enough, one of the two nodes must have been removed.
    pub(super) fn cut_ends(&mut self, cut: Cut) {
        let since = cut.began.max(self.troubles.calm_since);
        let stay = [cut.a, cut.b].iter().all(|key| self.nodes.get(key).is_some_and(|n| self.is_member(n)));
        if self.faulty && stay && self.now > since + RESOLVED_US {
            let (a, b) = (cut.a.node, cut.b.node);
            let text = format!("n{a} and n{b} did not reach each other for long, and both are still there");
            self.rule(violated(Guarantee::G10, text));
        }
    }

    /// Incarnations grow from view to view.
    pub(super) fn check_numbers(&mut self, before: &View, view: &View) {
        self.troubles.calm_since = self.troubles.calm_since.max(self.now + 1_500_000);
        self.troubles.linked_since = self.troubles.linked_since.max(self.now);
        let newest = before.members.iter().map(|m| m.incarnation).max().unwrap_or(0);
        let is_new = |incarnation: u64| before.members.iter().all(|m| m.incarnation != incarnation);
        let late = view.members.iter().find(|m| is_new(m.incarnation) && m.incarnation <= newest);
        if let Some(member) = late {
            let text = format!("incarnation {} joins after {newest}", member.incarnation);
            self.rule(violated(Guarantee::G2, text));
        }
    }

    /// A node that runs is taken from the view: something must have been wrong with it.
    pub(super) fn check_removal(&mut self, node: gundo_types::NodeId) {
        let excused = self.troubles.excused.get(&node.0).is_some_and(|until| self.now <= *until);
        // Renewals fail at random, or a planted bug has the node do something strange.
        let fail = self.plan.dials.contains_key(&Dial::HalfDone);
        if self.faulty && !excused && !fail && !self.booting {
            let text = format!("{node} was removed, and nothing was wrong with it");
            self.rule(violated(Guarantee::G10, text));
        }
    }

    /// A node ends by itself: it must have been removed, unless it could not ask the journal, and others could or it does not
    /// reach them.
    pub(super) fn check_end(&mut self, key: Key) {
        let lease_us = self.settings.lease_ms * 1_000;
        let asks_since = self.storage.unreadable_until.max(self.troubles.rows_hang_until);
        let asks_since = asks_since.max(self.behind_at(key));
        let all_hang = !self.rows_answer() && self.now > self.troubles.linked_since + AFTERMATH_US;
        let could_ask = self.now > asks_since + lease_us + 2_000_000 || all_hang;
        let Some(incarnation) = self.nodes.get(&key).map(|n| n.incarnation) else { return };
        let stands = self.storage.disk.store.is_member(incarnation);
        // A removal that stopped half-way leaves the row for a while.
        let half = self.plan.dials.contains_key(&Dial::HalfDone);
        if could_ask && stands && !half && self.planted != Some(Planted::TakeoverUnfenced) {
            let text = format!("n{} ended by itself, and nobody had removed it", key.node);
            self.rule(violated(Guarantee::G10, text));
        }
    }
}
