//! `journal player`: a player as it is, or as it was at some time.

use gundo_kernel::game::Rules;
use gundo_types::{EntityId, WorldTime};

use super::past::{self, Found};
use super::place::Reading;
use super::time::{self, Typed};
use crate::app::{Failure, say};
use crate::lives::Lives;

/// Shows the player called `name` (or with this id, if nobody has the name) as of `at`, or as it is. `Ok(false)`: the journal does not say.
pub(super) fn player(
    name: &str,
    at: Option<Typed>,
    reading: &mut Reading,
    rules: &Rules,
    lives: &dyn Lives,
    created_ms: u64,
) -> Result<bool, Failure> {
    let entity = find(name, reading, rules, lives)?;
    let found = match at {
        None => past::now(reading, rules, entity)?.map_or(Found::NotYet(None), Found::State),
        Some(at) => past::at(reading, rules, entity, at.in_world(created_ms))?,
    };
    let both =
        |at: WorldTime| format!("{} ({})", time::world(at.0), time::wall(created_ms.saturating_add(at.0)));
    let past = match found {
        Found::State(past) => past,
        Found::NotYet(None) => {
            return Err(format!("there is no player {:x} in this journal", entity.id).into());
        }
        Found::NotYet(Some(first)) => {
            say(&format!("it did not exist yet: its first event is of {}", both(first)));
            return Ok(false);
        }
        Found::Pruned(oldest) => {
            say(&format!(
                "the journal does not go back that far: the oldest state that it has is of {}",
                both(oldest)
            ));
            return Ok(false);
        }
    };
    let called = lives.name(entity, &past.state).map(|name| format!(" {name}")).unwrap_or_default();
    say(&format!("player{called} ({:x}), after event {} of {}", entity.id, past.seq, both(past.at)));
    for line in lives.describe(entity, &past.state) {
        if !say(&format!("  {line}")) {
            break;
        }
    }
    Ok(true)
}

fn find(name: &str, reading: &mut Reading, rules: &Rules, lives: &dyn Lives) -> Result<EntityId, Failure> {
    for (space, key) in lives.keys(name) {
        if let Some(owner) = reading.name(space, &key)?.and_then(|row| row.owner) {
            return Ok(owner);
        }
    }
    // Hexadecimal, as the tools show ids.
    let id = u64::from_str_radix(name.strip_prefix("0x").unwrap_or(name), 16);
    id.map(|id| EntityId::new(rules.player_kind(), id)).map_err(|_| {
        format!("nobody is called {name:?}. Look for a player who has changed its name by the new name, or by its id").into()
    })
}
