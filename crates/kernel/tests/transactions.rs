//! Transactions whose messages come out of turn, or whose coordinator is gone.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use gundo_kernel::game::{Actor, Exists};
use gundo_kernel::{Age, Alive, HomeMessage, Input, Label, Node, Output, Peer, TxId, TxMessage, View};
use gundo_rig::member;
use gundo_types::{Body, ChunkId, EntityId, Epoch, NodeId, Now, Time, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{Loaded, Outcome};
use support::cluster::{Cluster, Fate, Strike, new_node};
use support::game::{self, LandCommand, PlayerCommand};

/// One node with land that is at home there; the test speaks for the other members.
struct Participant {
    node: Node,
    epoch: u64,
    now_ms: u64,
    land: EntityId,
    /// Loads that the journal has not answered.
    loads: Vec<(EntityId, u64)>,
    /// What it has told coordinators since the last look.
    said: Vec<(TxId, TxMessage)>,
}

impl Participant {
    /// It is node 1, incarnation 11; `others` are members too.
    fn new(others: &[(u16, u64)]) -> Self {
        let node = new_node(&member(1, 11), &Arc::default(), 1);
        let mut this = Self {
            node,
            epoch: 0,
            now_ms: 0,
            land: EntityId::default(),
            loads: Vec::new(),
            said: Vec::new(),
        };
        this.view(others);
        let here = |chunk: &ChunkId| this.node.home(game::land(*chunk)) == Some(NodeId(1));
        // It lives here in every view that these tests have.
        this.land = game::land(ChunkId::default().around(40).find(here).expect("it is home of some land"));
        this
    }

    fn view(&mut self, others: &[(u16, u64)]) {
        self.epoch += 1;
        let others = others.iter().map(|(n, incarnation)| member(*n, *incarnation));
        let members = std::iter::once(member(1, 11)).chain(others).collect();
        self.take(Input::View(View { epoch: Epoch(self.epoch), members }));
    }

    fn take(&mut self, input: Input) {
        let now = Now { time: Time(self.now_ms * 1_000), world: WorldTime(self.now_ms) };
        self.node.handle(now, input);
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Load { entity, load } => self.loads.push((entity, load)),
                Output::Peer { message: Peer::Transaction { tx, message, .. }, .. } => {
                    self.said.push((tx, message));
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, (n, incarnation): (u16, u64), message: Peer) {
        let label = Label { from: incarnation, ..Label::default() };
        self.take(Input::Peer { from: NodeId(n), label, message });
    }

    fn announce(&mut self, by: (u16, u64)) {
        let alive = Alive {
            confirmed_ms: 0,
            unreachable: vec![],
            unheard: false,
            world: None,
            sent_us: 0,
            echo_us: None,
        };
        self.hear(by, Peer::Alive { epoch: Epoch(self.epoch), alive });
        let message =
            HomeMessage::Announce { holds: vec![], subscribes: vec![], publishes: vec![], last: true };
        self.hear(by, Peer::Home { epoch: Epoch(self.epoch), message });
    }

    fn transaction(&mut self, by: (u16, u64), count: u64, message: TxMessage) {
        let tx = TxId { node: NodeId(by.0), incarnation: by.1, count };
        self.hear(by, Peer::Transaction { tx, entity: self.land, message });
    }

    fn prepare(&mut self, by: (u16, u64), count: u64) {
        let ask = LandCommand { take: 1, near_mm: 0 }.encode_to_vec().into();
        let actor =
            Actor { id: EntityId::new(game::PLAYER, 7), public: Bytes::new(), body: Some(Body::default()) };
        let age = Age(1, NodeId(by.0), count);
        self.transaction(
            by,
            count,
            TxMessage::Prepare { age, ask, exists: Exists::Yes, actor, alone: false },
        );
    }

    /// The journal answers all loads: nothing has happened to these entities yet.
    fn load(&mut self) {
        for (entity, load) in std::mem::take(&mut self.loads) {
            self.take(Input::Loaded { entity, load, result: Ok(Loaded::default()) });
        }
    }

    /// What it answered to this transaction since the last look.
    fn answers(&mut self, by: (u16, u64), count: u64) -> Vec<&'static str> {
        let name = |message: TxMessage| match message {
            TxMessage::Prepared(_) => "prepared",
            TxMessage::Busy => "busy",
            TxMessage::Concluded(Outcome::Conflict) => "conflict",
            other => panic!("{other:?}"),
        };
        let said = std::mem::take(&mut self.said).into_iter();
        let tx = TxId { node: NodeId(by.0), incarnation: by.1, count };
        said.filter(|(of, _)| *of == tx).map(|(_, message)| name(message)).collect()
    }
}

const TWO: (u16, u64) = (2, 12);
const THREE: (u16, u64) = (3, 13);

#[test]
fn an_abort_that_overtakes_its_prepare_wins() {
    let mut land = Participant::new(&[TWO]);
    // Its home is not open: the prepare waits, and the abort does not.
    land.prepare(TWO, 1);
    land.transaction(TWO, 1, TxMessage::Abort { reload: false });
    land.announce(TWO);
    land.load();
    assert_eq!(land.answers(TWO, 1), [""; 0], "that transaction is over");
    land.prepare(TWO, 2);
    land.load();
    assert_eq!(land.answers(TWO, 2), ["prepared"], "nothing has locked it");
    // Out of turn on the way, too.
    land.transaction(TWO, 2, TxMessage::Abort { reload: false });
    land.transaction(TWO, 3, TxMessage::Abort { reload: false });
    land.prepare(TWO, 3);
    land.prepare(TWO, 4);
    assert_eq!(land.answers(TWO, 4), ["prepared"]);
}

/// It is asked to append what it has not prepared, or does not keep: the coordinator hears that nothing was sent.
#[test]
fn what_it_does_not_keep_is_not_appended() {
    let mut land = Participant::new(&[TWO]);
    land.announce(TWO);
    land.transaction(TWO, 1, TxMessage::Conclude(Vec::new()));
    assert_eq!(land.answers(TWO, 1), ["conflict"]);
    land.prepare(TWO, 2);
    land.load();
    assert_eq!(land.answers(TWO, 2), ["prepared"]);
    land.transaction(TWO, 2, TxMessage::Conclude(Vec::new()));
    assert_eq!(land.answers(TWO, 2), ["conflict"], "the coordinator appends that");
}

#[test]
fn aborts_that_come_too_early_are_remembered_up_to_a_limit() {
    let mut land = Participant::new(&[TWO]);
    land.announce(TWO);
    for count in 1..=3_000 {
        land.transaction(TWO, count, TxMessage::Abort { reload: false });
    }
    for count in [3_000, 2_500] {
        land.prepare(TWO, count);
        land.load();
        assert_eq!(land.answers(TWO, count), [""; 0], "{count}: that transaction is over");
    }
    land.prepare(TWO, 1);
    land.load();
    assert_eq!(land.answers(TWO, 1), ["prepared"], "the oldest are forgotten");
}

#[test]
fn a_prepare_does_not_outlive_its_coordinator() {
    // It waits for the home to open, or for the land to be loaded; the coordinator dies, or comes back as another incarnation.
    for (opens, comes_back) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut land = Participant::new(&[TWO, THREE]);
        land.announce(THREE);
        if opens {
            land.announce(TWO);
        }
        land.prepare(TWO, 1);
        let after: &[_] = if comes_back { &[(2, 14), THREE] } else { &[THREE] };
        land.view(after);
        after.iter().for_each(|other| land.announce(*other));
        land.load();
        land.said.clear();
        land.prepare(THREE, 1);
        land.load();
        let answers = land.answers(THREE, 1);
        assert_eq!(answers, ["prepared"], "home open: {opens}, comes back: {comes_back}");
    }
}

