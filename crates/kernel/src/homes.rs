//! The node as a home: the directory of roaming entities and the interest table of chunks.
//!
//! Soft state only: after a new view it is rebuilt from what every member announces. A home is *open* in an epoch once
//! all have; until then questions wait. Nothing here is durable, and no safety of the journal rests on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gundo_types::{ChunkId, EntityId, NodeId, Planted, Term};

use crate::Node;
use crate::core::Core;
use crate::peer::HomeMessage;

/// Questions that wait for the home to open. Beyond, the oldest is dropped; its asker asks again.
const WAITING_MAX: usize = 100_000;

#[derive(Default)]
pub(crate) struct Homes {
    open: bool,
    announced: BTreeSet<NodeId>,
    /// Grants given in this epoch.
    grants: u32,
    holders: BTreeMap<EntityId, Holder>,
    chunks: BTreeMap<ChunkId, HomeChunk>,
    waiting: VecDeque<(NodeId, HomeMessage)>,
    /// Who did not find an entity where it should be, while its holder is asked.
    disputes: BTreeMap<EntityId, Vec<NodeId>>,
}

/// Who holds an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    node: NodeId,
    term: Term,
    /// If it was claimed or kept: from whom, and by which term that one held it. Who asks again gets the same answer.
    from: Option<(NodeId, Term)>,
}

#[derive(Default)]
struct HomeChunk {
    publishers: BTreeSet<NodeId>,
    subscribers: BTreeMap<NodeId, u8>,
}

impl Homes {
    /// Forgets everything: a new view has come, and all will be announced again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether anybody looks at `chunk`, as far as its home (this node) knows.
    pub(crate) fn is_observed(&self, chunk: ChunkId) -> bool {
        self.chunks.get(&chunk).is_some_and(|c| !c.subscribers.is_empty())
    }

    /// Whether another node says that it holds `entity` still.
    pub(crate) fn is_held_elsewhere(&self, entity: EntityId, me: NodeId) -> bool {
        self.holders.get(&entity).is_some_and(|held| held.node != me)
    }

    fn note_holder(&mut self, core: &Core, entity: EntityId, node: NodeId, term: Term) {
        let held = self.holders.entry(entity).or_insert(Holder { node, term, from: None });
        if term > held.term || core.planted(Planted::LowerTermAccepted) {
            *held = Holder { node, term, from: None };
        }
    }

    /// Gives `entity` to `node` with the next term.
    fn grant(&mut self, core: &Core, entity: EntityId, node: NodeId, from: Option<(NodeId, Term)>) -> Term {
        self.grants += 1;
        let term = Term { epoch: core.view.epoch.0, count: self.grants };
        self.holders.insert(entity, Holder { node, term, from });
        term
    }

    /// Who holds `entity`; grants it to `asker` if nobody does.
    fn locate(&mut self, core: &mut Core, asker: NodeId, entity: EntityId, not: Option<(NodeId, Term)>) {
        // The asker's question may have overtaken the grant: only the holder knows, and it hears of the grant first.
        if let Some((holder, term)) = not
            && holder != asker
            && let Some(held) = self.holders.get(&entity).filter(|h| (h.node, h.term) == (holder, term))
        {
            let from = held.from.map(|(_, term)| term);
            let askers = self.disputes.entry(entity).or_default();
            if !askers.contains(&asker) {
                askers.push(asker);
            }
            return core.send_home(holder, HomeMessage::Disputed { entity, term, from });
        }
        let answer = match self.holders.get(&entity) {
            Some(held) if held.node != asker && !core.planted(Planted::TwoHolders) => {
                HomeMessage::Located { entity, holder: held.node, term: held.term }
            }
            _ => HomeMessage::Granted { entity, term: self.grant(core, entity, asker, None) },
        };
        core.send_home(asker, answer);
    }

    /// `asker` has what it needs to go on with `entity` and takes it, if its owner still holds it by the term it was offered by.
    fn claim(&mut self, core: &mut Core, asker: NodeId, entity: EntityId, from: (NodeId, Term)) {
        let answer = match self.holders.get(&entity) {
            Some(held) if (held.node, held.term) == from => {
                let term = self.grant(core, entity, asker, Some(from));
                let over = HomeMessage::HandedOver { entity, from: from.1, to: Some((asker, term)) };
                core.send_home(from.0, over);
                HomeMessage::Claimed { entity, from: from.1, term }
            }
            Some(held) if held.node == asker && held.from == Some(from) => {
                HomeMessage::Claimed { entity, from: from.1, term: held.term }
            }
            _ => HomeMessage::ClaimRefused { entity, from: from.1 },
        };
        core.send_home(asker, answer);
    }

