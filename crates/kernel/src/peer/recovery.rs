//! The code that a person writes down, to come back with nothing else.
//!
//! It is the player's id, a number and a MAC: the world recognises its own, also those that are newer than a backup it was restored
//! from. Which number is still good is the player's to say (`host::player`), as with tokens.
//!
//! As a text it has seven groups of five characters: 20 bytes, and 15 bits of their SHA-256 as a check, so that somebody who has
//! mistyped hears that, and not that the code is wrong. The alphabet has no letters that look like others (Crockford's base 32).

use std::fmt;

use gundo_types::EntityId;
use sha2::{Digest, Sha256};

use super::key::WorldSecret;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BYTES: usize = 20;
const CHARACTERS: usize = 35;
const GROUP: usize = 5;
/// Characters of a text that are looked at: a code with many separators.
const TEXT_MAX: usize = 128;

/// What the MAC of a recovery code is for.
const RECOVERY: &str = "recovery code";
/// What that of an invitation is for.
const INVITATION: &str = "invitation";

/// A recovery code, or an invitation: that has the same form, and the day on which it is too old as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The id of the player.
    pub(crate) player: u64,
    /// Which of the player's codes, from 1; of an invitation the day on which it is too old, 0: none.
    pub(crate) number: u16,
    mac: [u8; 10],
}

/// A text is no recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCode {
    /// It has too few or too many characters, or strange ones.
    Form,
    /// The check does not fit.
    Mistyped,
}

impl Code {
    /// Reads what a person has typed: in any case, with any spaces and hyphens, and with letters for the digits that they look like.
    pub(crate) fn read(text: &str) -> Result<Self, NoCode> {
        if text.len() > TEXT_MAX {
            return Err(NoCode::Form);
        }
        let typed = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '—' | '_' | '.'));
        let digits: Vec<u8> = typed.map(digit).collect::<Option<_>>().ok_or(NoCode::Form)?;
        let digits: [u8; CHARACTERS] = digits.try_into().map_err(|_| NoCode::Form)?;
        let mut bytes = [0; BYTES];
        for (byte, eight) in bytes.chunks_exact_mut(GROUP).zip(digits.chunks_exact(8)) {
            let bits = eight.iter().fold(0_u64, |bits, digit| bits << 5 | u64::from(*digit));
            byte.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        if digits[BYTES * 8 / 5..] != check(&bytes) {
            return Err(NoCode::Mistyped);
        }
        let (player, rest) = bytes.split_first_chunk().expect("20 bytes");
        let (number, mac) = rest.split_first_chunk().expect("12 bytes");
        let mac = mac.try_into().expect("10 bytes");
        Ok(Self { player: u64::from_be_bytes(*player), number: u16::from_be_bytes(*number), mac })
    }

    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.player.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.number.to_be_bytes());
        bytes[10..].copy_from_slice(&self.mac);
        bytes
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        let digits = bytes.chunks_exact(GROUP).flat_map(|five| {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8).rev().map(move |at| (bits >> (5 * at) & 31) as u8)
        });
        for (at, digit) in digits.chain(check(&bytes)).enumerate() {
            let hyphen = if at > 0 && at % GROUP == 0 { "-" } else { "" };
            write!(f, "{hyphen}{}", char::from(ALPHABET[usize::from(digit)]))?;
        }
        Ok(())
    }
}

impl WorldSecret {
    /// The player's code with this number.
    pub(crate) fn code(&self, player: EntityId, number: u16) -> Code {
        self.code_of(RECOVERY, player, number)
    }

    /// Whether this world has made the code, or will.
    pub(crate) fn made_code(&self, player: EntityId, code: &Code) -> bool {
        player.id == code.player && self.is_mac_of_code(RECOVERY, player, code.number, &code.mac)
    }

    /// An invitation for a new player with this id, as a text. `until`: the day of the world on which it is too old, counted from its
    /// beginning; 0: none.
    pub fn invitation(&self, player: EntityId, until: u16) -> String {
        self.code_of(INVITATION, player, until).to_string()
    }

    /// Whether this world has made the invitation.
    pub(crate) fn made_invitation(&self, player: EntityId, code: &Code) -> bool {
        player.id == code.player && self.is_mac_of_code(INVITATION, player, code.number, &code.mac)
    }

    fn code_of(&self, kind: &str, player: EntityId, number: u16) -> Code {
        Code { player: player.id, number, mac: self.mac_of_code(kind, player, number) }
    }
}

fn digit(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        'U' => 'V',
        c => c,
    };
    ALPHABET.iter().position(|known| char::from(*known) == c).map(|at| at as u8)
}

fn check(bytes: &[u8; BYTES]) -> [u8; 3] {
    let digest = Sha256::digest(bytes);
    let bits = u16::from_be_bytes([digest[0], digest[1]]) >> 1;
    [bits >> 10, bits >> 5, bits].map(|bits| (bits & 31) as u8)
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    const ANN: EntityId = EntityId::new(Kind(1), 0x7000_0000_0000_002a);

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let secret = WorldSecret::new([1; 32]);
        let code = secret.code(ANN, 3);
        let text = code.to_string();
        assert_eq!((text.len(), text.split('-').map(str::len).collect::<Vec<_>>()), (41, vec![5; 7]));
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', "  "),
            format!(" {} ", text.replace('-', " – ")),
            text.replace('0', "o").replace('1', "l"),
            text.replace('0', "O").replace('1', "I"),
        ] {
            assert_eq!(Code::read(&typed), Ok(code), "{typed}");
        }
        for form in ["", "hello", &text[1..], &format!("{text}0"), &text.replace('-', "ß"), &"0".repeat(500)]
        {
            assert_eq!(Code::read(form), Err(NoCode::Form), "{form}");
        }
    }

    #[test]
    fn what_is_mistyped_is_no_other_code() {
        let text: Vec<char> = WorldSecret::new([1; 32]).code(ANN, 3).to_string().chars().collect();
        for at in (0..text.len()).filter(|at| text[*at] != '-') {
            let mut typed = text.clone();
            typed[at] = if typed[at] == '7' { '8' } else { '7' };
            let typed: String = typed.into_iter().collect();
            assert_eq!(Code::read(&typed), Err(NoCode::Mistyped), "{typed}");
        }
    }

    #[test]
    fn a_world_knows_its_own_codes() {
        let (ours, other) = (WorldSecret::new([1; 32]), WorldSecret::new([2; 32]));
        let code = ours.code(ANN, 3);
        assert!(ours.made_code(ANN, &code) && !other.made_code(ANN, &code));
        assert!(!ours.made_code(EntityId::new(Kind(2), ANN.id), &code));
        assert!(!ours.made_code(ANN, &Code { number: 4, ..code }));
        assert!(!ours.made_code(EntityId::new(Kind(1), 5), &code));
        assert!(!ours.made_invitation(ANN, &code), "who has a code may not invite");
        let invitation = Code::read(&ours.invitation(ANN, 3)).expect("a code");
        assert!(ours.made_invitation(ANN, &invitation) && !other.made_invitation(ANN, &invitation));
        assert!(
            !ours.made_code(ANN, &invitation)
                && !ours.made_invitation(ANN, &Code { number: 4, ..invitation })
        );
        assert!(!ours.made_code(EntityId::new(Kind(1), 5), &Code { player: 5, ..code }));
    }
}
