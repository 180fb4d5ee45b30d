//! The protocol between nodes: generated messages, their names and limits, and conversions from and to our own types.
//!
//! This module covers what needs no kernel: whether bytes are a message, which arrow it is, how large it may be. The kernel
//! defines what the arrows mean, and converts them from and to its own values (`codec.rs`). Start with [`PeerMessage`].

mod append;
mod words;

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!("generated/peer.rs");
}

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
pub use generated::*;
use prost::{DecodeError, Message, Name};
pub use words::{all, maybe, needed, node};

/// Bytes of any message between nodes, its envelope included. Anything larger is sent in parts.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a message that comes in pieces, all together.
pub const WHOLE_BYTES_MAX: usize = 16 << 20;
/// Bytes of an arrow with a few numbers.
pub const NUMBERS_BYTES_MAX: usize = 256;
/// Bytes of an arrow that has a few numbers for each member: for more than a thousand of them.
pub const MEMBERS_BYTES_MAX: usize = 16 << 10;
/// Bytes of one part of an arrow that is sent in parts.
pub const PART_BYTES_MAX: usize = 64 << 10;
/// Bytes of a [`Batch`]: the largest parts of 16 participants, and the coordinator's own.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// Name and limit of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The name of its message in the schema.
    pub name: &'static str,
    /// Bytes of a whole message with it.
    pub bytes_max: usize,
}

macro_rules! arrows {
    (alone { $($alone:ident $alone_max:ident,)* } $($group:ident $module:ident { $($arrow:ident $max:ident,)* })*) => {
        /// Every arrow of the schema.
        pub const ARROWS: &[About] = &[
            $(About { name: <$alone as Name>::NAME, bytes_max: $alone_max },)*
            $($(About { name: <$arrow as Name>::NAME, bytes_max: $max },)*)*
        ];

        impl PeerMessage {
            /// Which arrow it is; `None`: this version does not know it.
            pub fn about(&self) -> Option<About> {
                Some(match self.arrow.as_ref()? {
                    $(peer_message::Arrow::$alone(_) => {
                        About { name: <$alone as Name>::NAME, bytes_max: $alone_max }
                    })*
                    $(peer_message::Arrow::$group(group) => match group.arrow.as_ref()? {
                        $($module::Arrow::$arrow(_) => {
                            About { name: <$arrow as Name>::NAME, bytes_max: $max }
                        })*
                    },)*
                })
            }
        }
    };
}