    /// `asker` has offered `entity` to another and hears nothing. If it is its own still, a new term makes sure that it stays so.
    fn keep(&mut self, core: &mut Core, asker: NodeId, entity: EntityId, from: Term) {
        let answer = match self.holders.get(&entity) {
            Some(held) if (held.node, held.term) == (asker, from) => {
                let term = self.grant(core, entity, asker, Some((asker, from)));
                HomeMessage::Kept { entity, from, term }
            }
            Some(held) if held.node == asker && held.from == Some((asker, from)) => {
                HomeMessage::Kept { entity, from, term: held.term }
            }
            // It came back by another way, and may have changed meanwhile.
            Some(held) if held.node == asker => HomeMessage::Granted { entity, term: held.term },
            held => HomeMessage::HandedOver { entity, from, to: held.map(|h| (h.node, h.term)) },
        };
        core.send_home(asker, answer);
    }

    /// The holder has spoken: those who did not find the entity ask again.
    fn resolve(&mut self, core: &mut Core, entity: EntityId) {
        for asker in self.disputes.remove(&entity).unwrap_or_default() {
            self.locate(core, asker, entity, None);
        }
    }

    fn subscribe(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, tiers: u8) {
        let entry = self.chunks.entry(chunk).or_default();
        let before =
            if tiers == 0 { entry.subscribers.remove(&from) } else { entry.subscribers.insert(from, tiers) };
        if before.unwrap_or(0) != tiers {
            self.tell_publishers(core, chunk, None);
        }
        self.forget_if_empty(chunk);
    }

    fn publish(&mut self, core: &mut Core, from: NodeId, chunk: ChunkId, on: bool) {
        let entry = self.chunks.entry(chunk).or_default();
        if on {
            entry.publishers.insert(from);
            self.tell_publishers(core, chunk, Some(from));
        } else {
            entry.publishers.remove(&from);
            self.forget_if_empty(chunk);
        }
    }

    fn tell_publishers(&self, core: &mut Core, chunk: ChunkId, only: Option<NodeId>) {
        let Some(entry) = self.chunks.get(&chunk) else { return };
        let list: Vec<_> = entry.subscribers.iter().map(|(n, t)| (*n, *t)).collect();
        for to in entry.publishers.iter().filter(|n| only.is_none_or(|o| o == **n)) {
            core.send_home(*to, HomeMessage::Subscribers { chunk, list: list.clone() });
        }
    }

    fn forget_if_empty(&mut self, chunk: ChunkId) {
        if self.chunks.get(&chunk).is_some_and(|c| c.publishers.is_empty() && c.subscribers.is_empty()) {
            self.chunks.remove(&chunk);
        }
    }
}

impl Node {
    /// Tells every home of the new view what this node holds, subscribes to and publishes.
    pub(crate) fn announce(&mut self) {
        let mut announcements: BTreeMap<NodeId, (Vec<_>, Vec<_>, Vec<_>)> = BTreeMap::new();
        for member in &self.core.view.members {
            announcements.insert(member.node, Default::default());
        }
        let leaving = self.hosts.at_home().filter(|(id, _)| self.home_of(*id) != Some(self.core.me()));
        for (entity, term) in self.hosts.roaming().chain(leaving) {
            if let Some(a) = self.home_of(entity).and_then(|h| announcements.get_mut(&h)) {
                a.0.push((entity, term));
            }
        }
        let silent = self.core.planted(Planted::InterestNotAnnounced);
        for (chunk, tiers) in self.interest.subscribed().filter(|_| !silent) {
            if let Some(a) = self.home_of_chunk(chunk).and_then(|h| announcements.get_mut(&h)) {
                a.1.push((chunk, tiers));
            }
        }
        for chunk in self.publisher.published() {
            if let Some(a) = self.home_of_chunk(chunk).and_then(|h| announcements.get_mut(&h)) {
                a.2.push(chunk);
            }
        }
        for (node, (holds, subscribes, publishes)) in announcements {
            let last = true;
            self.core.send_home(node, HomeMessage::Announce { holds, subscribes, publishes, last });
        }
    }

