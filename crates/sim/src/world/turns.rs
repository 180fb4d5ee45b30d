//! Turns take time: what a node does takes it time by the work done, on a machine of its own speed. What arrives meanwhile waits, and
//! ticks come late. Once per second the node's driver says how busy it was.
//!
//! The dial `work` makes all machines slow, each in its own way; `busy` makes one of them very slow for a while. Without either turns
//! take no time.

use gundo_kernel::{Gauges, Input, Output, Peer};

use super::{Flight, Key, World};
use crate::people::chance;
use crate::plan::Dial;

/// No turn takes longer, µs.
const TURN_US_MAX: u64 = 1_000_000;
/// A node that takes an input this long after it came is behind, µs.
const BEHIND_US: u64 = 300_000;
/// Between two words of a driver about its node, µs.
const MEASURE_US: u64 = 1_000_000;
/// The slowest machine takes so many times as long as the fastest.
const SPREAD: u64 = 16;
/// While it is very slow, a machine takes one of these many times as long as a usual one.
const SLOWER: [u64; 5] = [30, 100, 300, 1_000, 3_000];

/// The machine of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// How long its work takes, in percent of what it takes a usual machine. 0: no time.
    percent: u64,
    /// Until then it is very slow, µs, and takes this much longer than a usual one.
    slow_until: u64,
    slower: u64,
    /// Its present turn ends then, µs.
    works_until: u64,
    /// Something in flight will see to the next turn.
    turn_due: bool,
    /// When it was last behind, µs.
    behind_at: u64,
    /// Work that its driver has not told of, µs, and the longest turn.
    worked_us: u64,
    longest_us: u64,
}

impl Machine {
    /// A node on it takes nothing now.
    pub(super) fn works(&self, now: u64) -> bool {
        now < self.works_until
    }

    /// A turn at `now` costs this many units of work.
    fn work(&mut self, now: u64, units: u64) {
        let percent = if now < self.slow_until { 100 * self.slower } else { self.percent };
        let takes = (units * percent / 100).min(TURN_US_MAX);
        self.works_until = now + takes;
        self.worked_us += takes;
        self.longest_us = self.longest_us.max(takes);
    }

    /// What its driver says after a second.
    fn tell(&mut self, inbox: usize, storage_full: bool) -> Gauges {
        let worked_us = self.worked_us.min(MEASURE_US);
        // A long turn counts in each second that it takes.
        self.worked_us -= worked_us;
        Gauges {
            tick_us: std::mem::take(&mut self.longest_us) as u32,
            inbox: inbox as u32,
            load_permille: (worked_us * 1_000 / MEASURE_US) as u32,
            storage_full,
            generation: None,
        }
    }
}

/// What an output costs, in µs of a usual machine.
pub(super) fn units_of(output: &Output) -> u64 {
    match output {
        Output::Send { parts, .. } => 2 + parts.iter().map(|part| part.len() as u64).sum::<u64>() / 256,
        Output::Peer { message: Peer::Frames { frames, .. }, .. } => 4 + frames.len() as u64,
        Output::Peer { .. } => 4,
        Output::Append(batch) => 10 + batch.streams.len() as u64,
        _ => 1,
    }
}

/// What an input costs without its outputs.
pub(super) fn units_of_input(input: &Input) -> u64 {
    match input {
        Input::Client { message, .. } => 6 + 4 * message.commands.len() as u64,
        Input::Peer { message: Peer::Frames { frames, .. }, .. } => 3 + frames.len() as u64,
        Input::Loaded { .. } | Input::Listed { .. } | Input::Woken { .. } => 20,
        Input::View(_) => 100,
        _ => 3,
    }
}

impl World {
    /// Whether turns take time in this run.
    pub(super) fn turns_take_time(&self) -> bool {
        [Dial::Work, Dial::Busy].iter().any(|dial| self.plan.dials.contains_key(dial))
    }

    /// The machine on which a node starts.
    pub(super) fn machine(&self, node: u16) -> Machine {
        let Some(percent) = self.plan.dials.get(&Dial::Work).filter(|_| self.faulty) else {
            return Machine::default();
        };
        // From a quarter to four times as long: short and long alike.
        let mut draws = chance(self.plan.seed, 0x3ac4 + u64::from(node));
        let spread = 1 + draws.below(SPREAD);
        Machine { percent: (u64::from(*percent) * spread / 4).max(1), ..Machine::default() }
    }

