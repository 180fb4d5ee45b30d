//! The small messages of which what is said of watched entities is made.

use gundo_types::EntityId;
use gundo_wire::peer::{self as wire, Malformed, needed};

use super::is;
use crate::peer::{WatchRefused, WatchedState};

pub(super) fn refused_to_wire((player, why): (EntityId, WatchRefused)) -> wire::WatchRefusal {
    let why = match why {
        WatchRefused::NotAllowed => 1,
        WatchRefused::NoSuchEntity => 2,
        WatchRefused::TooMany => 3,
        WatchRefused::NotReady => 4,
    };
    wire::WatchRefusal { player: is(player), why }
}

pub(super) fn refused_from_wire(refused: wire::WatchRefusal) -> Result<(EntityId, WatchRefused), Malformed> {
    let why = match refused.why {
        1 => WatchRefused::NotAllowed,
        2 => WatchRefused::NoSuchEntity,
        3 => WatchRefused::TooMany,
        4 => WatchRefused::NotReady,
        _ => return Err(Malformed::OutOfRange("why a player does not watch")),
    };
    Ok((needed(refused.player, "a player")?, why))
}

impl From<&WatchedState> for wire::WatchedState {
    fn from(state: &WatchedState) -> Self {
        Self { number: state.number, public: state.public.clone() }
    }
}

impl TryFrom<wire::WatchedState> for WatchedState {
    type Error = Malformed;

    fn try_from(state: wire::WatchedState) -> Result<Self, Malformed> {
        Ok(Self { number: state.number, public: state.public })
    }
}
