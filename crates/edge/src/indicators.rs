//! The metrics an edge reports to operators.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gundo_types::NodeId;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Counters that grow with every message: plain atomics, passed to the recorder by the sweep.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) frames_dropped: AtomicU64,
    pub(crate) accepted: AtomicU64,
}

/// Adds to a counter of the [`Tally`].
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// The edge's indicators, labelled with its node.
pub(crate) struct Indicators {
    recorder: Arc<dyn Recorder + Send + Sync>,
    node: Label,
    pub(crate) tally: Tally,
    counters: [Counter; 6],
    connections: Gauge,
    queued: Gauge,
    rtt: Histogram,
}

impl Indicators {
    pub(crate) fn new(recorder: Arc<dyn Recorder + Send + Sync>, node: NodeId) -> Self {
        let node = Label::new("node", node.0.to_string());
        let counter = |name: &'static str, text: &'static str| {
            recorder.describe_counter(name.into(), None, text.into());
            recorder.register_counter(&Key::from_parts(name, vec![node.clone()]), &METADATA)
        };
        let gauge = |name: &'static str, unit, text: &'static str| {
            recorder.describe_gauge(name.into(), Some(unit), text.into());
            recorder.register_gauge(&Key::from_parts(name, vec![node.clone()]), &METADATA)
        };
        let counters = [
            counter("gundo_client_messages_in_total", "WebSocket messages from clients"),
            counter("gundo_client_messages_out_total", "WebSocket messages to clients"),
            counter("gundo_client_bytes_in_total", "Bytes from clients, WebSocket framing included"),
            counter("gundo_client_bytes_out_total", "Bytes to clients, WebSocket framing included"),
            counter("gundo_frames_dropped_total", "Frame messages dropped because a client was slow"),
            counter("gundo_connections_total", "WebSocket connections since the start"),
        ];
        let connections = gauge("gundo_connections", Unit::Count, "WebSocket connections now");
        let queued = gauge("gundo_send_queue_bytes", Unit::Bytes, "Bytes waiting to be written to clients");
        let name = "gundo_round_trip_seconds";
        recorder.describe_histogram(name.into(), Some(Unit::Seconds), "Round trip of WebSocket pings".into());
        let rtt = recorder.register_histogram(&Key::from_parts(name, vec![node.clone()]), &METADATA);
        recorder.describe_counter("gundo_closed_total".into(), None, "Connections closed, by reason".into());
        Self { recorder, node, tally: Tally::default(), counters, connections, queued, rtt }
    }

    /// A connection was closed with the reason `code`.
    pub(crate) fn closed(&self, code: &str) {
        let labels = vec![self.node.clone(), Label::new("reason", code.to_owned())];
        self.recorder
            .register_counter(&Key::from_parts("gundo_closed_total", labels), &METADATA)
            .increment(1);
    }

    /// A pong arrived.
    pub(crate) fn round_trip(&self, us: u64) {
        self.rtt.record(us as f64 / 1e6);
    }

    /// Passes the tally to the recorder.
    pub(crate) fn publish(&self, connections: usize, queued_bytes: usize) {
        let t = &self.tally;
        let values =
            [&t.messages_in, &t.messages_out, &t.bytes_in, &t.bytes_out, &t.frames_dropped, &t.accepted];
        for (counter, value) in self.counters.iter().zip(values) {
            counter.absolute(value.load(Ordering::Relaxed));
        }
        self.connections.set(connections as f64);
        self.queued.set(queued_bytes as f64);
    }
}
