//! What a link receives: the next number is taken, everything else is not.

use gundo_types::{Planted, Time};

use super::pieces::{Assembly, Misplaced};
use crate::core::Core;
use crate::peer::{Label, Peer};

/// Between two requests for the same missing message, ms.
const ASK_EVERY_MS: u64 = 250;
/// After this share of the bytes that the sender may keep it hears what has arrived, even if there is nothing else to say.
const TELL_SHARE: usize = 8;

/// One direction of a link, at its receiver. Plain values.
#[derive(Default)]
pub(super) struct Inbound {
    /// How many times the link was reset.
    pub(super) resets: u32,
    /// The last number that has arrived, and all before it.
    received: u64,
    /// After which number something was missing when it last asked, and when.
    asked: Option<(u64, Time)>,
    /// A message that comes in pieces.
    assembly: Assembly,
    /// Bytes that have arrived since the other side last heard what has.
    unsaid: usize,
}

/// Whether a message is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Yes,
    /// It has no number. `ask`: something before it is missing.
    Unnumbered {
        ask: bool,
    },
    /// It has been taken before.
    Known,
    /// Something before it is missing.
    Early {
        ask: bool,
    },
}

impl Takes {
    pub(super) fn is_taken(self) -> bool {
        matches!(self, Self::Yes | Self::Unnumbered { .. })
    }

    pub(super) fn asks(self) -> bool {
        matches!(self, Self::Unnumbered { ask: true } | Self::Early { ask: true })
    }
}

impl Inbound {
    pub(super) fn after(resets: u32) -> Self {
        Self { resets, ..Self::default() }
    }

    /// The last number that has arrived: the other side hears of it now.
    pub(super) fn say(&mut self) -> u64 {
        self.unsaid = 0;
        self.received
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the other side must hear what has arrived, before it keeps too much.
    pub(super) fn owes(&self, bytes_max: usize) -> bool {
        self.unsaid >= bytes_max / TELL_SHARE
    }

    pub(super) fn take(&mut self, core: &Core, label: &Label, message: &Peer) -> Takes {
        let number = label.number;
        if number == 0 {
            return Takes::Unnumbered { ask: label.after > self.received && self.may_ask(core.now.time) };
        }
        let known = number <= self.received && !core.planted(Planted::LinkTakesTwice);
        if known {
            return Takes::Known;
        }
        if number > self.received + 1 && !core.planted(Planted::LinkTakesWithGaps) {
            return Takes::Early { ask: self.may_ask(core.now.time) };
        }
        self.received = self.received.max(number);
        self.unsaid += message.weight();
        Takes::Yes
    }

    /// A message that was taken: itself, or what it completes. `Err`: what its sender says is impossible.
    pub(super) fn complete(&mut self, message: Peer) -> Result<Option<Peer>, Misplaced> {
        match message {
            Peer::Piece { bytes, left } => {
                let whole = self.assembly.take(&bytes, left)?;
                whole.map(|bytes| Peer::decode_whole(bytes).map_err(|_| Misplaced)).transpose()
            }
            message if self.assembly.is_open() && message.must_arrive() => {
                self.assembly = Assembly::default();
                Err(Misplaced)
            }
            message => Ok(Some(message)),
        }
    }

    /// Whether to ask for what is missing; notes that it does.
    fn may_ask(&mut self, now: Time) -> bool {
        let lately =
            |(after, at): (u64, Time)| after == self.received && now.since(at) < ASK_EVERY_MS * 1_000;
        if self.asked.is_some_and(lately) {
            return false;
        }
        self.asked = Some((self.received, now));
        true
    }
}
