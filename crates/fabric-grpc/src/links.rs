//! The links of one incarnation of a node: to whom, in which state, and what happens when one begins or breaks.
//!
//! A link has one connection for each lane. It is up when all of them are, and breaks when one does. Of two incarnations the higher
//! one dials, so there is one link for each pair; a second one from the same incarnation replaces the first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gundo_fabric::{Labelled, Sink};
use gundo_kernel::Peer;
use gundo_types::NodeId;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::counters::{Counters, one};
use crate::hello::{Hello, Lane, Refused};
use crate::queue::Queue;
use crate::settings::{FabricLimits, Identity};

/// Incarnations that may have a link although no view names them: newcomers, and those that do not know yet that they were removed.
const STRANGERS_MAX: usize = 64;

/// A connection, as those see it who may have to close it, and those who read from it.
#[derive(Debug, Default)]
pub(crate) struct Closer {
    close: watch::Sender<bool>,
    /// Why it is over.
    over: watch::Sender<Option<String>>,
}

impl Closer {
    /// The tasks that have the connection drop it.
    pub(crate) fn close(&self) {
        self.close.send_replace(true);
    }

    /// Waits for [`close`](Self::close).
    pub(crate) async fn closed(&self) {
        // The sender is in this value.
        let _ = self.close.subscribe().wait_for(|close| *close).await;
    }

    /// The connection is over, whether or not everything that came by it was read.
    pub(crate) fn end(&self, why: String) {
        self.over.send_replace(Some(why));
    }

    /// Waits until the connection is over. Returns why.
    pub(crate) async fn over(&self) -> String {
        let mut over = self.over.subscribe();
        // The sender is in this value.
        over.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()).unwrap_or_default()
    }
}

/// A peer, as its queues and connections see it.
pub(crate) struct PeerState {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    queues: [Queue; 2],
    /// Number of the link that may deliver.
    delivers: Mutex<Option<u64>>,
}

impl PeerState {
    fn new(node: NodeId, incarnation: u64, limits: &FabricLimits) -> Arc<Self> {
        let bytes_max = [limits.messages_bytes_max, limits.frames_bytes_max];
        let queues = Lane::ALL.map(|lane| Queue::new(lane, bytes_max[lane.at()]));
        Arc::new(Self { node, incarnation, queues, delivers: Mutex::default() })
    }

    pub(crate) fn queue(&self, lane: Lane) -> &Queue {
        &self.queues[lane.at()]
    }

    /// Gives a peer's messages to the node, unless the link that brought them is over. Returns how many frames were dropped; `None`:
    /// it is over.
    pub(crate) fn deliver(&self, link: u64, sink: &dyn Sink, messages: &mut Vec<Labelled>) -> Option<usize> {
        let delivers = self.delivers.lock().unwrap_or_else(PoisonError::into_inner);
        // Hold the lock: the end of the link is reported after the last message.
        (*delivers == Some(link)).then(|| sink.give_peer(self.node, messages))
    }

    fn set_delivers(&self, link: Option<u64>) {
        *self.delivers.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }
}

/// A link that has a connection at least.
struct Link {
    /// Drawn by the node that dials.
    number: u64,
    lanes: [Option<Arc<Closer>>; 2],
    up: watch::Sender<bool>,
}

struct Entry {
    peer: Arc<PeerState>,
    /// Where a member of the view listens; `None`: it is no member.
    address: Option<Arc<str>>,
    link: Option<Link>,
    dialling: Option<AbortHandle>,
    /// The last word of a peer that refuses this node, or of a failed attempt.
    trouble: Option<String>,
}

/// A peer, where it listens, as a view has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Where its fabric listens: host and port.
    pub address: String,
}

/// How the link to a peer is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Whether a view names it.
    pub member: bool,
    /// Whether messages travel.
    pub up: bool,
    /// Bytes that wait for it: messages, and frames.
    pub waiting_bytes: [usize; 2],
    /// Why there is no link.
    pub trouble: Option<String>,
}

