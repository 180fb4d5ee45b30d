//! Somebody looks at a chunk of this home: its land, and the entities that have their place there, must be here.
//!
//! While somebody looks at a chunk it is **open**: the node loads its land, asks the journal which entities have their place in
//! it, loads those, and subscribes to the chunks around, so that they see their surroundings. When nobody looks any more they
//! fall asleep, and are unloaded a while later (`rest_at_home`). After a new view the node lists each chunk again: only then is
//! it certain that no other node writes there.

use gundo_types::{ChunkId, EntityId, Kind};

use super::desk::Rooms;
use super::room::Host;
use crate::core::Timer;
use crate::game::{PLACED_MAX, Role};
use crate::io::Output;
use crate::retry;

/// Chunks with another home that are closed at once, and in each tick after that: each looks at the chunks around it.
const PLACES_LEFT_MAX: usize = 64;

impl Host {
    /// Somebody looks at `chunk`, or nobody any more: loads its entities, or lets them fall asleep.
    pub(crate) fn on_observed(&mut self, rooms: &mut Rooms<'_>, chunk: ChunkId) {
        let lives_here = rooms.core.home_of_chunk(chunk) == Some(rooms.core.me());
        if !lives_here || !rooms.home.is_observed(chunk) {
            return self.close(rooms, chunk);
        }
        let rules = rooms.core.settings.rules.clone();
        if !rules.kinds().any(|(_, kind)| matches!(kind.role(), Role::Land | Role::Placed)) {
            return;
        }
        let (opens, unlisted) = self.desk.places.begin(chunk);
        if opens {
            rooms.crowd.interest.set_place(chunk, true);
        }
        for (kind, any) in rules.kinds() {
            match any.role() {
                Role::Land => self.need_at_home(rooms, EntityId::new(kind, chunk.to_u64())),
                Role::Placed if unlisted => self.list(rooms, kind, chunk),
                Role::Placed | Role::Player | Role::Home => {}
            }
        }
    }

    /// Nobody looks at `chunk`, or another node is its home: its entities fall asleep.
    fn close(&mut self, rooms: &mut Rooms<'_>, chunk: ChunkId) {
        if !self.desk.places.end(chunk) {
            return;
        }
        rooms.crowd.interest.set_place(chunk, false);
        self.fall_asleep(rooms, chunk);
    }

    /// The entities of `chunk` do not tick any more.
    fn fall_asleep(&mut self, rooms: &Rooms<'_>, chunk: ChunkId) {
        for (kind, any) in rooms.core.settings.rules.kinds() {
            let ids = match any.role() {
                Role::Land => chunk.to_u64()..=chunk.to_u64(),
                Role::Placed => EntityId::placed_in(chunk),
                Role::Player | Role::Home => continue,
            };
            let ids = EntityId::new(kind, *ids.start())..=EntityId::new(kind, *ids.end());
            while let Some(id) = self.desk.awake.range(ids.clone()).next().copied() {
                self.desk.awake.remove(&id);
            }
        }
    }

    /// A new view: closes chunks whose home is another node now, some at once and more with each tick. The others are listed again
    /// when this home opens.
    pub(crate) fn leave_places(&mut self, rooms: &mut Rooms<'_>) {
        let (me, core) = (Some(rooms.core.me()), &rooms.core);
        for chunk in self.desk.places.doubt_all(|chunk| core.home_of_chunk(chunk) == me) {
            self.fall_asleep(rooms, chunk);
        }
        self.leave_some_places(rooms);
    }

    /// Closes some chunks whose home is another node.
    pub(super) fn leave_some_places(&mut self, rooms: &mut Rooms<'_>) {
        for _ in 0..PLACES_LEFT_MAX {
            let Some(chunk) = self.desk.places.next_leaving() else { return };
            self.close(rooms, chunk);
        }
    }

    /// A former owner has unloaded `id`: this node may load it, if somebody looks at its chunk or watches it.
    pub(crate) fn on_released(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        let chunk = rooms.core.settings.rules.chunk_of(id);
        if chunk.is_some_and(|chunk| self.desk.places.is_open(chunk)) {
            self.need_at_home(rooms, id);
        }
        if self.desk.watchers.has(id) {
            self.need_at_home(rooms, id);
            self.answer_watchers(rooms, id);
        }
    }

    // ---- lists -----------------------------------------------------------------------------------------

    /// Asks the journal which entities of `kind` have their place in `chunk`.
    fn list(&mut self, rooms: &mut Rooms<'_>, kind: Kind, chunk: ChunkId) {
        let list = rooms.core.next_load();
        self.desk.places.ask(list, kind, chunk);
        let (ids, max) = (EntityId::placed_in(chunk), PLACED_MAX);
        rooms.core.outputs.push_back(Output::List { kind, ids, max, list });
    }

    pub(crate) fn on_listed(&mut self, rooms: &mut Rooms<'_>, list: u64, result: Result<Vec<u64>, String>) {
        let Some((kind, chunk)) = self.desk.places.answer(list) else {
            return rooms.core.note_stale();
        };
        let Ok(ids) = result else {
            let failures = self.desk.places.fail(kind, chunk);
            let wait_ms = rooms.core.retry_ms(retry::JOURNAL, failures);
            return rooms.core.after_ms(wait_ms, Timer::ListRetry(kind, chunk));
        };
        self.desk.places.succeed(kind, chunk);
        for id in ids.into_iter().take(PLACED_MAX) {
            let id = EntityId::new(kind, id);
            assert_eq!(id.chunk_of_placed(), chunk, "a list has only ids of its chunk");
            self.need_at_home(rooms, id);
        }
    }

    pub(super) fn on_list_retry(&mut self, rooms: &mut Rooms<'_>, kind: Kind, chunk: ChunkId) {
        if self.desk.places.wants_again(kind, chunk) {
            self.list(rooms, kind, chunk);
        }
    }
}
