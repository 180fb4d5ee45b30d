//! Running game code: what it may look at, and what its panics become.

use gundo_types::{Body, EntityId, WorldTime};

use crate::core::Core;
use crate::game::{Actor, RawContext, Refusal, Surroundings};

thread_local! {
    /// For panic hooks only; nothing is decided by it.
    static RUNNING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether this thread runs game code at this moment.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Runs game code; a panic in it is a refusal.
pub(super) fn guard<T>(game: impl FnOnce() -> T) -> Result<T, Refusal> {
    RUNNING.set(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(game)).map_err(|_| game_error());
    RUNNING.set(false);
    done
}

pub(super) fn game_error() -> Refusal {
    Refusal::new("game_error", "Something went wrong with that. Nothing was changed.")
}

/// What a decision may look at. `real` is the deciding entity's id, body and last event's time.
pub(super) fn context<'a>(
    core: &'a mut Core,
    surroundings: &'a dyn Surroundings,
    real: (EntityId, Option<Body>, WorldTime),
    actor: Option<&'a Actor>,
) -> RawContext<'a> {
    let now = core.world_time_from(real.2);
    RawContext { now, id: real.0, body: real.1, actor, surroundings, rng: &mut core.rng }
}
