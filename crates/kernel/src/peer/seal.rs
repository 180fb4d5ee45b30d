//! Sealed places: where an owner saw a player last, kept by its client in case that every node with the player crashes.
//!
//! A client cannot make one, so it proves where the player was. It says nothing of what happened since: the owner compares its time
//! with the player's last event (`host::session`).

use gundo_types::{Body, EntityId, Point, WorldTime};

use super::key::WorldSecret;

/// Where a player was, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// World time.
    pub at: WorldTime,
    /// Where.
    pub body: Body,
}

impl Placed {
    /// Bytes before the MAC: the time, the island, two coordinates, the heading.
    const PLAIN: usize = 8 + 2 + 4 + 4 + 1;
    /// Bytes of a sealed place.
    pub const SEALED: usize = Self::PLAIN + 16;

    fn plain(self) -> [u8; Self::PLAIN] {
        let mut bytes = [0; Self::PLAIN];
        bytes[..8].copy_from_slice(&self.at.0.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.body.island.to_be_bytes());
        bytes[10..14].copy_from_slice(&self.body.at.x.to_be_bytes());
        bytes[14..18].copy_from_slice(&self.body.at.y.to_be_bytes());
        bytes[18] = self.body.heading;
        bytes
    }

    /// Sealed for this player's client.
    pub(crate) fn seal(self, secret: &WorldSecret, player: EntityId) -> [u8; Self::SEALED] {
        let plain = self.plain();
        let mut bytes = [0; Self::SEALED];
        bytes[..Self::PLAIN].copy_from_slice(&plain);
        bytes[Self::PLAIN..].copy_from_slice(&secret.mac_of_place(player, &plain));
        bytes
    }

    /// What this player's client has kept; `None`: this world has not sealed it for that player.
    pub(crate) fn open(sealed: &[u8], secret: &WorldSecret, player: EntityId) -> Option<Self> {
        let (plain, mac) = sealed.split_first_chunk::<{ Self::PLAIN }>()?;
        if secret.has_sealed(player, plain, mac) { Self::unsealed(plain) } else { None }
    }

    /// What it says, whoever has made it.
    pub(crate) fn unsealed(plain: &[u8]) -> Option<Self> {
        let (at, rest) = plain.split_first_chunk()?;
        let (island, rest) = rest.split_first_chunk()?;
        let (x, rest) = rest.split_first_chunk()?;
        let (y, rest) = rest.split_first_chunk()?;
        let body = Body {
            island: u16::from_be_bytes(*island),
            at: Point::new(i32::from_be_bytes(*x), i32::from_be_bytes(*y)),
            heading: rest.first()? & 127,
            speed: 0,
        };
        Some(Self { at: WorldTime(u64::from_be_bytes(*at)), body })
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    #[test]
    fn only_this_world_seals_and_only_for_this_player() {
        let (ours, other) = (WorldSecret::new([1; 32]), WorldSecret::new([2; 32]));
        let (ann, bob) = (EntityId::new(Kind(1), 77), EntityId::new(Kind(1), 78));
        let body = Body { island: 3, at: Point::new(i32::MIN, 7), heading: 127, speed: 0 };
        let placed = Placed { at: WorldTime(u64::MAX), body };
        let sealed = placed.seal(&ours, ann);
        assert_eq!(Placed::open(&sealed, &ours, ann), Some(placed));
        assert_eq!(Placed::open(&sealed, &ours, bob), None);
        assert_eq!(Placed::open(&sealed, &other, ann), None);
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Placed::open(&forged, &ours, ann), None, "bit {bit}");
        }
        assert!([0, 18, 19, 34, 36].iter().all(|len| Placed::open(&vec![0; *len], &ours, ann).is_none()));
    }
}
