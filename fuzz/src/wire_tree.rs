//! Mutations that keep a protobuf message well-formed: one field, somewhere in the tree, takes a boundary value, is
//! repeated, dropped or moved, and every length around it is corrected.

use crate::mutate::{EDGES, Rng, varint};

/// How deep to descend into a message.
const DEPTH_MAX: u32 = 6;

#[derive(Clone, Debug)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
    Fixed32([u8; 4]),
}

/// `message` with one field mutated; `None` if it is malformed or empty.
pub(crate) fn change_field(rng: &mut Rng, message: &[u8]) -> Option<Vec<u8>> {
    change(rng, message, 0)
}

fn change(rng: &mut Rng, message: &[u8], depth: u32) -> Option<Vec<u8>> {
    let mut fields = parse(message)?;
    let at = rng.below(fields.len());
    match rng.below(8) {
        0 => drop(fields.remove(at)),
        1 => fields.push(fields[at].clone()),
        2 => {
            let last = fields.len() - 1;
            fields.swap(at, last);
        }
        _ => change_value(rng, &mut fields[at].value, depth),
    }
    Some(write(&fields))
}

fn change_value(rng: &mut Rng, value: &mut Value, depth: u32) {
    let edge = EDGES[rng.below(EDGES.len())];
    match value {
        Value::Varint(old) if rng.below(2) == 0 => *old = old.wrapping_add(edge),
        Value::Varint(old) => *old = edge,
        Value::Fixed64(old) => *old = edge.to_le_bytes(),
        Value::Fixed32(old) => *old = (edge as u32).to_le_bytes(),
        Value::Bytes(old) => {
            let inner =
                if depth < DEPTH_MAX && rng.below(8) != 0 { change(rng, old, depth + 1) } else { None };
            match inner {
                Some(inner) => *old = inner,
                // Text, the game's bytes or packed numbers.
                None if rng.below(2) == 0 => old.extend(varint(edge)),
                None => old.truncate(rng.below(old.len() + 1)),
            }
        }
    }
}

fn parse(mut rest: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = read_varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Varint(read_varint(&mut rest)?),
            1 => Value::Fixed64(*take(&mut rest, 8)?.first_chunk()?),
            2 => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?.to_vec())
            }
            5 => Value::Fixed32(*take(&mut rest, 4)?.first_chunk()?),
            _ => return None,
        };
        fields.push(Field { number: tag >> 3, value });
    }
    (!fields.is_empty()).then_some(fields)
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { number, value } in fields {
        match value {
            Value::Varint(value) => bytes.extend([varint(number << 3), varint(*value)].concat()),
            Value::Fixed64(value) => bytes.extend([varint(number << 3 | 1), value.to_vec()].concat()),
            Value::Bytes(value) => {
                bytes.extend([varint(number << 3 | 2), varint(value.len() as u64)].concat());
                bytes.extend(value);
            }
            Value::Fixed32(value) => bytes.extend([varint(number << 3 | 5), value.to_vec()].concat()),
        }
    }
    bytes
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_written_back() {
        for (name, seed) in crate::seeds::client_messages() {
            if let Some(fields) = parse(&seed) {
                assert_eq!(write(&fields), seed, "{name}");
            }
        }
    }

    #[test]
    fn a_changed_message_is_well_formed() {
        let mut rng = Rng::new(3);
        for (name, seed) in crate::seeds::client_messages() {
            for _ in 0..1_000 {
                if let Some(changed) = change_field(&mut rng, &seed) {
                    assert!(changed.is_empty() || parse(&changed).is_some(), "{name}");
                }
            }
        }
    }

    #[test]
    fn garbage_is_not_a_message() {
        assert!(parse(&[0xff; 20]).is_none());
        assert!(parse(&[0x0a, 0x05, 0x00]).is_none());
        assert!(parse(&[]).is_none());
    }
}
