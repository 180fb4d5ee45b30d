//! The timers of an entity: the durable part, and what it remembers of those that have rung. Plain values; what happens when one rings
//! is in `ringing`.
//!
//! A timer is a few bytes of the game's, and the world time at which it is due. Equal bytes are the same timer: what is set last counts.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_types::WorldTime;
use gundo_wire::journal::{self as stored, EventType, NEVER, TimerOver, TimerSet};
use gundo_wire::{DecodeError, Message};

use crate::game::Timing;

/// Timers of one entity. A decision that sets more is refused with `too_many_timers`.
pub(super) const TIMERS_MAX: usize = 64;

/// How a timer ended, as `TimerOver::how` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Cancelled = 0,
    Rang = 1,
    Refused = 2,
    GivenUp = 3,
}

/// The timers that are set. An entity without any has none of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Timers {
    set: BTreeMap<Bytes, WorldTime>,
}

impl Timers {
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// When a timer is due; `None`: it is not set.
    pub(super) fn due(&self, timer: &[u8]) -> Option<WorldTime> {
        self.set.get(timer).copied()
    }

    /// When the first of them is due.
    pub(super) fn wake(&self) -> WorldTime {
        self.set.values().min().copied().unwrap_or(NEVER)
    }

    /// All of them, in the order of their bytes.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Bytes, WorldTime)> {
        self.set.iter().map(|(timer, due)| (timer, *due))
    }

    /// Applies an engine event of timers; others do nothing. The last one that is over takes the whole part away.
    pub(super) fn apply(
        part: &mut Option<Box<Self>>,
        event_type: EventType,
        payload: &[u8],
    ) -> Result<(), DecodeError> {
        match event_type {
            EventType::TimerSet => {
                let TimerSet { timer, at } = TimerSet::decode(payload)?;
                part.get_or_insert_default().set.insert(timer, WorldTime(at));
            }
            EventType::TimerOver => {
                let over = TimerOver::decode(payload)?;
                if let Some(timers) = part {
                    timers.set.remove(&over.timer);
                }
                part.take_if(|timers| timers.set.is_empty());
            }
            _ => {}
        }
        Ok(())
    }

    /// As part of a snapshot.
    pub(super) fn store(&self) -> Bytes {
        let set = self.set.iter().map(|(timer, at)| TimerSet { timer: timer.clone(), at: at.0 });
        stored::Timers { set: set.collect() }.encode_to_vec().into()
    }

    /// From a snapshot.
    pub(super) fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let set = stored::Timers::decode(bytes)?.set.into_iter();
        Ok(Self { set: set.map(|set| (set.timer, WorldTime(set.at))).collect() })
    }

    /// What a decision makes of them, and the events that say so. `rung`: the timer that the decision is about, which is over.
    pub(super) fn plan(mut self, timings: &[Timing], rung: Option<&[u8]>) -> (Self, Vec<(EventType, Bytes)>) {
        let mut events = Vec::with_capacity(timings.len());
        if let Some(rung) = rung {
            self.set.remove(rung);
        }
        for Timing { timer, at } in timings {
            match at {
                Some(at) => {
                    if self.set.insert(timer.clone(), *at) != Some(*at) {
                        let set = TimerSet { timer: timer.clone(), at: at.0 };
                        events.push((EventType::TimerSet, set.encode_to_vec().into()));
                    }
                }
                None => {
                    if let Some(due) = self.set.remove(timer) {
                        events.push((EventType::TimerOver, over(timer.clone(), due, End::Cancelled)));
                    }
                }
            }
        }
        (self, events)
    }
}

/// The payload of a `TimerOver` event.
pub(super) fn over(timer: Bytes, due: WorldTime, end: End) -> Bytes {
    TimerOver { timer, at: due.0, how: end as u32 }.encode_to_vec().into()
}

/// What an entity with timers remembers of them.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// The host looks at it then.
    pub(super) listed: Option<WorldTime>,
    /// Before that it looks at none of its timers.
    pub(super) rests_until: WorldTime,
    /// Timers that have rung and are not over.
    pub(super) tries: BTreeMap<Bytes, Try>,
}

/// A timer that has rung.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// When it was due. If it was set again since, this counts no more.
    due: WorldTime,
    /// When it rings again.
    pub(super) again: WorldTime,
    /// How often it has rung.
    pub(super) failures: u8,
    /// How often its rules have failed.
    pub(super) fails: u8,
    /// It does not ring again: it ends like this.
    pub(super) end: Option<End>,
}