#[test]
fn a_node_that_comes_back_speaks_for_no_earlier_transaction() {
    let mut land = Participant::new(&[TWO, THREE]);
    land.announce(TWO);
    land.announce(THREE);
    land.prepare(TWO, 1);
    land.load();
    assert_eq!(land.answers(TWO, 1), ["prepared"]);
    // Its own messages, and those that claim to be of the incarnation before it.
    let stale = land.node.counters().stale;
    let tx = TxId { node: NodeId(2), incarnation: 11, count: 1 };
    let message = TxMessage::Abort { reload: false };
    land.hear(TWO, Peer::Transaction { tx, entity: land.land, message });
    assert_eq!(land.node.counters().stale, stale + 1);
    land.prepare(THREE, 1);
    assert_eq!(land.answers(THREE, 1), [""; 0], "it is locked still");
}

/// What its ids are, over three lives of the coordinator.
#[test]
fn no_two_transactions_have_the_same_id() {
    let mut cluster = Cluster::new(3, 1);
    let (ids, seen) = channel();
    let note = move |_, _, message: &Peer| {
        if let Peer::Transaction { tx, message: TxMessage::Prepare { .. }, .. } = message {
            ids.send(*tx).expect("the test is listening");
        }
        false
    };
    cluster.strike = Some(Strike { at: Box::new(note), fate: Fate::Lost, struck: None });
    let chunk = cluster.chunk_where_home_is(2);
    for life in 0..3 {
        let ann = cluster.connect(&format!("ann{life}"), 3);
        cluster.run_ms(600);
        cluster.take(ann, chunk, 1);
        cluster.run_ms(600);
        assert!(cluster.clients[ann].answers.iter().all(|answer| answer.result.is_ok()));
        cluster.die(3);
        cluster.bury(3);
        cluster.run_ms(600);
        cluster.rise(3);
        cluster.run_ms(600);
    }
    let seen: Vec<TxId> = seen.try_iter().collect();
    let of_three: Vec<_> = seen.iter().filter(|tx| tx.node == NodeId(3)).collect();
    assert!(of_three.len() >= 3, "{seen:?}");
    assert_eq!(of_three.iter().collect::<BTreeSet<_>>().len(), of_three.len(), "{seen:?}");
}

