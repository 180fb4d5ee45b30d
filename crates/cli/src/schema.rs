//! The messages of a game, for clients.

use gundo_kernel::WorldSettings;
use gundo_kernel::game::Rules;
use gundo_node::WorldInfo;

use crate::app::{Failure, say};

/// Prints them. They are the same in every world of the game.
pub(crate) fn run(rules: &dyn Fn(&WorldInfo) -> Rules) -> Result<bool, Failure> {
    let any = WorldInfo { seed: 1, created_ms: 0, settings: WorldSettings::default() };
    say(rules(&any).schema_text().trim_end());
    Ok(true)
}
