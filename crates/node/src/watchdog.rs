//! The watchdog: finds logic threads that hang.
//!
//! It counts its own looks and trusts no clock: while a process is stopped, or a machine sleeps, the watchdog does not look
//! either, so no thread is blamed.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use gundo_types::NodeId;

use crate::driver::Link;

/// Interval between two looks, ms.
const LOOK_MS: u64 = 100;

/// A logic thread that hangs.
pub(crate) struct Stuck {
    pub(crate) link: Arc<Link>,
    /// For how long the watchdog has seen it in the same turn, ms.
    pub(crate) ms: u64,
}

/// Watches logic threads until it is dropped.
pub(crate) struct Watchdog {
    links: Arc<Mutex<Vec<Weak<Link>>>>,
    /// Dropped to end it.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Reports, once, each thread that is in one turn for `limit_ms`.
    pub(crate) fn start(
        limit_ms: u64,
        mut on_stuck: impl FnMut(Stuck) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (end, ended) = channel();
        let links = Arc::new(Mutex::new(Vec::new()));
        let watched = Arc::clone(&links);
        let run = move || {
            let mut looks = Looks::new(limit_ms);
            while waits(&ended) {
                for link in alive(&watched) {
                    if let Some(ms) = looks.look(link.me, link.turn()) {
                        on_stuck(Stuck { link, ms });
                    }
                }
                looks.forget();
            }
        };
        let thread = Builder::new().name("gundo-watchdog".into()).spawn(run)?;
        Ok(Self { links, end: Some(end), thread: Some(thread) })
    }

    /// Watches one more thread, until its link is dropped.
    pub(crate) fn watch(&self, link: &Arc<Link>) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(link));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.end.take());
        // A look is short, so this join takes only a moment.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Waits for the next look; false: there is none.
fn waits(ended: &Receiver<()>) -> bool {
    ended.recv_timeout(Duration::from_millis(LOOK_MS)) == Err(RecvTimeoutError::Timeout)
}

fn alive(links: &Mutex<Vec<Weak<Link>>>) -> Vec<Arc<Link>> {
    let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
    links.retain(|link| link.strong_count() > 0);
    links.iter().filter_map(Weak::upgrade).collect()
}

/// The results of the last looks.
struct Looks {
    limit_ms: u64,
    /// By node and incarnation: its turn, how often in a row it was seen in that turn, and whether this look has seen it.
    seen: BTreeMap<(NodeId, u64), (u64, u64, bool)>,
}

impl Looks {
    fn new(limit_ms: u64) -> Self {
        Self { limit_ms, seen: BTreeMap::new() }
    }

    /// `turn`: the turn the thread is in; `None`: it is idle. Returns, once, for how long it has been stuck.
    fn look(&mut self, who: (NodeId, u64), turn: Option<u64>) -> Option<u64> {
        let turn = turn?;
        let (before, looks, here) = self.seen.entry(who).or_insert((turn, 0, true));
        if *before != turn {
            (*before, *looks) = (turn, 0);
        }
        (*looks, *here) = (*looks + 1, true);
        // The first look finds it in the turn; each further look proves that it stayed there for one interval.
        let due = self.limit_ms.div_ceil(LOOK_MS) + 1;
        (*looks == due).then_some((due - 1) * LOOK_MS)
    }

    /// After each round: forgets threads that are idle or gone.
    fn forget(&mut self) {
        self.seen.retain(|_, (.., here)| std::mem::take(here));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: (NodeId, u64) = (NodeId(1), 7);

    fn look(looks: &mut Looks, turn: Option<u64>) -> Option<u64> {
        let found = looks.look(ME, turn);
        looks.forget();
        found
    }

    #[test]
    fn a_turn_that_does_not_end_is_found_once() {
        let mut looks = Looks::new(300);
        let found: Vec<_> = (0..20).map(|_| look(&mut looks, Some(5))).collect();
        assert_eq!(found.iter().position(Option::is_some), Some(3));
        assert_eq!(found.iter().flatten().collect::<Vec<_>>(), [&300]);
        // The same node, as its next incarnation.
        let found: Vec<_> = (0..5).map(|_| looks.look((NodeId(1), 8), Some(1))).collect();
        assert_eq!(found, [None, None, None, Some(300), None]);
    }

    #[test]
    fn whoever_turns_or_waits_is_well() {
        let mut looks = Looks::new(300);
        for turn in 0..50 {
            assert_eq!(look(&mut looks, Some(turn / 3)), None, "turns go on");
        }
        for _ in 0..50 {
            assert_eq!(look(&mut looks, None), None, "it waits");
        }
        for turn in 0..50 {
            let turn = (turn % 3 != 0).then_some(7);
            assert_eq!(look(&mut looks, turn), None, "it waited in between");
        }
    }
}
