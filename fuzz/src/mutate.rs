//! Mutates inputs: blindly, and in ways that suit protobuf and length-prefixed messages.
//!
//! All randomness comes from a seed: the same seed gives the same inputs on every machine.

use crate::Form;
use crate::wire_tree::change_field;

/// A small generator with 64 bits of state (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next_u64()) * limit as u128) >> 64) as usize
    }
}

/// Longest input made, bytes.
pub const BYTES_MAX: usize = 4_096;

/// Boundary values of varints and of the types behind them.
pub(crate) const EDGES: &[u64] =
    &[0, 1, 127, 128, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX];

/// A child of `parent`, one to four mutations away; `other` is another input to take pieces from.
pub fn mutate(rng: &mut Rng, parent: &[u8], other: &[u8], form: Form) -> Vec<u8> {
    let mut input = parent.to_vec();
    for _ in 0..=rng.below(4) {
        match rng.below(2) {
            0 => change(rng, &mut input, other),
            _ if form.framed => change_frame(rng, &mut input, form.head),
            _ => change_message(rng, &mut input, form.head),
        }
    }
    input.truncate(BYTES_MAX);
    input
}

/// Mutates a field of one message, repeats the message or drops it.
fn change_frame(rng: &mut Rng, input: &mut Vec<u8>, head: usize) {
    let mut frames: Vec<Vec<u8>> = cut(input).map(<[u8]>::to_vec).collect();
    if frames.is_empty() {
        return;
    }
    let at = rng.below(frames.len());
    match rng.below(8) {
        0 => drop(frames.remove(at)),
        1 => frames.push(frames[at].clone()),
        _ => change_message(rng, &mut frames[at], head),
    }
    *input = join(&frames);
}

/// Mutates a byte of the head, or a field of the message behind it. A malformed message stays as it is.
fn change_message(rng: &mut Rng, input: &mut Vec<u8>, head: usize) {
    let Some((before, message)) = input.split_at_checked(head) else { return };
    if head > 0 && rng.below(4) == 0 {
        input[rng.below(head)] = rng.next_u64() as u8;
    } else if let Some(message) = change_field(rng, message) {
        *input = [before, &message].concat();
    }
}

/// Cuts an input into messages: each is two bytes of length (little-endian) and as many bytes. The last may be
/// shorter.
pub(crate) fn cut(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (message, tail) = tail.split_at(tail.len().min(usize::from(u16::from_le_bytes(*length))));
        rest = tail;
        Some(message)
    })
}

/// The inverse of [`cut`]. Messages beyond 64 KiB lose their end.
pub(crate) fn join(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = messages.iter().map(|message| {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        [&length.to_le_bytes()[..], &message[..usize::from(length)]].concat()
    });
    framed.collect::<Vec<_>>().concat()
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    let (from, to) = range(rng, input.len());
    let at = rng.below(input.len() + 1);
    match rng.below(10) {
        // Flip a bit: the low ones change a protobuf tag's wire type, the high ones its field.
        0 | 1 if !input.is_empty() => input[at.min(from)] ^= 1 << rng.below(8),
        2 if !input.is_empty() => input[from] = rng.next_u64() as u8,
        3 => input.truncate(at),
        4 => drop(input.drain(from..to)),
        5 => {
            let copy = input[from..to].to_vec();
            insert(input, at, &copy);
        }
        6 => {
            let (from, to) = range(rng, other.len());
            insert(input, at, &other[from..to]);
        }
        // Append another message: protobuf merges them.
        7 => input.extend_from_slice(other),
        8 => {
            let value = EDGES[rng.below(EDGES.len())];
            insert(input, at, &varint(value));
        }
        // Replace a byte with a varint: sizes, slots and numbers at their limits.
        _ => {
            let value = EDGES[rng.below(EDGES.len())];
            input.splice(from..to.min(from + 1), varint(value));
        }
    }
}

fn range(rng: &mut Rng, length: usize) -> (usize, usize) {
    let from = rng.below(length);
    // Short pieces find more.
    let span = if rng.below(4) == 0 { length - from } else { (length - from).min(16) };
    (from, from + rng.below(span + 1))
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_line_of_inputs() {
        let line = |seed| {
            let mut rng = Rng::new(seed);
            (0..1_000)
                .map(|_| mutate(&mut rng, b"parent", b"other", Form { framed: true, head: 1 }))
                .collect::<Vec<_>>()
        };
        assert_eq!(line(1), line(1));
        assert_ne!(line(1), line(2));
    }

    #[test]
    fn anything_can_be_changed() {
        let mut rng = Rng::new(7);
        let mut input = Vec::new();
        for _ in 0..10_000 {
            input = mutate(&mut rng, &input, &[], Form { framed: false, head: 0 });
            assert!(input.len() <= BYTES_MAX);
        }
        assert_eq!(cut(&join(&[b"one".to_vec(), Vec::new()])).collect::<Vec<_>>(), [b"one".as_slice(), b""]);
        assert_eq!(varint(300), [0xac, 0x02]);
        assert_eq!(varint(u64::MAX).len(), 10);
    }
}
