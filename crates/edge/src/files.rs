//! File descriptors: how many connections a process takes, so that it keeps some for operators, the journal and itself.
//!
//! Every connection is an open file, and the system bounds those of a process. At the bound nothing can be opened any more: no operator
//! gets in, the journal opens no file, nodes make no links. So the front takes fewer connections than the system allows, and tells those
//! beyond why.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gundo_types::Figure;

/// Connections of the address for operators only.
pub(crate) const OPERATORS_MAX: usize = 32;
/// Connections that may be told at one time that there is no room, over all nodes.
const TOLD_MAX: usize = 1_000;
/// This share of the players' connections, one in so many, is for those who have a player.
const KEYED_SHARE: usize = 16;

/// What a process does with the files that it may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    max: usize,
    reserved: usize,
}

impl Files {
    /// `max` may be opened, and `reserved` of them, but half at most, are not for players: the process itself has them (journal, links to
    /// other nodes, threads), the address for operators, and those who are told that there is no room.
    pub fn new(max: usize, reserved: usize) -> Self {
        Self { max, reserved: reserved.min(max / 2) }
    }

    /// As many as one wants.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX / 2, 0)
    }

    /// All that may be opened.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Connections that speak HTTP, if `wanted` is not fewer. Beyond: new ones wait to be accepted.
    pub(crate) fn http_max(&self, wanted: usize) -> usize {
        let share = (self.reserved / 4).max((self.max - self.reserved) / 8);
        share.min(wanted).max(1)
    }

    /// WebSockets of players, where `http_max` connections may speak HTTP.
    pub fn players_max(&self, http_max: usize) -> usize {
        self.max - self.reserved - self.http_max(http_max)
    }

    /// WebSockets beyond that which are only told so.
    fn told_max(&self) -> usize {
        (self.reserved / 8).min(TOLD_MAX)
    }
}

/// The WebSockets of a process, counted.
#[derive(Debug)]
pub(crate) struct Places {
    files: Files,
    players_max: usize,
    taken: AtomicUsize,
}

impl Places {
    pub(crate) fn new(files: Files, http_max: usize) -> Arc<Self> {
        Arc::new(Self { files, players_max: files.players_max(http_max), taken: AtomicUsize::new(0) })
    }

    /// A slot for one more WebSocket. `None`: there is none, not even for a word.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { of: Arc::clone(self), is_told: before >= self.players_max };
        // Dropping it gives it back.
        (before < self.players_max.saturating_add(self.files.told_max())).then_some(slot)
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let now = |name, text, value: usize| Figure::now(name, text, value as f64);
        vec![
            now("process_max_fds", "Files and sockets the process may have open", self.files.max),
            now("gundo_client_files", "WebSockets of players", self.taken.load(Ordering::Relaxed)),
            now("gundo_client_files_max", "WebSockets of players there may be", self.players_max),
        ]
    }
}

/// The slot of one WebSocket. Dropping it gives it back, so it goes with the socket.
pub(crate) struct Slot {
    of: Arc<Places>,
    is_told: bool,
}

impl Slot {
    /// Whether it is only told that there is no room.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Whether the last places are being taken, which are for people who have a player.
    pub(crate) fn is_scarce(&self) -> bool {
        let kept = self.of.players_max / KEYED_SHARE;
        self.of.taken.load(Ordering::Relaxed) > self.of.players_max - kept
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("is_told", &self.is_told).finish()
    }
}

/// Says something once a minute, however often it happens.
#[derive(Default)]
pub(crate) struct Seldom {
    times: u64,
    last: Option<Instant>,
}

impl Seldom {
    const EVERY: Duration = Duration::from_secs(60);

    /// It has happened. How often since it was said last, if it is time to say it again.
    pub(crate) fn happened(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        let is_time = self.last.is_none_or(|last| now.saturating_duration_since(last) >= Self::EVERY);
        is_time.then(|| {
            self.last = Some(now);
            std::mem::take(&mut self.times)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_no_more_than_the_whole() {
        for max in [16, 64, 256, 1_024, 4_096, 65_536, 1 << 20] {
            for reserved in [0, 128, 256, 100_000] {
                let files = Files::new(max, reserved);
                let http = files.http_max(4_096);
                let all = files.players_max(4_096) + http + files.reserved;
                assert_eq!(all, max);
                assert!(
                    files.told_max() + OPERATORS_MAX <= files.reserved.max(OPERATORS_MAX + 16),
                    "{files:?}"
                );
            }
        }
        let usual = Files::new(1_024, 256);
        assert_eq!((usual.players_max(4_096), usual.http_max(4_096), usual.told_max()), (672, 96, 32));
        let few = Files::new(256, 256);
        assert_eq!((few.players_max(4_096), few.http_max(4_096), few.told_max()), (96, 32, 16));
    }

    #[test]
    fn places_are_given_back_and_the_last_are_for_people_with_a_player() {
        let places = Places::new(Files::new(256, 128), 4_096);
        let mut all: Vec<_> = (0..90).map_while(|_| places.take()).collect();
        assert!(!all[89].is_scarce());
        all.push(places.take().expect("91 of 96"));
        assert!(all[0].is_scarce() && !all[90].is_told());
        all.extend((0..5).map_while(|_| places.take()));
        let told: Vec<_> = std::iter::from_fn(|| places.take()).collect();
        assert!(told.len() == 16 && told.iter().all(Slot::is_told), "they are told");
        assert!(places.take().is_none());
        drop(told);
        all.clear();
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn it_is_said_once_a_minute_with_how_often() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        let said: Vec<_> = (0..200).filter_map(|s| seldom.happened(start + Duration::from_secs(s))).collect();
        assert_eq!(said, [1, 60, 60, 60]);
    }
}
