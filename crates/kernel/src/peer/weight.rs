//! Which messages must arrive, and how much memory a message holds.

use super::{
    HandoffMessage, HomeMessage, Image, MailMessage, Opened, Order, Owes, Peer, Prepared, Resumed, ToEdge,
    ToPlayer, TxMessage,
};
use crate::frame::ChunkFrame;

impl Peer {
    /// Whether the link sends it again until it has arrived, in order. The others are said again from time to time, or repaired
    /// by their own numbers.
    pub fn must_arrive(&self) -> bool {
        match self {
            Self::Alive { .. } | Self::Stale { .. } | Self::Heard { .. } => false,
            Self::Frames { .. } | Self::Sent { .. } => false,
            Self::KeyframeWanted(_) | Self::Missed { .. } => true,
            Self::Home { .. } | Self::ToPlayer { .. } | Self::ToEdge { .. } => true,
            Self::Handoff { .. } | Self::Transaction { .. } | Self::Piece { .. } | Self::Later => true,
            Self::Mail { .. } => true,
        }
    }

    /// Whether it is about membership: it counts from any incarnation to any other.
    pub(crate) fn is_membership(&self) -> bool {
        matches!(self, Self::Alive { .. } | Self::Stale { .. })
    }

    /// About how many bytes of memory a copy holds, at least as many as it has on a link.
    pub fn weight(&self) -> usize {
        let contents = match self {
            Self::Home { message, .. } => of_home(message),
            Self::ToPlayer { message, .. } => of_to_player(message),
            Self::ToEdge { message, .. } => of_to_edge(message),
            Self::Handoff { message: HandoffMessage::Image(image), .. } => of_image(image),
            Self::Transaction { message, .. } => of_transaction(message),
            Self::Handoff { .. } | Self::KeyframeWanted(_) | Self::Missed { .. } | Self::Later => 0,
            Self::Alive { .. } | Self::Stale { .. } | Self::Heard { .. } => 0,
            Self::Frames { frames, .. } => frames.iter().map(of_frame).sum(),
            Self::Sent { rosters, .. } => of_list(rosters),
            Self::Piece { bytes, left: _ } => bytes.len(),
            Self::Mail { message: MailMessage::Owes(owes), .. } => size_of::<Owes>() + owes.message.len(),
            Self::Mail { message: MailMessage::Order(order), .. } => {
                size_of::<Order>() + order.by.len() + order.order.len()
            }
            Self::Mail { .. } => 0,
        };
        size_of::<Self>() + contents
    }
}

fn of_list<T>(list: &[T]) -> usize {
    size_of_val(list)
}

fn of_frame(frame: &ChunkFrame) -> usize {
    let roster = frame.roster.as_ref().map_or(0, |roster| roster.bytes.len());
    size_of_val(frame) + roster + frame.motion().map(|(_, motion)| motion.bytes.len()).sum::<usize>()
}

fn of_home(message: &HomeMessage) -> usize {
    match message {
        HomeMessage::Announce { holds, subscribes, publishes, last: _ } => {
            of_list(holds) + of_list(subscribes) + of_list(publishes)
        }
        HomeMessage::Subscribe(list) => of_list(list),
        HomeMessage::Subscribers { list, .. } => of_list(list),
        HomeMessage::Watch { players, .. } => of_list(players),
        HomeMessage::Watched { refused, state, .. } => {
            let public = state.as_ref().and_then(|state| state.public.as_ref());
            of_list(refused) + public.map_or(0, |public| public.len())
        }
        HomeMessage::Tell { message, .. } | HomeMessage::Deliver { message, .. } => message.len(),
        _ => 0,
    }
}

fn of_to_player(message: &ToPlayer) -> usize {
    match message {
        ToPlayer::Open { name, .. } => name.len(),
        ToPlayer::Command { payload, .. } => payload.len(),
        ToPlayer::Resume { .. } | ToPlayer::Move { .. } | ToPlayer::Gone { .. } => 0,
    }
}

fn of_to_edge(message: &ToEdge) -> usize {
    match message {
        ToEdge::Opened(opened) => size_of::<Opened>() + opened.own.len(),
        ToEdge::Resumed(resumed) => size_of::<Resumed>() + resumed.own.len(),
        ToEdge::Reply { result: Ok(payload), .. }
        | ToEdge::Own(payload)
        | ToEdge::Told(payload)
        | ToEdge::Seal(payload) => payload.len(),
        ToEdge::Reply { result: Err(refusal), .. }
        | ToEdge::OpenRefused(refusal)
        | ToEdge::Notice(refusal)
        | ToEdge::Ended(refusal) => refusal.code.len() + refusal.text.len(),
        ToEdge::Correction { code, .. } => code.len(),
        _ => 0,
    }
}

fn of_image(image: &Image) -> usize {
    let answers = image.unrecorded.iter().map(|(_, _, result)| match result {
        Ok(reply) => reply.len(),
        Err(refusal) => refusal.code.len() + refusal.text.len(),
    });
    let paces = size_of_val(image.paces.used());
    size_of::<Image>() + image.snapshot.len() + of_list(&image.unrecorded) + answers.sum::<usize>() + paces
}

impl Prepared {
    /// Its bytes, about.
    pub(crate) fn weight(&self) -> usize {
        of_prepared(self)
    }
}

fn of_transaction(message: &TxMessage) -> usize {
    match message {
        TxMessage::Prepare { ask, actor, .. } => ask.len() + actor.public.len(),
        TxMessage::Seen { public } => public.as_ref().map_or(0, |public| public.len()),
        TxMessage::Prepared(prepared) => of_prepared(prepared),
        TxMessage::Conclude(parts) => parts.iter().map(of_prepared).sum(),
        TxMessage::Refused(refusal) => refusal.code.len() + refusal.text.len(),
        _ => 0,
    }
}

fn of_prepared(prepared: &Prepared) -> usize {
    let Prepared { stream, names, reply, incarnation: _, appends: _ } = prepared;
    let events =
        stream.events.iter().map(|event| size_of_val(event) + event.payload.len() + event.cause.len());
    let snapshot = stream.snapshot.as_ref().map_or(0, |snapshot| snapshot.len());
    let names = names.iter().map(|change| size_of_val(change) + change.space.len() + change.name.len());
    size_of::<Prepared>() + events.sum::<usize>() + snapshot + names.sum::<usize>() + reply.len()
}