    /// A message for this node as a home, or from one. The epoch has been checked.
    pub(crate) fn handle_home(&mut self, from: NodeId, message: HomeMessage) {
        match message {
            HomeMessage::Announce { holds, subscribes, publishes, last } => {
                for (entity, term) in holds {
                    self.homes.note_holder(&self.core, entity, from, term);
                }
                for (chunk, tiers) in subscribes {
                    self.homes.chunks.entry(chunk).or_default().subscribers.insert(from, tiers);
                }
                for chunk in publishes {
                    self.homes.chunks.entry(chunk).or_default().publishers.insert(from);
                }
                if last {
                    self.homes.announced.insert(from);
                    self.open_if_all_announced();
                }
            }
            HomeMessage::Located { entity, holder, term } => self.on_located(entity, holder, term),
            HomeMessage::Granted { entity, term } => self.on_granted(entity, term),
            HomeMessage::Disputed { entity, term, from: claimed } => {
                // The answer to its claim was lost.
                if let Some(claimed) = claimed {
                    self.on_claimed(entity, claimed, term);
                }
                let answer = match self.hosts.reals.get(&entity) {
                    Some(real) => HomeMessage::Confirmed { entity, term: real.term },
                    None => HomeMessage::Released { entity, term },
                };
                self.core.send_home(from, answer);
            }
            HomeMessage::Claimed { entity, from: claimed, term } => {
                if !self.on_claimed(entity, claimed, term) {
                    self.core.send_home(from, HomeMessage::Released { entity, term });
                }
            }
            HomeMessage::ClaimRefused { entity, from: claimed } => self.on_claim_refused(entity, claimed),
            HomeMessage::Kept { entity, from: offered, term } => {
                if !self.on_kept(entity, offered, term) {
                    self.core.send_home(from, HomeMessage::Released { entity, term });
                }
            }
            HomeMessage::HandedOver { entity, from: offered, to } => self.on_handed_over(entity, offered, to),
            HomeMessage::Subscribers { chunk, list } => {
                let told = self.last_tick.filter(|tick| *tick == self.core.tick());
                self.publisher.set_subscribers(&mut self.core, chunk, &list, told);
            }
            question if !self.homes.open && !self.core.planted(Planted::HomeNotOpen) => {
                if self.homes.waiting.len() == WAITING_MAX {
                    self.homes.waiting.pop_front();
                }
                self.homes.waiting.push_back((from, question));
            }
            // Only players roam: nobody else is given away.
            HomeMessage::Locate { entity, .. }
            | HomeMessage::Claim { entity, .. }
            | HomeMessage::Keep { entity, .. }
                if entity.kind != self.core.settings.rules.player_kind() =>
            {
                self.core.counters.nonsense += 1;
            }
            HomeMessage::Locate { entity, not } => self.homes.locate(&mut self.core, from, entity, not),
            HomeMessage::Claim { entity, from: owner } => {
                self.homes.claim(&mut self.core, from, entity, owner);
            }
            HomeMessage::Keep { entity, term } => self.homes.keep(&mut self.core, from, entity, term),
            HomeMessage::Released { entity, term } => {
                if self.homes.holders.get(&entity).is_some_and(|h| (h.node, h.term) == (from, term)) {
                    self.homes.holders.remove(&entity);
                    self.homes.resolve(&mut self.core, entity);
                    if Some(entity.kind) == self.core.settings.rules.land_kind() {
                        self.need_land(ChunkId::from_u64(entity.id));
                    }
                }
            }
            HomeMessage::Confirmed { entity, term } => {
                self.homes.note_holder(&self.core, entity, from, term);
                self.homes.resolve(&mut self.core, entity);
            }
            HomeMessage::Subscribe(list) => {
                for (chunk, tiers) in list {
                    self.homes.subscribe(&mut self.core, from, chunk, tiers);
                    self.need_land(chunk);
                }
            }
            HomeMessage::Publish { chunk, on } => self.homes.publish(&mut self.core, from, chunk, on),
        }
    }

    fn open_if_all_announced(&mut self) {
        let all = self.core.view.members.iter().all(|m| self.homes.announced.contains(&m.node));
        if self.homes.open || !all {
            return;
        }
        self.homes.open = true;
        let chunks: Vec<_> = self.homes.chunks.keys().copied().collect();
        for chunk in chunks {
            self.homes.tell_publishers(&mut self.core, chunk, None);
            self.need_land(chunk);
        }
        for (from, message) in std::mem::take(&mut self.homes.waiting) {
            self.handle_home(from, message);
        }
        let waiting: Vec<_> = std::mem::take(&mut self.waiting_for_home).into_iter().collect();
        for (from, message) in waiting {
            self.handle_peer(from, message);
        }
    }
}
