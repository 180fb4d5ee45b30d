//! Timers of entities: each rings once, never before it is due, and not long after. A snapshot has those that are set.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::{EntityId, WorldTime};
use gundo_wire::Message;
use gundo_wire::journal::{EventType, TimerOver, TimerSet, Timers as Stored};

use super::Judge;
use super::guarantee::{Guarantee, Verdict, violated};

/// Once everything has healed, a timer rings within this time, ms: clocks differ, a journal is read, a busy partner is asked again.
const LATE_MS: u64 = 10_000;
/// When all have left, timers that are due within this time have rung before the run ends, ms.
const SOON_MS: u64 = 12_000;

/// All timers, as the landed events tell of them.
#[derive(Default)]
pub(super) struct Timers {
    set: BTreeMap<EntityId, BTreeMap<Bytes, u64>>,
    /// Timers that have rung.
    pub(super) rung: u64,
}

impl Timers {
    /// A stream was removed.
    pub(super) fn forget(&mut self, id: EntityId) {
        self.set.remove(&id);
    }

    /// The timer that is due first.
    fn first(&self) -> Option<(u64, EntityId)> {
        self.set.iter().flat_map(|(id, set)| set.values().map(|at| (*at, *id))).min()
    }
}

impl Judge {
    /// An event of timers has landed, at this world time of its node; others say nothing about them.
    pub(super) fn take_timer(
        &mut self,
        id: EntityId,
        at: WorldTime,
        event_type: EventType,
        payload: &[u8],
    ) -> Verdict {
        let undecoded = || violated(Guarantee::G3, "an event of timers does not decode".to_owned());
        match event_type {
            EventType::TimerSet => {
                let Ok(TimerSet { timer, at }) = TimerSet::decode(payload) else { return undecoded() };
                self.timers.set.entry(id).or_default().insert(timer, at);
                Ok(())
            }
            EventType::TimerOver => {
                let Ok(over) = TimerOver::decode(payload) else { return undecoded() };
                self.timer_over(id, at, &over)
            }
            _ => Ok(()),
        }
    }

    fn timer_over(&mut self, id: EntityId, at: WorldTime, over: &TimerOver) -> Verdict {
        let name = self.name(id);
        let was = self.timers.set.get_mut(&id).and_then(|set| set.remove(&over.timer));
        if was != Some(over.at) {
            let text = format!("{name}: a timer for {} is over, and it was set for {was:?}", over.at);
            return violated(Guarantee::G5, text);
        }
        if over.how > 0 && at.0 < over.at {
            return violated(Guarantee::G5, format!("{name}: a timer for {} rings at {}", over.at, at.0));
        }
        self.timers.rung += u64::from(over.how == 1);
        Ok(())
    }

    /// A snapshot must have the timers.
    pub(super) fn compare_timers(&self, id: EntityId, seq: u64, stored: Option<&Stored>) -> Verdict {
        let set = self.timers.set.get(&id).into_iter().flatten().map(|(timer, at)| (timer, *at));
        let kept = stored.into_iter().flat_map(|stored| &stored.set).map(|set| (&set.timer, set.at));
        if !set.eq(kept) {
            let text = format!("{}: the snapshot at {seq} has other timers than are set", self.name(id));
            return violated(Guarantee::G1, text);
        }
        Ok(())
    }

    /// No timer is late at this world time.
    pub(crate) fn check_timers(&self, now: WorldTime) -> Verdict {
        match self.timers.first().filter(|(at, _)| at.saturating_add(LATE_MS) < now.0) {
            None => Ok(()),
            Some((at, id)) => {
                let text = format!("{}: a timer for {at} has not rung at {}", self.name(id), now.0);
                violated(Guarantee::G10, text)
            }
        }
    }

    /// No timer is about to ring, or late.
    pub(crate) fn check_no_timers_soon(&self, now: WorldTime) -> Verdict {
        match self.timers.first().filter(|(at, _)| *at < now.0.saturating_add(SOON_MS)) {
            None => Ok(()),
            Some((at, id)) => {
                let text = format!("{}: a timer for {at} is still to ring at {}", self.name(id), now.0);
                violated(Guarantee::G10, text)
            }
        }
    }

    /// Timers that have rung.
    pub(crate) fn timers_rung(&self) -> u64 {
        self.timers.rung
    }
}
