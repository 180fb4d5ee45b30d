//! Why an edge closes a connection: the codes, and the texts for people.

use bytes::Bytes;
use gundo_wire::Message;
use gundo_wire::client::{Closing, ServerMessage};

/// Why an edge itself closes a connection. (The node closes some too, such as a superseded session.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not a message of the protocol.
    BadMessage,
    /// A message over the limit of bytes.
    TooLarge,
    /// More messages or bytes per second than allowed.
    TooManyMessages,
    /// The client does not read what the server sends.
    TooSlow,
    /// The node has no room for another connection.
    Full,
    /// No Hello in time.
    HelloTimeout,
    /// The client is silent and does not answer pings.
    Idle,
    /// The server stops.
    Stopping,
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadMessage => "bad_message",
            Self::TooLarge => "too_large",
            Self::TooManyMessages => "too_many_messages",
            Self::TooSlow => "too_slow",
            Self::Full => "full",
            Self::HelloTimeout => "hello_timeout",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::BadMessage => "The server did not understand a message of this client.",
            Self::TooLarge => "A message of this client was too large.",
            Self::TooManyMessages => "This client sends too much too fast.",
            Self::TooSlow => "The connection is too slow for what the world has to say.",
            Self::Full => "This node is full. Please try again in a moment.",
            Self::HelloTimeout => "The client did not introduce itself in time.",
            Self::Idle => "The connection was silent for too long.",
            Self::Stopping => "The server is stopping. Your place is safe.",
        }
    }

    /// After how many ms a client should reconnect by itself; 0: it should not.
    const fn retry_ms(self) -> u32 {
        match self {
            // A client that breaks the protocol would only do so again: somebody must renew it.
            Self::BadMessage => 0,
            Self::TooLarge | Self::TooManyMessages | Self::Full => 5_000,
            Self::TooSlow | Self::HelloTimeout | Self::Idle | Self::Stopping => 1_000,
        }
    }

    /// The WebSocket status code (RFC 6455, section 7.4.1).
    const fn status(self) -> u16 {
        match self {
            Self::BadMessage => 1002,
            Self::TooLarge => 1009,
            Self::TooManyMessages | Self::HelloTimeout | Self::Idle => 1008,
            Self::TooSlow | Self::Full => 1013,
            Self::Stopping => 1012,
        }
    }

    /// The last protocol message, with the reason.
    pub(crate) fn message(self) -> Bytes {
        last_message(Closing {
            code: self.code().into(),
            text: self.text().into(),
            retry_ms: self.retry_ms(),
        })
    }

    /// The payload of the WebSocket close frame.
    pub(crate) fn close_payload(self) -> Bytes {
        close_payload(self.status(), self.code())
    }
}

/// The payload of a close frame: status and a short reason. Control frames carry at most 125 bytes.
pub(crate) fn close_payload(status: u16, reason: &str) -> Bytes {
    let end = (0..=reason.len().min(123)).rev().find(|i| reason.is_char_boundary(*i)).unwrap_or(0);
    [&status.to_be_bytes()[..], &reason.as_bytes()[..end]].concat().into()
}

/// The last protocol message of a connection, encoded.
pub(crate) fn last_message(closing: Closing) -> Bytes {
    ServerMessage { closing: Some(closing), ..Default::default() }.encode_to_vec().into()
}
