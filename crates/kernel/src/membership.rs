//! Who belongs, as a member sees it: heartbeats, suspicion, the lease, and when to stop.
//!
//! Views come from the coordinator. Between two of them every member tells the others that it is alive and whom it cannot
//! reach. When two members (in a view of two: one) have been unable to reach a third for the confirm time, they propose its
//! removal. A member that cannot renew its lease goes on only while it must be the coordinator that is down. None of this
//! is for safety: the journal refuses a removed node. It bounds how long others wait, and how long a cut-off node shows
//! stale pictures.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{Epoch, NodeId, Planted, Time};

use crate::core::{Core, Timer};
use crate::io::{Member, Output, Renewal};
use crate::peer::Peer;

/// Between two heartbeats, ms.
const BEAT_MS: u64 = 250;
/// Between two renewals of the lease, between two proposals to remove the same member, and between two answers to the same
/// stale sender, ms.
const EVERY_MS: u64 = 1_000;
/// How long a member that stood still itself may take to renew before it judges others, ms.
const AWAKE_MS: u64 = 500;

#[derive(Default)]
pub(crate) struct Membership {
    /// The other members.
    peers: BTreeMap<NodeId, Seen>,
    /// The newest incarnation of any view: incarnations grow across all nodes.
    newest: u64,
    last_beat: Time,
    renewal_sent: Option<Time>,
    /// The lease counts from when the renewal was sent.
    lease_until: Time,
    /// The last renewal succeeded.
    renews: bool,
    /// When this node last asked for a newer view.
    view_wanted: Option<Time>,
    /// Senders that are not members (any more), and when this node last told them so.
    told: BTreeMap<NodeId, Time>,
    /// This node is no member any more: it does nothing more.
    fenced: bool,
}

/// Another member, as seen from here.
struct Seen {
    incarnation: u64,
    /// When its last message came.
    heard: Time,
    /// Since when its link is broken.
    broken: Option<Time>,
    /// Whom it cannot reach.
    unreachable: BTreeSet<NodeId>,
    /// It can renew its lease.
    renews: bool,
    /// When its removal was last proposed.
    proposed: Option<Time>,
}

impl Membership {
    /// Whether this node is no member any more, and does nothing more.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// A new view.
    pub(crate) fn set(&mut self, core: &Core, members: &[Member], first: bool) {
        let now = core.now.time;
        let me = core.me();
        self.view_wanted = None;
        self.told.clear();
        self.newest = members.iter().map(|m| m.incarnation).max().unwrap_or(0).max(self.newest);
        if first {
            self.lease_until = now.plus_ms(core.world().lease_ms);
            self.last_beat = now;
        }
        let mut before = std::mem::take(&mut self.peers);
        for member in members.iter().filter(|m| m.node != me) {
            let stays = before.remove(&member.node).filter(|seen| seen.incarnation == member.incarnation);
            let new = Seen {
                incarnation: member.incarnation,
                heard: now,
                broken: None,
                unreachable: BTreeSet::new(),
                renews: false,
                proposed: None,
            };
            self.peers.insert(member.node, stays.unwrap_or(new));
        }
        assert!(!self.peers.contains_key(&me), "a node is no peer of its own");
        assert!(self.peers.values().all(|seen| seen.incarnation <= self.newest), "incarnations grow");
    }

    /// When this node last heard from each of these members.
    pub(crate) fn heard(&self, members: &[NodeId]) -> BTreeMap<NodeId, Time> {
        members.iter().filter_map(|node| Some((*node, self.peers.get(node)?.heard))).collect()
    }

    /// A member sent something.
    pub(crate) fn hear(&mut self, from: NodeId, now: Time) {
        if let Some(seen) = self.peers.get_mut(&from) {
            (seen.heard, seen.broken) = (now, None);
        }
    }

    /// Whether this incarnation is a member; `Err(true)`: it will be, but the view that says so has not arrived yet.
    pub(crate) fn admits(&self, core: &Core, from: NodeId, incarnation: u64) -> Result<(), bool> {
        if from == core.me() {
            return Ok(());
        }
        match self.peers.get(&from) {
            Some(seen) if seen.incarnation == incarnation => Ok(()),
            Some(seen) => Err(incarnation > seen.incarnation),
            None => Err(incarnation > self.newest),
        }
    }

    fn unreachable(&self, core: &Core) -> BTreeSet<NodeId> {
        let (now, world) = (core.now.time, core.world());
        let silent = |seen: &Seen| now.since(seen.heard) >= world.confirm_silent_ms * 1_000;
        let broken = |at: Time| now.since(at) >= world.confirm_broken_ms * 1_000;
        let lost = |seen: &Seen| silent(seen) || seen.broken.is_some_and(broken);
        self.peers.iter().filter(|(_, seen)| lost(seen)).map(|(node, _)| *node).collect()
    }

    /// Whether a member that cannot renew may go on: it reaches most of the view, and none of those can renew either.
    fn coordinator_is_down(&self, unreachable: &BTreeSet<NodeId>) -> bool {
        let mut reached = self.peers.iter().filter(|(node, _)| !unreachable.contains(node)).map(|(_, s)| s);
        assert!(unreachable.len() <= self.peers.len(), "only peers are out of reach");
        let most = 2 * (self.peers.len() - unreachable.len() + 1) > self.peers.len() + 1;
        most && !reached.any(|seen| seen.renews)
    }

    /// Asks the coordinator for the newer view that others mention, at most once per second.
    fn want_view(&mut self, core: &mut Core) {
        let now = core.now.time;
        if self.view_wanted.is_none_or(|at| now.since(at) >= EVERY_MS * 1_000) {
            self.view_wanted = Some(now);
            core.outputs.push_back(Output::ViewWanted);
        }
    }
}

