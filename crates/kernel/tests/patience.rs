//! How long members wait before they suspect each other: quickly after regular heartbeats, patiently on a loaded machine, and never
//! because they stood still themselves. Kernels without players on a virtual clock, whose machines and links do what the test says.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gundo_kernel::{Input, Node, Output, Renewal, View};
use gundo_rig::member;
use gundo_types::{Epoch, NodeId, Now, Planted, Time, WorldTime};
use support::cluster::{PLANTED, new_node};

const SECOND_US: u64 = 1_000_000;
/// What was sent to a node that stood still comes so long after it goes on.
const BACKLOG_US: u64 = 30_000;

struct Members {
    nodes: BTreeMap<u16, Node>,
    us: u64,
    /// Inputs that arrive at a time.
    flying: BTreeMap<(u64, u64), (u16, Input)>,
    count: u64,
    /// When the last message of a link arrives: none overtakes another.
    last: BTreeMap<(u16, u16), u64>,
    /// Nodes that stand still, and until when.
    still: BTreeMap<u16, u64>,
    /// A node takes what others send so much later, up to this, µs.
    behind: BTreeMap<u16, (u64, u64)>,
    /// How fast the clock of a node runs, ‰.
    rates: BTreeMap<u16, u64>,
    /// From then on nobody is confirmed, µs.
    unconfirmed_from: u64,
    /// The machine is loaded: messages take up to 300 ms, and each node stands still now and then.
    loaded: bool,
    next_pause: BTreeMap<u16, u64>,
    /// Whose removal was proposed, by whom, when.
    proposed: Vec<(u16, u16, u64)>,
    rng: u64,
}

impl Members {
    fn new(count: u16, loaded: bool, seed: u64) -> Self {
        let world = Arc::default();
        let members: Vec<_> = (1..=count).map(|n| member(n, 10 + u64::from(n))).collect();
        let nodes = members.iter().map(|m| (m.node.0, new_node(m, &world, u64::from(m.node.0)))).collect();
        let mut all = Self {
            nodes,
            us: 0,
            flying: BTreeMap::new(),
            count: 0,
            last: BTreeMap::new(),
            still: BTreeMap::new(),
            behind: BTreeMap::new(),
            rates: BTreeMap::new(),
            unconfirmed_from: u64::MAX,
            loaded,
            next_pause: BTreeMap::new(),
            proposed: Vec::new(),
            rng: seed | 1,
        };
        for n in 1..=count {
            all.fly(1_000 * u64::from(n), n, Input::View(View { epoch: Epoch(1), members: members.clone() }));
        }
        all
    }

