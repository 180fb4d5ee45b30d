//! Who may come in while this edge is full: a place is held for a player whose connection was lost, and the last places are for those
//! who have a key.
//!
//! | who says hello | is let in |
//! | --- | --- |
//! | a player with a place here, taken or held | always: it needs no other |
//! | somebody with a token | while there is a place that nobody has or holds |
//! | a new player | while more than a sixteenth of all places is left |
//!
//! A place is held at the edge where it was lost, for as long as the player stays in the world, and nowhere else: no node asks
//! another one. So a player that lost its connection to this edge gets in here, if nowhere else.

use std::collections::BTreeMap;

use gundo_types::{EntityId, Time};

/// New players leave so much free for those who come back: one place in so many.
const KEPT_FREE: usize = 16;

/// The places of an edge.
#[derive(Default)]
pub(super) struct Seats {
    /// Players with connections here, and how many: while a newer one takes the session over there are two.
    taken: BTreeMap<EntityId, u32>,
    /// Players whose last connection here was lost, and until when their places are held.
    held: BTreeMap<EntityId, Time>,
}

impl Seats {
    /// How many places are taken or held.
    pub(super) fn used(&self) -> usize {
        self.taken.len() + self.held.len()
    }

    /// How many connections have a place.
    pub(super) fn connections(&self) -> usize {
        self.taken.values().map(|count| *count as usize).sum()
    }

    /// Whether a player may come in, if the edge has `most` places. `is_new`: it has no token.
    pub(super) fn admit(&mut self, player: EntityId, is_new: bool, most: usize, now: Time) -> bool {
        if self.taken.contains_key(&player) || self.held.contains_key(&player) {
            return true;
        }
        let most = if is_new { most - most / KEPT_FREE } else { most };
        if self.used() >= most {
            // Only then: it walks over all that are held.
            self.held.retain(|_, until| *until > now);
        }
        self.used() < most
    }

    /// A connection of this player has a place.
    pub(super) fn take(&mut self, player: EntityId) {
        self.held.remove(&player);
        *self.taken.entry(player).or_default() += 1;
    }

    /// A connection of this player has ended.
    pub(super) fn leave(&mut self, player: EntityId) {
        let Some(count) = self.taken.get_mut(&player) else { return };
        *count -= 1;
        if *count == 0 {
            self.taken.remove(&player);
        }
    }

    /// Its last connection here was lost just now: holds its place.
    pub(super) fn hold(&mut self, player: EntityId, until: Time) {
        if !self.taken.contains_key(&player) {
            self.held.insert(player, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    const MOST: usize = 32;

    fn player(id: usize) -> EntityId {
        EntityId::new(Kind(1), id as u64)
    }

    /// So many players from this one on try to come in; returns how many do.
    fn come(seats: &mut Seats, from: usize, count: usize, is_new: bool, ms: u64) -> usize {
        let mut comes = |id| {
            let admitted = seats.admit(player(id), is_new, MOST, Time(ms * 1_000));
            if admitted {
                seats.take(player(id));
            }
            admitted
        };
        (from..from + count).filter(|id| comes(*id)).count()
    }

    #[test]
    fn a_place_is_held_for_those_who_lost_their_connections() {
        let mut seats = Seats::default();
        assert_eq!(come(&mut seats, 0, MOST, false, 0), MOST);
        for id in 0..4 {
            seats.leave(player(id));
            seats.hold(player(id), Time(30_000_000));
        }
        assert_eq!(come(&mut seats, 100, 50, true, 1_000), 0);
        assert_eq!(
            come(&mut seats, 100, 50, false, 1_000),
            0,
            "nor those with a token, who have no place here"
        );
        assert_eq!(come(&mut seats, 0, 3, false, 29_000), 3);
        assert_eq!(come(&mut seats, 100, 50, false, 30_000), 1, "the fourth has not come back");
        assert_eq!((seats.used(), seats.connections()), (MOST, MOST));
    }

    #[test]
    fn the_last_places_are_for_those_with_a_key() {
        let mut seats = Seats::default();
        assert_eq!(come(&mut seats, 0, 50, true, 0), 30);
        assert_eq!(come(&mut seats, 100, 50, false, 0), 2);
        seats.leave(player(0));
        assert_eq!(come(&mut seats, 200, 50, true, 0), 0);
        assert_eq!(come(&mut seats, 200, 50, false, 0), 1);
    }

    #[test]
    fn a_second_connection_of_a_player_takes_no_second_place() {
        let mut seats = Seats::default();
        come(&mut seats, 0, MOST, false, 0);
        assert_eq!(come(&mut seats, 7, 1, false, 0), 1);
        assert_eq!((seats.used(), seats.connections()), (MOST, MOST + 1));
        seats.leave(player(7));
        seats.hold(player(7), Time(9));
        assert_eq!((seats.used(), seats.connections()), (MOST, MOST));
        seats.leave(player(7));
        assert_eq!(seats.used(), MOST - 1);
    }
}
