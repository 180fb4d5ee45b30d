//! What nodes say and do, compared with what they have heard.
//!
//! A node says that it cannot reach another only if it has heard nothing of it for long, or its link to it broke. It prepares for no
//! transaction that was ended, or whose coordinator it knows to be lost. It ends by itself only if it is cut off.

use std::collections::{BTreeMap, BTreeSet};

use gundo_kernel::{Input, Label, Peer, Renewal, TxId, TxMessage};
use gundo_types::{EntityId, NodeId};

use super::{Key, World};
use crate::judge::{Guarantee, Verdict, violated};

/// A node that has been silent for this long may count as unreachable: one and a half seconds, after regular heartbeats, by the fastest
/// clock. µs
const SILENT_US: u64 = 1_300_000;
/// As long as that, its link must be broken: 200 ms by the fastest clock. µs
const BROKEN_US: u64 = 170_000;
/// So long after the view that a node was lost, nothing of it is left, µs.
const LOST_US: u64 = 1_500_000;
/// For so long a node goes on if it reaches most others, but not all, and nobody can be confirmed: in leases.
const CUT_OFF_LEASES: u64 = 11;

/// What one node has heard.
#[derive(Default)]
struct Ears {
    epoch: u64,
    /// When that came, µs.
    viewed: u64,
    /// The members of its newest view: their incarnations, and when it first had them in a view, µs.
    view: BTreeMap<NodeId, (u64, u64)>,
    /// When it last took something from an incarnation, µs.
    heard: BTreeMap<u64, u64>,
    /// When it was first told that its link to an incarnation broke, after it last took something from it, µs.
    broke: BTreeMap<u64, u64>,
    /// Transactions of others that have ended, as it was told.
    over: BTreeSet<(TxId, EntityId)>,
    /// What it has prepared, as it said: its link may say that again after the end.
    prepared: BTreeSet<(TxId, EntityId)>,
    /// The last input says so of one, if the link takes it.
    ends: Option<(NodeId, Label, TxId, EntityId)>,
    /// When it last asked successfully whether it belongs, µs.
    confirmed: u64,
    /// It was told that it does not belong.
    dismissed: bool,
}

/// What all nodes have heard.
#[derive(Default)]
pub(super) struct Heard {
    ears: BTreeMap<Key, Ears>,
}

impl Heard {
    pub(super) fn forget(&mut self, dies: &dyn Fn(&Key) -> bool) {
        self.ears.retain(|key, _| !dies(key));
    }

    /// A node starts: it counts as confirmed.
    pub(super) fn begins(&mut self, key: Key, now: u64) {
        self.ears.insert(key, Ears { confirmed: now, ..Ears::default() });
    }
}

impl World {
    /// A node takes an input.
    pub(super) fn hears(&mut self, key: Key, input: &Input) {
        let (now, began) = (self.now, self.nodes[&key].kernel.clock);
        let mine = self.nodes[&key].incarnation;
        self.believe(key);
        let Some(ears) = self.heard.ears.get_mut(&key) else { return };
        match input {
            Input::Peer { from, label, message } => {
                ears.heard.insert(label.from, now);
                if let Peer::Transaction { tx, entity, message: TxMessage::Abort { .. } } = message {
                    ears.ends = Some((*from, *label, *tx, *entity));
                }
            }
            Input::View(view) if view.epoch.0 > ears.epoch => {
                (ears.epoch, ears.viewed) = (view.epoch.0, now);
                ears.dismissed |= view.members.iter().all(|m| m.incarnation != mine);
                let before = std::mem::take(&mut ears.view);
                let since = |node: &NodeId, of: u64| before.get(node).filter(|(i, _)| *i == of).map(|s| s.1);
                let members = view
                    .members
                    .iter()
                    .map(|m| (m.node, (m.incarnation, since(&m.node, m.incarnation).unwrap_or(now))));
                ears.view = members.collect();
            }
            Input::LinkBroken { incarnation: of, .. } => {
                // Before a member is in the view nobody judges it, so a break then counts for nothing.
                let joined = ears.view.values().find(|(incarnation, _)| incarnation == of).map(|(_, at)| *at);
                let heard = ears.heard.get(of).copied().max(joined).unwrap_or(0);
                let since = ears.broke.entry(*of).or_insert(now);
                *since = if *since < heard { now } else { *since };
            }
            Input::Renewed { renewal: Renewal::Renewed, sent } | Input::Row { stands: true, sent } => {
                ears.confirmed = ears.confirmed.max(began.when(*sent));
            }
            Input::Renewed { renewal: Renewal::Removed, .. } | Input::Row { stands: false, .. } => {
                ears.dismissed = true;
            }
            _ => {}
        }
    }

    /// A node has heard that a transaction ended, unless its link threw the message away.
    fn believe(&mut self, key: Key) {
        let Some(ears) = self.heard.ears.get_mut(&key) else { return };
        if let Some((from, label, tx, entity)) = ears.ends.take()
            && self.nodes[&key].kernel.inside().has_taken(from, &label)
        {
            ears.over.insert((tx, entity));
        }
    }