    /// A number below `below` (xorshift, Marsaglia 2003).
    fn chance(&mut self, below: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng >> 11) % below
    }

    fn fly(&mut self, at_us: u64, to: u16, input: Input) {
        self.count += 1;
        self.flying.insert((at_us, self.count), (to, input));
    }

    fn until(&self, n: u16) -> u64 {
        self.still.get(&n).copied().unwrap_or(0)
    }

    fn rate(&self, n: u16) -> u64 {
        self.rates.get(&n).copied().unwrap_or(1_000)
    }

    /// When the node next looks at the time, and which.
    fn next_wake(&self) -> Option<(u64, u16)> {
        let us = |n: u16, time: Time| (time.0 * 1_000).div_ceil(self.rate(n));
        let wake = |(n, node): (&u16, &Node)| Some((us(*n, node.poll_timeout()?).max(self.until(*n)), *n));
        self.nodes.iter().filter_map(wake).min()
    }

    fn run(&mut self, us: u64) {
        let end_us = self.us + us;
        loop {
            let wake = self.next_wake().unwrap_or((u64::MAX, 0));
            let arrival = self.flying.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            if wake.0.min(arrival) > end_us {
                break;
            }
            if wake.0 <= arrival {
                self.us = self.us.max(wake.0);
                self.give(wake.1, Input::Timeout);
                continue;
            }
            let ((at_us, _), (n, input)) = self.flying.pop_first().expect("there is one");
            self.us = self.us.max(at_us);
            match self.until(n) {
                until if until + BACKLOG_US > self.us => self.fly(until + BACKLOG_US, n, input),
                _ => self.give(n, input),
            }
        }
        self.us = end_us;
    }

    fn give(&mut self, n: u16, input: Input) {
        let time = Time(self.us * self.rate(n) / 1_000);
        let Some(node) = self.nodes.get_mut(&n) else { return };
        let now = Now { time, world: WorldTime(SECOND_US + self.us / 1_000) };
        node.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| node.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Peer { to, label, message } => {
                    let takes = if self.loaded { 1_000 + self.chance(300_000) } else { 1_000 };
                    let last = self.last.get(&(n, to.0)).copied().unwrap_or(0);
                    let at_us = last.max(self.us + takes + self.behind_us(to.0));
                    self.last.insert((n, to.0), at_us);
                    self.fly(at_us, to.0, Input::Peer { from: NodeId(n), label, message });
                }
                Output::Renew { sent } if self.us < self.unconfirmed_from => {
                    self.fly(self.us + 5_000, n, Input::Renewed { sent, renewal: Renewal::Renewed });
                }
                Output::Remove { node, .. } => self.proposed.push((node.0, n, self.us)),
                Output::Fenced => drop(self.nodes.remove(&n)),
                _ => {}
            }
        }
        if self.loaded {
            self.stand_still_now_and_then(n);
        }
    }

    /// It falls behind by a quarter of the time that passes.
    fn behind_us(&self, n: u16) -> u64 {
        self.behind
            .get(&n)
            .map_or(0, |(from_us, most_us)| (self.us.saturating_sub(*from_us) / 4).min(*most_us))
    }

    fn stand_still_now_and_then(&mut self, n: u16) {
        if self.next_pause.get(&n).is_some_and(|at| *at > self.us) {
            return;
        }
        let longest = if self.chance(20) == 0 { 1_200_000 } else { 400_000 };
        let pause = self.chance(longest);
        let next = self.us + pause + self.chance(10 * SECOND_US);
        // Before the first one all have a minute to connect.
        if self.next_pause.insert(n, next).is_some() {
            self.still.insert(n, self.us + pause);
        }
    }

    /// The node ends as in a crash: what it has sent arrives. If its links break, the others learn of it.
    fn crash(&mut self, n: u16, links_break: bool) {
        self.nodes.remove(&n);
        let others: Vec<_> = self.nodes.keys().copied().collect();
        for other in others.into_iter().filter(|_| links_break) {
            let broken = Input::LinkBroken { peer: NodeId(n), incarnation: 10 + u64::from(n) };
            self.fly(self.us + 1_000, other, broken);
        }
    }

    /// How long after `since_us` the removal of a node was first proposed, ms.
    fn proposed_after_ms(&self, n: u16, since_us: u64) -> Option<u64> {
        let first = self.proposed.iter().find(|(node, ..)| *node == n)?;
        Some((first.2 - since_us) / 1_000)
    }
}

/// Removes node 3 after a while and says after how many ms the others propose its removal.
fn noticed_after_ms(loaded: bool, links_break: bool) -> u64 {
    let mut all = Members::new(3, loaded, 7);
    all.run(60 * SECOND_US);
    let since_us = all.us;
    all.crash(3, links_break);
    all.run(10 * SECOND_US);
    all.proposed_after_ms(3, since_us).expect("it is noticed")
}

#[test]
fn who_was_regular_is_missed_quickly() {
    assert!((1_250..1_600).contains(&noticed_after_ms(false, false)), "{}", noticed_after_ms(false, false));
    assert!((150..230).contains(&noticed_after_ms(false, true)), "{}", noticed_after_ms(false, true));
}

