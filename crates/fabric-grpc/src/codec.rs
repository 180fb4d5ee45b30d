//! Parcels as gRPC messages, without copies that need not be: a turn's messages are encoded straight into the buffer that is sent,
//! and what comes is cut out of the buffer that it came in.

use bytes::{Buf, BufMut, Bytes};
use gundo_wire::fabric::Parcel;
use gundo_wire::peer::{MESSAGE_BYTES_MAX, PeerMessage};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Number of the field `messages` of a parcel.
const MESSAGES: u32 = 3;
/// Bytes of messages after which a parcel is complete. One message may be larger.
pub(crate) const PARCEL_BYTES: usize = 256 << 10;
/// Messages of one parcel.
pub(crate) const PARCEL_MESSAGES_MAX: usize = 4_096;
/// Bytes of a parcel: what was begun, and one message of any size.
pub(crate) const PARCEL_BYTES_MAX: usize = 2 << 20;
/// A parcel that is larger is not kept alive by a message that is kept: the message gets its own bytes.
const SHARED_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(PARCEL_BYTES + MESSAGE_BYTES_MAX + 16 * PARCEL_MESSAGES_MAX <= PARCEL_BYTES_MAX);

/// What a node sends on a connection.
pub(crate) enum Outgoing {
    /// A hello or a refusal.
    Word(Parcel),
    /// Messages, each with its length.
    Messages(Vec<(usize, PeerMessage)>),
}

/// Parcels out, parcels in.
pub(crate) struct Parcels;

impl Codec for Parcels {
    type Encode = Outgoing;
    type Decode = Parcel;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Parcels {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, item: Outgoing, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match item {
            Outgoing::Word(parcel) => parcel.encode(to).map_err(|error| Status::internal(error.to_string())),
            Outgoing::Messages(messages) => {
                to.reserve(messages.iter().map(|(bytes, _)| bytes + 16).sum());
                write(&messages, to);
                Ok(())
            }
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        // One parcel is one piece of HTTP/2: it leaves at once, and the next one does not wait in the same buffer.
        BufferSettings::new(8 << 10, 1)
    }
}

impl Decoder for Parcels {
    type Item = Parcel;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Parcel>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        read(bytes).map(Some).map_err(Status::invalid_argument)
    }
}

/// Writes messages as a parcel.
fn write(messages: &[(usize, PeerMessage)], to: &mut impl BufMut) {
    for (bytes, message) in messages {
        encode_key(MESSAGES, WireType::LengthDelimited, to);
        encode_varint(*bytes as u64, to);
        message.encode_raw(to);
    }
}

/// Reads a parcel. Its messages share its bytes if those are few.
fn read(bytes: Bytes) -> Result<Parcel, String> {
    let large = bytes.len() > SHARED_BYTES_MAX;
    let mut parcel = Parcel::decode(bytes).map_err(|error| format!("no parcel: {error}"))?;
    if parcel.messages.len() > PARCEL_MESSAGES_MAX {
        return Err(format!("{} messages in one parcel", parcel.messages.len()));
    }
    if large {
        // Frames of a tick are most of their parcel anyway.
        for message in parcel.messages.iter_mut().filter(|message| message.len() < SHARED_BYTES_MAX) {
            *message = Bytes::copy_from_slice(message);
        }
    }
    Ok(parcel)
}

#[cfg(test)]
mod tests {
    use gundo_fabric::suite::{frames, must};
    use gundo_kernel::Peer;

    use super::*;

    fn messages(count: u64, bytes: usize) -> Vec<(usize, PeerMessage)> {
        let each = |number| {
            let (label, peer) =
                if number % 2 == 0 { must(1, 2, number) } else { frames(1, 2, number, bytes) };
            let message = peer.to_message(&label);
            (message.measure().expect("it is small"), message)
        };
        (1..=count).map(each).collect()
    }

    #[test]
    fn a_parcel_is_what_its_schema_says() {
        for (count, bytes) in [(0, 0), (1, 3), (9, 100), (50, 5_000)] {
            let sent = messages(count, bytes);
            let mut written = Vec::new();
            write(&sent, &mut written);
            let parcel = Parcel::decode(&written[..]).expect("a parcel");
            assert_eq!(parcel.encode_to_vec(), written);
            let read = read(written.into()).expect("a parcel");
            assert_eq!(read.messages.len() as u64, count);
            for (bytes, (_, message)) in read.messages.into_iter().zip(sent) {
                assert_eq!(PeerMessage::read(bytes), Ok(message));
            }
        }
    }

    #[test]
    fn a_small_message_does_not_keep_a_large_parcel() {
        let mut written = Vec::new();
        write(&messages(20, 5_000), &mut written);
        let whole = Bytes::from(written);
        let range = whole.as_ptr_range();
        let read = read(whole.clone()).expect("a parcel");
        assert!(read.messages.iter().all(|message| !range.contains(&message.as_ptr())));
    }

    #[test]
    fn what_is_no_parcel_is_an_error() {
        assert!(read(Bytes::from_static(&[0xff; 7])).is_err());
        let many = Parcel { messages: vec![Bytes::new(); PARCEL_MESSAGES_MAX + 1], ..Parcel::default() };
        assert!(read(many.encode_to_vec().into()).is_err());
        assert!(
            matches!(Peer::decode(Bytes::new()), Ok((_, Peer::Later))),
            "an empty one is for later versions"
        );
    }
}
