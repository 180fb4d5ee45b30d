//! What nodes and clients of the next version say that this one does not know: a field in every fourth message and in its parts, and (from
//! the kernel itself) messages of an unknown kind. A node that does not know it ignores it, and nothing else changes.

use bytes::Bytes;

/// A field that no message of this version has: number 1,000, three bytes.
const LATER: &[u8] = &[0xc2, 0x3e, 3, b'n', b'e', b'w'];
/// Of so many messages one has it.
const OFTEN: u64 = 4;
/// Larger messages are left as they are: they may be as large as their arrow may be.
const SIZE_MAX: usize = 64 << 10;

/// Of a message with this number: the field to lay behind it.
pub(super) fn later_field(number: u64) -> Option<Bytes> {
    number.is_multiple_of(OFTEN).then(|| Bytes::from_static(LATER))
}

/// A message with this number as the next version writes it. `bytes`: a message of which every part that has a length is a message.
pub(super) fn with_later_fields(bytes: Bytes, number: u64) -> Bytes {
    let grows = number.is_multiple_of(OFTEN) && bytes.len() <= SIZE_MAX;
    grows.then(|| grow(&bytes)).flatten().map_or(bytes, Bytes::from)
}

fn grow(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 4 * LATER.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let field = rest;
        let key = varint(&mut rest)?;
        let head = field.len() - rest.len();
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            5 => rest = rest.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (part, after) = rest.split_at_checked(length)?;
                out.extend_from_slice(&field[..head]);
                put_varint(&mut out, (length + LATER.len()) as u64);
                out.extend_from_slice(part);
                out.extend_from_slice(LATER);
                rest = after;
                continue;
            }
            _ => return None,
        }
        out.extend_from_slice(&field[..field.len() - rest.len()]);
    }
    out.extend_from_slice(LATER);
    Some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use gundo_wire::Message;
    use gundo_wire::client::{ClientMessage, Command, Move};

    use super::*;

    #[test]
    fn what_is_added_is_not_read() {
        let commands =
            (1..5).map(|seq| Command { seq: seq << 40, payload: vec![7; 300].into(), ..Default::default() });
        let wish = Move { seq: 3, x: -4, y: 5_000, heading: 6, speed: 7, corrections: None };
        let message =
            ClientMessage { commands: commands.collect(), r#move: Some(wish), ..Default::default() };
        let bytes = Bytes::from(message.encode_to_vec());
        let later = with_later_fields(bytes.clone(), 8);
        assert_eq!(later.len(), bytes.len() + 6 * LATER.len(), "in the message and its five parts");
        assert_eq!(ClientMessage::decode(later).expect("a message"), message);
        assert_eq!(with_later_fields(bytes.clone(), 9), bytes);
    }
}
