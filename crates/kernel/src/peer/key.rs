//! The secrets that prove whose player it is, and how a world makes tokens.
//!
//! A token is a number and a MAC over it: the world recognises its own tokens without reading anything, also those that are newer
//! than a backup it was restored from. Which of them are still good is the player's to say (`host::player`).

use std::fmt;

use gundo_types::EntityId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret that proves whose player it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A new player's nonce, which its id is made from. Until a token has been used the nonce is valid too, so that the client
    /// can repeat its first hello, whatever happened to it.
    Nonce([u8; 16]),
    /// The secret half of a resume token.
    Token(Token),
    /// The secret half of a token of an earlier version, which only the player's stream can judge.
    Old([u8; 16]),
    /// The number of a recovery code, which this world has made.
    Code(u16),
}

/// The secret half of a resume token: what follows the player's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which of the player's tokens, from 1.
    pub number: u64,
    /// The world's MAC over the player and the number.
    pub mac: [u8; 16],
}

impl Token {
    /// Its bytes.
    pub const BYTES: usize = 24;

    /// As bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..].copy_from_slice(&self.mac);
        bytes
    }

    /// From bytes; `None`: they are not as many as a token has.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, mac) = bytes.split_first_chunk()?;
        Some(Self { number: u64::from_be_bytes(*number), mac: mac.try_into().ok()? })
    }
}

/// The world's secret: it is enough to make tokens for every player. It is made with the world and never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct WorldSecret {
    key: [u8; 32],
    world_id: [u8; 16],
}

impl WorldSecret {
    /// The secret with these bytes.
    pub fn new(key: [u8; 32]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
        let mac = mac.chain_update(b"world id").finalize().into_bytes();
        let (world_id, _) = mac.split_first_chunk().expect("32 bytes");
        Self { key, world_id: *world_id }
    }

    /// Which world it is. It follows from the secret, and says nothing about it: everybody may know it.
    pub fn world_id(&self) -> [u8; 16] {
        self.world_id
    }

    /// The player's token with this number.
    pub(crate) fn token(&self, player: EntityId, number: u64) -> Token {
        let mac = self.mac(player, number).finalize().into_bytes();
        let (mac, _) = mac.split_first_chunk().expect("32 bytes");
        Token { number, mac: *mac }
    }

    /// Whether this world has made the token, or will.
    pub(crate) fn made(&self, player: EntityId, token: Token) -> bool {
        self.mac(player, token.number).verify_truncated_left(&token.mac).is_ok()
    }

    /// The MAC that seals a place of this player.
    pub(super) fn mac_of_place(&self, player: EntityId, plain: &[u8]) -> [u8; 16] {
        let mac = self.place_mac(player, plain).finalize().into_bytes();
        let (mac, _) = mac.split_first_chunk().expect("32 bytes");
        *mac
    }

    /// Whether this world has sealed the place.
    pub(super) fn has_sealed(&self, player: EntityId, plain: &[u8], mac: &[u8]) -> bool {
        mac.len() == 16 && self.place_mac(player, plain).verify_truncated_left(mac).is_ok()
    }

    /// The MAC of this player's code of a kind with this number.
    pub(super) fn mac_of_code(&self, kind: &str, player: EntityId, number: u16) -> [u8; 10] {
        let mac = self.code_mac(kind, player, number).finalize().into_bytes();
        let (mac, _) = mac.split_first_chunk().expect("32 bytes");
        *mac
    }

    /// Whether it is.
    pub(super) fn is_mac_of_code(&self, kind: &str, player: EntityId, number: u16, mac: &[u8; 10]) -> bool {
        self.code_mac(kind, player, number).verify_truncated_left(mac).is_ok()
    }

    fn code_mac(&self, kind: &str, player: EntityId, number: u16) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.chain_update(kind)
            .chain_update(player.kind.0.to_be_bytes())
            .chain_update(player.id.to_be_bytes())
            .chain_update(number.to_be_bytes())
    }

    fn place_mac(&self, player: EntityId, plain: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.chain_update(b"place")
            .chain_update(player.kind.0.to_be_bytes())
            .chain_update(player.id.to_be_bytes())
            .chain_update(plain)
    }

    fn mac(&self, player: EntityId, number: u64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        // A name for the purpose, so that the secret may serve others.
        mac.chain_update(b"resume token")
            .chain_update(player.kind.0.to_be_bytes())
            .chain_update(player.id.to_be_bytes())
            .chain_update(number.to_be_bytes())
    }
}

impl fmt::Debug for WorldSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldSecret")
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    const ANN: EntityId = EntityId::new(Kind(1), 77);

    #[test]
    fn a_world_knows_its_own_tokens() {
        let (ours, other) = (WorldSecret::new([1; 32]), WorldSecret::new([2; 32]));
        let token = ours.token(ANN, 3);
        assert!(ours.made(ANN, token) && !other.made(ANN, token));
        assert!(
            !ours.made(EntityId::new(Kind(1), 78), token) && !ours.made(EntityId::new(Kind(2), 77), token)
        );
        assert!(!ours.made(ANN, Token { number: 4, ..token }));
        for bit in 0..128 {
            let mut mac = token.mac;
            mac[bit / 8] ^= 1 << (bit % 8);
            assert!(!ours.made(ANN, Token { mac, ..token }), "bit {bit}");
        }
        assert_eq!(Token::from_bytes(&token.to_bytes()), Some(token));
        assert_eq!([0, 8, 16, 23, 25].map(|len| Token::from_bytes(&vec![0; len])), [None; 5]);
        assert!(
            ours.world_id() != other.world_id() && ours.world_id() == WorldSecret::new([1; 32]).world_id()
        );
        assert_eq!(format!("{ours:?}"), "WorldSecret", "it does not come into logs");
    }
}
