//! The room of a node as a home: the directory of roaming entities, and the interest table of chunks.
//!
//! Soft state only: after a new view it is rebuilt from the announcements of all members. A home is *open* in an epoch once
//! all members have announced; until then questions wait. Nothing here is durable, and the journal's safety does not depend on
//! it. It answers through messages. The router tells the host of changes of interest, which decides what they mean for land.

mod announce;
mod directory;
mod table;
mod wakes;

use std::collections::{BTreeSet, VecDeque};

use gundo_types::{ChunkId, EntityId, NodeId, Planted, Term};

use self::announce::Announcer;
use self::directory::Directory;
use self::table::Table;
use self::wakes::Wakes;
use crate::core::{Core, Timer};
use crate::io::Size;
use crate::peer::{HomeMessage, Peer};

/// Bytes of questions that wait for the home to open. At the limit the link to the asker is reset: it announces and asks again.
/// Questions of this node itself have no limit beside those on what asks.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Chunks that an open home tells of in one go.
const OPENED_AT_ONCE: usize = 512;
/// Entries of announcements that a node sends in one go.
const SAID_AT_ONCE: usize = 2_000;

/// Where a player is that a transaction asks.
pub(crate) enum Found {
    /// On this node.
    At(NodeId),
    /// Nobody owned it. The home's own node does now, by this term.
    Here(Term),
}

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
    /// Chunks whose publishers and hosts must hear of them since the home is open, the last first.
    opening: Vec<ChunkId>,
    /// What this node still has to announce to homes.
    saying: Announcer,
    /// What it has read of the entities that have something to do.
    pub(crate) wakes: Wakes,
    /// What this home knew in an earlier view, and has not cleared away yet.
    forgotten: Table,
}

impl Home {
    /// Forgets everything: a new view has come, and all members announce again.
    pub(crate) fn reset(&mut self) {
        let forgotten = std::mem::take(&mut self.table).or_larger(std::mem::take(&mut self.forgotten));
        *self = Self { forgotten, ..Self::default() };
    }

    /// What it is doing, as the table of coverage names it.
    #[cfg(feature = "planted")]
    pub(crate) fn doing(&self) -> &'static str {
        if self.open { "open" } else { "closed" }
    }

    /// What it knows about an entity.
    #[cfg(feature = "planted")]
    pub(crate) fn knows(&self, entity: EntityId) -> &'static str {
        match self.directory.holder(entity) {
            _ if !self.open => "closed",
            _ if self.directory.is_disputed(entity) => "disputed",
            Some(_) => "owned",
            None => "nobody's",
        }
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

    /// A member announces what it owns, subscribes to and publishes; `last`: this is the last part. True: this opens the home, and
    /// the publishers and the land of its chunks must hear of it ([`opening`](Self::opening)).
    pub(crate) fn on_announced(
        &mut self,
        core: &mut Core,
        from: NodeId,
        holds: Vec<(EntityId, Term)>,
        subscribes: Vec<(ChunkId, u8)>,
        publishes: Vec<ChunkId>,
        last: bool,
    ) -> bool {
        if self.announced.contains(&from) {
            // It has said all. If that was lost, its link was reset, and this home has forgotten it.
            core.note_nonsense();
            return false;
        }
        for (entity, term) in holds {
            self.directory.note_holder(core, entity, from, term);
        }
        self.table.note(from, subscribes, publishes);
        if !last {
            return false;
        }
        self.announced.insert(from);
        assert!(self.open || self.announced.len() <= core.view.members.len() + 1, "members announce");
        let all = core.view.members.iter().all(|m| self.announced.contains(&m.node));
        if self.open || !all {
            return false;
        }
        self.open = true;
        self.opening = self.table.chunks();
        self.opening.reverse();
        true
    }

    /// The next chunks of which publishers and land must hear since the home is open. With many it takes several turns.
    pub(crate) fn opening(&mut self, core: &mut Core) -> Vec<ChunkId> {
        let left = self.opening.len().saturating_sub(OPENED_AT_ONCE);
        if left > 0 {
            core.soon(Timer::OpenHome);
        }
        let mut chunks = self.opening.split_off(left);
        chunks.reverse();
        chunks
    }

    // ---- announcing ------------------------------------------------------------------------------------

    /// Announces to every member of the present view (or `only` to one) what this node owns, subscribes to and publishes at that
    /// home.
    pub(crate) fn announce(
        &mut self,
        core: &mut Core,
        only: Option<NodeId>,
        holds: Vec<(EntityId, Term)>,
        subscribes: Vec<(ChunkId, u8)>,
        publishes: Vec<ChunkId>,
    ) {
        let members = core.view.members.iter().map(|m| m.node);
        let to = members.filter(|node| only.is_none_or(|only| *node == only)).collect();
        self.saying.begin(to, holds, subscribes, publishes);
        self.say_some(core);
    }

    /// Goes on with what this node announces. Until a home has the last part it is closed, so what changes meanwhile waits there.
    pub(crate) fn say_some(&mut self, core: &mut Core) {
        // What homes of the view before knew goes the same way.
        let more = self.forgotten.forget_some(SAID_AT_ONCE);
        if self.saying.say_some(core, SAID_AT_ONCE) || more {
            core.soon(Timer::Announce);
        }
    }

    /// Questions that waited for this home to open.
    pub(crate) fn take_waiting(&mut self) -> VecDeque<(NodeId, Peer)> {
        if !self.open {
            return VecDeque::new();
        }
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
        self.opening.clear();
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

    /// The node that owns a player whom a transaction asks. Nobody: from now on this node does, and loads it. The home is open.
    pub(crate) fn find(&mut self, core: &Core, player: EntityId) -> Found {
        assert!(self.open, "only an open home knows who owns a player");
        match self.directory.holder(player) {
            Some((owner, _)) => Found::At(owner),
            None => Found::Here(self.directory.take(core, player)),
        }
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
