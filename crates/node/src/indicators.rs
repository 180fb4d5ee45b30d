//! The metrics for operators: the recorder of a world, the metrics of each node's logic, and those of the machine.
//!
//! There are three families: machine (`process_*`, `machine_*`), logic (`gundo_tick_seconds`, `gundo_inbox`,
//! `gundo_commands_total` and the like), and network, which the edges record themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use gundo_edge::Recorder;
use gundo_kernel::{Counters, View};
use gundo_types::NodeId;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::machine::Machine;

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Bucket bounds of `gundo_tick_seconds`: from a quiet world to a lost tick.
const TICK_BUCKETS: [f64; 10] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1];
/// Bucket bounds of `gundo_round_trip_seconds`.
const RTT_BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// All metrics of one process. Not the global recorder, because several worlds may run in one test process.
#[derive(Clone)]
pub(crate) struct Recorders {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Recorders {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new();
        let builder =
            builder.set_buckets_for_metric(Matcher::Full("gundo_tick_seconds".into()), &TICK_BUCKETS)?;
        let builder =
            builder.set_buckets_for_metric(Matcher::Full("gundo_round_trip_seconds".into()), &RTT_BUCKETS)?;
        let recorder = builder.build_recorder();
        Ok(Self { handle: recorder.handle(), recorder: Arc::new(recorder) })
    }

    pub(crate) fn recorder(&self) -> Arc<dyn Recorder + Send + Sync> {
        Arc::clone(&self.recorder) as Arc<dyn Recorder + Send + Sync>
    }

    /// Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Compacts what was recorded since the last call; call every few seconds.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn counter(&self, name: &'static str, labels: Vec<Label>, text: &'static str) -> Counter {
        self.recorder.describe_counter(name.into(), None, text.into());
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    pub(crate) fn gauge(&self, name: &'static str, labels: Vec<Label>, text: &'static str) -> Gauge {
        self.recorder.describe_gauge(name.into(), None, text.into());
        self.recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }
}

type CounterOf = fn(&Counters) -> u64;
type MachineOf = fn(&Machine) -> f64;
/// A label in addition to the node's, if any.
type More = Option<(&'static str, &'static str)>;
/// Name, label, description, and how to read the value.
type Row<Of> = (&'static str, More, &'static str, Of);

