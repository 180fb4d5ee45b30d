//! The room of a node as a home: the directory of roaming entities, and the interest table of chunks.
//!
//! Soft state only: after a new view it is rebuilt from the announcements of all members. A home is *open* in an epoch once
//! all members have announced; until then questions wait. Nothing here is durable, and the journal's safety does not depend on
//! it. It answers through messages. The router tells the host of changes of interest, which decides what they mean for land.

mod announce;
mod directory;
mod table;

pub(crate) use announce::announce;

use std::collections::{BTreeSet, VecDeque};

use gundo_types::{ChunkId, EntityId, NodeId, Planted, Term};

use self::directory::Directory;
use self::table::Table;
use crate::core::Core;
use crate::io::Size;
use crate::peer::{HomeMessage, Peer};

/// Bytes of questions that wait for the home to open. At the limit the link to the asker is reset: it announces and asks again.
/// Questions of this node itself have no limit beside those on what asks.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// What this node has recorded as a home.
#[derive(Default)]
pub(crate) struct Home {
    open: bool,
    announced: BTreeSet<NodeId>,
    directory: Directory,
    table: Table,
    waiting: VecDeque<(NodeId, Peer)>,
    /// Bytes of those.
    waiting_bytes: usize,
}

impl Home {
    /// Forgets everything: a new view has come, and all members announce again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether anybody looks at `chunk`, according to its home (this node).
    pub(crate) fn is_observed(&self, chunk: ChunkId) -> bool {
        self.table.is_observed(chunk)
    }

    /// Whether another node has announced that it still owns `entity`.
    pub(crate) fn is_held_elsewhere(&self, entity: EntityId, me: NodeId) -> bool {
        self.directory.holder(entity).is_some_and(|(node, _)| node != me)
    }

    /// Who owns `entity`, and by which term.
    pub(crate) fn owner(&self, entity: EntityId) -> Option<(NodeId, Term)> {
        self.directory.holder(entity)
    }

    /// How full its lists are.
    pub(crate) fn sizes(&self, sizes: &mut Vec<Size>) {
        // The node's own questions come on top: one of a kind for what it has.
        let most = 2 * WAITING_BYTES_MAX;
        sizes.push(Size { what: "questions that wait, bytes", used: self.waiting_bytes, most });
    }

    // ---- opening ---------------------------------------------------------------------------------------

    /// A member announces what it owns, subscribes to and publishes; `last`: this is the last part. If this opens the home, it
    /// returns all chunks: their publishers and land must hear of it.
    pub(crate) fn on_announced(
        &mut self,
        core: &Core,
        from: NodeId,
        holds: Vec<(EntityId, Term)>,
        subscribes: Vec<(ChunkId, u8)>,
        publishes: Vec<ChunkId>,
        last: bool,
    ) -> Vec<ChunkId> {
        for (entity, term) in holds {
            self.directory.note_holder(core, entity, from, term);
        }
        self.table.note(from, subscribes, publishes);
        if !last {
            return Vec::new();
        }
        self.announced.insert(from);
        assert!(self.open || self.announced.len() <= core.view.members.len() + 1, "members announce");
        let all = core.view.members.iter().all(|m| self.announced.contains(&m.node));
        if self.open || !all {
            return Vec::new();
        }
        self.open = true;
        self.table.chunks()
    }

    /// Questions that waited for this home to open.
    pub(crate) fn take_waiting(&mut self) -> VecDeque<(NodeId, Peer)> {
        assert!(self.open, "questions wait until the home is open");
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Keeps a question until the home is open; returns it if the home is open now.
    pub(crate) fn admit(&mut self, core: &mut Core, from: NodeId, question: Peer) -> Option<Peer> {
        if self.open || core.planted(Planted::HomeNotOpen) && matches!(question, Peer::Home { .. }) {
            return Some(question);
        }
        // It may be lost, and is too large to keep.
        if matches!(question, Peer::Home { message: HomeMessage::Tell { .. }, .. }) {
            core.counters.tells_lost += 1;
            return None;
        }
        let weight = question.weight();
        if from != core.me() && self.waiting_bytes + weight > WAITING_BYTES_MAX {
            core.lose(from);
            return None;
        }
        self.waiting_bytes += weight;
        self.waiting.push_back((from, question));
        None
    }

    // ---- links -----------------------------------------------------------------------------------------

    /// Messages between this node and `peer` were lost. What it has announced and asked is void: the home is closed until the
    /// peer has announced again.
    pub(crate) fn doubt(&mut self, core: &Core, peer: NodeId) {
        self.open = false;
        self.announced.remove(&peer);
        self.table.forget(peer);
        self.waiting.retain(|(from, _)| *from != peer);
        self.waiting_bytes = self.waiting.iter().map(|(_, question)| question.weight()).sum();
        // Nodes that did not find an entity there ask again, once it is clear who owns it.
        for (asker, entity) in self.directory.doubt(peer).into_iter().filter(|(asker, _)| *asker != peer) {
            let message = HomeMessage::Locate { entity, not: None };
            let question = Peer::Home { epoch: core.view.epoch, message };
            self.waiting_bytes += question.weight();
            self.waiting.push_back((asker, question));
        }
    }

    // ---- questions about entities ----------------------------------------------------------------------

    /// A message about who owns an entity. Returns an entity that was released: a node that needs it may load it.
    pub(crate) fn on_entity(
        &mut self,
        core: &mut Core,
        from: NodeId,
        message: HomeMessage,
    ) -> Option<EntityId> {
        let roams = |core: &Core, entity: EntityId| entity.kind == core.settings.rules.player_kind();
        match message {
            // Only players roam: no other entity is granted.
            HomeMessage::Locate { entity, .. }
            | HomeMessage::Claim { entity, .. }
            | HomeMessage::Keep { entity, .. }
                if !roams(core, entity) =>
            {
                core.note_nonsense();
            }
            HomeMessage::Locate { entity, not } => self.directory.locate(core, from, entity, not),
            HomeMessage::Claim { entity, from: owner } => self.directory.claim(core, from, entity, owner),
            HomeMessage::Keep { entity, term } => self.directory.keep(core, from, entity, term),
            HomeMessage::Tell { player, message } => self.directory.pass_on(core, player, message),
            HomeMessage::Confirmed { entity, term } => self.directory.on_confirmed(core, from, entity, term),
            HomeMessage::Released { entity, term } => {
                if self.directory.on_released(core, from, entity, term) {
                    return Some(entity);
                }
                core.note_stale();
            }
            other => unreachable!("{other:?} is not about an entity's owner"),
        }
        None
    }

    // ---- interest --------------------------------------------------------------------------------------

    /// A node wants these tiers of a chunk (bits; 0: nothing any more).
    pub(crate) fn subscribe(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, tiers: u8) {
        self.table.subscribe(core, from, chunk, tiers);
    }

    /// A node publishes a chunk, or stops.
    pub(crate) fn publish(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, on: bool) {
        self.table.publish(core, from, chunk, on);
    }

    /// Tells the publishers of a chunk which nodes subscribe.
    pub(crate) fn tell_publishers(&self, core: &mut Core, chunk: ChunkId) {
        self.table.tell_publishers(core, chunk, None);
    }

    /// Asserts the invariants between two inputs.
    pub(crate) fn check(&self) {
        assert!(!self.open || self.waiting.is_empty(), "nothing waits for an open home");
        self.directory.check();
        self.table.check();
    }
}
