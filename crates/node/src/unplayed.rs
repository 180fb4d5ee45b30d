//! Removes players who never did anything and have not been here for long ([`WorldSettings::unplayed_ms`]), a few streams per second.
//!
//! Which they are, their streams say ([`gundo_journal::unplayed`]); nodes record everybody who is in the world twice in that time, and
//! a stream that has grown since it was read stays. Each process looks at all streams of players about once per
//! [`EVERY_MS`] of world time, unless another one has begun to. Two at once do no harm.
//!
//! [`WorldSettings::unplayed_ms`]: gundo_kernel::WorldSettings::unplayed_ms

use gundo_journal::unplayed::{EVENTS_MAX, is_unplayed, may_be_unplayed};
use gundo_journal::{Fault, Journal};
use gundo_types::{EntityId, Kind, WorldTime};

/// Streams that one look takes.
const AT_ONCE: usize = 100;
/// Between two walks over all players, ms of world time.
const EVERY_MS: u64 = 3_600_000;
/// The first walk of a process begins after so many looks: who was here when the world stopped has this time to come back. About a
/// second each.
const FIRST_AFTER: u32 = 600;
/// The key in the journal of when the last walk began: ms of world time.
const KEY: &str = "unplayed_walk_ms";

/// A walk over all players, or what comes before the next one.
pub(crate) struct Walk {
    player: Kind,
    keep_ms: u64,
    /// Looks before the first walk.
    waits: u32,
    /// Where a walk that has begun goes on.
    after: Option<EntityId>,
    removed: usize,
}

impl Walk {
    pub(crate) fn new(player: Kind, keep_ms: u64) -> Self {
        Self { player, keep_ms, waits: FIRST_AFTER, after: None, removed: 0 }
    }

    /// The world shows `now`. Call about once per second.
    pub(crate) fn look(&mut self, journal: &dyn Journal, now: WorldTime) {
        if self.keep_ms == 0 || now == WorldTime(0) {
            return;
        }
        if self.waits > 0 {
            self.waits -= 1;
            return;
        }
        if let Err(fault) = self.go_on(journal, now) {
            // The next look tries again.
            tracing::debug!(%fault, "cannot look for players who never did anything");
        }
    }

    fn go_on(&mut self, journal: &dyn Journal, now: WorldTime) -> Result<(), Fault> {
        let after = match self.after {
            Some(after) => after,
            None if !begins(journal, now)? => return Ok(()),
            None => EntityId::new(self.player, 0),
        };
        let found = journal.streams(Some(after), AT_ONCE)?;
        let before = WorldTime(now.0.saturating_sub(self.keep_ms));
        let players = || found.iter().take_while(|stream| stream.entity.kind == self.player);
        let mut due = Vec::new();
        for stream in players().filter(|stream| may_be_unplayed(stream)) {
            let events = journal.stream(stream.entity, 0, EVENTS_MAX + 1)?;
            if is_unplayed(&events, before) {
                due.push((stream.entity, events.len() as u64));
            }
        }
        if !due.is_empty() {
            self.removed += journal.remove(&due)?;
        }
        let last = players().last().map(|stream| stream.entity);
        self.after = last.filter(|_| players().count() == AT_ONCE);
        if self.after.is_none() && self.removed > 0 {
            let players = std::mem::take(&mut self.removed);
            tracing::info!(players, "removed players who never did anything and have not been here for long");
        }
        Ok(())
    }
}

/// Whether a walk is due. If so, this process does it.
fn begins(journal: &dyn Journal, now: WorldTime) -> Result<bool, Fault> {
    let last: u64 = journal.meta(KEY)?.and_then(|found| found.parse().ok()).unwrap_or(0);
    if now.0 < last.saturating_add(EVERY_MS) {
        return Ok(false);
    }
    Ok(journal.raise(KEY, now.0)? == now.0)
}

#[cfg(test)]
mod tests {
    use gundo_journal::{MemoryJournal, suite};
    use gundo_types::NodeId;
    use gundo_wire::Message;
    use gundo_wire::journal::{Batch, Cause, EventRecord, EventType, NameChange, StreamAppend};

    use super::*;

    const PLAYER: Kind = Kind(3);
    const DAY_MS: u64 = 86_400_000;

    fn event(event_type: EventType, at: u64, seq: u64) -> EventRecord {
        let cause = Cause { seq, ..Cause::default() }.encode_to_vec().into();
        EventRecord { at: WorldTime(at), cause, event_type, payload: Default::default() }
    }

    /// Player `id` comes at `at`; it does something, or not.
    fn comes(journal: &MemoryJournal, incarnation: u64, (id, at): (u64, u64), plays: bool) {
        let entity = EntityId::new(PLAYER, id);
        let mut events = vec![event(EventType::Game, at, 0), event(EventType::Session, at, 0)];
        if plays {
            events.push(event(EventType::Game, at, 1));
        }
        let name = NameChange { space: "player".into(), name: id.to_string(), owner: Some(entity) };
        let streams = vec![StreamAppend { entity, load: 1, after: 0, events, snapshot: None, wake: None }];
        let (node, prepared_by) = (NodeId(1), Vec::new());
        let batch = Batch { id, node, incarnation, generation: 0, prepared_by, streams, names: vec![name] };
        journal.handle(node, incarnation, Box::new(drop)).append(batch);
    }

    #[test]
    fn a_flood_leaves_nothing_and_players_stay() {
        let journal = MemoryJournal::new();
        let incarnation = suite::join(&journal, 1);
        for id in 1..=350 {
            comes(&journal, incarnation, (id, id), id % 10 == 0);
        }
        comes(&journal, incarnation, (1_000, DAY_MS), false);
        let mut walk = Walk::new(PLAYER, DAY_MS);
        let left = || journal.streams(None, 10_000).expect("in memory").len();
        for _ in 0..FIRST_AFTER {
            walk.look(&journal, WorldTime(DAY_MS + 10_000));
        }
        assert_eq!(left(), 351, "who was here at the start has time to come back");
        for _ in 0..5 {
            walk.look(&journal, WorldTime(DAY_MS + 10_000));
        }
        assert_eq!(left(), 36);
        let owner =
            |id: u64| journal.name("player", &id.to_string()).expect("in memory").map(|row| row.owner);
        assert_eq!((owner(1), owner(10).flatten().map(|e| e.id)), (None, Some(10)), "names are free again");
        walk.look(&journal, WorldTime(2 * DAY_MS + 1));
        assert_eq!(left(), 35, "a day later the last one has been away for a day");
    }

    #[test]
    fn one_process_walks_at_a_time_and_nobody_if_players_are_kept() {
        let journal = MemoryJournal::new();
        let incarnation = suite::join(&journal, 1);
        let left = || journal.streams(None, 10).expect("in memory").len();
        comes(&journal, incarnation, (1, 1), false);
        let mut keeps = Walk { waits: 0, ..Walk::new(PLAYER, 0) };
        keeps.look(&journal, WorldTime(9 * DAY_MS));
        assert_eq!(left(), 1);
        let (mut one, mut two) = (Walk::new(PLAYER, DAY_MS), Walk::new(PLAYER, DAY_MS));
        (one.waits, two.waits) = (0, 0);
        one.look(&journal, WorldTime(2 * DAY_MS));
        assert_eq!(left(), 0);
        comes(&journal, incarnation, (2, 2), false);
        two.look(&journal, WorldTime(2 * DAY_MS + 1));
        assert_eq!(left(), 1, "another has walked a moment ago");
        two.look(&journal, WorldTime(2 * DAY_MS + EVERY_MS));
        assert_eq!(left(), 0);
    }
}