    /// A node says something to another.
    pub(super) fn check_said(&mut self, key: Key, message: &Peer) -> Verdict {
        self.believe(key);
        let Some(ears) = self.heard.ears.get_mut(&key) else { return Ok(()) };
        match message {
            Peer::Transaction { tx, entity, message: TxMessage::Prepared(_) }
                if !ears.prepared.insert((*tx, *entity)) =>
            {
                Ok(())
            }
            Peer::Alive { alive, .. } => {
                let wrong = alive.unreachable.iter().find(|node| !ears.may_miss(**node, self.now));
                let Some(node) = wrong else { return Ok(()) };
                let ago = ears.silent_us(*node, self.now) / 1_000;
                let text =
                    format!("n{} says that it cannot reach {node}, which it heard {ago} ms ago", key.node);
                violated(Guarantee::G10, text)
            }
            Peer::Transaction { tx, entity, message: TxMessage::Prepared(_) } => {
                let name = self.judge.name(*entity);
                let id = format!("{}.{}", tx.node, tx.count);
                if ears.over.contains(&(*tx, *entity)) {
                    let text = format!("n{} prepares {name} for transaction {id}, which has ended", key.node);
                    return violated(Guarantee::G10, text);
                }
                let lost = ears.view.get(&tx.node).is_none_or(|(of, _)| *of != tx.incarnation);
                if lost && tx.incarnation > 0 {
                    let text = format!(
                        "n{} prepares {name} for transaction {id}, whose coordinator is lost",
                        key.node
                    );
                    return violated(Guarantee::G10, text);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Soon after a node was lost nobody sees anything of it, and no player has a connection there.
    pub(crate) fn check_lost(&self) -> Verdict {
        let knows = |key: &Key| {
            let runs = self.nodes.get(key).is_some_and(|node| !node.paused && !node.kernel.is_over());
            self.heard.ears.get(key).filter(|ears| runs && self.now > ears.viewed + LOST_US)
        };
        for client in self.clients.iter().filter(|c| c.session.is_live() && !c.lagging) {
            let Some((edge, conn)) = client.conn.filter(|(_, conn)| self.conns.contains_key(conn)) else {
                continue;
            };
            let Some(ears) = knows(&edge).filter(|_| self.now > client.caught_up + LOST_US) else { continue };
            let gone = |publisher: NodeId| !ears.view.contains_key(&publisher);
            if let Some((id, seen)) = client.picture.entities().find(|(_, seen)| gone(seen.publisher)) {
                let (name, of) = (self.judge.name(id), seen.publisher);
                let text = format!(
                    "connection {} of n{} still sees {name} of {of}, which is lost",
                    conn.0, edge.node
                );
                return violated(Guarantee::G8, text);
            }
        }
        for (key, node) in &self.nodes {
            let Some(ears) = knows(key) else { continue };
            for real in node.kernel.reals().filter(|real| !real.frozen) {
                if let Some(line) = real.line.filter(|line| !ears.view.contains_key(&line.edge)) {
                    let name = self.judge.name(real.id);
                    let text =
                        format!("{name} on n{} has a connection at {}, which is lost", key.node, line.edge);
                    return violated(Guarantee::G12, text);
                }
            }
        }
        Ok(())
    }

    /// A node ends by itself. If it reaches enough others, and nobody was confirmed long after it, nothing tells it that it is cut off.
    pub(super) fn check_gives_up(&self, key: Key) -> Verdict {
        let (Some(ears), Some(node)) = (self.heard.ears.get(&key), self.nodes.get(&key)) else {
            return Ok(());
        };
        let lease_us = self.settings.lease_ms * 1_000;
        if ears.dismissed || !self.storage.disk.store.is_member(node.incarnation) {
            return Ok(());
        }
        let others = ears.view.iter().filter(|(id, _)| id.0 != key.node);
        let reached: Vec<_> = others
            .clone()
            .filter(|(_, (of, _))| ears.hears_now(*of, self.now))
            .map(|(_, (of, _))| *of)
            .collect();
        let all = others.count() + 1;
        let confirmed = |of: u64| {
            let ears = self.nodes.iter().find(|(_, n)| n.incarnation == of).map(|(k, _)| &self.heard.ears[k]);
            ears.map_or(u64::MAX, |ears| ears.confirmed)
        };
        let alike = reached.iter().all(|of| confirmed(*of) <= ears.confirmed + lease_us / 2);
        let enough = reached.len() + 1 == all && all > 1
            || 2 * (reached.len() + 1) > all && self.now < ears.confirmed + CUT_OFF_LEASES * lease_us;
        if enough && alike {
            let text = format!(
                "n{} ended by itself: nobody was confirmed since {} ms, and it reaches {} of {all}",
                key.node,
                ears.confirmed / 1_000,
                reached.len() + 1
            );
            return violated(Guarantee::G10, text);
        }
        Ok(())
    }
}

impl Ears {
    /// For how long a member has been silent, µs.
    fn silent_us(&self, node: NodeId, now: u64) -> u64 {
        let (of, since) = self.view.get(&node).copied().unwrap_or_default();
        now - self.heard.get(&of).copied().unwrap_or(0).max(since)
    }

    fn may_miss(&self, node: NodeId, now: u64) -> bool {
        let silent_us = self.silent_us(node, now);
        let of = self.view.get(&node).map_or(0, |(of, _)| *of);
        let broke = self.broke.get(&of).map(|at| now - at);
        silent_us >= SILENT_US || broke.is_some_and(|us| (BROKEN_US..=silent_us).contains(&us))
    }

    fn hears_now(&self, of: u64, now: u64) -> bool {
        let heard = self.heard.get(&of).copied().unwrap_or(0);
        let broke = self.broke.get(&of).copied().unwrap_or(0);
        heard > broke && now - heard < SILENT_US
    }
}
