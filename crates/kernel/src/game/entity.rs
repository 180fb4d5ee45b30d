//! The rules of a kind: those of every entity, and the additional ones of players, land and placed entities.

use gundo_types::{Body, EntityId, WorldTime};

use super::context::{Actor, Context, TickContext};
use super::decision::{Decision, Done};
use super::pace::Pace;
use super::refusal::Refusal;
use super::state::State;

/// A thing of the world with durable state, kept as a stream of events.
///
/// The engine asks a rule ([`Player::decide`], [`Asked::answer`]) what happens, writes the events it returns to the journal, and
/// gives each to [`apply`](Self::apply), the only place where the state changes. The same `apply` rebuilds the entity after a
/// restart, so live state and journal agree by construction.
pub trait Entity: State {
    /// Changes the state by one event. Total: no clock, no random numbers, no refusal. It runs before the event is written, so
    /// an event that panics never reaches the journal.
    fn apply(&mut self, event: &Self::Event);

    /// What others see at world time `at`; `None` if there is nothing to see.
    fn public(&self, at: WorldTime) -> Option<Self::Public>;

    /// When [`public`](Self::public) next changes with time alone, strictly after `at`; `None`: never. (Default: never.)
    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let _ = at;
        None
    }

    /// Whether the player `who` may watch it by its id, from anywhere. (Default: everybody may; its public part is public.)
    fn may_watch(&self, who: EntityId) -> bool {
        let _ = who;
        true
    }
}

#[diagnostic::on_unimplemented(
    message = "nobody can ask a `{Self}`",
    note = "say `ask = …` in its `#[state]` and implement `Asked`"
)]
/// An entity that others can ask for a part of their transaction. Needs `ask = …` in `#[state]`.
pub trait Asked: Entity {
    /// Decides what it does for another entity, and what it answers. Its events, those of the asking entity, and those of all
    /// other asked entities take effect together or not at all. The method changes nothing itself, and may run again for the
    /// same ask, so an event must record every random number it drew.
    ///
    /// `by`: the asking entity. The engine vouches for its id and its body. Clients cannot send asks: only rules make them.
    ///
    /// A player is asked wherever it is. If it is not in the world, `cx.body` is `None`, and it sees nothing near.
    ///
    /// # Errors
    /// A refusal; then nothing has any effect, and the player gets the refusal.
    fn answer(&self, ask: Self::Ask, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self>;
}

#[diagnostic::on_unimplemented(
    message = "a `{Self}` takes no messages",
    note = "say `message = …` in its `#[state]` and implement `Receives`"
)]
/// An entity that takes messages of others ([`Done::send`](super::Done::send)). Needs `message = …` in `#[state]`.
pub trait Receives: Entity {
    /// Decides what a message of the entity `from` does: it is done, or it asks others first, as a player's command may. It changes
    /// nothing itself, and may run again for the same message, so an event must record every random number it drew. What it decides
    /// takes effect together with the note that the message was taken, so it takes effect once.
    ///
    /// # Errors
    /// A refusal, of this rule or of an entity that it asks. One with the code `busy` is for now: the message comes again. With
    /// any other, [`not_taken`](Self::not_taken) decides.
    fn take(
        &self,
        message: Self::Message,
        from: EntityId,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal>;

    /// What follows when [`take`](Self::take) or an entity that it asked has refused: the message does not come again. To have the
    /// sender know, send it a message back. (Default: nothing follows.)
    fn not_taken(
        &self,
        message: Self::Message,
        from: EntityId,
        refusal: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        let _ = (message, from, refusal, cx);
        Done::new()
    }
}

/// The result of [`Asked::answer`]: what happens to the asked entity, and its answer; or a refusal.
pub type Answered<E> = Result<(Done<E>, <E as State>::Answer), Refusal>;

#[diagnostic::on_unimplemented(
    message = "`{Self}` is no player",
    note = "say `player` and `command = …` in its `#[state]` and implement `Player`"
)]
/// A player. Needs `player` and `command = …` in `#[state]`.
pub trait Player: Entity {
    /// The first decision of a new player who asks for `name`.
    ///
    /// # Errors
    /// The name is not acceptable. (The engine itself refuses a taken name, with `name_taken`.)
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal>;

    /// Where the body stands when no earlier place is recorded. It runs before the events of [`create`](Self::create) are
    /// applied; a [`Done::body`] of `create` takes precedence.
    fn spawn(&self, cx: &mut Context<'_, Self>) -> Body;

    /// Top speed, mm/s. The engine corrects a player that moves faster.
    fn speed_max(&self, world: &Self::World) -> u32;

    /// How often a player may give such a command: `Pace::new("talk", 3, 2_000)` is three at once and per 2 s. Give one to everything
    /// that others notice and to everything that people could do in a flood. What comes too soon is refused with `too_often`, and
    /// `decide` does not see it. (Default: [`Pace::USUAL`], for all commands together that have no pace of their own.)
    fn pace(command: &Self::Command) -> Option<Pace> {
        let _ = command;
        None
    }

    /// Decides what a command of the player's client does: it is done, or it asks others first. It changes nothing, and may
    /// run again for the same command, so an event must record every random number it drew.
    ///
    /// # Errors
    /// A refusal; the command then has no effect.
    fn decide(&self, command: Self::Command, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal>;

    /// What only the player's own client sees: inventory and the like.
    fn private(&self) -> Self::Private;

    /// Whether the body may go straight from `from` to `to`. The engine has checked the speed. (Default: it may.)
    ///
    /// # Errors
    /// The way is barred; the engine corrects the client with the refusal's code.
    fn walk(&self, from: &Body, to: &Body, cx: &mut Context<'_, Self>) -> Result<(), Refusal> {
        let _ = (from, to, cx);
        Ok(())
    }
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it does in a tick",
    note = "its `#[state]` has `live = …`: implement `Ticking`"
)]
/// Land with volatile behaviour: creatures. Needs `live = …` in `#[state]`.
pub trait Ticking: Entity {
    /// Runs once per tick while somebody looks at its chunk. Call [`TickContext::child`] for each creature that others see
    /// until the next tick, and [`TickContext::ask_self`] for what must last.
    fn tick(&self, live: &mut Self::Live, cx: &mut TickContext<'_, Self>);
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where it stands",
    note = "its `#[state]` has `placed`: implement `Placed`"
)]
/// An entity that stands in a chunk for all to see. Needs `placed` in `#[state]`.
pub trait Placed: Entity {
    /// Where it stands, according to its durable state, in the chunk that its id names ([`EntityId::placed`]). Only events move
    /// it. `None`: nobody sees it (any more).
    ///
    /// It must not stand outside that chunk: then nobody sees it, and the log says that `place` is wrong.
    fn place(&self) -> Option<Body>;
}
