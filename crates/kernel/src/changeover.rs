//! What a change between nodes means for each room: a new view, and a link that has lost messages.
//!
//! After either, what is soft between nodes is said again, and replaces what was. The order of the steps counts: first who is
//! here and who is gone, then what was lost with those, then what this node announces and asks.
//!
//! Not here: who belongs (`membership`), and what each room does about it.

use gundo_types::{NodeId, Planted};

use crate::core::{Core, SECOND_MS, Timer};
use crate::crowd::Crowd;
use crate::edge::Edge;
use crate::home::Home;
use crate::host::Host;
use crate::io::{Member, View};
use crate::link::Links;
use crate::membership::Membership;
use crate::overload::Overload;
use crate::{edge, host};

/// The rooms that a change between nodes reaches.
pub(crate) struct Rooms<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) crowd: &'a mut Crowd,
    pub(crate) home: &'a mut Home,
    pub(crate) host: &'a mut Host,
    pub(crate) edge: &'a mut Edge,
    pub(crate) membership: &'a mut Membership,
    pub(crate) links: &'a mut Links,
    pub(crate) overload: &'a Overload,
}

impl Rooms<'_> {
    /// A view has come. True: it is newer, and this node is in it. Then what waited for it can be taken.
    pub(crate) fn take_view(&mut self, view: View) -> bool {
        if view.epoch <= self.core.view.epoch {
            return false;
        }
        let first = self.core.view.members.is_empty();
        let me = (self.core.me(), self.core.settings.incarnation);
        if !first && !view.members.iter().any(|m| (m.node, m.incarnation) == me) {
            self.membership.fence_off(self.core);
            return false;
        }
        assert!(view.members.is_sorted_by(|a, b| a.node < b.node), "a view lists each node once, in order");
        let before = std::mem::replace(&mut self.core.view, view);
        // A member that came back with a new incarnation does not stay.
        let is = |m: &Member, n: &Member| (m.node, m.incarnation) == (n.node, n.incarnation);
        let stays = |m: &Member| self.core.view.members.iter().any(|n| is(m, n));
        let gone: Vec<_> = before.members.iter().filter(|m| !stays(m)).map(|m| m.node).collect();
        assert!(first || !gone.contains(&me.0), "a node that is removed has stopped");
        self.lose(&gone, first);
        self.say_again(&gone);
        if first {
            self.core.schedule_tick();
            self.core.after_ms(SECOND_MS, Timer::Second);
            self.membership.on_beat(self.core);
        }
        true
    }

    /// The present view is new. What was bound to the one before ends, and so does what was shared with those that are gone.
    fn lose(&mut self, gone: &[NodeId], first: bool) {
        // While the pictures of the lost are still there: they show where players stood.
        let heard = self.membership.heard(gone);
        self.with_edge(|edge, rooms| edge.lose_holders(rooms, &heard));
        self.membership.set(self.core, first);
        self.links.set(self.core.me(), &self.core.view.members);
        self.home.reset();
        assert!(!self.home.is_open(), "a home is closed until all have announced");
        self.crowd.interest.forget_publishers(self.core, gone);
        self.crowd.publisher.forget_subscribers(gone);
        self.with_host(|host, rooms| host.on_nodes_gone(rooms, gone));
        self.with_host(Host::leave_homes);
        self.with_host(Host::leave_places);
    }

    /// Says in the present view what homes, hosts and edges must know, and asks again what is not answered yet.
    fn say_again(&mut self, gone: &[NodeId]) {
        self.announce(None);
        self.with_edge(|edge, rooms| edge.ask_homes_again(rooms, None));
        self.with_host(|host, rooms| host.resume_handoffs(rooms, gone));
        self.edge.tell_edges(self.core);
    }

    /// Announces to every home of the view, or `only` to one, what this node owns, subscribes to and publishes.
    fn announce(&mut self, only: Option<NodeId>) {
        let holds = self.host.announced(self.core);
        let subscribes: Vec<_> = self.crowd.interest.subscribed().collect();
        let publishes: Vec<_> = self.crowd.publisher.published().collect();
        self.home.announce(self.core, only, holds, subscribes, publishes);
    }

    /// Messages between a member and this node were lost for good, both ways. Everything soft between the two is said again and
    /// replaces what was; the member does the same.
    pub(crate) fn on_link_reset(&mut self, peer: NodeId) {
        self.core.counters.link_resets += 1;
        if self.core.planted(Planted::LinkResetUnnoticed) {
            return;
        }
        self.home.doubt(self.core, peer);
        self.announce(Some(peer));
        self.with_host(|host, rooms| host.on_link_reset(rooms, peer));
        self.with_edge(|edge, rooms| edge.on_link_reset(rooms, peer));
        self.crowd.interest.ask_again(self.core, peer);
    }

    fn with_host(&mut self, act: impl FnOnce(&mut Host, &mut host::Rooms<'_>)) {
        act(self.host, &mut host::Rooms { core: self.core, crowd: self.crowd, home: self.home });
    }

    fn with_edge(&mut self, act: impl FnOnce(&mut Edge, &mut edge::Rooms<'_>)) {
        act(self.edge, &mut edge::Rooms { core: self.core, crowd: self.crowd, overload: self.overload });
    }
}
