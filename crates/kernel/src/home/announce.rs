//! What a node announces after a new view, or to one home after messages between the two were lost: to each home its part.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, EntityId, NodeId, Term};

use crate::core::Core;
use crate::peer::{HomeMessage, PART_ENTRIES_MAX};

/// The announcement to one home.
#[derive(Default)]
struct Announcement {
    holds: Vec<(EntityId, Term)>,
    subscribes: Vec<(ChunkId, u8)>,
    publishes: Vec<ChunkId>,
}

/// Announces to every member of the present view (or `only` to one) what this node owns, subscribes to and publishes at that
/// home. A member gets an announcement even if it is empty: a home opens when all members have announced.
pub(crate) fn announce(
    core: &mut Core,
    only: Option<NodeId>,
    holds: &[(EntityId, Term)],
    subscribes: &[(ChunkId, u8)],
    publishes: &[ChunkId],
) {
    let mut homes: BTreeMap<NodeId, Announcement> = BTreeMap::new();
    for member in core.view.members.iter().filter(|m| only.is_none_or(|node| m.node == node)) {
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
    for (node, announcement) in homes {
        announcement.parts().into_iter().for_each(|part| core.send_home(node, part));
    }
}

impl Announcement {
    /// The messages that say it, in order.
    fn parts(self) -> Vec<HomeMessage> {
        let Self { holds, subscribes, publishes } = self;
        let count = [holds.len(), subscribes.len(), publishes.len()].into_iter().max().unwrap_or(0);
        let each = PART_ENTRIES_MAX / 3;
        let part = |at: usize| HomeMessage::Announce {
            holds: piece(&holds, at, each),
            subscribes: piece(&subscribes, at, each),
            publishes: piece(&publishes, at, each),
            last: at + each >= count,
        };
        (0..count.max(1)).step_by(each).map(part).collect()
    }
}

/// The entries of a list from `at` on, `most` of them.
fn piece<T: Copy>(list: &[T], at: usize, most: usize) -> Vec<T> {
    list.iter().skip(at).take(most).copied().collect()
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    #[test]
    fn a_long_announcement_comes_in_parts_that_say_all() {
        let chunk = |x: i16| ChunkId { island: 1, x, y: -7 };
        let said = |holds: u64, looks: i16, chunks: i16| {
            let term = Term { epoch: 3, count: 9 };
            let announcement = Announcement {
                holds: (0..holds).map(|id| (EntityId::new(Kind(1), id), term)).collect(),
                subscribes: (0..looks).map(|x| (chunk(x), 1)).collect(),
                publishes: (0..chunks).map(chunk).collect(),
            };
            let (mut counts, mut lasts) = ((0, 0, 0), Vec::new());
            for part in announcement.parts() {
                let HomeMessage::Announce { holds, subscribes, publishes, last } = part else { panic!() };
                assert!(holds.len() + subscribes.len() + publishes.len() <= PART_ENTRIES_MAX);
                counts.0 += holds.len() as u64;
                counts.1 += subscribes.len() as i16;
                counts.2 += publishes.len() as i16;
                lasts.push(last);
            }
            assert_eq!(counts, (holds, looks, chunks));
            assert_eq!(lasts.pop(), Some(true), "the home opens with the last part");
            assert!(lasts.iter().all(|last| !last), "and not before");
            lasts.len() + 1
        };
        assert_eq!(said(0, 0, 0), 1, "a home opens when all have announced, even nothing");
        assert_eq!(said(333, 333, 333), 1);
        assert_eq!(said(334, 1, 0), 2);
        assert_eq!(said(20_000, 30_000, 10_000), 91);
    }
}
