//! Who belongs to the world: views, and the leases behind them.
//!
//! The coordinator has the only word on membership. Safety does not rest on it but on the journal: a member's row there is
//! deleted before it leaves the view. Today there is one that lives in the process of a solo world; a cluster's lives in etcd.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gundo_journal::{Fault, Journal, Registration};
use gundo_kernel::{Member, View};
use gundo_types::{Epoch, NodeId};

/// The keeper of membership. Calls may block on its storage: they are not for logic threads.
pub trait Coordinator: Send + Sync {
    /// Registers a new incarnation of a node, whose edge is at `host` (empty: where clients came by) and `port`, under a lease.
    /// An earlier incarnation of it is removed.
    ///
    /// # Errors
    /// The storage cannot be written; nothing has changed but perhaps the earlier incarnation's row.
    fn join(&self, node: NodeId, host: &str, port: u16) -> Result<Member, Fault>;

    /// Renews the lease of an incarnation. False: it was removed, and must stop at once.
    ///
    /// # Errors
    /// The storage cannot be asked.
    fn renew(&self, incarnation: u64) -> Result<bool, Fault>;

    /// Removes a member if the view is still that of `epoch`: first its row, then from the view. False: the view is another one,
    /// it is no member, or it is the last.
    ///
    /// # Errors
    /// The storage cannot be written; the row may be gone.
    fn remove(&self, epoch: Epoch, incarnation: u64) -> Result<bool, Fault>;

    /// A member that has given everything away leaves.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    fn leave(&self, incarnation: u64) -> Result<(), Fault>;

    /// A member is to be emptied: see [`Member::draining`].
    ///
    /// # Errors
    /// The storage cannot be written.
    fn drain(&self, incarnation: u64) -> Result<(), Fault>;

    /// The present view.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn view(&self) -> Result<View, Fault>;
}

/// The coordinator of a solo world: it lives as long as the process, and so do its members.
pub struct LocalCoordinator {
    journal: Arc<dyn Journal>,
    lease: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    view: View,
    /// How long ago each incarnation renewed.
    silent: BTreeMap<u64, Duration>,
    /// The newest incarnation.
    newest: u64,
}

impl State {
    fn change(&mut self, change: impl FnOnce(&mut Vec<Member>)) {
        self.view.epoch.0 += 1;
        change(&mut self.view.members);
        self.view.members.sort_by_key(|m| m.node);
        let members = &self.view.members;
        self.silent.retain(|i, _| members.iter().any(|m| m.incarnation == *i));
    }

    fn incarnation_of(&self, node: NodeId) -> Option<u64> {
        self.view.members.iter().find(|m| m.node == node).map(|m| m.incarnation)
    }
}

impl LocalCoordinator {
    /// A coordinator with no members, that keeps one which does not renew for `lease`
    /// ([`WorldSettings::membership_ms`](gundo_kernel::WorldSettings::membership_ms)).
    pub fn new(journal: Arc<dyn Journal>, lease: Duration) -> Self {
        Self { journal, lease, state: Mutex::default() }
    }

    /// Time has passed: members that have not renewed for the time of a lease are removed. Whoever calls it may itself have
    /// stood still with the whole process, and `passed` must not count that.
    ///
    /// # Errors
    /// A row could not be deleted; it is tried again with the next call.
    pub fn pass(&self, passed: Duration) -> Result<(), Fault> {
        let over: Vec<_> = {
            let mut state = self.state();
            state.silent.values_mut().for_each(|silent| *silent += passed);
            let over = state.silent.iter().filter(|(_, silent)| **silent > self.lease);
            over.map(|(incarnation, _)| *incarnation).collect()
        };
        for incarnation in over {
            let epoch = self.state().view.epoch;
            self.remove(epoch, incarnation)?;
        }
        Ok(())
    }

