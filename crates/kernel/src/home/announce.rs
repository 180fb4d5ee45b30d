//! What a node announces after a new view: to each home its part.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, EntityId, NodeId, Term};

use crate::core::Core;
use crate::peer::HomeMessage;

/// The announcement to one home.
#[derive(Default)]
struct Announcement {
    holds: Vec<(EntityId, Term)>,
    subscribes: Vec<(ChunkId, u8)>,
    publishes: Vec<ChunkId>,
}

/// Announces to every member of the present view what this node owns, subscribes to and publishes at that home. A member gets an
/// announcement even if it is empty: a home opens when all members have announced.
pub(crate) fn announce(
    core: &mut Core,
    holds: &[(EntityId, Term)],
    subscribes: &[(ChunkId, u8)],
    publishes: &[ChunkId],
) {
    let mut homes: BTreeMap<NodeId, Announcement> = BTreeMap::new();
    for member in &core.view.members {
        homes.insert(member.node, Announcement::default());
    }
    for held in holds {
        if let Some(home) = core.home_of(held.0).and_then(|home| homes.get_mut(&home)) {
            home.holds.push(*held);
        }
    }
    for subscribed in subscribes {
        if let Some(home) = core.home_of_chunk(subscribed.0).and_then(|home| homes.get_mut(&home)) {
            home.subscribes.push(*subscribed);
        }
    }
    for chunk in publishes {
        if let Some(home) = core.home_of_chunk(*chunk).and_then(|home| homes.get_mut(&home)) {
            home.publishes.push(*chunk);
        }
    }
    for (node, Announcement { holds, subscribes, publishes }) in homes {
        core.send_home(node, HomeMessage::Announce { holds, subscribes, publishes, last: true });
    }
}
