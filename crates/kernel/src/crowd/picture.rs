//! The present picture of one chunk: everything publishers have told of it. Its entries are the node's ghosts (and, told
//! by the node itself, its own reals): game code reads both alike.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, NodeId, Term};
use gundo_wire::Message;
use gundo_wire::client::{Frame, ServerMessage};

use crate::frame::{ChunkFrame, blank_frame, enter};

/// Up to so many slots, a publisher's have no spare room.
const SLOTS_EXACT: usize = 4;

/// One chunk as seen from here.
#[derive(Default)]
pub(crate) struct Picture {
    /// In node order: few, and there is a picture of every chunk that anybody sees.
    publishers: Vec<(NodeId, Told)>,
}

/// What one publisher has told.
#[derive(Default)]
struct Told {
    roster: u32,
    /// Tick of its newest frame, by its own clock: entries of it are compared with one another by that, and no other
    /// node's clock is the same.
    tick: u32,
    /// A keyframe has come, and no roster part was missed since.
    synced: bool,
    /// A keyframe has been asked for.
    asked: bool,
    slots: Vec<Option<Seen>>,
    count: usize,
}

/// An entity as told.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) id: EntityId,
    pub(crate) term: Term,
    pub(crate) tick: u32,
    pub(crate) public: Bytes,
    pub(crate) body: Option<Body>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It fits: sessions may have it.
    Fits,
    /// A roster part was missed: ask for a keyframe.
    Gap,
    /// Waiting for the keyframe: nobody may have it.
    Waits,
}

impl Picture {
    /// Takes a publisher's frame in. `unnoticed`: a planted mistake, to look at no roster's number.
    pub(crate) fn take(&mut self, from: NodeId, frame: &ChunkFrame, unnoticed: bool) -> Taken {
        let told = self.told(from);
        if let Some(roster) = &frame.roster {
            let f = &roster.frame;
            if f.keyframe {
                *told = Told { synced: true, ..Told::default() };
            } else if !told.synced || f.roster != told.roster.wrapping_add(1) && !unnoticed {
                return told.miss();
            }
            told.roster = f.roster;
            told.take_roster(frame.chunk, f);
        }
        if !told.synced {
            return told.miss();
        }
        told.tick = frame.tick;
        for (_, motion) in frame.motion() {
            for row in motion.rows.iter() {
                if let Some(Some(seen)) = told.slots.get_mut(row.slot as usize) {
                    seen.body = Some(row.body(frame.chunk));
                    seen.tick = frame.tick;
                }
            }
        }
        Taken::Fits
    }

    /// The publisher says which roster part was its last. True: one was missed, ask for a keyframe.
    pub(crate) fn misses(&mut self, from: NodeId, roster: u32) -> bool {
        let told = self.told(from);
        // Said once per second: an unanswered question is asked again.
        told.asked = false;
        (!told.synced || told.roster != roster) && told.miss() == Taken::Gap
    }

    /// Something of what the publisher told was lost. True: it told something here, ask for a keyframe.
    pub(crate) fn doubt(&mut self, from: NodeId) -> bool {
        let told = self.publishers.iter_mut().find(|(node, _)| *node == from);
        told.is_some_and(|(_, told)| told.synced && told.miss() == Taken::Gap)
    }

    /// Removes what a node told that is a member no more. The tick of its newest frame, if it told anything.
    pub(crate) fn forget(&mut self, node: NodeId) -> Option<u32> {
        let at = self.publishers.binary_search_by_key(&node, |(n, _)| *n).ok()?;
        Some(self.publishers.remove(at).1.tick)
    }

    /// Every entity, publisher by publisher.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (NodeId, &Seen)> {
        self.publishers.iter().flat_map(|(n, told)| told.slots.iter().flatten().map(move |s| (*n, s)))
    }

    /// Entities told by a publisher.
    pub(crate) fn count(&self, node: NodeId) -> usize {
        let at = self.publishers.binary_search_by_key(&node, |(n, _)| *n);
        at.map_or(0, |at| self.publishers[at].1.count)
    }

    /// Entities told by publishers other than `me`.
    pub(crate) fn ghosts(&self, me: NodeId) -> usize {
        self.publishers.iter().filter(|(n, _)| *n != me).map(|(_, t)| t.count).sum()
    }

    /// A keyframe for clients: all that is known, one frame for each publisher. `None`: nothing is.
    pub(crate) fn keyframe(&self, chunk: ChunkId) -> Option<Bytes> {
        let frames: Vec<Frame> = self
            .publishers
            .iter()
            // Also of publishers with nothing to show: their next roster part counts on from here.
            .filter(|(_, told)| told.synced)
            .map(|(node, told)| told.keyframe(*node, chunk))
            .collect();
        let message = ServerMessage { frames, ..Default::default() };
        (!message.frames.is_empty()).then(|| message.encode_to_vec().into())
    }
}

impl Picture {
    /// What must hold between two inputs.
    pub(crate) fn check(&self) {
        assert!(self.publishers.is_sorted_by(|a, b| a.0 < b.0), "publishers out of order");
        for (node, told) in &self.publishers {
            let count = told.slots.iter().flatten().count();
            assert_eq!(count, told.count, "entities told by {node} are miscounted");
        }
    }

    fn told(&mut self, node: NodeId) -> &mut Told {
        let at = match self.publishers.binary_search_by_key(&node, |(n, _)| *n) {
            Ok(at) => at,
            Err(at) => {
                self.publishers.reserve_exact(1);
                self.publishers.insert(at, (node, Told::default()));
                at
            }
        };
        &mut self.publishers[at].1
    }
}

impl Told {
    fn miss(&mut self) -> Taken {
        self.synced = false;
        if std::mem::replace(&mut self.asked, true) { Taken::Waits } else { Taken::Gap }
    }

    fn take_roster(&mut self, chunk: ChunkId, frame: &Frame) {
        for leave in &frame.leave {
            if let Some(seen) = self.slots.get_mut(leave.slot as usize) {
                self.count -= usize::from(seen.take().is_some());
            }
        }
        for enter in &frame.enter {
            let slot = enter.slot as usize;
            if slot >= self.slots.len() {
                // Most chunks show one or two, and there are many chunks: no room to spare until there are more.
                if slot < SLOTS_EXACT {
                    self.slots.reserve_exact(slot + 1 - self.slots.len());
                }
                self.slots.resize_with(slot + 1, || None);
            }
            let seen = Seen {
                id: EntityId::new(Kind(enter.kind as u16), enter.id),
                term: Term { epoch: enter.epoch, count: enter.count },
                tick: frame.tick,
                public: enter.public.clone(),
                body: enter.body(chunk),
            };
            self.count += usize::from(self.slots[slot].replace(seen).is_none());
        }
        for change in &frame.change {
            if let Some(Some(seen)) = self.slots.get_mut(change.slot as usize) {
                seen.public = change.public.clone();
                seen.tick = frame.tick;
            }
        }
    }

    fn keyframe(&self, publisher: NodeId, chunk: ChunkId) -> Frame {
        let enter = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, seen)| {
                let s = seen.as_ref()?;
                Some(enter(slot as u32, s.id, s.term, s.public.clone(), s.body))
            })
            .collect();
        Frame { roster: self.roster, keyframe: true, enter, ..blank_frame(publisher, chunk, self.tick) }
    }
}