// An arrow of the schema that is missing here does not compile.
arrows! {
    alone {
        Alive MEMBERS_BYTES_MAX,
        Stale NUMBERS_BYTES_MAX,
        Heard NUMBERS_BYTES_MAX,
        Piece MESSAGE_BYTES_MAX,
        Frames MESSAGE_BYTES_MAX,
        Sent PART_BYTES_MAX,
        Missed NUMBERS_BYTES_MAX,
        KeyframeWanted NUMBERS_BYTES_MAX,
    }
    Home home {
        Subscribe PART_BYTES_MAX,
        Publish NUMBERS_BYTES_MAX,
        Subscribers MEMBERS_BYTES_MAX,
        Announce PART_BYTES_MAX,
        Locate NUMBERS_BYTES_MAX,
        Located NUMBERS_BYTES_MAX,
        Granted NUMBERS_BYTES_MAX,
        Disputed NUMBERS_BYTES_MAX,
        Confirmed NUMBERS_BYTES_MAX,
        Released NUMBERS_BYTES_MAX,
        Claim NUMBERS_BYTES_MAX,
        Claimed NUMBERS_BYTES_MAX,
        ClaimRefused NUMBERS_BYTES_MAX,
        Keep NUMBERS_BYTES_MAX,
        Kept NUMBERS_BYTES_MAX,
        HandedOver NUMBERS_BYTES_MAX,
        Watch MESSAGE_BYTES_MAX,
        Watched MESSAGE_BYTES_MAX,
        Tell MESSAGE_BYTES_MAX,
        Deliver MESSAGE_BYTES_MAX,
    }
    ToPlayer to_player {
        Open MESSAGE_BYTES_MAX,
        Resume NUMBERS_BYTES_MAX,
        Command MESSAGE_BYTES_MAX,
        Move NUMBERS_BYTES_MAX,
        Gone NUMBERS_BYTES_MAX,
    }
    ToEdge to_edge {
        Opened MESSAGE_BYTES_MAX,
        Resumed MESSAGE_BYTES_MAX,
        OpenRefused MESSAGE_BYTES_MAX,
        NotHere NUMBERS_BYTES_MAX,
        MovedTo NUMBERS_BYTES_MAX,
        Reply MESSAGE_BYTES_MAX,
        Own MESSAGE_BYTES_MAX,
        Center NUMBERS_BYTES_MAX,
        Correction MESSAGE_BYTES_MAX,
        Superseded NUMBERS_BYTES_MAX,
        Doubted NUMBERS_BYTES_MAX,
        Notice MESSAGE_BYTES_MAX,
        Ended MESSAGE_BYTES_MAX,
        Told MESSAGE_BYTES_MAX,
        Seal NUMBERS_BYTES_MAX,
    }
    Handoff handoff {
        Offer MESSAGE_BYTES_MAX,
        OfferRefused NUMBERS_BYTES_MAX,
    }
    Mail mail {
        Owes MESSAGE_BYTES_MAX,
        Took NUMBERS_BYTES_MAX,
        Order MESSAGE_BYTES_MAX,
        Ordered MESSAGE_BYTES_MAX,
    }
    Transaction transaction {
        Prepare MESSAGE_BYTES_MAX,
        Prepared MESSAGE_BYTES_MAX,
        PrepareRefused MESSAGE_BYTES_MAX,
        Busy NUMBERS_BYTES_MAX,
        Read NUMBERS_BYTES_MAX,
        Seen MESSAGE_BYTES_MAX,
        Commit NUMBERS_BYTES_MAX,
        Abort NUMBERS_BYTES_MAX,
        Fence NUMBERS_BYTES_MAX,
        Conclude MESSAGE_BYTES_MAX,
        Concluded NUMBERS_BYTES_MAX,
    }
}

impl PeerMessage {
    /// Reads a message. Its fields of bytes share `bytes`.
    ///
    /// # Errors
    /// The bytes are not a message, or are too many. Its parts are not checked; its arrow may be one that this version does not know.
    pub fn read(bytes: Bytes) -> Result<Self, Malformed> {
        let count = bytes.len();
        within("PeerMessage", count, MESSAGE_BYTES_MAX)?;
        let message = Self::decode(bytes)?;
        // An arrow that this version does not know is bounded as any message.
        if let Some(About { name, bytes_max }) = message.about() {
            within(name, count, bytes_max)?;
        }
        Ok(message)
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// They are more than its arrow allows.
    pub fn measure(&self) -> Result<usize, TooLarge> {
        let any = About { name: "PeerMessage", bytes_max: MESSAGE_BYTES_MAX };
        let About { name, bytes_max } = self.about().unwrap_or(any);
        let count = self.encoded_len();
        within(name, count, bytes_max)?;
        Ok(count)
    }

    /// Its bytes.
    ///
    /// # Errors
    /// It has more bytes than its arrow allows.
    pub fn write(&self) -> Result<Bytes, TooLarge> {
        let count = self.measure()?;
        let mut bytes = Vec::with_capacity(count);
        self.encode_raw(&mut bytes);
        Ok(bytes.into())
    }
}

fn within(name: &'static str, bytes: usize, bytes_max: usize) -> Result<(), TooLarge> {
    if bytes > bytes_max { Err(TooLarge { name, bytes, bytes_max }) } else { Ok(()) }
}

/// A message has more bytes than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes, {} is the limit", self.name, self.bytes, self.bytes_max)
    }
}

impl std::error::Error for TooLarge {}

