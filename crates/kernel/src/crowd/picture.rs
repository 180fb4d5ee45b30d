//! The present picture of one chunk: everything that publishers have sent about it. Its entries are the node's ghosts (and its
//! own reals, which the node publishes to itself): game code reads both alike.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Kind, NodeId, Term};
use gundo_wire::Message;
use gundo_wire::client::{Frame, ServerMessage};

use crate::frame::{ChunkFrame, blank_frame, enter};

/// Up to this number of slots, a publisher's slots have no spare capacity.
const SLOTS_EXACT: usize = 4;

/// One chunk as seen from here.
#[derive(Default)]
pub(crate) struct Picture {
    /// In node order. Compact: there are few, and there is a picture of every chunk that anybody sees.
    publishers: Vec<(NodeId, Told)>,
}

/// What one publisher has sent.
#[derive(Default)]
struct Told {
    roster: u32,
    /// Tick of its newest frame, by its own clock. Only entries of the same publisher are compared by it, because the clocks of
    /// nodes differ.
    tick: u32,
    /// A keyframe has arrived, and no roster part was missed since.
    synced: bool,
    /// This node has asked for a keyframe.
    asked: bool,
    slots: Vec<Option<Seen>>,
    count: usize,
}

/// An entity as its publisher shows it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) id: EntityId,
    pub(crate) term: Term,
    pub(crate) tick: u32,
    pub(crate) public: Bytes,
    pub(crate) body: Option<Body>,
}

/// The result of taking a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It fits: sessions may have it.
    Fits,
    /// A roster part was missed: ask for a keyframe.
    Gap,
    /// The picture waits for a keyframe: no session may have this frame.
    Waits,
}

impl Picture {
    /// Takes a publisher's frame. `unnoticed`: a planted mistake, which ignores roster numbers.
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

    /// The publisher says which roster part it sent last. True: one was missed, ask for a keyframe.
    pub(crate) fn misses(&mut self, from: NodeId, roster: u32) -> bool {
        let told = self.told(from);
        // The report comes once per second: this repeats an unanswered request.
        told.asked = false;
        (!told.synced || told.roster != roster) && told.miss() == Taken::Gap
    }

    /// What was said of the publisher's chunk, or asked, was lost. True: it publishes something here, ask for a keyframe.
    pub(crate) fn doubt(&mut self, from: NodeId) -> bool {
        let told = self.publishers.iter_mut().find(|(node, _)| *node == from);
        told.is_some_and(|(_, told)| {
            told.asked = false;
            told.miss() == Taken::Gap
        })
    }

    /// Removes what a removed member published. Returns the tick of its newest frame, if it had published anything.
    pub(crate) fn forget(&mut self, node: NodeId) -> Option<u32> {
        let at = self.publishers.binary_search_by_key(&node, |(n, _)| *n).ok()?;
        Some(self.publishers.remove(at).1.tick)
    }

    /// Every entity, publisher by publisher.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (NodeId, &Seen)> {
        self.publishers.iter().flat_map(|(n, told)| told.slots.iter().flatten().map(move |s| (*n, s)))
    }

    /// Number of entities that a publisher shows.
    pub(crate) fn count(&self, node: NodeId) -> usize {
        let at = self.publishers.binary_search_by_key(&node, |(n, _)| *n);
        at.map_or(0, |at| self.publishers[at].1.count)
    }

    /// Number of entities that publishers other than `me` show.
    pub(crate) fn ghosts(&self, me: NodeId) -> usize {
        self.publishers.iter().filter(|(n, _)| *n != me).map(|(_, t)| t.count).sum()
    }

    /// A keyframe for clients: the whole picture, one frame for each publisher. `None`: the picture is empty.
    pub(crate) fn keyframe(&self, chunk: ChunkId) -> Option<Bytes> {
        let frames: Vec<Frame> = self
            .publishers
            .iter()
            // Publishers with nothing to show are included: their next roster part continues from here.
            .filter(|(_, told)| told.synced)
            .map(|(node, told)| told.keyframe(*node, chunk))
            .collect();
        let message = ServerMessage { frames, ..Default::default() };
        (!message.frames.is_empty()).then(|| message.encode_to_vec().into())
    }
}

impl Picture {
    /// Asserts the invariants between two inputs.
    pub(crate) fn check(&self) {
        assert!(self.publishers.is_sorted_by(|a, b| a.0 < b.0), "publishers out of order");
        for (node, told) in &self.publishers {
            let count = told.slots.iter().flatten().count();
            assert_eq!(count, told.count, "entities of {node} are miscounted");
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
                // Most chunks show one or two, and there are many chunks: reserve no more room until there are more.
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
