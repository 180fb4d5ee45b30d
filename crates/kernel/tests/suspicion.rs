//! How members go on without the coordinator, and whom they remove: kernels without players on a clock of 50 ms steps, whose
//! links, coordinator and journal do what the test says.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gundo_kernel::{Input, Node, Output, Renewal, View};
use gundo_rig::member;
use gundo_types::{Epoch, NodeId, Now, Planted, Time, WorldTime};
use support::cluster::{PLANTED, new_node};

/// What a service says to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Yes,
    No,
    Nothing,
    /// Yes, after so many ms.
    Late(u64),
}

/// Says what the coordinator or the journal says to a node, at this time in ms.
type Service = fn(u16, u64) -> Says;

const STEP_MS: u64 = 50;
const HOUR_MS: u64 = 3_600_000;

struct Members {
    nodes: BTreeMap<u16, Node>,
    ms: u64,
    view: View,
    /// Inputs that arrive at a time, at a node.
    flying: Vec<(u64, u16, Input)>,
    /// Nothing of the first reaches the second.
    cut: BTreeSet<(u16, u16)>,
    coordinator: Service,
    journal: Service,
    /// Nodes that have ended, and when.
    ended: BTreeMap<u16, u64>,
    /// Whose removal was proposed, by whom, when.
    proposed: Vec<(u16, u16, u64)>,
    /// The first proposal in each view is carried out.
    removes: bool,
    /// How far the clock of each node's machine is ahead, ms.
    ahead: BTreeMap<u16, i64>,
}

fn yes(_: u16, _: u64) -> Says {
    Says::Yes
}

impl Members {
    /// This many nodes, which have just joined. Node n is incarnation 10 + n.
    fn new(count: u16) -> Self {
        let world = Arc::default();
        let members: Vec<_> = (1..=count).map(|n| member(n, 10 + u64::from(n))).collect();
        let nodes = members.iter().map(|m| (m.node.0, new_node(m, &world, u64::from(m.node.0)))).collect();
        let mut all = Self {
            nodes,
            ms: 0,
            view: View { epoch: Epoch(1), members },
            flying: Vec::new(),
            cut: BTreeSet::new(),
            coordinator: yes,
            journal: yes,
            ended: BTreeMap::new(),
            proposed: Vec::new(),
            removes: false,
            ahead: BTreeMap::new(),
        };
        all.spread();
        all
    }

    fn spread(&mut self) {
        for n in self.nodes.keys() {
            self.flying.push((self.ms + STEP_MS, *n, Input::View(self.view.clone())));
        }
    }

    fn cut(&mut self, a: u16, b: u16) {
        self.cut.extend([(a, b), (b, a)]);
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.ms += STEP_MS;
            let (due, later) =
                std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= self.ms);
            self.flying = later;
            let due: Vec<(u64, u16, Input)> = due;
            due.into_iter().for_each(|(_, n, input)| self.give(n, input));
            self.nodes
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|n| self.give(n, Input::Timeout));
        }
    }

    fn give(&mut self, n: u16, input: Input) {
        let ahead = self.ahead.get(&n).copied().unwrap_or(0);
        let world = WorldTime((2 * HOUR_MS + self.ms).saturating_add_signed(ahead));
        let now = Now { time: Time(self.ms * 1_000), world };
        let Some(node) = self.nodes.get_mut(&n) else { return };
        node.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| node.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Peer { to, label, message } if !self.cut.contains(&(n, to.0)) => {
                    let input = Input::Peer { from: NodeId(n), label, message };
                    self.flying.push((self.ms + STEP_MS, to.0, input));
                }
                Output::Renew { sent } => {
                    let answer = |renewal| Some(Input::Renewed { sent, renewal });
                    let said = (self.coordinator)(n, self.ms);
                    let row = (self.journal)(n, self.ms);
                    self.answer(
                        n,
                        said,
                        match (said, row) {
                            (Says::Nothing, _) => None,
                            (_, Says::Nothing) => answer(Renewal::Failed),
                            (Says::No, _) | (_, Says::No) => answer(Renewal::Removed),
                            _ => answer(Renewal::Renewed),
                        },
                    );
                }
                Output::AskRow { sent } => match (self.journal)(n, self.ms) {
                    Says::Nothing => {}
                    said => self.answer(n, said, Some(Input::Row { sent, stands: said != Says::No })),
                },
                Output::Remove { epoch, node, .. } => {
                    self.proposed.push((node.0, n, self.ms));
                    if self.removes && epoch == self.view.epoch {
                        self.view.epoch.0 += 1;
                        self.view.members.retain(|m| m.node != node);
                        self.spread();
                    }
                }
                Output::Fenced => {
                    self.nodes.remove(&n);
                    self.ended.insert(n, self.ms);
                    return;
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, n: u16, said: Says, input: Option<Input>) {
        let after = if let Says::Late(ms) = said { ms } else { STEP_MS };
        self.flying.extend(input.map(|input| (self.ms + after, n, input)));
    }

    fn whom(&self) -> BTreeSet<u16> {
        self.proposed.iter().map(|(whom, ..)| *whom).collect()
    }
}