/// Why bytes are not a message between nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Malformed {
    /// They are not protobuf, or not of this schema.
    Protobuf(DecodeError),
    /// There are too many bytes.
    TooLarge(TooLarge),
    /// A required part is absent.
    Missing(&'static str),
    /// A number or a length is out of its range.
    OutOfRange(&'static str),
    /// This version does not know the arrow; a newer one may. Ignore the message; the link is sound.
    Unknown,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protobuf(error) => write!(f, "{error}"),
            Self::TooLarge(error) => write!(f, "{error}"),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::OutOfRange(what) => write!(f, "{what} is out of range"),
            Self::Unknown => f.write_str("an arrow that this version does not know"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Self::Protobuf(error)
    }
}

impl From<TooLarge> for Malformed {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

impl From<Infallible> for Malformed {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(arrow: peer_message::Arrow) -> PeerMessage {
        PeerMessage { incarnation: 3, epoch: 2, arrow: Some(arrow), ..Default::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let alive = message(peer_message::Arrow::Alive(Alive {
            renews: true,
            unreachable: vec![2, 65_535],
            ..Default::default()
        }));
        let bytes = alive.write().expect("a small one");
        assert_eq!(PeerMessage::read(bytes), Ok(alive.clone()));
        assert_eq!(alive.about().map(|about| about.name), Some("Alive"));
    }

    #[test]
    fn each_arrow_has_one_name_and_a_limit() {
        let mut names: Vec<_> = ARROWS.iter().map(|about| about.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ARROWS.len());
        assert!(ARROWS.iter().all(|about| (1..=MESSAGE_BYTES_MAX).contains(&about.bytes_max)));
    }

    /// The limits in the schema's comments are those of the code.
    #[test]
    fn the_schema_tells_each_limit() {
        let schema = concat!(include_str!("../proto/peer.proto"), include_str!("../proto/words.proto"));
        for About { name, bytes_max } in ARROWS {
            let (before, _) =
                schema.split_once(&format!("\nmessage {name} {{")).expect("it is in the schema");
            let comment = before.rsplit("\n\n").next().unwrap_or_default();
            let told = match *bytes_max {
                NUMBERS_BYTES_MAX => "At most 256 bytes.",
                MEMBERS_BYTES_MAX => "At most 16 KiB.",
                PART_BYTES_MAX => "In parts of at most 64 KiB.",
                _ => "",
            };
            let tells = comment.contains("At most ") || comment.contains("In parts of ");
            assert!(comment.contains(told) && tells != told.is_empty(), "{name}: {comment}");
        }
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let alive = |count| {
            message(peer_message::Arrow::Alive(Alive { unreachable: vec![1; count], ..Default::default() }))
        };
        let large = alive(MEMBERS_BYTES_MAX);
        let too_large = TooLarge { name: "Alive", bytes: large.encoded_len(), bytes_max: MEMBERS_BYTES_MAX };
        assert_eq!(large.write(), Err(too_large));
        assert_eq!(PeerMessage::read(large.encode_to_vec().into()), Err(Malformed::TooLarge(too_large)));
        let overhead = large.encoded_len() - MEMBERS_BYTES_MAX;
        // As long as allowed, except for the lengths in it.
        let largest = alive(MEMBERS_BYTES_MAX - overhead).write();
        assert!(largest.is_ok_and(|bytes| bytes.len() + 4 > MEMBERS_BYTES_MAX));
        // None of it is decoded.
        let huge = Bytes::from(vec![0xff; MESSAGE_BYTES_MAX + 1]);
        assert!(matches!(PeerMessage::read(huge), Err(Malformed::TooLarge(_))));
    }

    #[test]
    fn an_arrow_of_a_later_version_is_no_mistake() {
        let mut later = PeerMessage { incarnation: 3, ..Default::default() }.encode_to_vec();
        prost::encoding::string::encode(99, &"what nobody knows".to_owned(), &mut later);
        assert_eq!(PeerMessage::read(later.into()).map(|message| message.about()), Ok(None));
        let home = message(peer_message::Arrow::Home(Home::default()));
        assert_eq!(PeerMessage::read(home.encode_to_vec().into()).map(|message| message.about()), Ok(None));
        assert!(matches!(PeerMessage::read(vec![0xff; 9].into()), Err(Malformed::Protobuf(_))));
    }
}