impl Alarm {
    /// What is known of a timer that is due at `due`.
    pub(super) fn tried(&mut self, timer: &Bytes, due: WorldTime) -> &mut Try {
        let new = Try { due, again: due, failures: 0, fails: 0, end: None };
        let tried = self.tries.entry(timer.clone()).or_insert(new);
        if tried.due != due {
            *tried = new;
        }
        tried
    }

    /// When a timer rings, or rings again.
    fn rings(&self, timer: &Bytes, due: WorldTime) -> WorldTime {
        let tried = self.tries.get(timer).filter(|tried| tried.due == due);
        tried.map_or(due, |tried| tried.again.max(due))
    }

    /// When the next timer rings; `NEVER`: none is set.
    pub(super) fn next(&self, timers: &Timers) -> WorldTime {
        let first = timers.all().map(|(timer, due)| self.rings(timer, due)).min().unwrap_or(NEVER);
        if first == NEVER { NEVER } else { first.max(self.rests_until) }
    }

    /// The timer that rings now: of several the one that was due first.
    pub(super) fn ringing(&self, timers: &Timers, now: WorldTime) -> Option<(Bytes, WorldTime)> {
        let rings = |(timer, due): &(&Bytes, WorldTime)| self.rings(timer, *due) <= now;
        let first = timers.all().filter(rings).min_by_key(|(_, due)| *due);
        first.map(|(timer, due)| (timer.clone(), due))
    }

    /// Forgets the tries of timers that are over, or set again.
    pub(super) fn forget_old(&mut self, timers: &Timers) {
        self.tries.retain(|timer, tried| timers.due(timer) == Some(tried.due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(timer: &'static str, at: Option<u64>) -> Timing {
        Timing { timer: Bytes::from_static(timer.as_bytes()), at: at.map(WorldTime) }
    }

    fn types(events: &[(EventType, Bytes)]) -> Vec<EventType> {
        events.iter().map(|(event_type, _)| *event_type).collect()
    }

    fn apply(part: &mut Option<Box<Timers>>, events: &[(EventType, Bytes)]) {
        for (event_type, payload) in events {
            Timers::apply(part, *event_type, payload).expect("an event");
        }
    }

    #[test]
    fn what_is_set_last_counts() {
        use EventType::{TimerOver, TimerSet};
        let mut part = None;
        let plan = [timing("a", Some(50)), timing("b", Some(20)), timing("a", Some(10)), timing("c", None)];
        let (planned, events) = Timers::default().plan(&plan, None);
        assert_eq!(types(&events), [TimerSet, TimerSet, TimerSet], "what is not set is not cancelled");
        apply(&mut part, &events);
        assert_eq!(part.as_deref(), Some(&planned));
        let timers = part.clone().expect("two are set");
        assert_eq!((timers.len(), timers.wake(), timers.due(b"a")), (2, WorldTime(10), Some(WorldTime(10))));
        assert_eq!(Timers::restore(&timers.store()).expect("a snapshot"), *timers);
        let (_, none) = timers.clone().plan(&[timing("a", Some(10))], None);
        assert_eq!(none, [], "it is set to that already");
        let (_, again) = timers.clone().plan(&[timing("a", Some(10))], Some(b"a"));
        assert_eq!(types(&again), [TimerSet], "it has rung, and is set again");
        let (none, events) = timers.plan(&[timing("a", None), timing("b", None)], None);
        assert_eq!((none.len(), types(&events)), (0, vec![TimerOver, TimerOver]));
        apply(&mut part, &events);
        assert_eq!(part, None, "an entity without timers has nothing");
    }

    #[test]
    fn each_waits_for_itself() {
        let plan = [timing("a", Some(50)), timing("b", Some(20))];
        let (timers, _) = Timers::default().plan(&plan, None);
        let (mut alarm, now) = (Alarm::default(), WorldTime(60));
        assert_eq!(alarm.next(&timers), WorldTime(20));
        let (first, due) = alarm.ringing(&timers, now).expect("both are due");
        assert_eq!((first.as_ref(), due), (&b"b"[..], WorldTime(20)));
        alarm.tried(&first, due).again = WorldTime(500);
        assert_eq!(alarm.ringing(&timers, now), Some((Bytes::from_static(b"a"), WorldTime(50))));
        alarm.rests_until = WorldTime(300);
        assert_eq!(alarm.next(&timers), WorldTime(300));
        // It is set again: what was tried before does not count.
        let (timers, _) = timers.plan(&[timing("b", Some(40)), timing("a", None)], None);
        alarm.forget_old(&timers);
        assert_eq!((alarm.tries.len(), alarm.next(&timers)), (0, WorldTime(300)));
        assert_eq!(alarm.ringing(&timers, WorldTime(39)), None, "not before it is due");
    }
}
