//! What a node of a cluster must know before it takes over: whose rules took the other node down.
//!
//! A process that hangs notes in the journal what it ran, and only then aborts. The others look at these notes once per second, which is
//! too late for those who take over within that second: they would run the same rule, and be the next. So each view waits here until the
//! notes have been read. That is one small read; a journal that does not answer delays the view by its own limit of an answer, and
//! without a journal nothing could be loaded either.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use gundo_edge::Urgency;
use gundo_journal::Journal;
use gundo_kernel::{Input, View};

use crate::blame::Blames;
use crate::inbox::Inbox;

/// Starts the thread through which a node gets its views, in their order. It ends when all senders are gone.
///
/// # Errors
/// The system provides no more threads.
pub(crate) fn start(
    blames: Arc<Blames>,
    journal: Arc<dyn Journal>,
    inbox: Arc<Inbox>,
) -> std::io::Result<Sender<View>> {
    let (views, rx) = channel();
    let run = move || pass_on(&rx, &blames, journal.as_ref(), &inbox);
    Builder::new().name("gundo-views".into()).spawn(run)?;
    Ok(views)
}

fn pass_on(views: &Receiver<View>, blames: &Blames, journal: &dyn Journal, inbox: &Inbox) {
    for view in views {
        if let Err(fault) = blames.look(journal) {
            tracing::debug!(%fault, "cannot read which entities others blame before a view");
        }
        // All of them: somebody else may have read the newest, and not have told the node yet.
        for (entity, points) in blames.list() {
            inbox.give(Input::Blamed { entity, points }, Urgency::Now);
        }
        inbox.give(Input::View(view), Urgency::Now);
    }
}