    /// An input for a node that is busy, or frozen.
    pub(super) fn wait_for_turn(&mut self, key: Key, input: Input) {
        if let Some(node) = self.nodes.get_mut(&key) {
            node.inbox.push_back((self.now, input));
            self.plan_turn(key);
        }
    }

    fn plan_turn(&mut self, key: Key) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if !node.paused && !node.machine.turn_due && !node.inbox.is_empty() {
            node.machine.turn_due = true;
            let at = node.machine.works_until.max(self.now);
            self.queue.push(at, Flight::Turn(key));
        }
    }

    /// The next turn of a node that was busy.
    pub(super) fn next_turn(&mut self, key: Key) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        node.machine.turn_due = false;
        if !node.paused && !node.machine.works(self.now) {
            let Some((came, input)) = node.inbox.pop_front() else { return };
            if self.now > came + BEHIND_US {
                node.machine.behind_at = self.now;
                self.unsteady_until = self.unsteady_until.max(self.now + 10_000_000);
                self.excuse(key.node, self.now);
            }
            self.turn(key, input);
        }
        self.plan_turn(key);
    }

    /// A turn is done that costs so many units, and a timer's those of everything that is real on the node.
    pub(super) fn on_turn_done(&mut self, key: Key, units: u64, is_timer: bool) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.watch.is_close() {
            let verdict = self.check_clock(key);
            self.rule(verdict);
        }
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.machine.percent > 0 || self.now < node.machine.slow_until {
            let reals = if is_timer { node.kernel.counters().reals / 2 } else { 0 };
            node.machine.work(self.now, units + reals);
        }
    }

    /// When a node was last behind with its inputs, µs.
    pub(super) fn behind_at(&self, key: Key) -> u64 {
        let Some(node) = self.nodes.get(&key) else { return 0 };
        let late = node.inbox.front().is_some_and(|(came, _)| self.now > came + BEHIND_US);
        if late && !node.paused { self.now } else { node.machine.behind_at }
    }

    /// Drivers tell their nodes how busy they are. That waits for nothing but the present turn.
    pub(super) fn measure(&mut self) {
        if !self.faulty {
            return;
        }
        self.fly(MEASURE_US, Flight::Measure);
        let storage_full = self.disk_is_low;
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            let Some(node) = self.nodes.get_mut(&key).filter(|node| !node.paused) else { continue };
            let gauges = Input::Gauges(node.machine.tell(node.inbox.len(), storage_full));
            if node.is_busy(self.now) {
                node.inbox.push_front((self.now, gauges));
                self.plan_turn(key);
            } else {
                self.input(key, gauges);
            }
        }
    }

    /// A node's machine becomes very slow for a while.
    pub(super) fn slow_down_some(&mut self) -> bool {
        let key = self.some_node();
        let takes = 500_000 + self.wrong.below(9_000_000);
        let slower = SLOWER[self.wrong.below(SLOWER.len() as u64) as usize];
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        (node.machine.slow_until, node.machine.slower) = (self.now + takes, slower);
        self.tell_fault(key, || format!("n{} is {slower} times slower for {} ms", key.node, takes / 1_000));
        true
    }

    /// From now on turns take no time, and nothing waits.
    pub(super) fn end_turns(&mut self) {
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            let Some(node) = self.nodes.get_mut(&key) else { continue };
            let Machine { turn_due, behind_at, .. } = node.machine;
            node.machine = Machine { turn_due, behind_at, ..Machine::default() };
            if !node.paused {
                let waiting = std::mem::take(&mut node.inbox);
                waiting.into_iter().for_each(|(_, input)| self.input(key, input));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_and_its_driver_tells_of_it() {
        let mut machine = Machine { percent: 200, ..Machine::default() };
        machine.work(1_000, 50);
        assert!(machine.works(1_099) && !machine.works(1_100));
        (machine.slow_until, machine.slower) = (5_000, 1_000_000);
        machine.work(2_000, 50);
        assert!(machine.works(2_000 + TURN_US_MAX - 1) && !machine.works(2_000 + TURN_US_MAX));
        let told = machine.tell(7, true);
        assert_eq!((told.load_permille, told.inbox, told.storage_full), (1_000, 7, true));
        assert_eq!(machine.tell(0, false).load_permille, 0, "a tenth of a millisecond is left");
    }
}