/// The task that dials a peer.
pub(crate) type Dialler = dyn Fn(Arc<Links>, Arc<PeerState>, Arc<str>) -> AbortHandle + Send + Sync;

/// All links of an incarnation.
pub(crate) struct Links {
    pub(crate) me: Arc<Identity>,
    pub(crate) incarnation: u64,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) counters: Arc<Counters>,
    limits: FabricLimits,
    table: Mutex<Table>,
    /// Grows with every change of the peers.
    version: AtomicU64,
}

#[derive(Default)]
struct Table {
    peers: BTreeMap<NodeId, Entry>,
    ended: bool,
}

/// A connection that belongs to a link.
pub(crate) struct Admitted {
    pub(crate) peer: Arc<PeerState>,
    pub(crate) link: u64,
    pub(crate) closer: Arc<Closer>,
    /// Whether the link is up.
    pub(crate) up: watch::Receiver<bool>,
}

impl Links {
    pub(crate) fn new(
        me: Arc<Identity>,
        incarnation: u64,
        sink: Arc<dyn Sink>,
        (limits, counters): (FabricLimits, Arc<Counters>),
    ) -> Self {
        let (table, version) = (Mutex::default(), AtomicU64::new(1));
        Self { me, incarnation, sink, counters, limits, table, version }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Everybody to whom messages can be sent.
    pub(crate) fn peers(&self) -> Vec<Arc<PeerState>> {
        self.table().peers.values().map(|entry| Arc::clone(&entry.peer)).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let status = |entry: &Entry| PeerStatus {
            node: entry.peer.node,
            incarnation: entry.peer.incarnation,
            member: entry.address.is_some(),
            up: entry.link.as_ref().is_some_and(|link| *link.up.borrow()),
            waiting_bytes: Lane::ALL.map(|lane| entry.peer.queue(lane).bytes()),
            trouble: entry.trouble.clone(),
        };
        self.table().peers.values().map(status).collect()
    }

    /// A new view.
    pub(crate) fn set_peers(self: &Arc<Self>, view: &[PeerAddress], dial: &Dialler) {
        let mut table = self.table();
        if table.ended {
            return;
        }
        let others = view.iter().filter(|peer| peer.node != self.me.node);
        for PeerAddress { node, incarnation, address } in others {
            let known = table.peers.get(node).map(|entry| entry.peer.incarnation);
            match known {
                // One that came later than this view is here already.
                Some(known) if known > *incarnation => continue,
                Some(known) if known == *incarnation => {}
                _ => self.replace(&mut table, *node, *incarnation),
            }
            let entry = table.peers.get_mut(node).expect("it is there now");
            if entry.address.as_deref() == Some(address) {
                continue;
            }
            let address: Arc<str> = address.as_str().into();
            entry.address = Some(Arc::clone(&address));
            if let Some(before) = entry.dialling.take() {
                before.abort();
            }
            if self.incarnation > *incarnation {
                entry.dialling = Some(dial(Arc::clone(self), Arc::clone(&entry.peer), address));
            }
        }
        let stays = |node: &NodeId, entry: &Entry| {
            view.iter().any(|peer| peer.node == *node && peer.incarnation == entry.peer.incarnation)
        };
        table.peers.retain(|node, entry| {
            if entry.address.is_some() && !stays(node, entry) {
                entry.address = None;
                entry.dialling.take().inspect(AbortHandle::abort);
            }
            // A link to one that was removed stays until it breaks: by it the other one hears what has become of it.
            entry.address.is_some() || entry.link.is_some()
        });
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Another incarnation of a node takes the place of the one before.
    fn replace(&self, table: &mut Table, node: NodeId, incarnation: u64) {
        let peer = PeerState::new(node, incarnation, &self.limits);
        let entry = Entry { peer, address: None, link: None, dialling: None, trouble: None };
        if let Some(mut before) = table.peers.insert(node, entry) {
            before.dialling.take().inspect(AbortHandle::abort);
            self.end_link(&mut before, "the node has another incarnation");
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// A connection that a peer has dialled: its hello is of the same world. Whether it may belong to a link.
    pub(crate) fn admit(&self, hello: &Hello, lane: Lane, closer: &Arc<Closer>) -> Result<Admitted, Refused> {
        let (node, incarnation) = (hello.node, hello.incarnation);
        let mut table = self.table();
        if table.ended {
            return Err(not_joined(self.me.node));
        }
        self.may_dial(&table, hello)?;
        if table.peers.get(&node).is_none_or(|entry| entry.peer.incarnation < incarnation) {
            self.replace(&mut table, node, incarnation);
        }
        let entry = table.peers.get_mut(&node).expect("it is there now");
        if entry.link.as_ref().is_some_and(|link| link.number != hello.link) {
            self.end_link(entry, "the peer has dialled again");
        }
        let up = || watch::Sender::new(false);
        let link =
            entry.link.get_or_insert_with(|| Link { number: hello.link, lanes: [None, None], up: up() });
        if link.lanes[lane.at()].is_some() {
            return Err(Refused::malformed("the lane is there twice"));
        }
        link.lanes[lane.at()] = Some(Arc::clone(closer));
        let (peer, closer, up) = (Arc::clone(&entry.peer), Arc::clone(closer), link.up.subscribe());
        self.bring_up(entry);
        Ok(Admitted { peer, link: hello.link, closer, up })
    }

    fn may_dial(&self, table: &Table, hello: &Hello) -> Result<(), Refused> {
        let (me, mine) = (self.me.node, self.incarnation);
        let (node, incarnation) = (hello.node, hello.incarnation);
        if let Some(entry) = table.peers.get(&node).filter(|entry| entry.peer.incarnation > incarnation) {
            let text = format!(
                "incarnation {incarnation} of node {} is over: there is incarnation {}. Two processes with the same node number? Each needs its own",
                node.0, entry.peer.incarnation
            );
            return Err(Refused::new("superseded", text));
        }
        if incarnation <= mine {
            let text = format!(
                "node {} (incarnation {mine}) dials node {} (incarnation {incarnation}), not the other way round",
                me.0, node.0
            );
            return Err(Refused::new("other_side_dials", text));
        }
        let strangers = table.peers.values().filter(|entry| entry.address.is_none()).count();
        if strangers >= STRANGERS_MAX && !table.peers.contains_key(&node) {
            return Err(Refused::new("too_many", "too many nodes say hello that are in no view"));
        }
        Ok(())
    }

    /// This node has dialled a peer, and all lanes have said hello. `None`: the link is not wanted any more.
    pub(crate) fn connected(
        &self,
        peer: &Arc<PeerState>,
        number: u64,
        closers: [Arc<Closer>; 2],
    ) -> Option<[Admitted; 2]> {
        let mut table = self.table();
        let entry = table.peers.get_mut(&peer.node).filter(|entry| Arc::ptr_eq(&entry.peer, peer))?;
        self.end_link(entry, "this node has dialled again");
        let up = watch::Sender::new(false);
        let admitted = closers.clone().map(|closer| {
            let (peer, up) = (Arc::clone(peer), up.subscribe());
            Admitted { peer, link: number, closer, up }
        });
        entry.link = Some(Link { number, lanes: closers.map(Some), up });
        self.bring_up(entry);
        Some(admitted)
    }

    /// Opens a link if it is complete.
    fn bring_up(&self, entry: &mut Entry) {
        let Some(link) = entry.link.as_ref().filter(|link| link.lanes.iter().all(Option::is_some)) else {
            return;
        };
        entry.trouble = None;
        entry.peer.set_delivers(Some(link.number));
        for lane in Lane::ALL {
            entry.peer.queue(lane).open(link.number);
        }
        link.up.send_replace(true);
        one(&self.counters.links_up);
        tracing::debug!(
            node = self.me.node.0,
            peer = entry.peer.node.0,
            incarnation = entry.peer.incarnation,
            "link up"
        );
    }

    /// A connection of a link is gone.
    pub(crate) fn broke(&self, peer: &PeerState, link: u64, why: &str) {
        let mut table = self.table();
        let Some(entry) = table.peers.get_mut(&peer.node) else { return };
        if entry.peer.incarnation != peer.incarnation || entry.link.as_ref().is_none_or(|l| l.number != link)
        {
            return;
        }
        self.end_link(entry, why);
        if entry.address.is_none() {
            table.peers.remove(&peer.node);
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Ends a link, and tells the node if it was up.
    fn end_link(&self, entry: &mut Entry, why: &str) {
        let Some(link) = entry.link.take() else { return };
        link.lanes.iter().flatten().for_each(|closer| closer.close());
        if !*link.up.borrow() {
            return;
        }
        // Nothing comes by it after this, and what it has not sent is dropped before the node sends it again.
        entry.peer.set_delivers(None);
        Lane::ALL.iter().for_each(|lane| entry.peer.queue(*lane).close());
        let (peer, incarnation) = (entry.peer.node, entry.peer.incarnation);
        one(&self.counters.links_broken);
        tracing::info!(node = self.me.node.0, peer = peer.0, incarnation, why, "the link to a node broke");
        entry.trouble = Some(why.to_owned());
        self.sink.broken(peer, incarnation);
    }

    /// What must arrive has no room: a link breaks, and the kernel sends again what it keeps. Without a link it is lost.
    pub(crate) fn overflowed(&self, peer: &Arc<PeerState>) {
        one(&self.counters.links_full);
        let mut table = self.table();
        let Some(entry) = table.peers.get_mut(&peer.node).filter(|entry| Arc::ptr_eq(&entry.peer, peer))
        else {
            return;
        };
        if entry.link.as_ref().is_some_and(|link| *link.up.borrow()) {
            self.end_link(entry, "too many bytes waited for the peer");
        } else {
            self.sink.lost(peer.node);
        }
    }

    /// A message is too large to be sent.
    pub(crate) fn too_large(&self, peer: &PeerState, message: &Peer, error: gundo_wire::peer::TooLarge) {
        one(&self.counters.too_large);
        tracing::warn!(node = self.me.node.0, peer = peer.node.0, %error, "a message is too large and is not sent");
        if message.must_arrive() {
            self.sink.lost(peer.node);
        }
    }

    /// Notes why a peer cannot be reached. Returns whether that is news.
    pub(crate) fn note(&self, peer: &Arc<PeerState>, trouble: &str) -> bool {
        let mut table = self.table();
        let Some(entry) = table.peers.get_mut(&peer.node).filter(|entry| Arc::ptr_eq(&entry.peer, peer))
        else {
            return false;
        };
        let before = entry.trouble.replace(trouble.to_owned());
        before.as_deref() != Some(trouble)
    }

    /// Ends all links, for good. The node itself hears nothing.
    pub(crate) fn end(&self) {
        let mut table = self.table();
        table.ended = true;
        for (_, mut entry) in std::mem::take(&mut table.peers) {
            entry.dialling.take().inspect(AbortHandle::abort);
            entry.peer.set_delivers(None);
            if let Some(link) = entry.link.take() {
                link.lanes.iter().flatten().for_each(|closer| closer.close());
            }
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn not_joined(node: NodeId) -> Refused {
    Refused::new("not_joined", format!("node {} is starting or stopping", node.0))
}

#[cfg(test)]
mod tests {
    use gundo_fabric::suite::must;
    use gundo_kernel::WorldSettings;

    use super::*;

    /// What a node heard.
    #[derive(Default)]
    struct Heard(Mutex<(Vec<(NodeId, u64)>, usize)>);

    impl Heard {
        fn take(&self) -> (Vec<(NodeId, u64)>, usize) {
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Sink for Heard {
        fn give_peer(&self, _: NodeId, messages: &mut Vec<Labelled>) -> usize {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).1 += messages.drain(..).count();
            0
        }

        fn broken(&self, peer: NodeId, incarnation: u64) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push((peer, incarnation));
        }

        fn lost(&self, _: NodeId) {}

        fn is_full(&self) -> bool {
            false
        }
    }

    fn links() -> (Links, Arc<Heard>) {
        let me = Arc::new(Identity::new("w", 0, "game", &WorldSettings::default(), NodeId(1)));
        let heard = Arc::new(Heard::default());
        let ground = (FabricLimits::default(), Arc::default());
        (Links::new(me, 11, Arc::clone(&heard) as Arc<dyn Sink>, ground), heard)
    }

    fn admit(
        links: &Links,
        (node, incarnation): (u16, u64),
        link: u64,
        lane: Lane,
    ) -> Result<Admitted, Refused> {
        let hello = Hello { node: NodeId(node), incarnation, to: (NodeId(1), 11), link, lane: Some(lane) };
        links.admit(&hello, lane, &Arc::default())
    }

    #[test]
    fn a_link_that_is_over_delivers_nothing() {
        let (links, heard) = links();
        let sink = &*links.sink;
        let first =
            admit(&links, (2, 12), 77, Lane::Frames).map(|admitted| admitted.peer).expect("it is new");
        let deliver = |link| first.deliver(link, sink, &mut vec![must(12, 11, 1)]).is_some();
        assert!(!deliver(77), "the link is not up");
        admit(&links, (2, 12), 77, Lane::Messages).expect("the other lane");
        assert!(deliver(77) && !deliver(78));
        assert_eq!(heard.take(), (vec![], 1));
        // It dials again: it has noticed a break before this side has.
        admit(&links, (2, 12), 78, Lane::Messages).expect("a new link");
        assert_eq!(heard.take(), (vec![(NodeId(2), 12)], 0), "told at once");
        assert!(!deliver(77) && !deliver(78));
        links.broke(&first, 77, "late news");
        links.broke(&first, 78, "it was never up");
        assert_eq!(heard.take(), (vec![], 0));
        assert!(links.peers().is_empty(), "it is in no view, and has no link");
    }

    #[test]
    fn a_later_incarnation_ends_the_one_before() {
        let (links, heard) = links();
        let both =
            |who, link| Lane::ALL.map(|lane| admit(&links, who, link, lane).map(|admitted| admitted.peer));
        let [before, _] = both((2, 12), 1);
        let before = before.expect("it is new");
        both((2, 15), 2)[1].as_ref().expect("a later one");
        assert_eq!(heard.take().0, [(NodeId(2), 12)]);
        assert!(before.deliver(1, &*links.sink, &mut vec![must(12, 11, 1)]).is_none());
        let code = |result: &Result<Arc<PeerState>, Refused>| {
            result.as_ref().err().map(|refused| refused.code.clone())
        };
        assert_eq!(code(&both((2, 12), 3)[0]).as_deref(), Some("superseded"));
        assert_eq!(code(&both((3, 5), 3)[0]).as_deref(), Some("other_side_dials"));
        assert_eq!(code(&both((2, 15), 2)[0]).as_deref(), Some("malformed"), "the lane is there");
        assert_eq!(heard.take().0, []);
        links.end();
        assert_eq!(code(&both((2, 15), 4)[0]).as_deref(), Some("not_joined"));
        assert_eq!(heard.take().0, [], "its own end is no news");
    }

    #[test]
    fn strangers_are_bounded() {
        let (links, _) = links();
        let code = |node| admit(&links, (node, 100), 1, Lane::Messages).err().map(|refused| refused.code);
        for node in 2..2 + STRANGERS_MAX as u16 {
            assert_eq!(code(node), None);
        }
        assert_eq!(code(500).as_deref(), Some("too_many"));
    }
}
