//! Every limit that crosses a room's border, with what happens there.

/// Limits on what one client may do and cost. World settings: equal on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message from a client, beside its unanswered commands: see [`message_bytes_max`](Self::message_bytes_max).
    pub client_message_bytes_max: usize,
    /// Messages per second from one client, averaged, with a burst of twice that. What comes beyond is read later; whoever sends eight
    /// seconds' worth ahead is closed with `too_many_messages`.
    pub client_messages_per_second_max: u32,
    /// Commands of one session that have no answer yet. Further ones are refused with `too_many_commands`.
    pub commands_unanswered_max: usize,
    /// Answers the player's durable state keeps. A repeat of an older command is refused with `too_old`.
    pub answers_kept: usize,
    /// Bytes of one command's payload. A larger one is refused with `too_large`.
    pub command_bytes_max: usize,
    /// Bytes of one entity's public part, and of a reply. If one is larger, the command is refused with `game_error`.
    pub public_bytes_max: usize,
    /// Bytes waiting to be written to one client before its motion is dropped; it gets keyframes later.
    pub send_queue_bytes_max: usize,
    /// Replies waiting to be written to one client. More close the connection with `too_slow`; the client gets the answers when
    /// it resumes.
    pub replies_waiting_max: usize,
    /// Sessions to adopt and parts of others' commands that wait for one locked or loading entity. More are refused with `busy`.
    /// A player's own commands are bounded by `commands_unanswered_max`: a refusal of a resent command would contradict its first
    /// answer.
    pub waiting_per_entity_max: usize,
    /// Players with connections at one node, and those whose places it holds. Further ones are closed with `full`.
    pub connections_max: usize,
    /// Entities that one session watches. More are refused with `too_many`.
    pub watches_max: usize,
    /// Players at all edges that watch one entity. More are refused with `too_many`.
    pub watchers_max: usize,
    /// New players at one node from one IPv4 address or one IPv6 prefix of 64 bits, at once; four times as many from a prefix of 48
    /// bits. Further ones are closed with `too_many_new`. 0: any number.
    pub newcomers_at_once_max: u32,
    /// The same per hour on average.
    pub newcomers_per_hour_max: u32,
}

impl Limits {
    /// Bytes of one message from a client: all its unanswered commands fit in, because that is what it sends after a lost connection.
    /// A larger one closes the connection with `too_large`.
    pub const fn message_bytes_max(&self) -> usize {
        self.client_message_bytes_max
            + self.commands_unanswered_max * (self.command_bytes_max + COMMAND_BYTES)
    }
}

/// Bytes of a command beside its payload, at most: its numbers, and the edges that were lost over it.
const COMMAND_BYTES: usize = 128;

impl Default for Limits {
    fn default() -> Self {
        Self {
            client_message_bytes_max: 16 * 1024,
            client_messages_per_second_max: 60,
            commands_unanswered_max: 32,
            answers_kept: 32,
            command_bytes_max: 4 * 1024,
            public_bytes_max: 16 * 1024,
            send_queue_bytes_max: 256 * 1024,
            replies_waiting_max: 256,
            waiting_per_entity_max: 64,
            connections_max: 20_000,
            watches_max: 16,
            watchers_max: 1_024,
            newcomers_at_once_max: 60,
            newcomers_per_hour_max: 120,
        }
    }
}
