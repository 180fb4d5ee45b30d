//! Rules that take their node down, whichever they are: two nodes at most, and everybody else plays on.

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gundo_kernel::Input;
use gundo_kernel::game::{BLAME_LIMIT, Rule, Witness, set_witness};
use gundo_types::{Body, ChunkId, EntityId, NodeId, Point};
use support::cluster::Cluster;
use support::game;

/// From now on this rule (of this entity, or of any) takes the node down that runs it.
#[derive(Default)]
struct Hangs {
    wants: Cell<Option<(Option<EntityId>, Rule)>>,
    hung: Cell<Option<(EntityId, Rule)>>,
    /// Each panics the next time it runs.
    panics: Cell<Vec<(EntityId, Rule)>>,
}

impl Witness for Hangs {
    fn begins(&self, entity: EntityId, rule: Rule) {
        let mut panics = self.panics.take();
        let at = panics.iter().position(|it| *it == (entity, rule));
        at.map(|at| panics.remove(at));
        self.panics.set(panics);
        assert!(at.is_none(), "{rule:?} panics once");
        let is_it = |(id, r): (Option<EntityId>, Rule)| r == rule && id.is_none_or(|id| id == entity);
        if self.hung.get().is_none() && self.wants.get().is_some_and(is_it) {
            self.hung.set(Some((entity, rule)));
            game::DEADLY.set(true);
        }
    }

    fn ends(&self) {}
}

fn chunk_at(x: i32) -> ChunkId {
    Body { at: Point::new(x, 15_000), ..Body::default() }.chunk()
}

/// A cluster in which ann and bob play, and a supervisor that blames.
struct Scene {
    cluster: Cluster,
    hangs: Rc<Hangs>,
    ann: usize,
    bob: usize,
    points: BTreeMap<EntityId, u8>,
    buried: usize,
}

impl Scene {
    fn new() -> Self {
        let hangs = Rc::new(Hangs::default());
        set_witness(Some(Rc::clone(&hangs) as Rc<dyn Witness>));
        let mut cluster = Cluster::new(6, 1);
        let (ann, bob) = (cluster.connect("ann", 1), cluster.connect("bob", 6));
        cluster.run_ms(1_000);
        Self { cluster, hangs, ann, bob, points: BTreeMap::new(), buried: 0 }
    }

    /// Lets time pass. Each node that is lost is taken from the view, and the entity whose rule it ran is blamed.
    fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms / 50 {
            self.cluster.run_ms(50);
            if let Some((entity, rule)) = self.hangs.hung.take() {
                let points = self.points.entry(entity).or_default();
                *points += rule.blame();
                let points = *points;
                self.tell(entity, points);
            }
            for lost in self.cluster.killed.split_off(self.buried) {
                self.cluster.killed.push(lost);
                self.cluster.bury(lost);
                self.buried = self.cluster.killed.len();
            }
        }
    }

    fn tell(&mut self, entity: EntityId, points: u8) {
        let nodes: Vec<NodeId> = self.cluster.nodes.keys().copied().collect();
        for node in nodes {
            self.cluster.input(node, Input::Blamed { entity, points });
        }
    }

    /// Ann walks about and takes from where she stands; so does bob, far away.
    fn play(&mut self) {
        for step in 0..10 {
            for (client, x) in [(self.ann, 15_000), (self.bob, 17_000)] {
                self.cluster.walk(client, Point::new(x + (step % 3) * 200, 15_000));
                self.cluster.take(client, chunk_at(x), 1);
            }
            self.run_ms(1_500);
        }
    }

    fn done(&self, client: usize) -> usize {
        self.cluster.clients[client].answers.iter().filter(|answer| answer.result.is_ok()).count()
    }
}

