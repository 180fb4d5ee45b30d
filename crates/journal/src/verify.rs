//! What a check of a whole journal finds, and the part of the check that is the same for every storage.
//!
//! A storage reads its rows in order and hands them to [`Events`] and [`snapshot`]; what only it can know (its file, its indexes) it adds to
//! the [`Report`] itself.

use std::fmt;

use gundo_types::EntityId;
use gundo_wire::journal::{Cause, EventType, Snapshot};
use prost::Message;

/// Problems reported one by one; further ones are only counted.
const PROBLEMS_MAX: usize = 100;

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Streams.
    pub streams: u64,
    /// Events.
    pub events: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Names with an owner.
    pub names: u64,
    /// The first hundred problems, in words. Empty: the journal is sound.
    pub problems: Vec<String>,
    /// Problems in all.
    pub problem_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    /// Adds a problem.
    pub fn problem(&mut self, what: impl fmt::Display) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what.to_string());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, events, snapshots, names, .. } = self;
        writeln!(f, "{streams} streams, {events} events, {snapshots} snapshots, {names} names")?;
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        match self.problem_count {
            0 => write!(f, "sound"),
            count => write!(f, "{count} problems"),
        }
    }
}

/// One event as its storage has it.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// The stream.
    pub entity: EntityId,
    /// Its number there.
    pub seq: u64,
    /// World time, ms.
    pub at: u64,
    /// Its type, as a number.
    pub event_type: i64,
    /// Its cause, encoded.
    pub cause: &'a [u8],
}

/// Checks the events of all streams, which come stream by stream and in the order of their seqs: no gaps, in order of time, with
/// readable causes and known types.
#[derive(Debug, Default)]
pub struct Events {
    before: Option<(EntityId, u64, u64)>,
}

impl Events {
    /// Takes the next event. Returns whether it is the first of its stream.
    pub fn take(&mut self, report: &mut Report, event: &EventRow<'_>) -> bool {
        let EventRow { entity, seq, at, event_type, cause } = *event;
        report.events += 1;
        let begins = match self.before {
            Some((same, last, last_at)) if same == entity => {
                if seq != last + 1 {
                    report.problem(format_args!("{entity}: event {seq} follows {last}"));
                }
                if at < last_at {
                    report.problem(format_args!("{entity}: event {seq} is older than the one before"));
                }
                false
            }
            _ => {
                report.streams += 1;
                true
            }
        };
        self.before = Some((entity, seq, at));
        if Cause::decode(cause).is_err() {
            report.problem(format_args!("{entity}: the cause of event {seq} cannot be read"));
        }
        if u8::try_from(event_type).ok().and_then(EventType::from_u8).is_none() {
            report.problem(format_args!("{entity}: event {seq} has the unknown type {event_type}"));
        }
        begins
    }
}

/// Checks a snapshot. `has_event`: whether the event is there at which it was made.
pub fn snapshot(report: &mut Report, entity: EntityId, seq: u64, payload: &[u8], has_event: bool) {
    report.snapshots += 1;
    if !has_event {
        report.problem(format_args!("{entity}: the snapshot at {seq} ends in no event"));
    }
    if Snapshot::decode(payload).is_err() {
        report.problem(format_args!("{entity}: the snapshot at {seq} cannot be read"));
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::Kind;

    use super::*;

    fn found(rows: &[(u64, u64, u64, i64)]) -> (Report, u64) {
        let (mut report, mut events, mut begun) = (Report::default(), Events::default(), 0);
        for (id, seq, at, event_type) in rows {
            let entity = EntityId::new(Kind(1), *id);
            let row = EventRow { entity, seq: *seq, at: *at, event_type: *event_type, cause: &[] };
            begun += u64::from(events.take(&mut report, &row));
        }
        (report, begun)
    }

    #[test]
    fn gaps_time_and_types_are_checked_stream_by_stream() {
        let (report, begun) = found(&[(1, 1, 5, 1), (1, 2, 5, 1), (2, 7, 1, 1), (2, 8, 2, 1)]);
        assert!(report.is_sound(), "{report}");
        assert_eq!((report.streams, report.events, begun), (2, 4, 2));
        for (rows, words) in [
            ([(1, 1, 5, 1), (1, 3, 5, 1)], "event 3 follows 1"),
            ([(1, 1, 5, 1), (1, 2, 4, 1)], "older"),
            ([(1, 1, 5, 1), (1, 2, 5, 999)], "unknown type 999"),
        ] {
            let (report, _) = found(&rows);
            assert_eq!(report.problem_count, 1, "{report}");
            assert!(report.problems[0].contains(words), "{report}");
        }
    }

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let mut report = Report::default();
        (0..PROBLEMS_MAX + 5).for_each(|n| report.problem(n));
        assert_eq!((report.problems.len(), report.problem_count), (PROBLEMS_MAX, 105));
        assert!(!report.is_sound() && report.to_string().contains("105 problems"));
    }
}
