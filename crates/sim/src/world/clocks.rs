//! The clocks of the nodes' machines: they drift, they are off, they are set. And what the nodes make of them: world time never goes back,
//! and differs from the machine's clock by no more than slewing explains.

use gundo_rig::Clock;
use gundo_types::WorldTime;

use super::{Key, WORLD_MS, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::plan::Dial;

/// Slewing: a hundredth of the time that passes.
const SLEW: u64 = 100;
/// Rounding, and inputs that are a while apart, ms.
const ROUNDING_MS: u64 = 5;
/// For so long after its machine's clock was set a node's time is looked at with every input, µs.
const WATCHED_US: u64 = 1_000_000;
/// By how much a machine's clock is set at most, ms: as a time server corrects it, or as a person does.
const SET_BY_MS: [u64; 3] = [40, 5_000, 3_600_000];

/// What a checker knows of a node's world time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// When the node took its last input, µs.
    pub(super) took_at: u64,
    /// World time when it was last seen, ms.
    last_ms: u64,
    /// What the machine's clock and the node showed when this watch began, ms; `None`: it begins with the next look.
    since: Option<(u64, u64)>,
    /// When the machine's clock was last set, µs.
    set_at: Option<u64>,
}

impl Watch {
    /// Whether every input counts now.
    pub(super) fn is_close(&self) -> bool {
        self.set_at.is_some_and(|at| self.took_at <= at + WATCHED_US)
    }

    /// The node shows `world_ms`, and its machine's clock `machine_ms`, as of its last input. Why that cannot be, if it cannot.
    fn look(&mut self, machine_ms: u64, world_ms: u64) -> Option<String> {
        if world_ms < self.last_ms {
            return Some(format!("goes back from {} to {world_ms} ms", self.last_ms));
        }
        self.last_ms = world_ms;
        // The input after a setting takes the time from the node's own clock, and so is no beginning.
        if self.set_at.is_some_and(|at| self.took_at <= at) {
            return None;
        }
        let (machine_began, world_began) = *self.since.get_or_insert((machine_ms, world_ms));
        let (ran, shown) = (machine_ms.saturating_sub(machine_began), world_ms - world_began);
        let most = ran / SLEW + ROUNDING_MS;
        (shown.abs_diff(ran) > most)
            .then(|| format!("runs {shown} ms while its machine's clock runs {ran} ms: {most} ms may differ"))
    }
}

impl World {
    /// The clocks of the machine of a node that starts.
    pub(super) fn clock(&mut self, node: u16) -> Clock {
        let clocks = u64::from(self.plan.dials.get(&Dial::Clocks).copied().unwrap_or(0));
        let (rate, offset) = if clocks == 0 {
            (1_000_000, 0)
        } else {
            // A tenth faster or slower: far worse than any crystal.
            let offset = self.net.below(2 * clocks + 1) as i64 - clocks as i64;
            (900_000 + self.net.below(200_001), offset)
        };
        let alone = !self.nodes.values().any(|node| node.kernel.is_ready());
        let offset = offset + self.troubles.set_by(node, alone);
        let drift = u64::from(self.plan.dials.get(&Dial::Drift).copied().unwrap_or(0));
        let world_rate =
            if drift == 0 { 1_000_000 } else { 1_000_000 - drift + self.net.below(2 * drift + 1) };
        Clock { began: self.now, rate, world_rate, world_ms: WORLD_MS, ahead_ms: offset }
    }

    /// The clock of a node's machine is set: by milliseconds, by seconds or by up to an hour, ahead or back.
    pub(super) fn set_a_clock(&mut self) -> bool {
        let key = self.some_node();
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        let most = SET_BY_MS[self.wrong.below(SET_BY_MS.len() as u64) as usize];
        let by = self.wrong.below(2 * most + 1) as i64 - most as i64;
        // World time 0 is as early as a machine's clock goes.
        let earliest = 60_000 - node.kernel.clock.at(now).world.0 as i64;
        let by = by.max(earliest.min(0));
        node.kernel.clock.ahead_ms += by;
        (node.watch.set_at, node.watch.since) = (Some(now), None);
        self.troubles.set_clock(key.node, by);
        self.tell_fault(key, || format!("the clock of n{}'s machine is set by {by} ms", key.node));
        true
    }

    /// World time of a node neither goes back nor runs faster or slower than slewing explains.
    pub(super) fn check_clock(&mut self, key: Key) -> Verdict {
        let Some(node) = self.nodes.get_mut(&key) else { return Ok(()) };
        if !node.kernel.is_ready() {
            // One that joins takes over the time of the others.
            node.watch = Watch { set_at: node.watch.set_at, took_at: node.watch.took_at, ..Watch::default() };
            return Ok(());
        }
        let WorldTime(machine_ms) = node.kernel.clock.at(node.watch.took_at).world;
        let world_ms = node.kernel.counters().world_ms;
        match node.watch.look(machine_ms, world_ms) {
            None => Ok(()),
            Some(how) => violated(Guarantee::G10, format!("world time of n{} {how}", key.node)),
        }
    }

    /// The same for all nodes.
    pub(crate) fn check_clocks(&mut self) -> Verdict {
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.check_clock(key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_or_runs_away_is_seen() {
        let mut watch = Watch::default();
        let mut look = |machine, world| watch.look(machine, world).is_none();
        assert!(look(1_000, 5_000) && look(101_000, 105_900), "a hundredth is slewing");
        assert!(!look(101_100, 105_899), "back");
        assert!(!look(102_000, 108_000), "two seconds in one");
    }

    #[test]
    fn after_a_setting_the_watch_begins_with_the_next_input_but_one() {
        let mut watch = Watch { took_at: 10, set_at: Some(20), ..Watch::default() };
        assert_eq!(watch.look(3_000_000, 5_000), None);
        watch.took_at = 30;
        assert_eq!((watch.look(3_000_100, 5_100), watch.is_close()), (None, true));
        assert_eq!(watch.look(3_001_100, 6_100), None);
        assert_ne!(watch.look(3_002_100, 9_100), None);
    }
}
