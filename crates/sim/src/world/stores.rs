//! What goes wrong with the journal and its disk.

use gundo_types::WorldTime;

use super::{Dial, Flight, World};
use crate::story::About;

impl World {
    /// Causes a fault of the storage.
    pub(super) fn trouble_storage(&mut self, dial: Dial) {
        let second = 1_000_000;
        match dial {
            Dial::Stall => {
                let most = [12, 12, 12, 27][self.wrong.below(4) as usize];
                let takes = 3 * second + self.wrong.below(most * second);
                self.storage.stalled_until = self.storage.stalled_until.max(self.now + takes);
                let flight = Flight::StallEnds(self.stall());
                self.fly(takes, flight);
            }
            Dial::Low => {
                self.tell_room(true);
                let takes = 50_000 + self.wrong.below(6 * second);
                self.fly(takes, Flight::RoomAgain);
            }
            Dial::Slow => self.storage.slow_until = self.now + 100_000 + self.wrong.below(5 * second),
            Dial::Full => self.storage.full_until = self.now + 50_000 + self.wrong.below(3 * second),
            Dial::Unreadable => {
                self.storage.unreadable_until = self.now + 50_000 + self.wrong.below(2 * second)
            }
            Dial::Reject => self.storage.faults.push_back(gundo_rig::GroupFault::Rejected),
            Dial::Queue => self.storage.faults.push_back(gundo_rig::GroupFault::QueueFull),
            Dial::Collide => self.storage.faults.push_back(gundo_rig::GroupFault::Collides),
            Dial::UnknownLanded => self.storage.faults.push_back(gundo_rig::GroupFault::UnknownLanded),
            Dial::UnknownLost => self.storage.faults.push_back(gundo_rig::GroupFault::UnknownLost),
            Dial::Prune => {
                // As if an hour had passed: everything that may be pruned then is pruned.
                let later = WorldTime(self.world_time().0 + gundo_journal::KEEP_MS);
                self.storage.disk.store.prune(later);
                self.remove_unplayed();
            }
            other => unreachable!("{other} is no fault of the storage"),
        }
    }

    /// Players who never did anything and have not been here for long are removed, as the nodes' drivers do it. Not while a failover is
    /// under way, which may bring them back.
    fn remove_unplayed(&mut self) {
        /// In one go.
        const REMOVED_MAX: usize = 20;
        let (now, keep_ms) = (self.world_time().0, self.plan.world.unplayed_ms);
        if keep_ms == 0 || now < keep_ms || self.storage.replica.is_some() {
            return;
        }
        let (kind, before) = (self.rules.player_kind(), WorldTime(now - keep_ms));
        for player in self.storage.disk.store.remove_unplayed(kind, before, REMOVED_MAX) {
            self.story
                .tell(self.now, About::default(), || format!("{player} is removed: it never did anything"));
            let verdict = self.judge.removed(player);
            self.rule(verdict);
        }
    }
}
