//! The messages to and from homes.

use gundo_types::EntityId;
use gundo_wire::peer::home::Arrow;
use gundo_wire::peer::{self as wire, Malformed, all, maybe, needed};

use super::is;
use super::watch::{watch, watched};
use crate::peer::HomeMessage;

/// The entity that a message is about.
pub(super) fn entity(message: &HomeMessage) -> Option<EntityId> {
    match message {
        HomeMessage::Announce { .. } | HomeMessage::Subscribe(_) => None,
        HomeMessage::Publish { .. } | HomeMessage::Subscribers { .. } => None,
        HomeMessage::Locate { entity, .. }
        | HomeMessage::Located { entity, .. }
        | HomeMessage::Granted { entity, .. }
        | HomeMessage::Disputed { entity, .. }
        | HomeMessage::Confirmed { entity, .. }
        | HomeMessage::Released { entity, .. }
        | HomeMessage::Claim { entity, .. }
        | HomeMessage::Claimed { entity, .. }
        | HomeMessage::ClaimRefused { entity, .. }
        | HomeMessage::Keep { entity, .. }
        | HomeMessage::Kept { entity, .. }
        | HomeMessage::HandedOver { entity, .. }
        | HomeMessage::Watch { entity, .. }
        | HomeMessage::Watched { entity, .. } => Some(*entity),
        HomeMessage::Tell { player, .. } | HomeMessage::Deliver { player, .. } => Some(*player),
    }
}

impl From<&HomeMessage> for wire::Home {
    fn from(message: &HomeMessage) -> Self {
        Self { arrow: Some(message.into()) }
    }
}

impl From<&HomeMessage> for Arrow {
    fn from(message: &HomeMessage) -> Self {
        match message {
            HomeMessage::Subscribe(list) => {
                Self::Subscribe(wire::Subscribe { looks: list.iter().map(|look| (*look).into()).collect() })
            }
            HomeMessage::Publish { chunk, on } => Self::Publish(wire::Publish { chunk: is(*chunk), on: *on }),
            HomeMessage::Subscribers { chunk, list } => {
                let list = list.iter().map(|subscriber| (*subscriber).into()).collect();
                Self::Subscribers(wire::Subscribers { chunk: is(*chunk), list })
            }
            HomeMessage::Announce { holds, subscribes, publishes, last } => Self::Announce(wire::Announce {
                holds: holds.iter().map(|hold| (*hold).into()).collect(),
                subscribes: subscribes.iter().map(|look| (*look).into()).collect(),
                publishes: publishes.iter().map(|chunk| (*chunk).into()).collect(),
                last: *last,
            }),
            HomeMessage::Locate { entity, not } => {
                Self::Locate(wire::Locate { entity: is(*entity), not_at: not.map(Into::into) })
            }
            HomeMessage::Located { entity, holder, term } => {
                Self::Located(wire::Located { entity: is(*entity), holder: is((*holder, *term)) })
            }
            HomeMessage::Granted { entity, term } => {
                Self::Granted(wire::Granted { entity: is(*entity), term: is(*term) })
            }
            HomeMessage::Disputed { entity, term, from } => Self::Disputed(wire::Disputed {
                entity: is(*entity),
                term: is(*term),
                from: from.map(Into::into),
            }),
            HomeMessage::Confirmed { entity, term } => {
                Self::Confirmed(wire::Confirmed { entity: is(*entity), term: is(*term) })
            }
            HomeMessage::Released { entity, term } => {
                Self::Released(wire::Released { entity: is(*entity), term: is(*term) })
            }
            HomeMessage::Claim { entity, from } => {
                Self::Claim(wire::Claim { entity: is(*entity), from: is(*from) })
            }
            HomeMessage::Claimed { entity, from, term } => {
                Self::Claimed(wire::Claimed { entity: is(*entity), from: is(*from), term: is(*term) })
            }
            HomeMessage::ClaimRefused { entity, from } => {
                Self::ClaimRefused(wire::ClaimRefused { entity: is(*entity), from: is(*from) })
            }
            HomeMessage::Keep { entity, term } => {
                Self::Keep(wire::Keep { entity: is(*entity), term: is(*term) })
            }
            HomeMessage::Kept { entity, from, term } => {
                Self::Kept(wire::Kept { entity: is(*entity), from: is(*from), term: is(*term) })
            }
            HomeMessage::HandedOver { entity, from, to } => Self::HandedOver(wire::HandedOver {
                entity: is(*entity),
                from: is(*from),
                to: to.map(Into::into),
            }),
            HomeMessage::Watch { entity, number, players, seen } => {
                Self::Watch(watch(*entity, *number, players, *seen))
            }
            HomeMessage::Watched { entity, asked, refused, state } => {
                Self::Watched(watched(*entity, *asked, refused, state.as_ref()))
            }
            HomeMessage::Tell { player, message } => {
                Self::Tell(wire::Tell { player: is(*player), message: message.clone() })
            }
            HomeMessage::Deliver { player, message } => {
                Self::Deliver(wire::Deliver { player: is(*player), message: message.clone() })
            }
        }
    }
}

