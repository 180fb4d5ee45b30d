//! Players who never did anything: which they are, as their streams say. A flood of new players must leave nothing for ever, so they
//! are removed when their last visit is long ago ([`Journal::remove`](crate::Journal::remove)).

use gundo_types::WorldTime;
use gundo_wire::Message;
use gundo_wire::journal::{Cause, EventRecord, EventType};

use crate::StreamSummary;

/// Events of a stream that is looked at. A player with more has been here so often that it stays.
pub const EVENTS_MAX: usize = 64;

/// Whether a stream may be that of a player who never did anything, at first sight: it is short and whole, and has no snapshot.
pub fn may_be_unplayed(stream: &StreamSummary) -> bool {
    stream.first == 1 && stream.last <= EVENTS_MAX as u64 && stream.snapshot.is_none()
}

/// Whether this whole stream is that of a player who never did anything of its own, and to whom nobody did anything, and who was last
/// here before `before`.
///
/// It begins with what the game made of it at its first hello. After that it only came, walked and left: no command of its own has
/// left anything, and no other entity has changed it.
pub fn is_unplayed(events: &[(u64, EventRecord)], before: WorldTime) -> bool {
    is_over(events, before) && never_played(events)
}

/// Whether the newest event is earlier.
pub(crate) fn is_over(events: &[(u64, EventRecord)], before: WorldTime) -> bool {
    events.last().is_some_and(|(_, newest)| newest.at < before)
}

fn never_played(events: &[(u64, EventRecord)]) -> bool {
    let mut has_come = false;
    events.iter().enumerate().all(|(index, (seq, event))| {
        let is_next = *seq == index as u64 + 1;
        // What does not decode is somebody's, and stays.
        let no_command = Cause::decode(event.cause.as_ref()).is_ok_and(|cause| cause.seq == 0);
        let came_before = has_come;
        has_come |= event.event_type == EventType::Session;
        let says_nothing = match event.event_type {
            EventType::Game => !came_before,
            EventType::Session | EventType::Placed | EventType::Fenced => true,
            // Others may count on what it has taken or owes.
            EventType::Answered | EventType::Sent | EventType::Taken | EventType::Delivered => false,
            // What the game sets for every newcomer says nothing, and goes with it.
            EventType::TimerSet => !came_before,
            EventType::TimerOver | EventType::Ordered => false,
        };
        is_next && no_command && says_nothing
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stream(types: &[(EventType, u64)]) -> Vec<(u64, EventRecord)> {
        let event = |(index, (event_type, command)): (usize, &(EventType, u64))| {
            let cause = Cause { seq: *command, ..Cause::default() }.encode_to_vec().into();
            let at = WorldTime(1_000 + index as u64);
            (index as u64 + 1, EventRecord { at, cause, event_type: *event_type, payload: Bytes::new() })
        };
        types.iter().enumerate().map(event).collect()
    }

    #[test]
    fn who_came_and_walked_has_done_nothing() {
        use EventType::{Answered, Fenced, Game, Placed, Session};
        let late = WorldTime(5_000);
        let came = [(Game, 0), (Game, 0), (Session, 0), (Placed, 0), (Session, 0), (Fenced, 0), (Placed, 0)];
        assert!(is_unplayed(&stream(&came), late));
        assert!(is_unplayed(&stream(&[(Session, 0)]), late), "the game makes nothing of it");
        assert!(!is_unplayed(&stream(&came), WorldTime(1_006)), "it was here a moment ago");
        assert!(!is_unplayed(&[], late));
        for did in [(Game, 1), (Answered, 1), (Game, 0), (Answered, 0)] {
            let mut played = came.to_vec();
            played.insert(4, did);
            assert!(!is_unplayed(&stream(&played), late), "{did:?} by itself or by somebody else");
        }
        let mut damaged = stream(&came);
        damaged[3].1.cause = Bytes::from_static(&[0xff]);
        assert!(!is_unplayed(&damaged, late), "what nobody can read stays");
        assert!(!is_unplayed(&stream(&came)[1..], late), "part of a stream says nothing");
    }

    #[test]
    fn long_and_pruned_streams_are_not_looked_at() {
        let entity = crate::suite::entity(1);
        let one = StreamSummary { entity, first: 1, last: 3, snapshot: None };
        assert!(may_be_unplayed(&one));
        assert!(!may_be_unplayed(&StreamSummary { first: 2, ..one }));
        assert!(!may_be_unplayed(&StreamSummary { snapshot: Some(3), ..one }));
        assert!(!may_be_unplayed(&StreamSummary { last: 65, ..one }));
    }
}
