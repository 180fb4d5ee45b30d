//! Timers: an entity asks to be woken at a world time, and decides then.

use gundo_types::WorldTime;

use super::context::Context;
use super::decision::{Decision, Done, Timing};
use super::entity::Entity;
use super::payload::Payload;
use super::refusal::Refusal;

#[diagnostic::on_unimplemented(
    message = "a `{Self}` has no timers",
    note = "say `timer = …` in its `#[state]` and implement `Timed`"
)]
/// An entity that can set timers ([`Done::timer`]). Needs `timer = …` in `#[state]`.
pub trait Timed: Entity {
    /// A timer has rung that was set for `due`: decides what happens. It is done, or it asks others first, as a player's command may.
    /// It changes nothing itself, and may run again for the same timer, so an event must record every random number it drew. What it
    /// decides takes effect together with the note that the timer is over, so it takes effect once. It may set the same timer again.
    ///
    /// It never runs before `due`. It may run later: `cx.now` says when. A player need not be in the world: then `cx.body` is `None`,
    /// and it sees nothing near.
    ///
    /// # Errors
    /// A refusal, of this rule or of an entity that it asks. One with the code `busy` is for now: the timer rings again. With any
    /// other the timer is over, and [`on_timer_refused`](Self::on_timer_refused) decides what follows.
    fn on_timer(
        &self,
        timer: Self::Timer,
        due: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal>;

    /// What follows when [`on_timer`](Self::on_timer) or an entity that it asked has refused: the timer does not ring again, unless
    /// this sets it again. (Default: nothing follows.)
    fn on_timer_refused(
        &self,
        timer: Self::Timer,
        due: WorldTime,
        refusal: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        let _ = (timer, due, refusal, cx);
        Done::new()
    }
}

impl<E: Timed> Done<E> {
    /// Has the rule [`Timed::on_timer`] of this entity run at world time `at`, or at once if that is past: once, whatever crashes
    /// meanwhile, and whether the entity is loaded or not. If an equal timer is set already, `at` replaces its time. It belongs to the
    /// same append as the events.
    ///
    /// At most 16 in a decision, with the cancelled ones; a timer has 64 bytes at most, and `at` is [`WorldTime::MAX`] at most: beyond
    /// that the decision is refused with `game_error`. An entity has 64 timers at most: a decision that sets another one is refused
    /// with `too_many_timers`. Who plans more keeps a list in its state, and a timer for the first of it.
    pub fn timer(mut self, timer: &E::Timer, at: WorldTime) -> Self {
        self.raw.timers.push(Timing { timer: timer.to_bytes(), at: Some(at) });
        self
    }

    /// Cancels a timer: it does not ring any more. If it is not set, nothing happens.
    pub fn no_timer(mut self, timer: &E::Timer) -> Self {
        self.raw.timers.push(Timing { timer: timer.to_bytes(), at: None });
        self
    }
}