#[test]
fn whichever_rule_takes_nodes_down_it_is_two_at_most() {
    let of_ann = [
        Rule::Walk,
        Rule::SpeedMax,
        Rule::Decide,
        Rule::Then,
        Rule::Apply,
        Rule::Public,
        Rule::Private,
        Rule::Restore,
    ];
    for rule in of_ann {
        let mut scene = Scene::new();
        let ann = scene.cluster.player(scene.ann);
        scene.hangs.wants.set(Some((Some(ann), rule)));
        scene.play();
        let lost = scene.cluster.killed.len();
        // Each of ann's commands is given up after two nodes; after the second command she is blamed.
        let most = if rule.blame() == 1 { 4 } else { 2 };
        assert!(lost <= most, "{rule:?}: {lost} nodes are lost");
        let needs_reload = rule == Rule::Restore;
        assert!(lost >= 2 || needs_reload, "{rule:?}: {lost} nodes are lost, so it does not hang");
        assert!(scene.done(scene.bob) > 2, "{rule:?}: bob plays on");
    }
}

#[test]
fn what_is_nobodys_command_is_blamed_too() {
    let land = EntityId::new(game::LAND, chunk_at(15_000).to_u64());
    for rule in [Rule::Public, Rule::Tick, Rule::Restore] {
        let mut scene = Scene::new();
        scene.hangs.wants.set(Some((Some(land), rule)));
        scene.play();
        let lost = scene.cluster.killed.len();
        assert!(lost <= 2, "{rule:?}: {lost} nodes are lost");
        assert!(lost == 2 || rule == Rule::Restore, "{rule:?}: {lost} nodes are lost, so it does not hang");
    }
}

/// A newcomer's first decision and first place.
#[test]
fn a_newcomer_takes_two_nodes_at_most() {
    for rule in [Rule::Create, Rule::Spawn] {
        let mut scene = Scene::new();
        scene.hangs.wants.set(Some((None, rule)));
        let cid = scene.cluster.connect("cid", 2);
        scene.run_ms(20_000);
        let lost = scene.cluster.killed.len();
        assert!((1..=2).contains(&lost), "{rule:?}: {lost} nodes are lost");
        assert!(scene.cluster.clients[cid].answers.is_empty());
        scene.play();
        assert!(scene.done(scene.bob) > 2, "{rule:?}: bob plays on");
    }
}

#[test]
fn who_is_pardoned_plays_again() {
    let mut scene = Scene::new();
    let ann = scene.cluster.player(scene.ann);
    scene.hangs.wants.set(Some((Some(ann), Rule::Public)));
    scene.play();
    assert_eq!(scene.cluster.killed.len(), 2);
    assert_eq!(scene.points.get(&ann), Some(&BLAME_LIMIT));
    let said = &scene.cluster.clients[scene.ann];
    let why = said
        .refused
        .iter()
        .chain(&said.ended)
        .chain(said.answers.iter().filter_map(|a| a.result.as_ref().err().map(|r| &r.code)));
    assert!(why.into_iter().any(|code| code.contains("suspended")), "she is told");
    let token = said.session.token().clone();
    scene.ann = scene.cluster.connect_with("annie", 6, token.clone());
    scene.play();
    assert_eq!(scene.done(scene.ann), 0, "she rests");
    assert_eq!(scene.cluster.killed.len(), 2, "and takes no node with her");
    scene.hangs.wants.set(None);
    scene.tell(ann, 0);
    scene.ann = scene.cluster.connect_with("anna", 6, token);
    scene.play();
    assert!(scene.done(scene.ann) > 0, "she plays");
    scene.cluster.check_pebbles();
}

/// A state that the game's code could not read once is read again after a while: nobody has to leave for that.
#[test]
fn what_cannot_be_restored_once_is_loaded_again() {
    let mut scene = Scene::new();
    let land = EntityId::new(game::LAND, chunk_at(15_000).to_u64());
    // Its state is in doubt after the first panic, so it is loaded again.
    scene.hangs.panics.set(vec![(land, Rule::Answer), (land, Rule::Restore)]);
    scene.cluster.take(scene.ann, chunk_at(15_000), 1);
    scene.run_ms(500);
    assert!(scene.hangs.panics.take().is_empty(), "it was loaded, and that panicked");
    let before = scene.done(scene.ann);
    scene.run_ms(1_000);
    scene.play();
    assert!(scene.done(scene.ann) > before, "it is loaded again");
    scene.cluster.check_pebbles();
}