/// The kernel's counters by name.
const COUNTERS: [Row<CounterOf>; 46] = [
    ("gundo_commands_total", Some(("result", "done")), "Commands answered", |c| c.commands_done),
    ("gundo_commands_total", Some(("result", "refused")), "Commands answered", |c| c.commands_refused),
    ("gundo_appends_total", None, "Appends sent to the journal", |c| c.appends),
    ("gundo_appends_failed_total", None, "Appends that did not land at once", |c| c.appends_failed),
    (
        "gundo_journal_generations_total",
        None,
        "Times the journal went back to an earlier state, or failed over",
        |c| c.journal_generations,
    ),
    ("gundo_tails_lost_total", None, "Entities whose newest durable events were gone after that", |c| {
        c.tails_lost
    }),
    (
        "gundo_refused_total",
        Some(("code", "storage_busy")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_storage_busy,
    ),
    (
        "gundo_refused_total",
        Some(("code", "storage_full")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_storage_full,
    ),
    (
        "gundo_refused_total",
        Some(("code", "busy_world")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_busy_world,
    ),
    (
        "gundo_refused_total",
        Some(("code", "clock_off")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_clock_off,
    ),
    (
        "gundo_refused_total",
        Some(("code", "too_many_new")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_too_many_new,
    ),
    (
        "gundo_refused_total",
        Some(("code", "not_invited")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_not_invited,
    ),
    (
        "gundo_refused_total",
        Some(("code", "too_often")),
        "Commands and hellos refused for lack of a resource",
        |c| c.refused_too_often,
    ),
    ("gundo_signals_dropped_total", None, "Signals that were too many in their chunk at once", |c| {
        c.signals_dropped
    }),
    (
        "gundo_tokens_refused_total",
        Some(("token", "invented")),
        "Hellos with a token that was refused without reading the journal",
        |c| c.refused_unknown_world,
    ),
    (
        "gundo_tokens_refused_total",
        Some(("token", "old")),
        "Hellos with a token that was refused without reading the journal",
        |c| c.refused_old_token,
    ),
    ("gundo_overload_seconds_total", Some(("level", "1")), "Seconds at a level of overload", |c| {
        c.overload_seconds[1]
    }),
    ("gundo_overload_seconds_total", Some(("level", "2")), "Seconds at a level of overload", |c| {
        c.overload_seconds[2]
    }),
    ("gundo_overload_seconds_total", Some(("level", "3")), "Seconds at a level of overload", |c| {
        c.overload_seconds[3]
    }),
    ("gundo_overload_seconds_total", Some(("level", "4")), "Seconds at a level of overload", |c| {
        c.overload_seconds[4]
    }),
    ("gundo_moves_total", Some(("result", "accepted")), "Moves decided", |c| c.moves),
    ("gundo_moves_total", Some(("result", "corrected")), "Moves decided", |c| c.corrections),
    ("gundo_frames_total", None, "Frames encoded", |c| c.frames),
    ("gundo_updates_total", None, "Entity updates delivered to clients", |c| c.updates),
    ("gundo_keyframes_total", None, "Keyframes sent to clients", |c| c.keyframes),
    ("gundo_handoffs_total", Some(("result", "done")), "Players handed to another node", |c| c.handoffs),
    ("gundo_handoffs_total", Some(("result", "failed")), "Players handed to another node", |c| {
        c.handoffs_failed
    }),
    ("gundo_peer_stale_total", None, "Peer messages dropped because they were stale", |c| c.stale),
    ("gundo_retries_total", None, "Loads, appends and transactions tried again", |c| c.retries),
    ("gundo_links_repeated_total", None, "Peer messages that came again, or before earlier ones", |c| {
        c.links_repeated
    }),
    (
        "gundo_link_resets_total",
        None,
        "Links to peers that began again because messages were lost for good",
        |c| c.link_resets,
    ),
    ("gundo_links_too_large_total", None, "Peer messages not sent because they are too large", |c| {
        c.too_large
    }),
    ("gundo_game_faults_total", None, "What rules wanted and the engine could not do", |c| c.game_faults),
    ("gundo_tells_total", None, "Messages to single players that decisions gave", |c| c.tells),
    ("gundo_tells_lost_total", None, "Messages to single players that were dropped", |c| c.tells_lost),
    ("gundo_mail_taken_total", None, "Messages of other entities that entities have taken", |c| c.mail_taken),
    ("gundo_mail_lost_total", None, "Messages between entities that were given up", |c| c.mail_lost),
    ("gundo_orders_taken_total", None, "Operators' orders that entities have decided", |c| c.orders_taken),
    ("gundo_timers_rung_total", None, "Timers of entities that have rung", |c| c.timers_rung),
    ("gundo_timers_lost_total", None, "Timers that are over without effect", |c| c.timers_lost),
    (
        "gundo_walked_total",
        None,
        "Entries that walks over long lists looked at: it grows with what changes, not with what is there",
        |c| c.walked,
    ),
    ("gundo_game_panics_total", None, "Panics of game code", |c| c.game_panics),
    ("gundo_suspensions_total", None, "Entities suspended because their code kept panicking", |c| {
        c.suspensions
    }),
    ("gundo_entities_misplaced_total", None, "Entities that the game put outside their chunk", |c| {
        c.misplaced
    }),
    ("gundo_peer_nonsense_total", None, "Peer messages refused because they make no sense", |c| c.nonsense),
    ("gundo_peer_frames_dropped_total", None, "Frames dropped because a peer did not keep up", |_| 0),
];

const GAUGES: [(&str, &str, CounterOf); 16] = [
    ("gundo_appends_waiting", "Appends whose outcome is awaited", |c| c.appends_waiting),
    (
        "gundo_clock_off_ms",
        "By how much world time differs from that of the other nodes; over 1,000 the node takes no players",
        |c| c.clock_off_ms,
    ),
    ("gundo_overload_level", "How far down the ladder of overload the node is: 0 to 4", |c| c.overload_level),
    ("gundo_journal_slow", "1 while the journal is behind: what would be appended next waits", |c| {
        c.journal_slow
    }),
    ("gundo_storage_full", "1 while the journal's disk is nearly full", |c| c.storage_full),
    ("gundo_players_held", "Players whose commands wait for the journal", |c| c.held),
    ("gundo_entities_real", "Entities real on the node", |c| c.reals),
    ("gundo_entities_suspended", "Entities suspended because their code kept panicking", |c| c.suspended),
    ("gundo_entities_blamed", "Entities not loaded because their code took nodes down", |c| c.blamed),
    ("gundo_entities_ghost", "Entities seen on the node and real elsewhere", |c| c.ghosts),
    ("gundo_handing_over", "Players being handed over, from the node or to it", |c| c.handing_over),
    ("gundo_sessions", "Sessions at the node's edge", |c| c.sessions),
    ("gundo_watches", "Entities that clients of the node watch", |c| c.watches),
    ("gundo_watched", "Entities at home on the node that are watched", |c| c.watched),
    ("gundo_link_bytes", "Bytes kept for peers until they acknowledge them", |c| c.link_bytes),
    ("gundo_chunks_subscribed", "Chunks the node subscribes to", |c| c.chunks),
];

/// Metrics of one node's logic.
pub(crate) struct Logic {
    /// Time to handle one tick with all its outputs.
    pub(crate) tick: Histogram,
    /// Share of the last second in which the thread worked.
    pub(crate) load: Gauge,
    inbox: Gauge,
    counters: Vec<(Counter, CounterOf)>,
    gauges: Vec<(Gauge, CounterOf)>,
    peer_frames_dropped: Counter,
    /// What was published the last time.
    before: (Counters, u64),
}

impl Logic {
    pub(crate) fn new(recorders: &Recorders, node: NodeId) -> Self {
        let node = Label::new("node", node.0.to_string());
        let counter = |(name, label, text, of): &Row<CounterOf>| {
            let labels = std::iter::once(node.clone()).chain(label.map(|(k, v)| Label::new(k, v)));
            (recorders.counter(name, labels.collect(), text), *of)
        };
        let mut counters: Vec<_> = COUNTERS.iter().map(counter).collect();
        let (peer_frames_dropped, _) = counters.pop().expect("the list above ends with it");
        let gauge = |(name, text, of): &(&'static str, &'static str, CounterOf)| {
            (recorders.gauge(name, vec![node.clone()], text), *of)
        };
        let name = "gundo_tick_seconds";
        recorders.recorder.describe_histogram(name.into(), None, "Time spent in one tick".into());
        Self {
            tick: recorders
                .recorder
                .register_histogram(&Key::from_parts(name, vec![node.clone()]), &METADATA),
            load: recorders.gauge(
                "gundo_logic_load",
                vec![node.clone()],
                "Share of the last second in which the logic thread worked",
            ),
            inbox: recorders.gauge("gundo_inbox", vec![node.clone()], "Inputs waiting for the logic thread"),
            counters,
            gauges: GAUGES.iter().map(gauge).collect(),
            peer_frames_dropped,
            before: (Counters::default(), 0),
        }
    }

    /// Publishes a node's counters; call about once per second. A restarted node counts from 0: only its increases count.
    pub(crate) fn publish(&mut self, counters: &Counters, inbox: usize, peer_frames_dropped: u64) {
        let before = std::mem::replace(&mut self.before, (counters.clone(), peer_frames_dropped));
        let grown = |of: &CounterOf| of(counters).saturating_sub(of(&before.0));
        self.counters.iter().for_each(|(counter, of)| counter.increment(grown(of)));
        self.gauges.iter().for_each(|(gauge, of)| gauge.set(of(counters) as f64));
        self.inbox.set(inbox as f64);
        self.peer_frames_dropped.increment(peer_frames_dropped.saturating_sub(before.1));
    }
}

/// Metrics of the membership.
pub(crate) struct NodeGauges {
    recorders: Recorders,
    epoch: Gauge,
    members: BTreeMap<NodeId, Gauge>,
}

impl NodeGauges {
    pub(crate) fn new(recorders: &Recorders) -> Self {
        let epoch = recorders.gauge("gundo_epoch", Vec::new(), "Number of the current view");
        Self { recorders: recorders.clone(), epoch, members: BTreeMap::new() }
    }

    /// A new view.
    pub(crate) fn publish(&mut self, view: &View) {
        self.epoch.set(view.epoch.0 as f64);
        self.members.values().for_each(|member| member.set(0.0));
        for member in &view.members {
            let gauge = self.members.entry(member.node).or_insert_with(|| {
                let label = Label::new("node", member.node.0.to_string());
                self.recorders.gauge("gundo_member", vec![label], "Whether the current view lists the node")
            });
            gauge.set(1.0);
        }
    }
}

const MACHINE: [Row<MachineOf>; 10] = [
    ("process_cpu_seconds_total", None, "CPU time of the process", |m| m.process_cpu_s),
    ("process_resident_memory_bytes", None, "Memory of the process", |m| m.process_rss as f64),
    ("process_threads", None, "Threads of the process", |m| m.process_threads as f64),
    ("process_open_fds", None, "Files and sockets the process has open", |m| m.process_files as f64),
    ("machine_cpu_seconds_total", Some(("mode", "busy")), "CPU time of the machine", |m| m.cpu_s.0),
    ("machine_cpu_seconds_total", Some(("mode", "idle")), "CPU time of the machine", |m| m.cpu_s.1),
    ("machine_memory_available_bytes", None, "Memory of the machine that is free to use", |m| {
        m.memory.0 as f64
    }),
    ("machine_memory_bytes", None, "Memory of the machine", |m| m.memory.1 as f64),
    ("machine_network_bytes_total", Some(("direction", "in")), "Traffic of the machine", |m| {
        m.network.0 as f64
    }),
    ("machine_network_bytes_total", Some(("direction", "out")), "Traffic of the machine", |m| {
        m.network.1 as f64
    }),
];

/// Metrics of machine and process. All are gauges, even those that only grow, because seconds have fractions.
pub(crate) struct MachineGauges(Vec<(Gauge, MachineOf)>);

impl MachineGauges {
    pub(crate) fn new(recorders: &Recorders) -> Self {
        let gauge = |(name, label, text, of): &Row<MachineOf>| {
            let labels = label.map(|(k, v)| Label::new(k, v)).into_iter().collect();
            (recorders.gauge(name, labels, text), *of)
        };
        Self(MACHINE.iter().map(gauge).collect())
    }

    pub(crate) fn publish(&self, machine: &Machine) {
        self.0.iter().for_each(|(gauge, of)| gauge.set(of(machine)));
    }
}
