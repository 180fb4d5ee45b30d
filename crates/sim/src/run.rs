//! One run: faults happen, everything heals, the world comes to rest, all players log out.

mod pictures;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gundo_types::Planted;

use self::pictures::pictures_and_watches;
use crate::coverage::Coverage;
use crate::game::Game;
use crate::judge::{Guarantee, Verdict, Violation, violated};
use crate::plan::{Plan, Profile};
use crate::story::{Listener, Story};
use crate::world::{Counts, World};

/// The kind of a failure: the process' exit code distinguishes them.
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
    /// The kind.
    pub kind: FailureKind,
    /// The broken guarantee; `None` for a crash.
    pub guarantee: Option<Guarantee>,
    /// What the checker saw, for people.
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

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The plan that ran.
    pub plan: Plan,
    /// Why it failed; `None`: every check held.
    pub failure: Option<Failure>,
    /// Simulated time, ms.
    pub simulated_ms: u64,
    /// A hash of the run: two runs that differ have different digests.
    pub digest: u64,
    /// The counts.
    pub counts: Counts,
    /// What the machines of its nodes have had.
    pub coverage: Coverage,
}

/// The part of the healing in which the minds play on, ms.
const PLAY_ON_MS: u64 = 5_000;
/// The time after the healing in which everybody succeeds at each kind of thing, and then in which everything comes to rest again, ms.
const ERRANDS_MS: u64 = 12_000;
/// The part of the healing in which pictures must converge while everything else is at rest, ms.
const QUIET_MS: u64 = 5_000;
/// Interval between two checks whether the world is at rest.
const LOOK_MS: u64 = 100;

/// Runs a plan. `planted`: a bug to plant in kernel, journal or client; needs the feature `planted`.
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
            let text = text.unwrap_or_else(|| "a panic without a message".to_owned());
            Some(Failure { kind: FailureKind::Crash, guarantee: None, text, at_ms })
        }
    };
    let (digest, mut counts) =
        world.as_ref().map_or((0, Counts::default()), |w| (w.story.digest(), w.counts.clone()));
    if let Some(world) = &world {
        (counts.mail, counts.timers) = (world.judge.mail_taken(), world.judge.timers_rung());
        counts.orders = world.judge.orders_taken();
        (counts.effects, counts.answers, counts.shown) =
            (world.judge.effects, world.judge.answers, world.judge.shown);
    }
    let coverage = world.map(World::take_coverage).unwrap_or_default();
    let honest = plan.profile != Profile::Echoes;
    let failure = failure.or_else(|| cannot_happen(&coverage, planted, at_ms).filter(|_| honest));
    Report { plan: plan.clone(), failure, simulated_ms: at_ms, digest, counts, coverage }
}

/// A pair of a state and a message that cannot happen, and has.
fn cannot_happen(coverage: &Coverage, planted: Option<Planted>, at_ms: u64) -> Option<Failure> {
    // A planted bug may well cause what cannot happen, and a checker is to find it.
    let found = crate::coverage::impossible(coverage).filter(|_| planted.is_none());
    let kind = FailureKind::Safety;
    found.map(|text| Failure { kind, guarantee: None, text, at_ms })
}

fn kind_of(violation: &Violation) -> FailureKind {
    if violation.guarantee == Guarantee::G10 { FailureKind::Liveness } else { FailureKind::Safety }
}

fn play(world: &mut World) -> Verdict {
    let ms = |ms: u64| ms * 1_000;
    let healed = ms(world.plan.fault_ms);
    advance(world, healed)?;
    if world.echoes() {
        return Ok(());
    }
    world.heal();
    let ends = healed + ms(PLAY_ON_MS.min(world.plan.heal_ms / 3));
    world.ends_at = ends;
    advance(world, ends)?;
    world.playing = false;
    let deadline = healed + ms(world.plan.heal_ms) - ms(QUIET_MS).min(ms(world.plan.heal_ms) / 3);
    until(world, deadline, |world| at_rest(world))?;
    world.begin_errands();
    let deadline = world.now + ms(ERRANDS_MS);
    until(world, deadline, World::run_errands)?;
    let deadline = world.now + ms(ERRANDS_MS);
    until(world, deadline, |world| at_rest(world))?;
    world.hold();
    let deadline = world.now + ms(QUIET_MS);
    until(world, deadline, |world| pictures_and_watches(world))?;
    check_live(world)?;
    world.judge.check_journal(&world.storage.disk.store)?;
    world.leave_all();
    // A player that logs out is gone at once; its surroundings are gone once they have been idle for long enough.
    // And what is due soon has happened by then, to entities that are loaded for that.
    let empty_in = ms(world.plan.world.grace_ms + 2 * world.plan.world.idle_ms) + ms(7 * QUIET_MS);
    let deadline = world.now + empty_in;
    until(world, deadline, |world| empty(world))?;
    world.judge.check_journal(&world.storage.disk.store)
}

