//! Every limit that crosses a room's border, with what happens there.

/// Limits on what one client may do and cost. World settings: equal on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message from a client. A larger one closes the connection with `too_large`.
    pub client_message_bytes_max: usize,
    /// Messages per second from one client, averaged, with a burst of twice that. More close the connection with
    /// `too_many_messages`.
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
}

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
        }
    }
}
