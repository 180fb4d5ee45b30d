//! The record of game code that failed at an entity, and the engine's refusals because of it. Plain values.

use std::collections::VecDeque;

use gundo_types::Time;

use crate::game::Refusal;

/// So many panics of an entity's code …
const PANICS_MAX: usize = 5;
/// … within this time suspend it, ms of node time.
const PANICS_WITHIN_MS: u64 = 60_000;

/// The panics of an entity, and its suspension.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    panics: VecDeque<Time>,
    /// The end of its suspension.
    pub(super) until: Option<Time>,
}

impl Trouble {
    /// Whether the entity is suspended, or will be as soon as it has settled.
    pub(super) fn is_suspended(&self) -> bool {
        self.until.is_some()
    }

    /// Records a panic. True: that is one too many.
    pub(super) fn is_one_too_many(&mut self, now: Time) -> bool {
        self.panics.retain(|at| now.since(*at) < PANICS_WITHIN_MS * 1_000);
        self.panics.push_back(now);
        assert!(self.panics.back() >= self.panics.front(), "panics come in order");
        self.panics.len() >= PANICS_MAX && !self.is_suspended()
    }
}

/// A suspended entity's answer to everything.
pub(super) fn suspended(is_player: bool) -> Refusal {
    let text = if is_player {
        "Your player keeps running into a fault of the game and rests for a few minutes. Nothing of yours is lost."
    } else {
        "Something keeps going wrong here, so this place rests for a few minutes. Nothing was changed."
    };
    Refusal::new("suspended", text)
}

/// What somebody hears whose command asks a player that is suspended, or whose code nodes were lost over.
pub(super) fn other_suspended() -> Refusal {
    let text = "That player rests because of a fault of the game. Nothing was changed.";
    Refusal::new("suspended", text)
}

/// The answer of an entity whose code nodes were lost over.
pub(super) fn blamed(is_player: bool) -> Refusal {
    let text = if is_player {
        "Your player ran into a fault of the game and rests until it is repaired. Nothing of yours is lost."
    } else {
        "Something went badly wrong here, so this place rests until it is repaired. Nothing was changed."
    };
    Refusal::new("suspended", text)
}

/// The answer to a command that nodes were lost over.
pub(super) fn gave_up() -> Refusal {
    Refusal::new("gave_up", "That went wrong twice, so it was given up. Nothing was changed.")
}
