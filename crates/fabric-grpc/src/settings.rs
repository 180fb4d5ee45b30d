//! What a node's fabric must know before it starts.

use std::net::SocketAddr;
use std::time::Duration;

use gundo_kernel::WorldSettings;
use gundo_types::{Limits, NodeId};
use gundo_wire::fabric::Setting;

use crate::tls::TlsFiles;

/// The oldest version of the protocol between nodes that this program speaks.
pub const PROTOCOL_OLDEST: u32 = 1;
/// The newest one.
pub const PROTOCOL_NEWEST: u32 = 1;

/// A node in a world, as it introduces itself to its peers. What differs is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Id of the world.
    pub world: String,
    /// Cell of the world (default 0). Nodes mesh inside one.
    pub cell: u32,
    /// Name of the game.
    pub game: String,
    /// The settings of the world: see [`settings_of`].
    pub settings: Vec<Setting>,
    /// The node.
    pub node: NodeId,
    /// The versions of the protocol that it speaks, the oldest and the newest.
    pub protocol: (u32, u32),
}

impl Identity {
    /// A node of this program's version.
    pub fn new(world: &str, cell: u32, game: &str, settings: &WorldSettings, node: NodeId) -> Self {
        Self {
            world: world.to_owned(),
            cell,
            game: game.to_owned(),
            settings: settings_of(settings),
            node,
            protocol: (PROTOCOL_OLDEST, PROTOCOL_NEWEST),
        }
    }
}

/// Everything that the fabric of a process must know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who the node is.
    pub identity: Identity,
    /// Where it listens for its peers. Port 0: any free port.
    pub listen: SocketAddr,
    /// Certificates; `None`: connections are neither encrypted nor authenticated. For loopback and trusted networks only.
    pub tls: Option<TlsFiles>,
    /// Threads for its I/O (default: one per core, at most 2).
    pub threads: usize,
    /// Its limits and times.
    pub limits: FabricLimits,
}

impl Settings {
    /// With default limits.
    pub fn new(identity: Identity, listen: SocketAddr) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { identity, listen, tls: None, threads: cores.min(2), limits: FabricLimits::default() }
    }
}

/// Limits and times of a fabric.
#[derive(Clone, Debug)]
pub struct FabricLimits {
    /// Bytes of frames that wait for one peer (default 8 MiB). Beyond that the oldest are dropped.
    pub frames_bytes_max: usize,
    /// Bytes of everything else that waits for one peer (default 64 MiB: twice what a kernel keeps, because that may be sent again).
    /// Beyond that the link breaks; without a link it is lost for good.
    pub messages_bytes_max: usize,
    /// Bytes on their way in a connection that the receiver has not taken yet (default 1 MiB).
    pub window_bytes: u32,
    /// How often an idle or waiting connection is asked whether it lives (default 1 s).
    pub keep_alive_every: Duration,
    /// A connection that does not answer for so long is broken (default 2 s).
    pub keep_alive_timeout: Duration,
    /// How long a connection may take until both sides have said hello (default 5 s).
    pub handshake_timeout: Duration,
    /// Time between two attempts to reach a peer: at first, and at most (defaults 50 ms and 2 s). It doubles, with jitter.
    pub redial: (Duration, Duration),
    /// How often the certificates' files are looked at (default 5 s).
    pub reload_every: Duration,
}

impl Default for FabricLimits {
    fn default() -> Self {
        Self {
            frames_bytes_max: 8 << 20,
            messages_bytes_max: 64 << 20,
            window_bytes: 1 << 20,
            keep_alive_every: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(5),
            redial: (Duration::from_millis(50), Duration::from_secs(2)),
            reload_every: Duration::from_secs(5),
        }
    }
}