fn advance(world: &mut World, until: u64) -> Verdict {
    while world.now < until {
        let next = (world.now + LOOK_MS * 1_000).min(until);
        let passed_ms = (next - world.now).div_ceil(1_000);
        world.run_until(next);
        if let Some(violation) = world.violation.take() {
            return Err(violation);
        }
        if world.echoes() {
            continue;
        }
        bounds(world)?;
        entities(world)?;
        world.check_retries(passed_ms)?;
        world.check_sizes()?;
        world.check_owners()?;
        world.check_locks()?;
        world.check_lost()?;
        world.check_removed()?;
        world.check_time()?;
        world.check_places()?;
        world.check_clocks()?;
        if world.counts.inputs > world.plan.inputs_max {
            return violated(Guarantee::G10, format!("{} inputs and no end: it spins", world.counts.inputs));
        }
    }
    Ok(())
}

/// No entity has more waiting work than the limit (a player may also have the hellos it was answering, when they must be done
/// again), and no work waits too long. No two nodes obey a player at the same time: one in a handoff stands still until its owner is
/// certain.
fn entities(world: &World) -> Verdict {
    // Hellos of one player that one append can delay: within its time the simulator makes no more connections of a player.
    const HELLOS_MAX: usize = 8;
    let (waiting_max, wait_ms) =
        (world.plan.world.limits.waiting_per_entity_max, world.plan.world.append_wait_ms);
    let player = world.rules.player_kind();
    let mut owners = Vec::new();
    for (key, node) in &world.nodes {
        let owns = world.is_member(node);
        for real in node.kernel.reals() {
            let is_player = real.id.kind == player;
            let most = waiting_max + if is_player { HELLOS_MAX } else { 0 };
            if real.waiting > most {
                let (name, waiting) = (world.judge.name(real.id), real.waiting);
                let text = format!("{waiting} pieces of work wait for {name} on n{}, {most} may", key.node);
                return violated(Guarantee::G12, text);
            }
            if real.held_ms >= wait_ms {
                let (name, held_ms) = (world.judge.name(real.id), real.held_ms);
                let text =
                    format!("{name} has waited {held_ms} ms for the journal on n{}, {wait_ms} may", key.node);
                return violated(Guarantee::G12, text);
            }
            if owns && is_player && !real.frozen {
                owners.push((real.id, key.node));
            }
        }
    }
    owners.sort_unstable();
    match owners.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => {
            let name = world.judge.name(pair[0].0);
            violated(Guarantee::G2, format!("{name} is real on n{} and n{}", pair[0].1, pair[1].1))
        }
    }
}

/// No node has too many appends under way, and the game's code does not panic.
fn bounds(world: &World) -> Verdict {
    for (key, node) in &world.nodes {
        let (counters, most) = (node.kernel.counters(), world.plan.world.appends_waiting_max as u64);
        // Fences come on top, one per entity: they end appends in flight.
        if counters.appends_waiting > most + counters.reals {
            let text =
                format!("{} appends of n{} are under way, {most} may", counters.appends_waiting, key.node);
            return violated(Guarantee::G12, text);
        }
        // The kernel survives and the player hears that something went wrong: the game is to blame.
        if counters.game_panics > 0 && !world.game_panics() {
            return violated(Guarantee::Game, format!("the rules panicked on n{}", key.node));
        }
        if let Some(fault) = world.game_fault() {
            return violated(Guarantee::Game, format!("the game wants what cannot be: {fault}"));
        }
        if counters.misplaced > 0 {
            let text = format!("the rules put something outside its chunk on n{}", key.node);
            return violated(Guarantee::Game, text);
        }
    }
    Ok(())
}

/// Runs until `check` holds. If it does not hold at `deadline`, that is the failure.
fn until(world: &mut World, deadline: u64, check: fn(&mut World) -> Verdict) -> Verdict {
    loop {
        let found = check(world);
        if found.is_ok() || world.now >= deadline {
            return found;
        }
        let next = world.now + LOOK_MS * 1_000;
        advance(world, next)?;
    }
}

/// Every player is in the world, every command answered, every entity settled.
fn at_rest(world: &World) -> Verdict {
    world.check_left()?;
    for (index, person) in world.people.iter().enumerate().filter(|(_, person)| !person.quits) {
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
    world.judge.check_mail()?;
    world.check_orders()?;
    world.judge.check_timers(world.world_time())?;
    for (key, node) in &world.nodes {
        if let Some(real) = node.kernel.reals().find(|r| !r.settled) {
            let text = format!("{} is not settled on n{}", world.judge.name(real.id), key.node);
            return violated(Guarantee::G10, text);
        }
    }
    Ok(())
}

/// The live state of every entity equals what the journal says.
fn check_live(world: &World) -> Verdict {
    for node in world.nodes.values() {
        for real in node.kernel.reals().filter(|r| r.settled) {
            if let Some(state) = node.kernel.inside().state_of(real.id) {
                world.judge.compare_live(real.id, real.seq, &state)?;
            }
        }
    }
    Ok(())
}

/// All players are gone: no node holds, shows, subscribes to or waits for anything.
fn empty(world: &World) -> Verdict {
    world.judge.check_no_timers_soon(world.world_time())?;
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
