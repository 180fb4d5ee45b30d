//! The crowd's records of sessions: what each is owed, and the message that it gets at the next flush.
//!
//! Which chunks a session looks at is recorded with the chunks ([`Interest`](super::interest::Interest)); here is what concerns
//! the whole session. A viewer exists from its session's first look to its end.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{ChunkId, ConnId};

use super::slab::{Handle, Slab};
use crate::core::Core;
use crate::io::{Output, Parts, SendClass};

#[derive(Default)]
pub(super) struct Viewers {
    by_conn: BTreeMap<ConnId, Handle>,
    viewers: Slab<Viewer>,
    /// Those that are owed keyframes at this flush, each once.
    joining: Vec<Handle>,
    /// Those that get something in this flush, each once: empty between two.
    touched: Vec<(ConnId, Handle)>,
}

pub(super) struct Viewer {
    pub(super) conn: ConnId,
    /// Where the session's sight is centred.
    pub(super) center: Option<ChunkId>,
    /// The send queue was full: no frames until it is empty.
    pub(super) lagging: bool,
    is_joining: bool,
    /// Chunks it is owed a keyframe of, each once; its look at each has the same mark.
    joins: Vec<ChunkId>,
    /// What goes with its next message.
    pub(super) rider: Option<Box<Bytes>>,
    /// Its message in this flush: empty between two.
    parts: Parts,
    /// Capacity for the parts of the next message: about as many as the last ones had.
    room: usize,
}

impl Viewers {
    pub(super) fn find(&self, conn: ConnId) -> Option<Handle> {
        self.by_conn.get(&conn).copied()
    }

    pub(super) fn find_or_add(&mut self, conn: ConnId) -> Handle {
        let fresh = || {
            self.viewers.insert(Viewer {
                conn,
                center: None,
                lagging: false,
                is_joining: false,
                joins: Vec::new(),
                rider: None,
                parts: Vec::new(),
                room: 0,
            })
        };
        *self.by_conn.entry(conn).or_insert_with(fresh)
    }

    pub(super) fn remove(&mut self, conn: ConnId) {
        let Some(at) = self.by_conn.remove(&conn) else { return };
        let viewer = self.viewers.remove(at);
        assert!(viewer.is_idle(), "a session ended in a flush");
        if viewer.is_joining {
            self.joining.retain(|other| *other != at);
        }
    }

    pub(super) fn get(&self, at: Handle) -> &Viewer {
        &self.viewers[at]
    }

    pub(super) fn get_mut(&mut self, at: Handle) -> &mut Viewer {
        &mut self.viewers[at]
    }

    /// Owes it a keyframe of the chunk; it was not owed one before.
    pub(super) fn owe(&mut self, at: Handle, chunk: ChunkId) {
        self.viewers[at].joins.push(chunk);
        self.list(at);
    }

    /// Lists it for keyframes at the next flush, if it is owed any.
    pub(super) fn list(&mut self, at: Handle) {
        let viewer = &mut self.viewers[at];
        if !viewer.joins.is_empty() && !std::mem::replace(&mut viewer.is_joining, true) {
            self.joining.push(at);
        }
    }

    /// It is not owed a keyframe of the chunk any more.
    pub(super) fn release(&mut self, at: Handle, chunk: ChunkId) {
        self.viewers[at].joins.retain(|c| *c != chunk);
    }

    /// The viewers that are owed keyframes, and of which chunks, nearest first: the player's own chunk arrives before distant
    /// ones. Lagging viewers wait until they have caught up.
    pub(super) fn take_joins(&mut self) -> Vec<(Handle, Vec<ChunkId>)> {
        let mut taken = Vec::new();
        for at in std::mem::take(&mut self.joining) {
            let viewer = &mut self.viewers[at];
            viewer.is_joining = false;
            if !viewer.lagging {
                let mut joins = std::mem::take(&mut viewer.joins);
                let center = viewer.center.unwrap_or_default();
                joins.sort_unstable_by_key(|c| (c.steps_to(center), *c));
                taken.push((at, joins));
            }
        }
        taken
    }

    /// The parts of a viewer's message, to which the caller must add one now. `None`: it lags.
    #[inline]
    pub(super) fn parts(&mut self, at: Handle) -> Option<&mut Parts> {
        let viewer = &mut self.viewers[at];
        if viewer.lagging {
            return None;
        }
        if viewer.parts.is_empty() {
            viewer.parts.reserve_exact(viewer.room);
            self.touched.push((viewer.conn, at));
        }
        Some(&mut viewer.parts)
    }

    /// Sends every viewer what it gets, in the order of their connections.
    pub(super) fn send(&mut self, core: &mut Core) {
        self.touched.sort_unstable();
        for (conn, at) in self.touched.drain(..) {
            let viewer = &mut self.viewers[at];
            let mut parts = std::mem::take(&mut viewer.parts);
            assert!(!parts.is_empty() && viewer.conn == conn, "a viewer is listed for nothing");
            parts.extend(viewer.rider.take().map(|rider| *rider));
            viewer.room = parts.len().max(viewer.room - viewer.room / 8);
            core.outputs.push_back(Output::Send { conn, parts, class: SendClass::Frames });
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Handle, &Viewer)> {
        self.viewers.iter()
    }

    /// Asserts the invariants between two inputs.
    pub(super) fn check(&self) {
        assert_eq!(self.by_conn.len(), self.viewers.len(), "a viewer without its connection");
        for (conn, at) in &self.by_conn {
            assert_eq!(self.viewers[*at].conn, *conn, "a connection leads to another viewer");
        }
        assert!(self.touched.is_empty(), "a viewer did not get its parts");
        for (at, viewer) in self.viewers.iter() {
            assert!(viewer.is_idle(), "parts were not sent");
            assert_eq!(viewer.is_joining, self.joining.contains(&at), "joining viewers are miscounted");
            assert!(
                viewer.joins.is_empty() || viewer.is_joining || viewer.lagging,
                "a keyframe is forgotten"
            );
        }
    }
}

impl Viewer {
    /// Whether it has no parts so far.
    pub(super) fn is_idle(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn joins(&self) -> &[ChunkId] {
        &self.joins
    }
}
