//! The journal fails over to a replica: with everything that was committed, or without the last of it.

use gundo_kernel::{Gauges, Input, TailLost};

use super::{Flight, Key, World};
use crate::plan::Dial;
use crate::story::About;

/// How far a replica may be behind, µs.
const BEHIND_US: u64 = 3_000_000;
/// Drivers ask the journal for its generation once per second, µs.
const ASKS_US: u64 = 1_000_000;
/// How long a failover takes in which nothing is committed, µs.
const TAKES_US: u64 = 2_000_000;
/// The wall clock when a run begins, ms since 1970.
const WALL_MS: u64 = 1_700_000_000_000;

impl World {
    /// What is behind the nodes fails: the coordinator loses its leader, or a failover of the journal begins. False if one is
    /// under way.
    pub(super) fn fail_behind(&mut self, dial: Dial) -> bool {
        if dial == Dial::Leader {
            return self.lose_leader();
        }
        if self.storage.replica.is_some() {
            return false;
        }
        self.storage.replica = Some(self.storage.disk.store.replica());
        self.judge.mark();
        let behind = if dial == Dial::TailLost { 1 + self.wrong.below(BEHIND_US) } else { 0 };
        self.fly(behind, Flight::FailsOver);
        true
    }

    /// The replica takes the journal's place. What waits to be committed arrives there.
    pub(super) fn fail_over(&mut self) {
        let Some(replica) = self.storage.replica.take().filter(|_| self.faulty) else { return };
        let generation = self.storage.disk.store.fail_over(replica, WALL_MS + self.now / 1_000);
        let lost = match self.judge.go_back() {
            Ok(lost) => lost,
            Err(violation) => return self.rule(Err(violation)),
        };
        let text =
            || format!("fault: the journal fails over to generation {generation}, {lost} appends are lost");
        self.story.tell(self.now, About::default(), text);
        let takes = self.wrong.below(TAKES_US);
        self.storage.stalled_until = self.storage.stalled_until.max(self.now + takes);
        self.unsteady_until = self.unsteady_until.max(self.now + 10_000_000);
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            let after = self.wrong.below(ASKS_US);
            self.fly(after, Flight::Generation(key));
        }
    }

    /// How much longer the journal takes to answer this node, µs: each node has a store of its own to talk to.
    pub(super) fn uneven_us(&mut self, key: Key) -> u64 {
        let Some(most_ms) = self.plan.dials.get(&Dial::Uneven) else { return 0 };
        // Some are near, some far, by the seed.
        let far = (self.plan.seed ^ u64::from(key.node)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
        self.wrong.below(u64::from(*most_ms) * 1_000 * far / 3 + 1)
    }

    /// A node's driver has asked the journal for its generation.
    pub(super) fn tell_generation(&mut self, key: Key) {
        let generation = Some(self.storage.disk.store.generation());
        self.input(key, Input::Gauges(Gauges { generation, ..Gauges::default() }));
    }

    /// A node's alarm.
    pub(super) fn on_tails_lost(&mut self, key: Key, lost: &[TailLost], more: u64) {
        let text = || format!("n{} says that {} entities have lost events", key.node, lost.len());
        self.story.tell(self.now, About::node(key.node), text);
        assert_eq!(more, 0, "no run loses that much");
        for one in lost {
            let verdict = self.judge.named(key.node, one);
            self.rule(verdict);
        }
    }
}
