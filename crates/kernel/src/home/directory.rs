//! The directory of a home: which node owns which entity, and the term.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{EntityId, NodeId, Planted, Term};

use crate::core::Core;
use crate::peer::HomeMessage;

#[derive(Default)]
pub(super) struct Directory {
    /// Number of grants in this epoch.
    grants: u32,
    holders: BTreeMap<EntityId, Holder>,
    /// Nodes that did not find an entity at its recorded owner, while the home asks the owner.
    disputes: BTreeMap<EntityId, Vec<NodeId>>,
}

/// Who owns an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    node: NodeId,
    term: Term,
    /// If it was claimed or kept: the previous owner and its term. A repeated question gets the same answer.
    from: Option<(NodeId, Term)>,
}

impl Directory {
    pub(super) fn holder(&self, entity: EntityId) -> Option<(NodeId, Term)> {
        self.holders.get(&entity).map(|held| (held.node, held.term))
    }

    #[cfg(feature = "planted")]
    pub(super) fn is_disputed(&self, entity: EntityId) -> bool {
        self.disputes.contains_key(&entity)
    }

    /// A node says that it owns an entity. The higher term wins.
    pub(super) fn note_holder(&mut self, core: &Core, entity: EntityId, node: NodeId, term: Term) {
        let held = self.holders.entry(entity).or_insert(Holder { node, term, from: None });
        if term > held.term || core.planted(Planted::LowerTermAccepted) {
            *held = Holder { node, term, from: None };
        }
    }

    /// Grants `entity` to `node` with the next term.
    fn grant(&mut self, core: &Core, entity: EntityId, node: NodeId, from: Option<(NodeId, Term)>) -> Term {
        self.grants += 1;
        let term = Term { epoch: core.view.epoch.0, count: self.grants };
        assert!(self.grants > 0 && term.epoch == core.view.epoch.0, "grants are of this view");
        if !core.planted(Planted::OwnerForgotten) {
            self.holders.insert(entity, Holder { node, term, from });
        }
        term
    }

    /// Answers who owns `entity`; grants it to `asker` if nobody does.
    pub(super) fn locate(
        &mut self,
        core: &mut Core,
        asker: NodeId,
        entity: EntityId,
        not: Option<(NodeId, Term)>,
    ) {
        // The asker may have looked there before the grant arrived. Only the owner can say, and the grant reaches it first.
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

    /// Grants `entity` to the home's own node: nobody owned it.
    pub(super) fn take(&mut self, core: &Core, entity: EntityId) -> Term {
        self.grant(core, entity, core.me(), None)
    }

    /// `asker` is ready to go on with `entity`: grants it, if the owner still has the term of the offer.
    pub(super) fn claim(&mut self, core: &mut Core, asker: NodeId, entity: EntityId, from: (NodeId, Term)) {
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

    /// `asker` has offered `entity` to another node and got no answer. If it still owns it, it gets a new term, which makes a
    /// late claim fail.
    pub(super) fn keep(&mut self, core: &mut Core, asker: NodeId, entity: EntityId, from: Term) {
        let answer = match self.holders.get(&entity) {
            Some(held) if (held.node, held.term) == (asker, from) => {
                let term = self.grant(core, entity, asker, Some((asker, from)));
                HomeMessage::Kept { entity, from, term }
            }
            Some(held) if held.node == asker && held.from == Some((asker, from)) => {
                HomeMessage::Kept { entity, from, term: held.term }
            }
            // It came back by another grant, and may have changed meanwhile.
            Some(held) if held.node == asker => HomeMessage::Granted { entity, term: held.term },
            held => HomeMessage::HandedOver { entity, from, to: held.map(|h| (h.node, h.term)) },
        };
        core.send_home(asker, answer);
    }

    /// `from` does not own `entity` any more. False: the directory has another owner or term.
    pub(super) fn on_released(
        &mut self,
        core: &mut Core,
        from: NodeId,
        entity: EntityId,
        term: Term,
    ) -> bool {
        if self.holder(entity) != Some((from, term)) {
            return false;
        }
        self.holders.remove(&entity);
        self.resolve(core, entity);
        true
    }

    /// `from` owns `entity`.
    pub(super) fn on_confirmed(&mut self, core: &mut Core, from: NodeId, entity: EntityId, term: Term) {
        self.note_holder(core, entity, from, term);
        self.resolve(core, entity);
    }

    /// Passes a message for a player to its owner; the message is lost if there is none.
    pub(super) fn pass_on(&self, core: &mut Core, player: EntityId, message: Bytes) {
        match self.holder(player) {
            Some((owner, _)) => core.send_home(owner, HomeMessage::Deliver { player, message }),
            None => core.counters.tells_lost += 1,
        }
    }

    /// Forgets what `node` owns, as far as the home knows. Returns the nodes that wait for its word, and about which entity.
    pub(super) fn doubt(&mut self, node: NodeId) -> Vec<(NodeId, EntityId)> {
        self.holders.retain(|_, held| held.node != node);
        let (holders, mut askers) = (&self.holders, Vec::new());
        self.disputes.retain(|entity, waiting| {
            let stays = holders.contains_key(entity);
            if !stays {
                askers.extend(waiting.iter().map(|asker| (*asker, *entity)));
            }
            stays
        });
        askers
    }

    pub(super) fn check(&self) {
        let held = |entity: &EntityId| self.holders.contains_key(entity);
        assert!(self.disputes.keys().all(held), "a disputed entity has an owner");
        assert!(self.disputes.values().all(|askers| !askers.is_empty()), "each dispute has an asker");
    }

    /// The owner has answered: answers the nodes that did not find the entity.
    fn resolve(&mut self, core: &mut Core, entity: EntityId) {
        for asker in self.disputes.remove(&entity).unwrap_or_default() {
            self.locate(core, asker, entity, None);
        }
        assert!(!self.disputes.contains_key(&entity), "an answer opens no dispute");
    }
}
