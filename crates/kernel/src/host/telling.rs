//! Messages from decisions to single players: they go through the player's home to its owner, and on to the edge of its session.
//!
//! Each of these passes a message on once and never repeats it. A node that does not find the player drops and counts it.

use bytes::Bytes;
use gundo_types::{EntityId, Planted};

use super::desk::{Cx, Rooms};
use super::entity::Entity;
use super::room::Host;
use crate::core::Core;
use crate::game::Tell;
use crate::peer::{HomeMessage, ToEdge};

/// Messages to players in one decision. With more, the command is refused with `game_error`.
const TELLS_MAX: usize = 16;

/// Why the engine cannot deliver a decision's messages, if it cannot.
pub(super) fn cannot_tell(core: &Core, tells: &[Tell]) -> Option<String> {
    let (player, bytes_max) = (core.settings.rules.player_kind(), core.world().limits.public_bytes_max);
    if tells.len() > TELLS_MAX {
        return Some(format!("it tells {} players: {TELLS_MAX} at most", tells.len()));
    }
    tells.iter().find_map(|tell| match tell.message.len() {
        _ if tell.player.kind != player => Some(format!("it tells {}, which is no player", tell.player)),
        bytes if bytes > bytes_max => Some(format!("what it tells has {bytes} bytes: {bytes_max} at most")),
        _ => None,
    })
}

impl Entity {
    /// Sends a player the message of a durable decision of this entity.
    pub(super) fn send_tell(&self, cx: &mut Cx<'_>, tell: Tell) {
        let Tell { player, message } = tell;
        cx.core.counters.tells += 1;
        if player == self.id {
            return self.deliver(cx, message);
        }
        if cx.core.planted(Planted::TellsTwice)
            && let Some(home) = cx.core.home_of(player)
        {
            cx.core.send_home(home, HomeMessage::Tell { player, message: message.clone() });
        }
        match cx.core.home_of(player) {
            Some(home) => cx.core.send_home(home, HomeMessage::Tell { player, message }),
            None => cx.core.counters.tells_lost += 1,
        }
    }

    /// Passes a message for this player to the edge of its session.
    fn deliver(&self, cx: &mut Cx<'_>, message: Bytes) {
        match self.line() {
            Some(line) => self.tell_edge(cx, line, ToEdge::Told(message)),
            None => cx.core.counters.tells_lost += 1,
        }
    }
}

impl Host {
    /// A message for a player that should be real here.
    pub(crate) fn deliver(&mut self, rooms: &mut Rooms<'_>, player: EntityId, message: Bytes) {
        if self.with(rooms, player, |entity, cx| entity.deliver(cx, message)).is_none() {
            rooms.core.counters.tells_lost += 1;
        }
    }
}
