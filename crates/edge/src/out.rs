//! The send queue of one client: what it queues, what it drops, when the client is too slow. No I/O here.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_kernel::{Parts, SendClass};
use gundo_types::Limits;

/// Messages that must not be dropped may fill the queue up to this many times `send_queue_bytes_max`; beyond that the
/// client is too slow. That leaves room for the keyframes of a whole sight behind a full queue.
const KEPT_FACTOR: usize = 4;

/// Messages of at least this size are worth remembering: other clients may be about to get the same.
const SHARED_MIN: usize = 1_024;

/// A buffer that concatenates messages, so that one plain write sends them; a vectored write with many pieces costs more.
/// It remembers the last long message in it: in a crowd the next client gets the same one.
pub(crate) struct Page {
    room: Vec<u8>,
    /// Parts of the one message in the buffer; empty if there is none, or one that is not remembered.
    parts: Parts,
    head_len: u8,
}

impl Page {
    /// A page of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { room: vec![0; bytes], parts: Vec::new(), head_len: 0 }
    }

    /// Whether `message` is in the buffer. It compares addresses, not bytes: the page keeps the remembered parts alive, so
    /// nothing else can be at these addresses.
    fn holds(&self, message: &Outgoing) -> bool {
        let same = |(a, b): (&Bytes, &Bytes)| a.as_ptr() == b.as_ptr() && a.len() == b.len();
        !self.parts.is_empty()
            && self.head_len == message.head_len
            && self.parts.len() == message.parts.len()
            && self.parts.iter().zip(&message.parts).all(same)
    }
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits to be written.
    Queued,
    /// It was dropped. `first` of a run of drops: the node must know.
    Dropped { first: bool },
    /// It does not fit and must not be dropped: the edge closes the connection.
    TooSlow,
    /// The connection takes no more messages.
    Closed,
}

/// A queued message, or raw bytes of the WebSocket protocol.
struct Outgoing {
    head: [u8; 10],
    head_len: u8,
    class: SendClass,
    parts: Parts,
    bytes: usize,
}

/// Whether the client keeps up with its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lag {
    /// Frames flow.
    None,
    /// Some were dropped, and the queue is not empty yet.
    Dropping,
    /// The queue was empty again and the node will learn of it; frames that it decided on before that are still dropped.
    Drained,
}