    /// The next incarnation that the journal takes.
    fn register(&self, state: &mut State, node: NodeId) -> Result<u64, Fault> {
        loop {
            state.newest += 1;
            match self.journal.register(node, state.newest)? {
                Registration::Registered => return Ok(state.newest),
                Registration::Passed { newest } => state.newest = newest,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coordinator for LocalCoordinator {
    fn join(&self, node: NodeId, host: &str, port: u16) -> Result<Member, Fault> {
        let mut state = self.state();
        if let Some(before) = state.incarnation_of(node) {
            self.journal.leave(before)?;
        }
        let incarnation = self.register(&mut state, node)?;
        let host = host.to_owned();
        let member = Member { node, incarnation, host, port, weight: 1, draining: false };
        state.change(|members| {
            members.retain(|m| m.node != node);
            members.push(member.clone());
        });
        state.silent.insert(incarnation, Duration::ZERO);
        Ok(member)
    }

    fn renew(&self, incarnation: u64) -> Result<bool, Fault> {
        if !self.journal.is_member(incarnation)? {
            return Ok(false);
        }
        match self.state().silent.get_mut(&incarnation) {
            Some(silent) => *silent = Duration::ZERO,
            None => return Ok(false),
        }
        Ok(true)
    }

    fn remove(&self, epoch: Epoch, incarnation: u64) -> Result<bool, Fault> {
        let mut state = self.state();
        let members = &state.view.members;
        let is_member = members.iter().any(|m| m.incarnation == incarnation);
        if state.view.epoch != epoch || !is_member || members.len() == 1 {
            return Ok(false);
        }
        self.journal.leave(incarnation)?;
        state.change(|members| members.retain(|m| m.incarnation != incarnation));
        Ok(true)
    }

    fn leave(&self, incarnation: u64) -> Result<(), Fault> {
        let mut state = self.state();
        self.journal.leave(incarnation)?;
        state.change(|members| members.retain(|m| m.incarnation != incarnation));
        Ok(())
    }

    fn drain(&self, incarnation: u64) -> Result<(), Fault> {
        self.state().change(|members| {
            members.iter_mut().filter(|m| m.incarnation == incarnation).for_each(|m| m.draining = true);
        });
        Ok(())
    }

    fn view(&self) -> Result<View, Fault> {
        Ok(self.state().view.clone())
    }
}

#[cfg(test)]
mod tests {
    use gundo_journal::MemoryJournal;

    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn world(nodes: u16) -> (LocalCoordinator, Arc<MemoryJournal>, Vec<u64>) {
        let journal = Arc::new(MemoryJournal::new());
        let coordinator = LocalCoordinator::new(Arc::clone(&journal) as Arc<dyn Journal>, LEASE);
        let join = |n| coordinator.join(NodeId(n), "", 0).expect("it joins").incarnation;
        let incarnations = (1..=nodes).map(join).collect();
        (coordinator, journal, incarnations)
    }

    fn nodes(coordinator: &LocalCoordinator) -> Vec<u16> {
        coordinator.view().expect("a view").members.iter().map(|m| m.node.0).collect()
    }

    #[test]
    fn a_removal_needs_the_present_view_and_deletes_the_row() {
        let (coordinator, journal, ids) = world(3);
        let epoch = coordinator.view().expect("a view").epoch;
        assert!(!coordinator.remove(Epoch(epoch.0 - 1), ids[1]).expect("asked"), "a view that is past");
        assert!(journal.is_member(ids[1]).expect("asked"));
        assert!(coordinator.remove(epoch, ids[1]).expect("asked"));
        assert!(!journal.is_member(ids[1]).expect("asked"));
        assert!(!coordinator.renew(ids[1]).expect("asked"), "it hears that it was removed");
        assert!(!coordinator.remove(epoch, ids[2]).expect("asked"), "of two who propose, one is first");
        assert_eq!(nodes(&coordinator), [1, 3]);
    }

    #[test]
    fn the_last_member_stays() {
        let (coordinator, _, ids) = world(1);
        let epoch = coordinator.view().expect("a view").epoch;
        assert!(!coordinator.remove(epoch, ids[0]).expect("asked"));
        assert_eq!(nodes(&coordinator), [1]);
    }

    #[test]
    fn who_does_not_renew_is_removed_when_the_lease_is_over() {
        let (coordinator, journal, ids) = world(2);
        for _ in 0..10 {
            coordinator.pass(Duration::from_millis(500)).expect("passed");
            assert!(coordinator.renew(ids[0]).expect("asked"));
        }
        assert_eq!(nodes(&coordinator), [1, 2], "the lease is just not over");
        coordinator.pass(Duration::from_millis(1)).expect("passed");
        assert_eq!(nodes(&coordinator), [1]);
        assert!(!journal.is_member(ids[1]).expect("asked"));
    }

    #[test]
    fn a_node_that_joins_again_is_another_incarnation() {
        let (coordinator, journal, ids) = world(2);
        let again = coordinator.join(NodeId(2), "", 0).expect("it joins");
        assert!(again.incarnation > ids[1] && !journal.is_member(ids[1]).expect("asked"));
        assert_eq!(nodes(&coordinator), [1, 2]);
        coordinator.drain(again.incarnation).expect("drained");
        assert!(coordinator.view().expect("a view").members[1].draining);
        coordinator.leave(again.incarnation).expect("left");
        assert_eq!(nodes(&coordinator), [1]);
    }
}
