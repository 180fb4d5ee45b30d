//! The messages about watched entities.

use gundo_types::EntityId;
use gundo_wire::peer::{self as wire, Malformed, all, maybe, needed};

use super::is;
use crate::peer::{HomeMessage, WatchRefused, WatchedState};

pub(super) fn watch(entity: EntityId, number: u64, players: &[EntityId], seen: u64) -> wire::Watch {
    let players = players.iter().map(|player| (*player).into()).collect();
    wire::Watch { entity: is(entity), number, players, seen }
}

pub(super) fn watched(
    entity: EntityId,
    asked: u64,
    refused: &[(EntityId, WatchRefused)],
    state: Option<&WatchedState>,
) -> wire::Watched {
    let refused = refused.iter().copied().map(refused_to_wire).collect();
    wire::Watched { entity: is(entity), asked, refused, state: state.map(Into::into) }
}

impl TryFrom<wire::Watch> for HomeMessage {
    type Error = Malformed;

    fn try_from(said: wire::Watch) -> Result<Self, Malformed> {
        let wire::Watch { entity, number, players, seen } = said;
        Ok(Self::Watch { entity: needed(entity, "an entity")?, number, players: all(players)?, seen })
    }
}

impl TryFrom<wire::Watched> for HomeMessage {
    type Error = Malformed;

    fn try_from(said: wire::Watched) -> Result<Self, Malformed> {
        let wire::Watched { entity, asked, refused, state } = said;
        let refused = refused.into_iter().map(refused_from_wire).collect::<Result<_, _>>()?;
        Ok(Self::Watched { entity: needed(entity, "an entity")?, asked, refused, state: maybe(state)? })
    }
}

fn refused_to_wire((player, why): (EntityId, WatchRefused)) -> wire::WatchRefusal {
    let why = match why {
        WatchRefused::NotAllowed => 1,
        WatchRefused::NoSuchEntity => 2,
        WatchRefused::TooMany => 3,
        WatchRefused::NotReady => 4,
    };
    wire::WatchRefusal { player: is(player), why }
}

fn refused_from_wire(refused: wire::WatchRefusal) -> Result<(EntityId, WatchRefused), Malformed> {
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
