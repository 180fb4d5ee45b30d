//! Brings views to the sinks of this process: every epoch once, in order.
//!
//! Views come from two sides: from the watch on etcd, and from calls of this process that made one. A call's view is told at once if
//! it is the next, so a call need not wait for the watch to bring its own news. If epochs between are missing, the watch brings
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gundo_coordinator::{ViewSink, Watch};
use gundo_kernel::View;
use gundo_types::Epoch;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

/// The way to the task that tells the sinks.
#[derive(Clone)]
pub(crate) struct Views(Arc<Shared>);

struct Shared {
    words: mpsc::UnboundedSender<Word>,
    /// Epoch and number of members of the view that was told last.
    told: watch::Receiver<(Epoch, usize)>,
    count: AtomicU64,
}

/// Bounded by what is behind it: a caller that waits, the one watch, and the sinks.
enum Word {
    /// A view. `jumps`: those between are not to be had.
    Offer {
        view: View,
        jumps: bool,
    },
    Add {
        id: u64,
        sink: ViewSink,
    },
    Remove {
        id: u64,
    },
}

impl Views {
    /// Begins with the present view. Runs on the present runtime, until it ends.
    pub(crate) fn start(present: View) -> Self {
        let (words, inbox) = mpsc::unbounded_channel();
        let (tell, told) = watch::channel((present.epoch, present.members.len()));
        tokio::spawn(run(present, inbox, tell));
        Self(Arc::new(Shared { words, told, count: AtomicU64::new(0) }))
    }

    /// Tells a view if it is the next one.
    pub(crate) fn offer(&self, view: View) {
        self.send(Word::Offer { view, jumps: false });
    }

    /// Tells a view if it is newer than the last, although epochs between may never be told.
    pub(crate) fn jump(&self, view: View) {
        self.send(Word::Offer { view, jumps: true });
    }

    /// Returns when this view has been told, or a later one. If the ones before it do not come in time they are left out.
    pub(crate) async fn reach(&self, view: View, deadline: Instant) {
        let epoch = view.epoch;
        let mut told = self.0.told.clone();
        self.offer(view.clone());
        if timeout_at(deadline, told.wait_for(|told| told.0 >= epoch)).await.is_err() {
            self.jump(view);
            // It ends only with the runtime.
            let _ = told.wait_for(|told| told.0 >= epoch).await;
        }
    }

    /// Epoch of the view that was told last.
    pub(crate) fn epoch(&self) -> Epoch {
        self.0.told.borrow().0
    }

    /// Number of its members.
    pub(crate) fn members(&self) -> usize {
        self.0.told.borrow().1
    }

    /// Sends the present view and each later one to the sink.
    pub(crate) fn watch(&self, sink: ViewSink) -> Watch {
        let id = self.0.count.fetch_add(1, Ordering::Relaxed);
        self.send(Word::Add { id, sink });
        let views = self.clone();
        Watch::new(move || views.send(Word::Remove { id }))
    }

    fn send(&self, word: Word) {
        // A coordinator that has ended tells nothing.
        let _ = self.0.words.send(word);
    }
}

async fn run(
    mut present: View,
    mut inbox: mpsc::UnboundedReceiver<Word>,
    tell: watch::Sender<(Epoch, usize)>,
) {
    let mut sinks: BTreeMap<u64, ViewSink> = BTreeMap::new();
    while let Some(word) = inbox.recv().await {
        match word {
            Word::Offer { view, jumps } => {
                let next = present.epoch.0 + 1;
                if view.epoch.0 == next || jumps && view.epoch.0 > next {
                    present = view;
                    sinks.values().for_each(|sink| sink(present.clone()));
                    tell.send_replace((present.epoch, present.members.len()));
                }
            }
            Word::Add { id, sink } => {
                sink(present.clone());
                sinks.insert(id, sink);
            }
            Word::Remove { id } => drop(sinks.remove(&id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    fn view(epoch: u64) -> View {
        View { epoch: Epoch(epoch), ..View::default() }
    }

    fn watched(views: &Views) -> (Watch, Receiver<u64>) {
        let (tx, seen) = channel();
        let sink = move |view: View| {
            // The test may have ended.
            let _ = tx.send(view.epoch.0);
        };
        (views.watch(Box::new(sink)), seen)
    }

    /// What has been told, once everything that was said before is done.
    async fn all(views: &Views, seen: &Receiver<u64>) -> Vec<u64> {
        let (_watch, present) = watched(views);
        while present.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        seen.try_iter().collect()
    }

    #[tokio::test]
    async fn a_view_waits_for_those_before_it() {
        let views = Views::start(view(1));
        let (_watch, seen) = watched(&views);
        [3, 1, 4].into_iter().for_each(|epoch| views.offer(view(epoch)));
        assert_eq!(all(&views, &seen).await, [1], "the watch on etcd has yet to bring the second");
        [2, 3, 2, 4].into_iter().for_each(|epoch| views.offer(view(epoch)));
        assert_eq!(all(&views, &seen).await, [2, 3, 4], "each once, in order");
        [3, 7, 7].into_iter().for_each(|epoch| views.jump(view(epoch)));
        assert_eq!(all(&views, &seen).await, [7]);
    }

    #[tokio::test]
    async fn a_call_waits_until_its_view_is_told() {
        let views = Views::start(view(1));
        let (_watch, seen) = watched(&views);
        views.reach(view(2), Instant::now() + Duration::from_secs(60)).await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [1, 2]);
        // The one before does not come.
        views.reach(view(4), Instant::now()).await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [4]);
    }
}
