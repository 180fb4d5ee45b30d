//! The first game is played, and the guide shows exactly its source.

use gundo::{Actor, AnyEntity, ChunkId, EntityId, Neighbour, RawContext, RawDecision, Surroundings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

struct Nobody;

impl Surroundings for Nobody {
    fn near(&self, _island: u16, _point: Point, _radius_mm: u32) -> Vec<Neighbour> {
        Vec::new()
    }

    fn look(&self, _chunk: ChunkId, _id: EntityId) -> Option<Bytes> {
        None
    }
}

/// A gardener and the meadow under their feet; commands run as the engine runs them.
struct Scene {
    gardener: Box<dyn AnyEntity>,
    meadow: Box<dyn AnyEntity>,
    now: WorldTime,
    body: Body,
}

const ADA: EntityId = EntityId::new(Gardener::KIND, 7);

impl Scene {
    fn new() -> Self {
        let rules = rules();
        let create = |kind, id| rules.kind_of(kind).expect("one of ours").create(id);
        let (gardener, meadow) = (create(Gardener::KIND, ADA.id), create(Meadow::KIND, 0));
        let mut scene = Self { gardener, meadow, now: WorldTime(5_000), body: Body::default() };
        scene.body = scene.context(ADA, None, |cx| scene.gardener.spawn(cx));
        let born = scene.context(ADA, None, |cx| scene.gardener.create("Ada", cx)).expect("a good name");
        assert_eq!((born.names.len(), born.names[0].name.as_str()), (1, "ada"));
        scene.gardener.apply(&born.events[0]).expect("her own event");
        scene
    }

    fn context<T>(&self, id: EntityId, actor: Option<&Actor>, f: impl FnOnce(&mut RawContext<'_>) -> T) -> T {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let body = Some(self.body);
        f(&mut RawContext { now: self.now, id, body, actor, surroundings: &Nobody, rng: &mut rng })
    }

    fn wish(&mut self, verb: &str) -> Result<MeadowEvent, Refusal> {
        let wish = Wish { verb: verb.into() }.encode_to_vec();
        let asks: RawDecision = self.context(ADA, None, |cx| self.gardener.decide(&wish, cx))?;
        assert_eq!(asks.parts[0].entity, EntityId::new(Meadow::KIND, self.body.chunk().to_u64()));
        let actor = Actor { id: ADA, public: Bytes::new(), body: Some(self.body) };
        let part = self.context(asks.parts[0].entity, Some(&actor), |cx| {
            self.meadow.decide(&asks.parts[0].command, cx)
        })?;
        let replies = [part.reply.clone()];
        let end = self.context(ADA, None, |cx| self.gardener.conclude(&wish, &replies, cx))?;
        part.events.iter().for_each(|event| self.meadow.apply(event).expect("its event"));
        end.events.iter().for_each(|event| self.gardener.apply(event).expect("her event"));
        Ok(MeadowEvent::decode(end.reply).expect("the reply"))
    }

    fn seen(&self) -> Vec<Flower> {
        Meadow::decode(self.meadow.public(self.now).expect("seen")).expect("a meadow").flowers
    }

    fn carried(&self) -> u32 {
        Gardener::decode(self.gardener.private()).expect("a gardener").flowers
    }
}

#[test]
fn a_flower_is_planted_ripens_and_is_picked() {
    let mut scene = Scene::new();
    assert!(scene.wish("plant").expect("room for one").planted.is_some());
    assert_eq!(scene.wish("pick").expect_err("too early").code, "nothing_ripe");
    let ripe = scene.now + RIPE_MS;
    assert_eq!(scene.meadow.next_change(scene.now), Some(ripe));
    scene.now = WorldTime(ripe.0 - 1);
    assert!(!scene.seen()[0].ripe);
    scene.now = ripe;
    assert!(scene.seen()[0].ripe);
    assert_eq!(scene.meadow.next_change(scene.now), None);

    scene.body.at.x += 2_001;
    assert_eq!(scene.wish("pick").expect_err("too far").code, "nothing_ripe");
    scene.body.at.x -= 1;
    assert!(scene.wish("pick").expect("in reach").picked.is_some());
    assert_eq!((scene.carried(), scene.seen().len()), (1, 0));
    assert_eq!(scene.wish("dance").expect_err("no such verb").code, "unclear");
}

#[test]
fn full_arms_and_full_meadows_refuse() {
    let mut scene = Scene::new();
    for _ in 0..FLOWERS_MAX {
        scene.wish("plant").expect("room");
    }
    assert_eq!(scene.wish("plant").expect_err("no room").code, "full");
    scene.now = scene.now + RIPE_MS;
    for _ in 0..ARMS_MAX {
        scene.wish("pick").expect("free arms");
    }
    assert_eq!(scene.wish("pick").expect_err("arms full").code, "arms_full");
    assert_eq!((scene.carried(), scene.seen().len()), (ARMS_MAX, FLOWERS_MAX - ARMS_MAX as usize));
}

#[test]
fn the_guides_show_these_sources() {
    let (first, simulator) =
        (include_str!("../../../../docs/first-game.md"), include_str!("../../../../docs/simulator.md"));
    let (game, sim) = (include_str!("main.rs"), include_str!("sim.rs"));
    for (guide, file) in [(first, game), (simulator, sim)] {
        let shown = code(guide, "rust");
        let source: Vec<&str> = file.lines().filter(|line| !line.trim().is_empty()).collect();
        for (number, (shown, source)) in shown.iter().zip(&source).enumerate() {
            assert_eq!(shown, source, "line {} of the code", number + 1);
        }
        assert_eq!(shown.len(), source.len());
    }
    // What the second guide quotes of the first.
    let quoted = code(simulator, "rust,ignore");
    assert!(!quoted.is_empty() && quoted.iter().all(|line| game.contains(line)), "{quoted:?}");
}

/// The lines of all blocks of `language`, without empty ones.
fn code<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = guide.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).collect()
}