impl Membership {
    /// Sends heartbeats, and looks for members that have been silent.
    pub(crate) fn on_beat(&mut self, core: &mut Core) {
        core.after_ms(BEAT_MS, Timer::Beat);
        let now = core.now.time;
        // This node itself stood still: what others sent meanwhile is still in flight.
        if now.since(self.last_beat) > 2 * BEAT_MS * 1_000 {
            self.peers.values_mut().for_each(|seen| seen.heard = now);
            self.lease_until = self.lease_until.max(now.plus_ms(AWAKE_MS));
            self.renewal_sent = None;
        }
        self.last_beat = now;
        if self.renewal_sent.is_none_or(|at| now.since(at) >= EVERY_MS * 1_000) {
            self.renewal_sent = Some(now);
            core.outputs.push_back(Output::Renew { sent: now });
        }
        let unreachable = self.unreachable(core);
        if now > self.lease_until && !self.coordinator_is_down(&unreachable) {
            return self.fence_off(core);
        }
        self.tell_alive(core, &unreachable);
        self.propose_removals(core, &unreachable);
    }

    fn tell_alive(&self, core: &mut Core, unreachable: &BTreeSet<NodeId>) {
        let (epoch, renews) = (core.view.epoch, self.renews);
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            let unreachable = unreachable.iter().copied().collect();
            core.send(peer, Peer::Alive { epoch, renews, unreachable });
        }
    }

    /// Proposes the removal of members that two cannot reach. In a view of two, the first proposal at the coordinator wins.
    fn propose_removals(&mut self, core: &mut Core, unreachable: &BTreeSet<NodeId>) {
        let (now, epoch) = (core.now.time, core.view.epoch);
        assert!(unreachable.iter().all(|node| self.peers.contains_key(node)), "only peers are out of reach");
        let alone = self.peers.len() == 1;
        for node in unreachable {
            let second = |(other, seen): (&NodeId, &Seen)| {
                !unreachable.contains(other) && seen.unreachable.contains(node)
            };
            if !alone && !self.peers.iter().any(second) {
                continue;
            }
            let Some(seen) = self.peers.get_mut(node) else { continue };
            if seen.proposed.is_none_or(|at| now.since(at) >= EVERY_MS * 1_000) {
                seen.proposed = Some(now);
                let incarnation = seen.incarnation;
                core.outputs.push_back(Output::Remove { epoch, node: *node, incarnation });
            }
        }
    }

    /// The link to a peer was reset: the peer has the confirm time to send something again.
    pub(crate) fn on_link_broken(&mut self, core: &mut Core, peer: NodeId) {
        let now = core.now.time;
        let confirm_ms = core.world().confirm_broken_ms;
        let Some(seen) = self.peers.get_mut(&peer) else { return };
        if seen.broken.is_none() {
            seen.broken = Some(now);
            core.after_ms(confirm_ms, Timer::Confirm(peer));
        }
    }

    /// The confirm time of a broken link is over.
    pub(crate) fn on_confirm(&mut self, core: &mut Core, peer: NodeId) {
        let unreachable = self.unreachable(core);
        if unreachable.contains(&peer) {
            // The others wait for a second member that cannot reach it.
            self.tell_alive(core, &unreachable);
            self.propose_removals(core, &unreachable);
        }
    }

    pub(crate) fn on_alive(
        &mut self,
        core: &mut Core,
        from: NodeId,
        epoch: Epoch,
        renews: bool,
        unreachable: Vec<NodeId>,
    ) {
        let mine = core.view.epoch;
        if epoch < mine {
            core.send(from, Peer::Stale { epoch: mine });
        } else if epoch > mine {
            self.want_view(core);
        }
        let Some(seen) = self.peers.get_mut(&from) else { return };
        seen.renews = renews;
        seen.unreachable = unreachable.into_iter().collect();
        if !seen.unreachable.is_empty() {
            let unreachable = self.unreachable(core);
            self.propose_removals(core, &unreachable);
        }
    }

    /// Others have a newer view.
    pub(crate) fn on_stale(&mut self, core: &mut Core, epoch: Epoch) {
        if epoch > core.view.epoch {
            self.want_view(core);
        }
    }

    /// A node that is not a member (any more) sent something: tells it so, at most once per second.
    pub(crate) fn tell_stale(&mut self, core: &mut Core, to: NodeId) {
        core.counters.stale += 1;
        let now = core.now.time;
        let epoch = core.view.epoch;
        let told = self.told.get(&to).is_some_and(|at| now.since(*at) < EVERY_MS * 1_000);
        if !told {
            self.told.insert(to, now);
            core.send(to, Peer::Stale { epoch });
        }
    }

    pub(crate) fn on_renewed(&mut self, core: &mut Core, sent: Time, renewal: Renewal) {
        let lease_ms = core.world().lease_ms;
        self.renews = renewal == Renewal::Renewed;
        match renewal {
            Renewal::Renewed => {
                self.lease_until = self.lease_until.max(sent.plus_ms(lease_ms));
            }
            Renewal::Removed => self.fence_off(core),
            Renewal::Failed => {}
        }
    }

    /// This node is no member any more: all its waiting output is stale.
    pub(crate) fn fence_off(&mut self, core: &mut Core) {
        if core.planted(Planted::RemovedGoesOn) {
            return;
        }
        self.fenced = true;
        core.outputs.clear();
        core.local.clear();
        core.timers.clear();
        core.outputs.push_back(Output::Fenced);
        assert_eq!(core.outputs.len(), 1, "a fenced node says nothing more");
    }
}
