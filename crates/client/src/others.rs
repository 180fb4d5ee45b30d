//! Which other players the publishers list: for load generators that must notice when somebody leaves the world.
//!
//! It follows only entities of the own kind, and only whether they are listed; a [`Picture`](crate::Picture) knows more and
//! costs more.

use std::collections::BTreeMap;

use gundo_types::{ChunkId, EntityId};

use crate::light::{Garbled, Left, Parts, Value, field};
use crate::picture::{Line, Part};

/// The lists of all publishers, by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    boards: BTreeMap<(ChunkId, u32), Board>,
    /// Entities that a frame of the current message removed from the world.
    leavers: Vec<Left>,
}

/// One publisher's list of one chunk.
#[derive(Clone, Debug, Default)]
struct Board {
    line: Line,
    slots: BTreeMap<u32, u64>,
}

impl Others {
    pub(crate) fn forget_all(&mut self) {
        self.boards.clear();
    }

    pub(crate) fn forget(&mut self, chunk: ChunkId) {
        let keys: Vec<_> = self.boards.range((chunk, 0)..=(chunk, u32::MAX)).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| drop(self.boards.remove(key)));
    }

    /// Takes a frame that has a roster part.
    pub(crate) fn on_frame(
        &mut self,
        own: EntityId,
        bytes: &[u8],
        parts: &Parts<'_>,
        chunk: ChunkId,
    ) -> Result<(), Garbled> {
        let board = self.boards.entry((chunk, parts.publisher)).or_default();
        if parts.keyframe {
            *board = Board { line: Line::at(parts.roster), ..Board::default() };
        } else if board.line.take(parts.roster, true) != Part::Next {
            return Ok(());
        }
        let board = &mut board.slots;
        let mut rest = if parts.leaves { bytes } else { &[] };
        while !rest.is_empty() {
            let (10, Value::Bytes(mut leave)) = field(&mut rest)? else { continue };
            let (mut slot, mut to) = (0, false);
            while !leave.is_empty() {
                match field(&mut leave)? {
                    (1, Value::Number(v)) => slot = v as u32,
                    (2, _) => to = true,
                    _ => {}
                }
            }
            let gone = board.remove(&slot);
            self.leavers.extend(gone.filter(|_| !to).map(|id| Left { id, publisher: parts.publisher }));
        }
        let mut rest = if parts.enters { bytes } else { &[] };
        while !rest.is_empty() {
            let (8, Value::Bytes(mut enter)) = field(&mut rest)? else { continue };
            let (mut slot, mut kind, mut id) = (0, 0, 0);
            while !enter.is_empty() {
                match field(&mut enter)? {
                    (1, Value::Number(v)) => slot = v as u32,
                    (2, Value::Number(v)) => kind = v,
                    (3, Value::Fixed(v)) => id = v,
                    _ => {}
                }
            }
            // One frame may free a slot and use it again.
            board.remove(&slot);
            if kind == u64::from(own.kind.0) && id != own.id {
                board.insert(slot, id);
            }
        }
        Ok(())
    }

    /// After a message: the entities that left and are on no list any more.
    pub(crate) fn take_leavers(&mut self) -> Vec<Left> {
        let mut leavers = std::mem::take(&mut self.leavers);
        leavers.retain(|left| {
            !self.boards.values().any(|board| board.slots.values().any(|listed| *listed == left.id))
        });
        leavers
    }
}