impl TryFrom<wire::Home> for HomeMessage {
    type Error = Malformed;

    fn try_from(said: wire::Home) -> Result<Self, Malformed> {
        said.arrow.ok_or(Malformed::Unknown)?.try_into()
    }
}

impl TryFrom<Arrow> for HomeMessage {
    type Error = Malformed;

    fn try_from(arrow: Arrow) -> Result<Self, Malformed> {
        let entity = |entity| needed::<EntityId, _>(entity, "an entity");
        let term = |term| needed::<gundo_types::Term, wire::Term>(term, "a term");
        Ok(match arrow {
            Arrow::Subscribe(said) => Self::Subscribe(all(said.looks)?),
            Arrow::Publish(said) => Self::Publish { chunk: needed(said.chunk, "a chunk")?, on: said.on },
            Arrow::Subscribers(said) => {
                Self::Subscribers { chunk: needed(said.chunk, "a chunk")?, list: all(said.list)? }
            }
            Arrow::Announce(said) => announce(said)?,
            Arrow::Locate(said) => Self::Locate { entity: entity(said.entity)?, not: maybe(said.not_at)? },
            Arrow::Located(said) => {
                let (holder, term) = needed(said.holder, "a holder")?;
                Self::Located { entity: entity(said.entity)?, holder, term }
            }
            Arrow::Granted(said) => Self::Granted { entity: entity(said.entity)?, term: term(said.term)? },
            Arrow::Disputed(said) => Self::Disputed {
                entity: entity(said.entity)?,
                term: term(said.term)?,
                from: maybe(said.from)?,
            },
            Arrow::Confirmed(said) => {
                Self::Confirmed { entity: entity(said.entity)?, term: term(said.term)? }
            }
            Arrow::Released(said) => Self::Released { entity: entity(said.entity)?, term: term(said.term)? },
            Arrow::Claim(said) => {
                Self::Claim { entity: entity(said.entity)?, from: needed(said.from, "an owner")? }
            }
            Arrow::Claimed(said) => {
                Self::Claimed { entity: entity(said.entity)?, from: term(said.from)?, term: term(said.term)? }
            }
            Arrow::ClaimRefused(said) => {
                Self::ClaimRefused { entity: entity(said.entity)?, from: term(said.from)? }
            }
            Arrow::Keep(said) => Self::Keep { entity: entity(said.entity)?, term: term(said.term)? },
            Arrow::Kept(said) => {
                Self::Kept { entity: entity(said.entity)?, from: term(said.from)?, term: term(said.term)? }
            }
            Arrow::HandedOver(said) => {
                Self::HandedOver { entity: entity(said.entity)?, from: term(said.from)?, to: maybe(said.to)? }
            }
            Arrow::Watch(said) => said.try_into()?,
            Arrow::Watched(said) => said.try_into()?,
            Arrow::Tell(said) => Self::Tell { player: entity(said.player)?, message: said.message },
            Arrow::Deliver(said) => Self::Deliver { player: entity(said.player)?, message: said.message },
        })
    }
}

fn announce(said: wire::Announce) -> Result<HomeMessage, Malformed> {
    let wire::Announce { holds, subscribes, publishes, last } = said;
    let (holds, subscribes, publishes) = (all(holds)?, all::<(_, u8), _>(subscribes)?, all(publishes)?);
    // A node never announces that it wants nothing: such an entry would stay in the table permanently.
    if subscribes.iter().any(|(_, tiers)| *tiers == 0) {
        return Err(Malformed::OutOfRange("an announced set of tiers"));
    }
    Ok(HomeMessage::Announce { holds, subscribes, publishes, last })
}
