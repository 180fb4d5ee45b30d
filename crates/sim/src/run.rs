//! One run: things go wrong, everything heals, the world comes to rest, everybody leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Planted};

use crate::game::Game;
use crate::judge::{Guarantee, Verdict, Violation, violated};
use crate::plan::Plan;
use crate::story::{Listener, Story};
use crate::world::{Counts, World};

/// What kind of failure: the process' exit code tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// The kernel, or the simulator, panicked.
    Crash,
    /// Something happened that must never happen.
    Safety,
    /// Something did not happen in time.
    Liveness,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// Which guarantee; `None` for a crash.
    pub guarantee: Option<Guarantee>,
    /// What was seen, for people.
    pub text: String,
    /// When, ms of simulated time.
    pub at_ms: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FailureKind::Crash => "crash",
            FailureKind::Safety => "safety",
            FailureKind::Liveness => "liveness",
        };
        write!(f, "{kind} failure at {} ms", self.at_ms)?;
        if let Some(guarantee) = self.guarantee {
            write!(f, ", {guarantee}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// Why it failed; `None`: every check held.
    pub failure: Option<Failure>,
    /// Simulated time, ms.
    pub simulated_ms: u64,
    /// A number that differs if anything differed.
    pub digest: u64,
    /// What was counted.
    pub counts: Counts,
}

/// Part of the healing in which the minds go on.
const PLAY_ON_MS: u64 = 5_000;
/// Part of the healing in which pictures must converge, everything else being at rest.
const QUIET_MS: u64 = 5_000;
/// Between two looks at whether the world is at rest.
const LOOK_MS: u64 = 100;

/// Runs a plan. `planted`: a bug that kernel and journal are to have; it needs the feature `planted`.
pub fn run(
    plan: &Plan,
    game: &Arc<dyn Game>,
    planted: Option<Planted>,
    listener: Option<Listener>,
) -> Report {
    let mut world = None;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let world = world.insert(World::new(plan.clone(), Arc::clone(game), planted, Story::new(listener)));
        play(world)
    }));
    let at_ms = world.as_ref().map_or(0, |w| w.now / 1_000);
    let failure = match ran {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(Failure {
            kind: kind_of(&violation),
            guarantee: Some(violation.guarantee),
            text: violation.text,
            at_ms,
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            let text = text.unwrap_or_else(|| "a panic without words".to_owned());
            Some(Failure { kind: FailureKind::Crash, guarantee: None, text, at_ms })
        }
    };
    let (digest, mut counts) =
        world.as_ref().map_or((0, Counts::default()), |w| (w.story.digest(), w.counts.clone()));
    if let Some(world) = &world {
        (counts.effects, counts.answers, counts.shown) =
            (world.judge.effects, world.judge.answers, world.judge.shown);
    }
    Report { plan: plan.clone(), failure, simulated_ms: at_ms, digest, counts }
}

fn kind_of(violation: &Violation) -> FailureKind {
    if violation.guarantee == Guarantee::G10 { FailureKind::Liveness } else { FailureKind::Safety }
}

fn play(world: &mut World) -> Verdict {
    let ms = |ms: u64| ms * 1_000;
    let healed = ms(world.plan.fault_ms);
    advance(world, healed)?;
    world.heal();
    let ends = healed + ms(PLAY_ON_MS.min(world.plan.heal_ms / 3));
    world.ends_at = ends;
    advance(world, ends)?;
    world.playing = false;
    let deadline = healed + ms(world.plan.heal_ms) - ms(QUIET_MS).min(ms(world.plan.heal_ms) / 3);
    until(world, deadline, at_rest)?;
    world.hold();
    let deadline = world.now + ms(QUIET_MS);
    until(world, deadline, pictures_and_watches)?;
    check_live(world)?;
    world.judge.check_journal(&world.storage.disk.store)?;
    world.leave_all();
    // Who left politely is gone at once, its surroundings when they have been idle for as long as they may.
    let empty_in = ms(world.plan.world.grace_ms + world.plan.world.idle_ms) + ms(3 * QUIET_MS);
    let deadline = world.now + empty_in;
    until(world, deadline, empty)?;
    world.judge.check_journal(&world.storage.disk.store)
}

fn advance(world: &mut World, until: u64) -> Verdict {
    while world.now < until {
        let next = (world.now + LOOK_MS * 1_000).min(until);
        world.run_until(next);
        if let Some(violation) = world.violation.take() {
            return Err(violation);
        }
        bounds(world)?;
        world.check_removed()?;
        one_owner(world)?;
        if world.counts.inputs > world.plan.inputs_max {
            return violated(Guarantee::G10, format!("{} inputs and no end: it spins", world.counts.inputs));
        }
    }
    Ok(())
}