/// A bounded queue of messages, and how far the socket has written it.
pub(crate) struct Out {
    queue: VecDeque<Outgoing>,
    /// Bytes of the front message that are written.
    written: usize,
    bytes: usize,
    replies: usize,
    lag: Lag,
    closing: bool,
    /// The socket took less than it was offered: write nothing until it accepts more.
    pub(crate) blocked: bool,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            written: 0,
            bytes: 0,
            replies: 0,
            lag: Lag::None,
            closing: false,
            blocked: false,
        }
    }

    /// Queues one binary message made of `parts`, or says why not.
    pub(crate) fn push(&mut self, parts: Parts, class: SendClass, limits: &Limits) -> Pushed {
        if self.closing {
            return Pushed::Closed;
        }
        let payload: usize = parts.iter().map(Bytes::len).sum();
        // An empty queue takes a message of any size; otherwise a large one could never be sent.
        let full = |max: usize| !self.queue.is_empty() && self.bytes + payload > max;
        match class {
            SendClass::Frames if self.lag != Lag::None || full(limits.send_queue_bytes_max) => {
                let first = self.lag == Lag::None;
                if first {
                    self.lag = Lag::Dropping;
                }
                return Pushed::Dropped { first };
            }
            SendClass::Reply if self.replies >= limits.replies_waiting_max => return Pushed::TooSlow,
            SendClass::Reply | SendClass::Kept
                if full(limits.send_queue_bytes_max.saturating_mul(KEPT_FACTOR)) =>
            {
                return Pushed::TooSlow;
            }
            _ => {}
        }
        self.add(2, payload, parts, class);
        Pushed::Queued
    }

    /// Queues a ping (RFC 6455, opcode 9).
    pub(crate) fn push_ping(&mut self, payload: Bytes) {
        if !self.closing {
            self.add(9, payload.len(), vec![payload], SendClass::Kept);
        }
    }

    /// Queues bytes that are WebSocket frames already. Returns false if too much is queued.
    pub(crate) fn push_raw(&mut self, frame: Bytes, limits: &Limits) -> bool {
        if self.closing {
            return true;
        }
        if self.bytes + frame.len() > limits.send_queue_bytes_max.saturating_mul(KEPT_FACTOR) {
            return false;
        }
        let bytes = frame.len();
        self.bytes += bytes;
        let raw = Outgoing { head: [0; 10], head_len: 0, class: SendClass::Kept, parts: vec![frame], bytes };
        self.queue.push_back(raw);
        true
    }

    /// Queues the close frame; after that the queue takes nothing. With `last`, everything queued is dropped in favour of
    /// that message, except one that is half written.
    pub(crate) fn close(&mut self, last: Option<Bytes>, close_payload: Bytes) {
        if self.closing {
            return;
        }
        if let Some(last) = last {
            self.queue.truncate(usize::from(self.written > 0));
            self.bytes = self.queue.iter().map(|m| m.bytes).sum::<usize>() - self.written;
            self.add(2, last.len(), vec![last], SendClass::Kept);
        }
        self.add(8, close_payload.len(), vec![close_payload], SendClass::Kept);
        self.closing = true;
    }

    /// From here on the node's frames follow each other without a gap.
    pub(crate) fn resume(&mut self) {
        // If frames were dropped again since then, another Lagging and Drained will follow.
        if self.lag == Lag::Drained {
            self.lag = Lag::None;
        }
    }

    /// Concatenates the next bytes to write on `page`.
    pub(crate) fn lay<'a>(&self, page: &'a mut Page) -> &'a [u8] {
        let alone = self.queue.front().filter(|_| self.queue.len() == 1 && self.written == 0);
        if let Some(message) = alone.filter(|m| page.holds(m)) {
            return &page.room[..message.bytes];
        }
        page.parts.clear();
        let pieces = self.queue.iter().flat_map(|m| {
            std::iter::once(&m.head[..usize::from(m.head_len)]).chain(m.parts.iter().map(Bytes::as_ref))
        });
        let room = &mut page.room;
        let mut skip = self.written;
        let mut laid = 0;
        for piece in pieces {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let fits = (piece.len() - skip).min(room.len() - laid);
            room[laid..laid + fits].copy_from_slice(&piece[skip..skip + fits]);
            laid += fits;
            skip = 0;
            if laid == room.len() {
                break;
            }
        }
        if let Some(message) = alone.filter(|m| m.bytes == laid && m.bytes >= SHARED_MIN) {
            page.parts.clone_from(&message.parts);
            page.head_len = message.head_len;
        }
        &page.room[..laid]
    }

    /// Records that `n` bytes were written. Returns true if the queue has become empty and the node must know, because
    /// frames were dropped.
    pub(crate) fn advance(&mut self, n: usize) -> bool {
        self.bytes -= n;
        self.written += n;
        while let Some(front) = self.queue.front() {
            if self.written < front.bytes {
                return false;
            }
            self.written -= front.bytes;
            self.replies -= usize::from(front.class == SendClass::Reply);
            self.queue.pop_front();
        }
        if self.queue.capacity() > 64 {
            self.queue.shrink_to(8);
        }
        let drained = self.lag == Lag::Dropping;
        if drained {
            self.lag = Lag::Drained;
        }
        drained
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes queued.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn add(&mut self, opcode: u8, payload: usize, parts: Parts, class: SendClass) {
        let (head, head_len) = head(opcode, payload);
        let bytes = payload + usize::from(head_len);
        self.bytes += bytes;
        self.replies += usize::from(class == SendClass::Reply);
        self.queue.push_back(Outgoing { head, head_len, class, parts, bytes });
    }
}

