//! What checkers may know of a node's rooms: how full its lists are, and who owns an entity by the word of a home.

use bytes::Bytes;
use gundo_types::{EntityId, Epoch, Kind, NodeId, Term};

use crate::core::Core;
use crate::edge::Edge;
use crate::home::Home;
use crate::host::Host;
use crate::io::Size;
use crate::link::Links;
use crate::peer::Label;

/// A look into a node. It changes nothing.
#[derive(Clone, Copy)]
pub struct Inside<'a> {
    pub(crate) core: &'a Core,
    pub(crate) home: &'a Home,
    pub(crate) links: &'a Links,
    pub(crate) host: &'a Host,
    pub(crate) edge: &'a Edge,
}

impl Inside<'_> {
    /// The lists that have a limit, and how full they are. Costs a walk over everything.
    pub fn sizes(&self) -> Vec<Size> {
        let mut sizes = Vec::new();
        self.links.sizes(self.core, &mut sizes);
        self.home.sizes(&mut sizes);
        self.host.sizes(self.core, &mut sizes);
        self.edge.sizes(self.core, &mut sizes);
        sizes
    }

    /// Whether the message with this label has been taken from its link, rather than thrown away because of a gap before it.
    pub fn has_taken(&self, from: NodeId, label: &Label) -> bool {
        self.links.has_taken(from, label)
    }

    /// The epoch of its view.
    pub fn epoch(&self) -> Epoch {
        self.core.view.epoch
    }

    /// Who owns `entity` by the word of this node as its home, and by which term; `None`: nobody, as far as it knows. The outer
    /// `None`: it is not the home, or not open.
    pub fn owner(&self, entity: EntityId) -> Option<Option<(NodeId, Term)>> {
        let is_home = self.home.is_open() && self.core.home_of(entity) == Some(self.core.me());
        is_home.then(|| self.home.owner(entity))
    }

    /// The state of an entity that is real here, as a snapshot would record it, durable or not.
    pub fn state_of(&self, id: EntityId) -> Option<Bytes> {
        self.host.state_of(id)
    }

    /// Whether `kind` is a kind of the game's entities, rather than of volatile children.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.core.settings.rules.kind_of(kind).is_some()
    }
}