#[test]
fn a_coordinator_that_hangs_ends_nobody() {
    let mut all = Members::new(3);
    all.coordinator = |_, ms| if ms < 3_000 { Says::Yes } else { Says::Nothing };
    // The journal hangs as well: nobody knows anything.
    all.journal = |_, ms| if ms < 3_000 { Says::Yes } else { Says::Nothing };
    all.run(180_000);
    assert_eq!((all.ended, all.proposed), (BTreeMap::new(), vec![]));
}

#[test]
fn a_coordinator_that_is_slow_to_one_and_then_hangs_ends_nobody() {
    let mut all = Members::new(3);
    all.coordinator = |n, ms| match n {
        _ if ms > 10_000 => Says::Nothing,
        1 => Says::Late(1_950),
        _ => Says::Yes,
    };
    all.journal = |_, ms| if ms < 10_000 { Says::Yes } else { Says::Nothing };
    all.run(60_000);
    assert_eq!(all.ended, BTreeMap::new());
}

fn one_is_cut_from_the_coordinator() {
    let mut all = Members::new(3);
    all.coordinator = |n, _| if n == 1 { Says::Nothing } else { Says::Yes };
    all.run(30_000);
    assert_eq!(all.ended, BTreeMap::new(), "its row stands");
    // Now it is removed: its row is gone.
    all.journal = |n, _| if n == 1 { Says::No } else { Says::Yes };
    all.run(2_000);
    assert_eq!(all.ended.keys().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_node_goes_on_while_its_row_stands() {
    one_is_cut_from_the_coordinator();
}

#[test]
fn a_node_that_knows_less_than_the_others_ends_with_its_lease() {
    let mut all = Members::new(3);
    let not_one: Service = |n, ms| if n == 1 && ms > 1_000 { Says::Nothing } else { Says::Yes };
    (all.coordinator, all.journal) = (not_one, not_one);
    all.run(30_000);
    assert_eq!(all.ended.keys().copied().collect::<Vec<_>>(), [1]);
    assert!((5_000..8_000).contains(&all.ended[&1]), "{:?}", all.ended);
}

#[test]
fn a_node_that_is_cut_off_from_everything_ends() {
    let nobody: Service = |_, _| Says::Nothing;
    // It reaches no other member: with its lease.
    let mut all = Members::new(3);
    (all.coordinator, all.journal) = (nobody, nobody);
    (1..=2).for_each(|n| all.cut(n, 3));
    all.run(7_000);
    assert_eq!(all.ended.keys().copied().collect::<Vec<_>>(), [3]);
    // The others do not reach it, so that it may have taken over; and a node in a view of one knows of no other.
    all.run(50_000);
    assert_eq!(all.ended.len(), 1, "not yet");
    all.run(6_000);
    assert_eq!(all.ended.len(), 3);
    let mut alone = Members::new(1);
    (alone.coordinator, alone.journal) = (nobody, nobody);
    alone.run(58_000);
    assert_eq!(alone.ended, BTreeMap::new());
    alone.run(4_000);
    assert_eq!(alone.ended.len(), 1);
}

fn a_cut_between_two_of_three() {
    let mut all = Members::new(3);
    all.run(3_000);
    all.cut(1, 2);
    all.run(3_500);
    assert_eq!(all.proposed, [], "it may pass");
    all.run(1_500);
    assert_eq!(all.whom(), [2].into(), "the youngest of the two: {:?}", all.proposed);
    all.removes = true;
    all.run(10_000);
    assert_eq!(all.whom(), [2].into(), "and nobody else: {:?}", all.proposed);
    assert_eq!((all.view.members.len(), all.ended.keys().copied().collect::<Vec<_>>()), (2, vec![2]));
}

#[test]
fn a_cut_between_two_of_three_is_resolved() {
    a_cut_between_two_of_three();
}

#[test]
fn a_cut_in_one_direction_is_resolved() {
    for (from, to) in [(1, 2), (2, 1)] {
        let mut all = Members::new(4);
        all.removes = true;
        all.run(3_000);
        all.cut.insert((from, to));
        all.run(12_000);
        assert_eq!(all.whom(), [2].into(), "{:?}", all.proposed);
        assert_eq!(all.view.members.len(), 3);
    }
}

#[test]
fn a_cut_that_passes_removes_nobody() {
    let mut all = Members::new(3);
    for _ in 0..5 {
        all.run(3_000);
        all.cut(1, 2);
        all.run(3_500);
        all.cut.clear();
    }
    assert_eq!((all.proposed, all.ended), (vec![], BTreeMap::new()));
}

/// Node 2 comes back as another incarnation; a report about the link to the one before arrives after that.
fn an_old_report() {
    let mut all = Members::new(3);
    all.run(3_000);
    all.nodes.insert(2, new_node(&member(2, 20), &Arc::default(), 9));
    all.view.epoch.0 += 1;
    all.view.members[1] = member(2, 20);
    all.spread();
    all.run(1_000);
    for n in [1, 3] {
        // What it says takes a while just now.
        all.cut.insert((2, n));
        all.give(n, Input::LinkBroken { peer: NodeId(2), incarnation: 12 });
    }
    all.run(1_000);
    assert_eq!(all.proposed, [], "that link was another one");
    [1, 3].into_iter().for_each(|n| all.give(n, Input::LinkBroken { peer: NodeId(2), incarnation: 20 }));
    all.run(500);
    assert_eq!(all.whom(), [2].into());
}

#[test]
fn a_report_about_an_earlier_incarnation_is_none() {
    an_old_report();
}

#[test]
fn a_new_member_has_time_to_connect() {
    let mut all = Members::new(2);
    all.run(5_000);
    all.view.epoch.0 += 1;
    all.view.members.push(member(3, 20));
    all.spread();
    all.run(4_000);
    assert_eq!(all.proposed, [], "it has not said anything yet");
    all.run(500);
    assert_eq!(all.whom(), [3].into());
}

#[test]
fn a_member_is_up_when_all_have_heard_it() {
    let mut all = Members::new(3);
    all.cut.insert((3, 1));
    all.run(1_000);
    let ready = |all: &Members| all.nodes.values().map(Node::is_ready).collect::<Vec<_>>();
    assert_eq!(ready(&all), [false, true, false], "one has not heard the third, and the third knows it");
    all.cut.clear();
    all.run(1_000);
    // Its announcement was lost in the cut: only a new view opens the home of the first.
    assert!(all.nodes[&3].is_ready());
}

/// The machine of node 2 has its clock set, while it runs and before it starts again.
fn clocks_that_are_set() {
    for by in [-(HOUR_MS as i64), HOUR_MS as i64] {
        let mut all = Members::new(3);
        all.run(2_000);
        all.ahead.insert(2, by);
        all.run(5_000);
        let world = all.nodes[&2].counters().world_ms;
        assert!(
            world.abs_diff(2 * HOUR_MS + all.ms) <= 250,
            "it is {world} ms on the node itself, set by {by}"
        );
        all.nodes.insert(2, new_node(&member(2, 20), &Arc::default(), 9));
        all.view.epoch.0 += 1;
        all.view.members[1] = member(2, 20);
        all.spread();
        all.run(5_000);
        for (n, node) in &all.nodes {
            let world = node.counters().world_ms;
            assert!(world.abs_diff(2 * HOUR_MS + all.ms) <= 250, "it is {world} ms on node {n}, set by {by}");
            assert!(node.is_ready(), "node {n} takes players");
        }
    }
}

#[test]
fn a_clock_that_is_set_changes_nothing() {
    clocks_that_are_set();
}

#[test]
fn a_world_that_starts_with_clocks_that_differ_has_one_time() {
    let mut all = Members::new(3);
    all.ahead = [(1, 700_000), (2, -700_000), (3, 1 << 60)].into();
    all.run(5_000);
    for (n, node) in &all.nodes {
        let world = node.counters().world_ms;
        assert!(world.abs_diff(2 * HOUR_MS + 700_000 + all.ms) <= 250, "it is {world} ms on node {n}");
        assert!(node.is_ready(), "node {n} takes players");
    }
}

/// One whose clock runs a fifth too slow falls behind: the others take players, and it says that it does not.
#[test]
fn a_clock_that_runs_wrong_takes_no_players() {
    let mut all = Members::new(3);
    for turn in 0..200 {
        all.ahead.insert(3, -15 * turn);
        all.run(100);
    }
    let ready: Vec<_> = all.nodes.values().map(Node::is_ready).collect();
    assert_eq!(ready, [true, true, false]);
    let off: Vec<_> = all.nodes.values().map(|node| node.counters().clock_off_ms > 1_000).collect();
    assert_eq!(off, [false, false, true]);
    // It is right again, and is slewed until it agrees.
    all.run(300_000);
    assert!(all.nodes.values().all(Node::is_ready));
}

#[test]
fn each_planted_mistake_shows() {
    let stories: [(Planted, fn()); 6] = [
        (Planted::ClockJumps, clocks_that_are_set),
        (Planted::OffClockUnnoticed, clocks_that_are_set),
        (Planted::HangIsNoFailure, a_coordinator_that_hangs_ends_nobody),
        (Planted::RowNotAsked, one_is_cut_from_the_coordinator),
        (Planted::CutUnresolved, a_cut_between_two_of_three),
        (Planted::OldBreakBelieved, an_old_report),
    ];
    for (planted, story) in stories {
        PLANTED.set(Some(planted));
        let fails = std::panic::catch_unwind(story).is_err();
        PLANTED.set(None);
        assert_eq!(fails, cfg!(feature = "planted"), "{}", planted.name());
    }
}