/// The header of an unmasked final frame (RFC 6455, section 5.2).
fn head(opcode: u8, payload: usize) -> ([u8; 10], u8) {
    let mut head = [0; 10];
    head[0] = 0x80 | opcode;
    match payload {
        0..=125 => {
            head[1] = payload as u8;
            (head, 2)
        }
        126..=0xffff => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
            (head, 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { send_queue_bytes_max: 1_000, replies_waiting_max: 3, ..Limits::default() }
    }

    fn message(bytes: usize) -> Parts {
        vec![vec![7; bytes / 2].into(), vec![9; bytes - bytes / 2].into()]
    }

    /// Writes everything in steps of `step` bytes; returns the bytes and whether the queue reported that it drained.
    fn drain(out: &mut Out, step: usize) -> (Vec<u8>, bool) {
        let (mut all, mut drained) = (Vec::new(), false);
        while !out.is_empty() {
            let mut page = Page::new(step);
            let laid = out.lay(&mut page);
            assert!(!laid.is_empty(), "a queue that is not empty has bytes to offer");
            all.extend(laid);
            drained |= out.advance(laid.len());
        }
        assert_eq!((out.bytes, out.replies, out.written), (0, 0, 0));
        (all, drained)
    }

    #[test]
    fn what_goes_in_comes_out_whatever_the_socket_takes() {
        for step in [1, 3, 127, 5_000] {
            let mut out = Out::new();
            for bytes in [0, 125, 126, 70_000] {
                let pushed = out.push(message(bytes), SendClass::Kept, &Limits::default());
                assert_eq!(pushed, Pushed::Queued);
            }
            let (all, _) = drain(&mut out, step);
            assert_eq!(all.len(), 2 + (2 + 125) + (4 + 126) + (10 + 70_000), "step {step}");
            assert_eq!(all[..4], [0x82, 0, 0x82, 125]);
            assert_eq!(all[129..133], [0x82, 126, 0, 126]);
            assert_eq!(all[259..269], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        }
    }

    #[test]
    fn a_page_is_laid_once_for_all_who_get_the_same() {
        let mut page = Page::new(10_000);
        let queue = |parts: &Parts| {
            let mut out = Out::new();
            assert_eq!(out.push(parts.clone(), SendClass::Frames, &Limits::default()), Pushed::Queued);
            out
        };
        let (first, other) = (message(2_000), vec![Bytes::from(vec![5; 1_000]), Bytes::from(vec![6; 1_000])]);
        let expected = |parts: &Parts| [&[0x82, 126, 0x07, 0xd0][..], &parts.concat()].concat();
        let first_laid = queue(&first).lay(&mut page).to_vec();
        assert_eq!(first_laid, expected(&first));
        // Mark the page, to see that the message is not copied again.
        page.room[9] = 99;
        assert_eq!(queue(&first).lay(&mut page)[9], 99);
        assert_eq!(queue(&other).lay(&mut page), expected(&other), "as long, but something else");
        // Half written, or with another message behind it, the bytes differ.
        let mut half = queue(&first);
        half.lay(&mut page);
        half.advance(500);
        assert_eq!(half.lay(&mut page), &expected(&first)[500..]);
        let mut two = queue(&first);
        two.lay(&mut page);
        two.push(other.clone(), SendClass::Kept, &Limits::default());
        assert_eq!(two.lay(&mut page), [expected(&first), expected(&other)].concat());
    }

    #[test]
    fn a_slow_client_loses_frames_until_the_node_has_heard_of_it() {
        let mut out = Out::new();
        let push = |out: &mut Out, class| out.push(message(600), class, &limits());
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Queued);
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Dropped { first: true });
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Dropped { first: false });
        assert_eq!(push(&mut out, SendClass::Kept), Pushed::Queued);
        out.resume();
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Dropped { first: false }, "not drained yet");
        assert!(drain(&mut out, 400).1);
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Dropped { first: false }, "decided too early");
        assert_eq!(push(&mut out, SendClass::Kept), Pushed::Queued);
        assert!(!drain(&mut out, 400).1, "said once");
        out.resume();
        assert_eq!(push(&mut out, SendClass::Frames), Pushed::Queued);
    }

    #[test]
    fn replies_are_counted_and_kept_bytes_are_bounded() {
        let mut out = Out::new();
        for _ in 0..3 {
            assert_eq!(out.push(message(1), SendClass::Reply, &limits()), Pushed::Queued);
        }
        assert_eq!(out.push(message(1), SendClass::Reply, &limits()), Pushed::TooSlow);
        drain(&mut out, 2);
        assert_eq!(out.push(message(1), SendClass::Reply, &limits()), Pushed::Queued);
        assert_eq!(out.push(message(3_000), SendClass::Kept, &limits()), Pushed::Queued);
        assert_eq!(out.push(message(1_000), SendClass::Kept, &limits()), Pushed::TooSlow);
        assert!(!out.push_raw(vec![0; 1_000].into(), &limits()));
    }

    #[test]
    fn closing_keeps_only_what_is_half_written() {
        let mut out = Out::new();
        out.push(message(10), SendClass::Kept, &limits());
        out.push(message(20), SendClass::Kept, &limits());
        out.advance(5);
        out.close(Some(Bytes::from_static(b"why")), Bytes::from_static(b"\x03\xe8bye"));
        assert_eq!(out.push(message(1), SendClass::Kept, &limits()), Pushed::Closed);
        let (all, _) = drain(&mut out, 3);
        assert_eq!(all, b"\x07\x07\x09\x09\x09\x09\x09\x82\x03why\x88\x05\x03\xe8bye");
    }
}