#[test]
fn on_a_loaded_machine_members_are_patient() {
    assert!((1_600..4_700).contains(&noticed_after_ms(true, false)), "{}", noticed_after_ms(true, false));
}

/// An hour in which messages are late and nodes stand still for up to 1.2 s: nobody who lives is suspected.
#[test]
fn nobody_is_removed_in_an_hour_on_a_loaded_machine() {
    for seed in [1, 2] {
        let mut all = Members::new(3, true, seed);
        all.run(1_800 * SECOND_US);
        assert_eq!((all.nodes.len(), &all.proposed[..]), (3, &[][..]), "seed {seed}");
    }
}

/// A connection breaks between nodes that live; both notice. What was in flight is lost.
#[test]
fn a_link_that_breaks_between_the_living_makes_no_suspects() {
    for count in [2, 3] {
        let mut all = Members::new(count, false, 3);
        all.run(30 * SECOND_US);
        for round in 0..40 {
            all.run(300_000 + 7_000 * round);
            let between =
                |n: u16, input: &Input| matches!(input, Input::Peer { from, .. } if n + from.0 == 3);
            all.flying.retain(|_, (n, input)| !between(*n, input));
            for (n, peer) in [(1, 2), (2, 1)] {
                let incarnation = 10 + u64::from(peer);
                all.give(n, Input::LinkBroken { peer: NodeId(peer), incarnation });
            }
        }
        assert_eq!((all.nodes.len(), &all.proposed[..]), (usize::from(count), &[][..]));
    }
}

/// Coordinator and journal confirm nobody for two minutes. One node takes all messages up to four seconds late. What others say of
/// their last confirmation is as old as the message, so all of them go on.
fn one_is_behind_while_nobody_is_confirmed() {
    let mut all = Members::new(3, false, 11);
    all.run(30 * SECOND_US);
    all.behind.insert(1, (all.us, 4 * SECOND_US));
    all.run(30 * SECOND_US);
    all.unconfirmed_from = all.us;
    all.run(120 * SECOND_US);
    assert_eq!((all.nodes.len(), &all.proposed[..]), (3, &[][..]));
}

/// The same for ten minutes, and the clocks of two nodes run a fiftieth slower than that of the third.
fn clocks_run_apart_while_nobody_is_confirmed() {
    let mut all = Members::new(3, false, 13);
    all.rates = [(1, 1_010), (2, 990), (3, 990)].into();
    all.run(30 * SECOND_US);
    all.unconfirmed_from = all.us;
    all.run(600 * SECOND_US);
    assert_eq!((all.nodes.len(), &all.proposed[..]), (3, &[][..]));
}

#[test]
fn all_go_on_or_none() {
    for story in [one_is_behind_while_nobody_is_confirmed, clocks_run_apart_while_nobody_is_confirmed] {
        story();
        PLANTED.set(Some(Planted::OldWordBelieved));
        let ends = std::panic::catch_unwind(story).is_err();
        PLANTED.set(None);
        assert_eq!(ends, cfg!(feature = "planted"), "the planted mistake shows");
    }
}

/// A node stands still, for more and for less than others may be silent, the longest time first. It blames nobody.
fn own_pauses(count: u16) -> BTreeSet<u16> {
    let mut all = Members::new(count, false, 5);
    all.run(30 * SECOND_US);
    for round in 0..30 {
        all.still.insert(1, all.us + 1_940_000 - 60_000 * round);
        all.run(4 * SECOND_US);
    }
    all.proposed.iter().filter(|(_, by, _)| *by == 1).map(|(node, ..)| *node).collect()
}

#[test]
fn who_stood_still_blames_nobody() {
    assert_eq!(own_pauses(2), BTreeSet::new());
    assert_eq!(own_pauses(3), BTreeSet::new());
    if cfg!(feature = "planted") {
        PLANTED.set(Some(Planted::OwnPauseBlamed));
        assert_ne!(own_pauses(2), BTreeSet::new(), "the planted mistake shows");
        PLANTED.set(None);
    }
}