/// No entity keeps more work waiting than it may (a player also the hellos it was answering, when they must be done again), and
/// the game's code does not panic.
fn bounds(world: &World) -> Verdict {
    let most = world.plan.world.limits.waiting_per_entity_max;
    // Hellos of one player that can be behind one append: more connections of one player are not made here in that time.
    const HELLOS_MAX: usize = 8;
    let again = |kind| if kind == world.rules.player_kind() { HELLOS_MAX } else { 0 };
    for (key, node) in &world.nodes {
        if let Some(real) = node.kernel.reals().find(|r| r.waiting > most + again(r.id.kind)) {
            let name = world.judge.name(real.id);
            let text =
                format!("{} pieces of work wait for {name} on n{}, {most} may", real.waiting, key.node);
            return violated(Guarantee::G12, text);
        }
        let wait_ms = world.plan.world.append_wait_ms;
        if let Some(real) = node.kernel.reals().find(|r| r.held_ms >= wait_ms) {
            let (name, held_ms) = (world.judge.name(real.id), real.held_ms);
            let text =
                format!("{name} has waited {held_ms} ms for the journal on n{}, {wait_ms} may", key.node);
            return violated(Guarantee::G12, text);
        }
        let (counters, most) = (node.kernel.counters(), world.plan.world.appends_waiting_max as u64);
        // Fences come on top, one for each entity: they end what is under way.
        if counters.appends_waiting > most + counters.reals {
            let text =
                format!("{} appends of n{} are under way, {most} may", counters.appends_waiting, key.node);
            return violated(Guarantee::G12, text);
        }
        // The kernel lives on, and a player is told that something went wrong: the game is to blame.
        if counters.game_panics > 0 && !world.game_panics() {
            return violated(Guarantee::Game, format!("the rules panicked on n{}", key.node));
        }
    }
    Ok(())
}

/// No player is obeyed by two nodes at the same time: one that is handed over stands still until it is known whose it is.
fn one_owner(world: &World) -> Verdict {
    let mut owners = BTreeMap::new();
    let player = world.rules.player_kind();
    for (key, node) in world.nodes.iter().filter(|(_, node)| world.is_member(node)) {
        for real in node.kernel.reals().filter(|r| r.id.kind == player && !r.frozen) {
            if let Some(other) = owners.insert(real.id, key.node) {
                let name = world.judge.name(real.id);
                return violated(Guarantee::G2, format!("{name} is real on n{other} and n{}", key.node));
            }
        }
    }
    Ok(())
}

/// Runs until `check` holds; what still does not hold at `deadline` is the failure.
fn until(world: &mut World, deadline: u64, check: fn(&World) -> Verdict) -> Verdict {
    loop {
        let found = check(world);
        if found.is_ok() || world.now >= deadline {
            return found;
        }
        let next = world.now + LOOK_MS * 1_000;
        advance(world, next)?;
    }
}

/// Everybody is in, every command answered, every entity settled.
fn at_rest(world: &World) -> Verdict {
    for (index, person) in world.people.iter().enumerate() {
        let Some(client) = person.current.map(|c| &world.clients[c]) else {
            return violated(Guarantee::G10, format!("player {index} is not back in the world"));
        };
        if !client.session.is_live() {
            return violated(Guarantee::G10, format!("player {index} is not back in the world"));
        }
        let open = client.session.commands_open();
        if open > 0 {
            return violated(Guarantee::G10, format!("player {index} has {open} commands without an answer"));
        }
    }
    if let Some(node) = world.draining() {
        return violated(Guarantee::G10, format!("{node} is still not empty"));
    }
    let mut live = BTreeMap::new();
    for client in world.clients.iter().filter(|c| c.session.is_live()) {
        if live.insert(client.session.player(), client.person).is_some() {
            return violated(Guarantee::G11, format!("player {} has two live sessions", client.person));
        }
    }
    for (key, node) in &world.nodes {
        if let Some(real) = node.kernel.reals().find(|r| !r.settled) {
            let text = format!("{} is not settled on n{}", world.judge.name(real.id), key.node);
            return violated(Guarantee::G10, text);
        }
    }
    Ok(())
}