/// One part is busy, and the other's answer arrives while the coordinator waits for its next try. The abort for that part was
/// lost: it must hear again that the transaction is over.
#[test]
fn an_answer_that_comes_too_late_is_told_so() {
    let mut cluster = Cluster::tuned(3, 1, |world| world.limits.waiting_per_entity_max = 1);
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| cluster.connect(name, 1));
    cluster.run_ms(600);
    let node = cluster.nodes.values().next().expect("a node");
    let of = |n| {
        let at = |chunk: &ChunkId| node.home(game::land(*chunk)) == Some(NodeId(n));
        ChunkId::default().around(40).find(at).expect("it is home of some land")
    };
    let (busy, free) = (of(3), of(2));
    cluster.stuck = true;
    cluster.take(bob, busy, 1);
    cluster.run_ms(200);
    // She waits there, and nobody else may.
    cluster.take(eve, busy, 1);
    cluster.run_ms(200);
    let abort = |_, to, message: &Peer| {
        to == NodeId(2) && matches!(message, Peer::Transaction { message: TxMessage::Abort { .. }, .. })
    };
    cluster.strike = Some(Strike { at: Box::new(abort), fate: Fate::Lost, struck: None });
    cluster.slow_links.insert((NodeId(2), NodeId(1)), 3_000);
    let both = PlayerCommand { chunk: free.to_u64(), take: 1, also: busy.to_u64(), ..Default::default() };
    cluster.command(ann, &both);
    cluster.run_ms(10);
    cluster.stuck = false;
    cluster.run_ms(1_500);
    let strike = cluster.strike.as_ref().expect("put there");
    assert!(strike.struck.is_some(), "no abort was lost");
    let answers: Vec<_> = cluster.clients[ann].answers.iter().map(|answer| answer.result.is_ok()).collect();
    assert_eq!(answers, [true]);
    cluster.check_pebbles();
}

/// The land that a test asks, by its home.
fn land_of(cluster: &Cluster, home: u16) -> ChunkId {
    let node = cluster.nodes.values().next().expect("a node");
    let is_there = |chunk: &ChunkId| node.home(game::land(*chunk)) == Some(NodeId(home));
    ChunkId::default().around(40).find(is_there).expect("it is home of some land")
}

/// Each of two has locked what the other one wants next. The older has the younger give up, and both succeed.
#[test]
fn two_that_cross_both_succeed() {
    let mut cluster = Cluster::new(3, 1);
    let (ann, bob) = (cluster.connect("ann", 2), cluster.connect("bob", 3));
    cluster.run_ms(600);
    let (near_ann, near_bob) = (land_of(&cluster, 2), land_of(&cluster, 3));
    for _ in 0..5 {
        let both = |chunk: ChunkId, also: ChunkId| PlayerCommand {
            chunk: chunk.to_u64(),
            take: 1,
            also: also.to_u64(),
            ..Default::default()
        };
        cluster.command(ann, &both(near_ann, near_bob));
        cluster.command(bob, &both(near_bob, near_ann));
        cluster.run_ms(500);
    }
    for client in [ann, bob] {
        let answers = &cluster.clients[client].answers;
        assert!(answers.len() == 5 && answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    }
    cluster.check_pebbles();
}

/// Everybody wants the same: each waits until the one before is done, and nobody comes back after a random wait.
#[test]
fn many_want_the_same_and_wait_in_line() {
    let mut cluster = Cluster::new(3, 1);
    let all: Vec<usize> = (0..4).map(|n| cluster.connect(&format!("p{n}"), 1 + n % 3)).collect();
    cluster.run_ms(600);
    let chunk = land_of(&cluster, 2);
    let tries = |cluster: &Cluster| cluster.nodes.values().map(|node| node.counters().retries).sum::<u64>();
    // The first of all finds the land unloaded.
    cluster.take(all[0], chunk, 1);
    cluster.run_ms(500);
    let before = tries(&cluster);
    for _ in 0..4 {
        all.iter().for_each(|client| cluster.take(*client, chunk, 1));
        cluster.run_ms(500);
    }
    for client in all {
        let answers = &cluster.clients[client].answers;
        assert!(answers.len() >= 4 && answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    }
    assert_eq!(tries(&cluster), before);
    cluster.check_pebbles();
}

/// Each of these stories fails with the mistake that it is about.
#[cfg(feature = "planted")]
#[test]
fn mistakes_are_seen() {
    use gundo_types::Planted;
    support::cluster::each_is_seen(&[
        (Planted::ConcludeUnanswered, what_it_does_not_keep_is_not_appended),
        (Planted::AbortOvertaken, an_abort_that_overtakes_its_prepare_wins),
        (Planted::NobodyWounded, two_that_cross_both_succeed),
        (Planted::RetryUnaborted, two_that_cross_both_succeed),
        (Planted::PrepareOutlives, a_prepare_does_not_outlive_its_coordinator),
    ]);
}
