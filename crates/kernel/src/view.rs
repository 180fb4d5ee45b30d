//! Homes by weighted rendezvous hashing (Thaler & Ravishankar 1998): every node computes the same home for a key from
//! the view alone, and a change of members moves only the keys of the members that changed.

use gundo_types::{ChunkId, EntityId, NodeId};

use crate::io::View;

impl View {
    /// Home of a chunk: of its interest, its land and what has its place there. Chunks of one tract share it.
    pub fn home_of_chunk(&self, chunk: ChunkId, tract_chunks: u16) -> Option<NodeId> {
        let side = tract_chunks.clamp(1, 256) as i16;
        let tract =
            ChunkId { island: chunk.island, x: chunk.x.div_euclid(side), y: chunk.y.div_euclid(side) };
        self.home_of_key(mix(tract.to_u64()))
    }

    /// Home of an entity. `chunk`: the chunk that it permanently belongs to, if any; the entity then shares that chunk's home.
    pub fn home_of(&self, entity: EntityId, chunk: Option<ChunkId>, tract_chunks: u16) -> Option<NodeId> {
        if let Some(chunk) = chunk {
            return self.home_of_chunk(chunk, tract_chunks);
        }
        self.home_of_key(mix(entity.id ^ mix(u64::from(entity.kind.0) << 32)))
    }

    /// A member of weight w takes part with w draws, so its share is w parts of the sum of all weights.
    fn home_of_key(&self, key: u64) -> Option<NodeId> {
        let draw = |node: NodeId, i: u8| mix(key ^ mix(u64::from(node.0) << 8 | u64::from(i)));
        // When all members drain, one of them must still be home.
        let stays = self.members.iter().any(|m| !m.draining);
        self.members
            .iter()
            .filter(|m| !(stays && m.draining))
            .map(|m| ((0..m.weight.clamp(1, 16)).map(|i| draw(m.node, i)).max(), m.node))
            .max()
            .map(|(_, node)| node)
            .inspect(|home| {
                let takes = |m: &crate::io::Member| m.node == *home && !(stays && m.draining);
                debug_assert!(self.members.iter().any(takes), "a home is a member that stays");
            })
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;
    use crate::game::Role;
    use crate::io::Member;

    fn view(weights: &[u8]) -> View {
        let member = |(i, w): (usize, &u8)| Member {
            node: NodeId(i as u16 + 1),
            incarnation: 1,
            address: Default::default(),
            site: Default::default(),
            weight: *w,
            draining: false,
        };
        View { members: weights.iter().enumerate().map(member).collect(), ..View::default() }
    }

    fn homes(view: &View) -> Vec<NodeId> {
        let home = |id| view.home_of(EntityId::new(Kind(1), id), None, 4).expect("members");
        (0..9_000).map(home).collect()
    }

    #[test]
    fn homes_share_by_weight() {
        let homes = homes(&view(&[1, 1, 2]));
        let share = |n| homes.iter().filter(|h| **h == NodeId(n)).count();
        assert!((2_050..2_450).contains(&share(1)), "{}", share(1));
        assert!((4_250..4_750).contains(&share(3)), "{}", share(3));
    }

    #[test]
    fn a_new_member_takes_keys_only_to_itself() {
        let (before, after) = (homes(&view(&[1, 1, 1])), homes(&view(&[1, 1, 1, 1])));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
        assert!(moved.iter().all(|(_, a)| **a == NodeId(4)));
        assert!((2_050..2_450).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn a_member_that_is_being_emptied_keeps_no_keys() {
        let before = view(&[1, 1, 1]);
        let mut drained = before.clone();
        drained.members[1].draining = true;
        let (before, after) = (homes(&before), homes(&drained));
        assert!(after.iter().all(|home| *home != NodeId(2)));
        assert!(before.iter().zip(&after).all(|(b, a)| b == a || *b == NodeId(2)), "others keep theirs");
        drained.members.iter_mut().for_each(|m| m.draining = true);
        assert_eq!(homes(&drained), before, "when all drain, one must still be home");
    }

    #[test]
    fn what_has_a_chunk_lives_where_that_is_published() {
        let view = view(&[1, 1, 1]);
        for chunk in ChunkId::default().around(9) {
            let land = EntityId::new(Kind(2), chunk.to_u64());
            let placed = EntityId::placed(Kind(3), chunk, 0xdc);
            for (id, role) in [(land, Role::Land), (placed, Role::Placed)] {
                assert_eq!(view.home_of(id, role.chunk_of(id), 4), view.home_of_chunk(chunk, 4), "{id}");
            }
        }
        let tract: Vec<_> =
            ChunkId { island: 0, x: 5, y: 5 }.around(1).map(|c| view.home_of_chunk(c, 4)).collect();
        assert!(tract.windows(2).all(|w| w[0] == w[1]));
    }
}
