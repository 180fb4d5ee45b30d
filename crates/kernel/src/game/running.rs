//! Game code that runs now: how its panics become refusals, and how those outside learn which entity's code a lost node was
//! running.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use gundo_types::EntityId;

use super::refusal::{Refusal, game_error};

/// Points of blame at which an entity is not loaded any more: two nodes lost in any rule, or two commands that took two nodes
/// each.
pub const BLAME_LIMIT: u8 = 4;

/// A rule, or part of one, that the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rule {
    /// A new player's first decision.
    Create = 1,
    /// A player's first place.
    Spawn = 2,
    /// A step.
    Walk = 3,
    /// How fast a player may be.
    SpeedMax = 4,
    /// A decision about a command.
    Decide = 5,
    /// The conclusion of a decision that asked others.
    Then = 6,
    /// The answer to an ask.
    Answer = 7,
    /// The effect of an event.
    Apply = 8,
    /// What others see, and when that changes.
    Public = 9,
    /// What a player alone sees.
    Private = 10,
    /// Where an entity stands.
    Place = 11,
    /// A tick of land, or the end of its ticks.
    Tick = 12,
    /// Whether a player may watch.
    MayWatch = 13,
    /// From the stored state to the entity.
    Restore = 14,
    /// From the entity to the stored state.
    Snapshot = 15,
    /// A decision about a message of another entity.
    Take = 16,
    /// A decision when a timer rings.
    Timer = 17,
    /// A decision about an operator's order.
    Order = 18,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 18] = [
        Self::Create,
        Self::Spawn,
        Self::Walk,
        Self::SpeedMax,
        Self::Decide,
        Self::Then,
        Self::Answer,
        Self::Apply,
        Self::Public,
        Self::Private,
        Self::Place,
        Self::Tick,
        Self::MayWatch,
        Self::Restore,
        Self::Snapshot,
        Self::Take,
        Self::Timer,
        Self::Order,
    ];

    /// How much a node that is lost in this rule counts against the entity, in points; at [`BLAME_LIMIT`] it is not loaded any
    /// more. A command is given up by itself after two nodes, so rules that run for a command count half.
    pub fn blame(self) -> u8 {
        match self {
            Self::Decide | Self::Then | Self::Answer | Self::Apply => 1,
            _ => 2,
        }
    }

    /// Its name, as in a game's code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Spawn => "spawn",
            Self::Walk => "walk",
            Self::SpeedMax => "speed_max",
            Self::Decide => "decide",
            Self::Then => "then",
            Self::Answer => "answer",
            Self::Apply => "apply",
            Self::Public => "public",
            Self::Private => "private",
            Self::Place => "place",
            Self::Tick => "tick",
            Self::MayWatch => "may_watch",
            Self::Restore => "restore",
            Self::Snapshot => "snapshot",
            Self::Take => "take",
            Self::Timer => "on_timer",
            Self::Order => "order",
        }
    }
}

/// Is told which rule a thread runs, so that it is known when the thread never comes back. No decision depends on it. It is called
/// for every rule: it must be fast, and must not call the engine.
pub trait Witness {
    /// This rule of this entity begins. A panic here counts as the rule's.
    fn begins(&self, entity: EntityId, rule: Rule);
    /// It has ended, also by a panic.
    fn ends(&self);
}

thread_local! {
    /// For panic hooks only; no decision depends on it.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static WITNESS: Cell<Option<Rc<dyn Witness>>> = const { Cell::new(None) };
}

/// Whether this thread is running game code: a panic hook uses it to tell the game's panics, which the kernel catches, from the
/// kernel's own.
pub fn is_running() -> bool {
    RUNNING.get()
}

/// From now on this thread's rules have this witness.
pub fn set_witness(witness: Option<Rc<dyn Witness>>) {
    WITNESS.set(witness);
}

/// Runs a rule of `entity`; a panic in it becomes a refusal.
pub(crate) fn guard<T>(entity: EntityId, rule: Rule, game: impl FnOnce() -> T) -> Result<T, Refusal> {
    RUNNING.set(true);
    let witness = WITNESS.take();
    WITNESS.set(witness.clone());
    let done = catch_unwind(AssertUnwindSafe(|| {
        if let Some(witness) = &witness {
            witness.begins(entity, rule);
        }
        game()
    }));
    RUNNING.set(false);
    if let Some(witness) = &witness {
        witness.ends();
    }
    done.map_err(|_| game_error())
}
