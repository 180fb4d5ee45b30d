//! From the node's batches to the sockets: queues first, on the node's thread; writes after, on the I/O threads.
//!
//! A batch wakes a flusher, not a task for each connection: at a thousand clients a wake each would cost as much as the
//! write.

use std::sync::{Arc, Mutex};

use gundo_types::ConnId;
use tokio::sync::{Notify, watch};

use crate::conn::Conn;
use crate::indicators::add;
use crate::link::Delivery;
use crate::{Shared, locked};

/// Tasks that write, so that a tick's messages use more than one core.
pub(crate) const FLUSHERS: usize = 2;
/// Connections a flusher takes at once: about 0.5 ms of writes, then others get a turn.
const TAKE: usize = 48;

/// Connections with something to write.
#[derive(Default)]
pub(crate) struct Dirty {
    conns: Mutex<Vec<Arc<Conn>>>,
    filled: Notify,
}

/// Puts a batch into the connections' queues and wakes the flushers.
pub(crate) fn deliver(shared: &Shared, batch: &mut Vec<Delivery>) {
    let mut dirty = Vec::new();
    {
        let conns = locked(&shared.conns);
        let mut sent = 0;
        // What was sent last, if it was to the connection that is closed next: the node's reason.
        let mut last: Option<(ConnId, gundo_kernel::Parts)> = None;
        let mut deliveries = batch.drain(..).peekable();
        while let Some(delivery) = deliveries.next() {
            let (Delivery::Send { conn: id, .. }
            | Delivery::Close { conn: id }
            | Delivery::Resume { conn: id }) = delivery;
            let Some(conn) = conns.get(&id) else { continue };
            let marked = match delivery {
                Delivery::Send { parts, class, .. } => {
                    if matches!(deliveries.peek(), Some(Delivery::Close { conn }) if *conn == id) {
                        last = Some((id, parts.clone()));
                    }
                    sent += 1;
                    conn.send(parts, class)
                }
                Delivery::Close { .. } => conn
                    .close_by_node(last.take().filter(|(to, _)| *to == id).map(|(_, parts)| parts).as_ref()),
                Delivery::Resume { .. } => {
                    conn.resume();
                    false
                }
            };
            if marked {
                dirty.push(Arc::clone(conn));
            }
        }
        add(&shared.indicators.tally.messages_out, sent);
    }
    if dirty.is_empty() {
        return;
    }
    let many = dirty.len() > TAKE;
    locked(&shared.flushing.conns).append(&mut dirty);
    shared.flushing.filled.notify_one();
    if many {
        shared.flushing.filled.notify_one();
    }
}

/// Writes what is queued until the edge stops.
pub(crate) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let flushing = &shared.flushing;
    loop {
        let some: Vec<_> = {
            let mut conns = locked(&flushing.conns);
            let take = conns.len().min(TAKE);
            conns.drain(..take).collect()
        };
        if some.is_empty() {
            // After the stop, connections are closed by hand; nothing comes through here any more once the sender is gone.
            tokio::select! {
                () = flushing.filled.notified() => {}
                gone = stopped.wait_for(|_| false) => if gone.is_err() { return },
            }
            continue;
        }
        for conn in some {
            conn.flush_dirty();
        }
        tokio::task::yield_now().await;
    }
}