/// What owners show is what the journal makes, and what every client in sight of it sees.
fn pictures(world: &World) -> Verdict {
    let now = world.world_time();
    let mut shown: BTreeMap<EntityId, (ChunkId, &Bytes, Option<Body>)> = BTreeMap::new();
    for node in world.nodes.values() {
        for real in node.kernel.reals() {
            let name = || world.judge.name(real.id);
            if let Some((chunk, public, body)) = real.shown {
                if shown.insert(real.id, (chunk, public, body)).is_some() {
                    return violated(Guarantee::G8, format!("{} is shown by two nodes", name()));
                }
                if world.judge.knows(real.id) && world.judge.public(real.id, now).as_ref() != Some(public) {
                    return violated(Guarantee::G8, format!("{} is not shown as its events make it", name()));
                }
            }
        }
    }
    let sure = world.plan.world.sight_chunks.into_iter().max().unwrap_or(0).saturating_sub(1);
    for client in world.clients.iter().filter(|c| c.session.is_live()) {
        let Some(me) = client.session.player() else { continue };
        let name = &world.people[client.person].name;
        let Some((center, ..)) = shown.get(&me) else {
            return violated(Guarantee::G8, format!("{name} is in the world and not shown"));
        };
        for (id, (chunk, public, body)) in
            shown.iter().filter(|(_, (c, ..))| c.steps_to(*center).is_some_and(|s| s <= sure))
        {
            let Some(seen) = client.picture.entity(*id) else {
                let (x, y) = (chunk.x, chunk.y);
                let text = format!("{name} does not see {} in chunk {x} {y}", world.judge.name(*id));
                return violated(Guarantee::G8, text);
            };
            if seen.public != **public || seen.body != *body {
                let text = format!(
                    "{name} sees {} at {:?}, it is at {body:?}{}",
                    world.judge.name(*id),
                    seen.body,
                    if seen.public == **public { "" } else { ", and looks otherwise" }
                );
                return violated(Guarantee::G8, text);
            }
        }
        if let Some((id, _)) =
            client.picture.entities().find(|(id, _)| !shown.contains_key(id) && !is_child(world, *id))
        {
            return violated(
                Guarantee::G8,
                format!("{name} sees {}, which is not there", world.judge.name(id)),
            );
        }
        if world.judge.private(me).as_ref() != Some(&client.own) {
            return violated(
                Guarantee::G8,
                format!("{name} believes to have something else than the journal says"),
            );
        }
    }
    Ok(())
}

/// Everything that is seen is as its owner has it, near or watched.
fn pictures_and_watches(world: &World) -> Verdict {
    pictures(world)?;
    world.check_watched()
}

/// Creatures are no entities of their own: their parents show them.
fn is_child(world: &World, id: EntityId) -> bool {
    world.nodes.values().next().is_some_and(|n| !n.kernel.has_kind(id.kind))
}

/// The live state of everything is what the journal makes.
fn check_live(world: &World) -> Verdict {
    for node in world.nodes.values() {
        for real in node.kernel.reals().filter(|r| r.settled) {
            if let Some(state) = node.kernel.state_of(real.id) {
                world.judge.compare_live(real.id, real.seq, &state)?;
            }
        }
    }
    Ok(())
}

/// Nobody is there: no node holds, shows, subscribes to or waits for anything.
fn empty(world: &World) -> Verdict {
    for (key, node) in &world.nodes {
        let left = node.kernel.reals().next().map(|r| world.judge.name(r.id));
        let counters = node.kernel.counters();
        let waiting = counters.appends_waiting + counters.handing_over;
        let (sessions, chunks) = (counters.sessions, counters.chunks);
        if counters.watches + counters.watched > 0 {
            let (watches, watched) = (counters.watches, counters.watched);
            let text =
                format!("everybody has left, and n{} keeps {watches} watches, {watched} watched", key.node);
            return violated(Guarantee::G12, text);
        }
        if let Some(name) = left {
            let kept: Vec<_> = world.nodes.iter().map(|(k, n)| (k.node, n.kernel.counters())).collect();
            let kept = kept.iter().map(|(n, c)| format!("n{n} {} sessions, {} chunks", c.sessions, c.chunks));
            let kept = kept.collect::<Vec<_>>().join("; ");
            let text = format!("everybody has left, and n{} still holds {name} ({kept})", key.node);
            return violated(Guarantee::G12, text);
        }
        if sessions + chunks + waiting + counters.ghosts > 0 {
            let text = format!(
                "everybody has left, and n{} keeps {sessions} sessions, {chunks} chunks, {} ghosts, {waiting} appends",
                key.node, counters.ghosts
            );
            return violated(Guarantee::G12, text);
        }
    }
    Ok(())
}