/// The world's settings as two nodes compare them: by name, so that a version with one more setting still agrees with the version
/// before, and so that a refusal can name the one that differs.
pub fn settings_of(world: &WorldSettings) -> Vec<Setting> {
    // A setting that is not listed here does not compile.
    let WorldSettings {
        tick_ms,
        flush_after_ms,
        sight_chunks: [near, middle, far],
        tier_ticks: [near_ticks, middle_ticks, far_ticks],
        tract_chunks,
        grace_ms,
        snapshot_every,
        place_every_ms,
        unplayed_ms,
        idle_ms,
        lease_ms,
        confirm_broken_ms,
        confirm_silent_ms,
        appends_waiting_max,
        append_bytes_waiting_max,
        append_slow_ms,
        append_wait_ms,
        follow_after_ms,
        link_bytes_max,
        piece_bytes_max,
        // Operators change it node by node, and nothing between nodes depends on it.
        newcomers: _,
        limits,
    } = world;
    let own: [(&str, u64); 24] = [
        ("tick_ms", (*tick_ms).into()),
        ("flush_after_ms", (*flush_after_ms).into()),
        ("sight_chunks.near", (*near).into()),
        ("sight_chunks.middle", (*middle).into()),
        ("sight_chunks.far", (*far).into()),
        ("tier_ticks.near", (*near_ticks).into()),
        ("tier_ticks.middle", (*middle_ticks).into()),
        ("tier_ticks.far", (*far_ticks).into()),
        ("tract_chunks", (*tract_chunks).into()),
        ("grace_ms", *grace_ms),
        ("snapshot_every", *snapshot_every),
        ("place_every_ms", *place_every_ms),
        ("unplayed_ms", *unplayed_ms),
        ("idle_ms", *idle_ms),
        ("lease_ms", *lease_ms),
        ("confirm_broken_ms", *confirm_broken_ms),
        ("confirm_silent_ms", *confirm_silent_ms),
        ("appends_waiting_max", *appends_waiting_max as u64),
        ("append_bytes_waiting_max", *append_bytes_waiting_max as u64),
        ("append_slow_ms", *append_slow_ms),
        ("append_wait_ms", *append_wait_ms),
        ("follow_after_ms", *follow_after_ms),
        ("link_bytes_max", *link_bytes_max as u64),
        ("piece_bytes_max", *piece_bytes_max as u64),
    ];
    let all = own.into_iter().chain(limits_of(limits));
    all.map(|(name, value)| Setting { name: name.to_owned(), value }).collect()
}

fn limits_of(limits: &Limits) -> [(&'static str, u64); 14] {
    let Limits {
        client_message_bytes_max,
        client_messages_per_second_max,
        commands_unanswered_max,
        answers_kept,
        command_bytes_max,
        public_bytes_max,
        send_queue_bytes_max,
        replies_waiting_max,
        waiting_per_entity_max,
        connections_max,
        watches_max,
        watchers_max,
        newcomers_at_once_max,
        newcomers_per_hour_max,
    } = limits;
    [
        ("limits.client_message_bytes_max", *client_message_bytes_max as u64),
        ("limits.client_messages_per_second_max", (*client_messages_per_second_max).into()),
        ("limits.commands_unanswered_max", *commands_unanswered_max as u64),
        ("limits.answers_kept", *answers_kept as u64),
        ("limits.command_bytes_max", *command_bytes_max as u64),
        ("limits.public_bytes_max", *public_bytes_max as u64),
        ("limits.send_queue_bytes_max", *send_queue_bytes_max as u64),
        ("limits.replies_waiting_max", *replies_waiting_max as u64),
        ("limits.waiting_per_entity_max", *waiting_per_entity_max as u64),
        ("limits.connections_max", *connections_max as u64),
        ("limits.watches_max", *watches_max as u64),
        ("limits.watchers_max", *watchers_max as u64),
        ("limits.newcomers_at_once_max", (*newcomers_at_once_max).into()),
        ("limits.newcomers_per_hour_max", (*newcomers_per_hour_max).into()),
    ]
}
