//! What it costs to fill and to empty a node: the entries that walks over long lists look at, not time.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use gundo_kernel::{
    Alive, HandoffMessage, HomeMessage, Image, Input, Label, Member, Node, Output, Peer, Renewal, View,
};
use gundo_rig::member;
use gundo_types::{Body, ChunkId, EntityId, Epoch, NodeId, Now, Point, Term, Time, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{Loaded, Outcome, Snapshot};
use support::cluster::new_node;
use support::game::{self, PlayerState};

const TWO: NodeId = NodeId(2);
/// Entries that walks may look at in one input that is no view.
const LOOKS_MAX: u64 = 4_096;

/// Entities that may leave in one input: a view that moves more takes several ticks.
const LEFT_MAX: usize = 512;

/// Node 1. The test is node 2, and the journal, in which nothing has happened yet.
struct One {
    node: Node,
    epoch: u64,
    now_ms: u64,
    /// Players that are offered to node 2, and by which term.
    offered: Vec<(EntityId, Term)>,
    /// The most that walks looked at in one input, and the most entities that left in one.
    most: u64,
    most_left: usize,
    /// Appends that the journal has not answered.
    appends: Vec<u64>,
    stopped: bool,
    released: BTreeSet<EntityId>,
}

impl One {
    fn new() -> Self {
        let node = new_node(&member(1, 11), &Arc::default(), 1);
        let (offered, released, appends) = (Vec::new(), BTreeSet::new(), Vec::new());
        let (most, most_left, stopped) = (0, 0, false);
        let mut this =
            Self { node, epoch: 0, now_ms: 0, offered, most, most_left, appends, stopped, released };
        this.view(false);
        this
    }

    fn view(&mut self, draining: bool) {
        self.epoch += 1;
        let members = vec![Member { draining, ..member(1, 11) }, member(2, 12)];
        self.take(Input::View(View { epoch: Epoch(self.epoch), members }));
        self.hear_alive();
        let message =
            HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes: vec![], last: true };
        self.hear_home(message);
        self.most = 0;
    }

    fn hear_alive(&mut self) {
        let alive = Alive {
            confirmed_ms: 0,
            unreachable: vec![],
            unheard: false,
            world: None,
            sent_us: 0,
            echo_us: None,
        };
        self.hear(Peer::Alive { epoch: Epoch(self.epoch), alive });
    }

    fn hear(&mut self, message: Peer) {
        let label = Label { from: 12, ..Label::default() };
        self.take(Input::Peer { from: TWO, label, message });
    }

    fn hear_home(&mut self, message: HomeMessage) {
        self.hear(Peer::Home { epoch: Epoch(self.epoch), message });
    }

    fn walked(&self) -> u64 {
        self.node.counters().walked
    }

    fn take(&mut self, input: Input) {
        let before = self.walked();
        let now = Now { time: Time(self.now_ms * 1_000), world: WorldTime(self.now_ms) };
        self.node.handle(now, input);
        self.most = self.most.max(self.walked() - before);
        let (mut answers, left) = (Vec::new(), self.released.len());
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Load { entity, load } => {
                    answers.push(Input::Loaded { entity, load, result: Ok(Loaded::default()) });
                }
                Output::List { kind, list, .. } => {
                    answers.push(Input::Listed { kind, list, result: Ok(Vec::new()) });
                }
                Output::Wakes { list, .. } => answers.push(Input::Woken { list, result: Ok(Vec::new()) }),
                Output::Append(batch) => self.appends.push(batch.id),
                Output::Stopped => self.stopped = true,
                Output::Renew { sent } => {
                    answers.push(Input::Renewed { sent, renewal: Renewal::Renewed });
                }
                Output::Peer { message: Peer::Handoff { entity, term, .. }, .. } => {
                    self.offered.push((entity, term));
                }
                Output::Peer { message: Peer::Home { message, .. }, .. } => match message {
                    HomeMessage::Released { entity, .. } => drop(self.released.insert(entity)),
                    HomeMessage::Claim { entity, from } => {
                        let term = Term { epoch: self.epoch, count: 1 };
                        let claimed = HomeMessage::Claimed { entity, from: from.1, term };
                        let (epoch, from) = (Epoch(self.epoch), TWO);
                        let message = Peer::Home { epoch, message: claimed };
                        let label = Label { from: 12, ..Label::default() };
                        answers.push(Input::Peer { from, label, message });
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        self.most_left = self.most_left.max(self.released.len() - left);
        answers.into_iter().for_each(|answer| self.take(answer));
    }

    /// Node 2 looks at so many chunks of node 1, each in a message of its own. Returns the chunks.
    fn look_at(&mut self, count: usize) -> Vec<ChunkId> {
        let mine = |chunk: &ChunkId| self.node.home(game::land(*chunk)) == Some(NodeId(1));
        let all = (0..).flat_map(|x| (0..400).map(move |y| ChunkId { island: 0, x, y }));
        let chunks: Vec<_> = all.filter(mine).take(count).collect();
        for chunk in &chunks {
            self.hear_home(HomeMessage::Subscribe(vec![(*chunk, 1)]));
        }
        chunks
    }

    /// Node 2 hands over so many players; their home is node 2.
    fn give_players(&mut self, count: usize) {
        let theirs = |id: &EntityId| self.node.home(*id) == Some(TWO);
        let ids: Vec<_> =
            (1..).map(|id| EntityId::new(game::PLAYER, id)).filter(theirs).take(count).collect();
        let state = PlayerState { bag: 0, name: "ann".into() }.encode_to_vec();
        let snapshot: bytes::Bytes =
            Snapshot { state: state.into(), ..Default::default() }.encode_to_vec().into();
        for (n, id) in ids.into_iter().enumerate() {
            // They stand in a few crowds, because this is not about the cost of what is near.
            let at = Point::new(15_000 + (n as i32 % 10) * 120_000, 15_000);
            let body = Body { at, ..Body::default() };
            let image = Image {
                snapshot: snapshot.clone(),
                seq: 1,
                snapshot_seq: 1,
                last_at: WorldTime(0),
                body: Some(body),
                center: Some(body.chunk()),
                line: None,
                present: true,
                grace_left_ms: Some(600_000),
                last_seq: 0,
                unrecorded: Vec::new(),
                paces: gundo_kernel::game::Paces::default(),
                credit_mm: 0,
                rested_us: 0,
                placed_us: 0,
                players_max: usize::MAX,
            };
            let (term, message) = (Term { epoch: 1, count: 1 }, HandoffMessage::Image(Box::new(image)));
            self.hear(Peer::Handoff { entity: id, term, message });
        }
    }

    fn tick(&mut self) {
        self.now_ms += 100;
        self.hear_alive();
        self.take(Input::Timeout);
        for batch in std::mem::take(&mut self.appends) {
            self.take(Input::Appended { batch, outcome: Outcome::Done });
        }
        for (entity, from) in std::mem::take(&mut self.offered) {
            let to = Some((TWO, Term { epoch: self.epoch, count: 2 }));
            self.hear_home(HomeMessage::HandedOver { entity, from, to });
        }
    }

    /// Until nothing is left. Returns the entries that walks looked at.
    fn empty(&mut self) -> u64 {
        let before = self.walked();
        self.view(true);
        for _ in 0..2_000 {
            if self.node.counters().reals == 0 {
                return self.walked() - before;
            }
            self.tick();
        }
        panic!("{} are left", self.node.counters().reals);
    }
}

/// Fills a node with land, and empties it.
fn land(count: usize) -> (u64, u64) {
    let mut one = One::new();
    let before = one.walked();
    one.look_at(count);
    assert_eq!(one.node.counters().reals, count as u64);
    let filling = one.walked() - before;
    let emptying = one.empty();
    assert_eq!(one.released.len(), count, "homes hear of each");
    assert!(one.most_left <= LEFT_MAX, "{count}: {} left at once", one.most_left);
    assert!(one.most <= LOOKS_MAX, "{count}: {} in one input", one.most);
    (filling, emptying)
}

fn players(count: usize) -> (u64, u64) {
    let mut one = One::new();
    let before = one.walked();
    one.give_players(count);
    // And the land around them.
    assert!(one.node.counters().reals >= count as u64);
    let filling = one.walked() - before;
    let emptying = one.empty();
    assert!(one.most <= LOOKS_MAX, "{count}: {} in one input", one.most);
    (filling, emptying)
}

/// A node with players stops: the journal answers for each that it has left.
fn stopping(count: usize) -> (u64, u64) {
    let mut one = One::new();
    one.give_players(count);
    let before = one.walked();
    one.take(Input::Stop);
    assert!(one.appends.len() >= count);
    while !one.appends.is_empty() {
        let batch = one.appends.remove(0);
        one.take(Input::Appended { batch, outcome: Outcome::Done });
    }
    assert!(one.stopped, "nothing is left to do");
    (one.walked() - before, 0)
}

/// Four times as many cost about four times as much, and not sixteen. (They leave for longer, in rounds of housekeeping.)
fn grows_with_the_count(what: &str, cost: impl Fn(usize) -> (u64, u64)) {
    let (few, many) = (cost(500), cost(2_000));
    for (doing, few, many) in [("filling", few.0, many.0), ("emptying", few.1, many.1)] {
        assert!(many <= 7 * few.max(1_000), "{doing} with {what}: {few} for 500, {many} for 2,000");
    }
}

#[test]
fn land_costs_what_changes() {
    grows_with_the_count("land", land);
}

/// A round of housekeeping over many takes several ticks, and so does the report of what was sent.
#[test]
fn no_input_looks_at_everything() {
    let mut one = One::new();
    one.look_at(6_000);
    for _ in 0..25 {
        one.tick();
    }
    assert!(one.most <= LOOKS_MAX, "{} in one input", one.most);
    one.empty();
    assert!(one.most <= LOOKS_MAX, "{} in one input", one.most);
}

#[test]
fn stopping_costs_what_changes() {
    grows_with_the_count("players that leave", stopping);
}

#[test]
fn players_cost_what_changes() {
    grows_with_the_count("players", players);
}
