//! One client's connection: what the client may send and when the edge closes the connection. It belongs to one I/O thread,
//! which first reads everything it can, then writes everything that is queued.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use gundo_kernel::{Input, Parts, SendClass};
use gundo_types::{ConnId, Origin};
use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Closing, Hello};
use tungstenite::error::Error as WsError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::bucket::Bucket;
use crate::files::Slot;
use crate::indicators::add;
use crate::io::Desk;
use crate::line::{Line, Next, Scratch};
use crate::link::Urgency;
use crate::out::{Out, Page, Pushed};
use crate::reason::{self, Reason, close_payload};

/// Bytes read and discarded after the edge has sent a `Closing`: enough that a reset does not make the client lose that
/// message.
const FAREWELL_BYTES: usize = 1024 * 1024;
/// First size of a connection's read buffer. It holds only a message that the last turn did not complete. Most buffers are
/// empty, and there are thousands of them.
const READ_BUFFER: usize = 128;

/// A connection.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    line: Line,
    slot: Slot,
    protocol: WebSocketContext,
    out: Out,
    voice: Voice,
    messages: Bucket,
    bytes: Bucket,
    /// It has sent more than its share: nothing more is read before then.
    paused_until_us: u64,
    farewell: usize,
    greeted: bool,
    /// Where it comes from, until the node has heard.
    from: Option<Origin>,
    /// The client violated the protocol: its bytes are no longer read as messages.
    broken: bool,
    /// It is in the thread's list of connections with something to write.
    dirty: bool,
    /// It is in the thread's list of connections that may be read.
    pub(crate) ready: bool,
    /// Nothing more may happen with it.
    over: bool,
    born_ms: u64,
    heard_ms: u64,
    closing_ms: Option<u64>,
    next_ping_ms: u64,
    /// When the outstanding ping was sent, µs since the edge's start.
    ping_us: Option<u64>,
}

/// What the node has received from this connection: nothing after Gone, and Gone only if it received something before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Silent,
    Spoke,
    Gone,
}

impl Conn {
    /// `early` are bytes that the client sent right behind its upgrade, `from` where it comes from.
    pub(crate) fn new(
        id: ConnId,
        (line, slot): (Line, Slot),
        (early, from): (Vec<u8>, Option<Origin>),
        desk: &Desk,
    ) -> Self {
        let settings = &desk.shared.settings;
        let limits = settings.limits;
        let message_bytes_max = limits.message_bytes_max();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let per_second = u64::from(limits.client_messages_per_second_max);
        let bytes_per_second = per_second.saturating_mul(limits.client_message_bytes_max as u64);
        let now_ms = desk.now_us / 1_000;
        Self {
            id,
            line,
            slot,
            protocol: WebSocketContext::from_partially_read(early, Role::Server, Some(config)),
            out: Out::new(),
            voice: Voice::Silent,
            messages: Bucket::new(per_second, desk.now_us),
            bytes: Bucket::new(bytes_per_second, desk.now_us),
            paused_until_us: 0,
            farewell: FAREWELL_BYTES,
            greeted: false,
            from,
            broken: false,
            dirty: false,
            ready: false,
            over: false,
            born_ms: now_ms,
            heard_ms: now_ms,
            closing_ms: None,
            // Measure the first round trip early; later pings come at their own interval.
            next_ping_ms: now_ms + settings.ping_ms / 20,
            ping_us: None,
        }
    }

    // ---- the node's side -------------------------------------------------------------------------------

    /// Queues a message for the client.
    pub(crate) fn send(&mut self, parts: Parts, class: SendClass, desk: &mut Desk) {
        match self.out.push(parts, class, &desk.shared.settings.limits) {
            Pushed::Queued => self.mark_dirty(desk),
            Pushed::Dropped { first } => {
                add(&desk.shared.indicators.tally.frames_dropped, 1);
                if first {
                    self.give(Input::Lagging { conn: self.id }, Urgency::Tick, desk);
                }
            }
            Pushed::TooSlow => self.close(Reason::TooSlow, desk),
            Pushed::Closed => {}
        }
    }

    /// From here on the node's frames follow each other without a gap.
    pub(crate) fn resume(&mut self) {
        self.out.resume();
    }

    /// The node closes the connection: the edge first sends everything queued, then the reason.
    pub(crate) fn close_by_node(&mut self, closing: Option<Closing>, desk: &mut Desk) {
        let code = closing.as_ref().map_or_else(|| "closed".to_owned(), |closing| closing.code.clone());
        if let Some(closing) = closing {
            self.send(vec![reason::last_message(closing)], SendClass::Kept, desk);
        }
        self.close_with(None, close_payload(1000, &code), &code, desk);
    }

    // ---- closing ---------------------------------------------------------------------------------------

    /// The edge closes the connection for its own reason and drops everything queued.
    pub(crate) fn close(&mut self, reason: Reason, desk: &mut Desk) {
        self.close_with(Some(reason.message()), reason.close_payload(), reason.code(), desk);
    }

    fn close_with(&mut self, last: Option<Bytes>, payload: Bytes, code: &str, desk: &mut Desk) {
        if self.closing_ms.is_some() {
            return;
        }
        self.out.close(last, payload);
        self.closing_ms = Some(desk.now_us / 1_000);
        desk.shared.indicators.closed(code);
        self.gone(desk);
        self.mark_dirty(desk);
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&mut self, desk: &mut Desk) {
        if !self.over {
            self.over = true;
            self.gone(desk);
            desk.over.push(self.id);
        }
    }

    // ---- the clock -------------------------------------------------------------------------------------

    /// Checks the deadlines: Hello late, client silent, ping due? Returns the queued bytes.
    pub(crate) fn sweep(&mut self, desk: &mut Desk) -> usize {
        let now_ms = desk.now_us / 1_000;
        let s = &desk.shared.settings;
        let since = |ms: u64| now_ms.saturating_sub(ms);
        if let Some(closing_ms) = self.closing_ms {
            if since(closing_ms) > s.close_ms {
                self.cut(desk);
            }
        } else if !self.greeted && since(self.born_ms) > s.hello_ms {
            self.close(Reason::HelloTimeout, desk);
        } else if since(self.heard_ms) > s.idle_ms {
            self.close(Reason::Idle, desk);
        } else if now_ms >= self.next_ping_ms {
            self.next_ping_ms = now_ms + s.ping_ms;
            self.ping(desk);
        }
        self.out.bytes()
    }

    fn ping(&mut self, desk: &mut Desk) {
        // One at a time, or the pong to an older ping would count for the newer.
        if self.ping_us.is_none() {
            self.ping_us = Some(desk.now_us);
            self.out.push_ping(Bytes::copy_from_slice(&desk.now_us.to_be_bytes()));
            self.mark_dirty(desk);
        }
    }

    fn on_pong(&mut self, payload: &[u8], desk: &Desk) {
        if let Some(sent_us) = self.ping_us.filter(|us| payload == us.to_be_bytes()) {
            self.ping_us = None;
            desk.shared.indicators.round_trip(desk.now_us.saturating_sub(sent_us));
        }
    }

    // ---- writing ---------------------------------------------------------------------------------------

    fn mark_dirty(&mut self, desk: &mut Desk) {
        if !self.dirty && !self.out.blocked {
            self.dirty = true;
            desk.dirty.push(self.id);
        }
    }

    /// The socket accepts bytes again.
    pub(crate) fn handle_writable(&mut self, desk: &mut Desk) {
        if std::mem::take(&mut self.out.blocked) {
            self.mark_dirty(desk);
        }
    }

    /// Writes as much as the socket accepts, through `page`.
    pub(crate) fn flush(&mut self, desk: &mut Desk, page: &mut Page) {
        self.dirty = false;
        let mut written = 0;
        while !self.out.blocked && !self.over {
            let offered = match self.out.is_empty() {
                false => self.out.lay(page),
                true if self.line.is_pending() => &[],
                true => break,
            };
            match self.line.write(offered) {
                Ok(n) => {
                    written += n as u64;
                    if self.out.advance(n) {
                        self.give(Input::Drained { conn: self.id }, Urgency::Tick, desk);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.out.blocked = true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.cut(desk),
            }
        }
        add(&desk.shared.indicators.tally.bytes_out, written);
    }

    // ---- reading ---------------------------------------------------------------------------------------

    /// Reads once, at most as much as `scratch` holds. Returns whether there may be more.
    pub(crate) fn read(&mut self, desk: &mut Desk, scratch: &mut Scratch) -> bool {
        if self.over || self.farewell == 0 {
            return false;
        }
        let got = self.line.read(scratch);
        if got.wire > 0 {
            add(&desk.shared.indicators.tally.bytes_in, got.wire as u64);
            if self.closing_ms.is_some() {
                self.farewell = self.farewell.saturating_sub(got.wire);
            } else if let Err(reason) = self.count(0, got.wire as u64, desk) {
                self.close(reason, desk);
            }
        }
        // Bytes that came with the upgrade are here even if the socket has none.
        self.take(got.bytes, desk);
        match got.next {
            Next::End => self.cut(desk),
            // What TLS itself answers.
            _ if self.line.is_pending() => self.mark_dirty(desk),
            _ => {}
        }
        got.next == Next::More && !self.over
    }

    /// Takes bytes in and handles every message that is complete now.
    fn take(&mut self, mut bytes: &[u8], desk: &mut Desk) {
        while !self.broken && !self.over {
            let mut answer = Vec::new();
            let result = self.protocol.read(&mut Pipe { bytes: &mut bytes, answer: &mut answer });
            if !answer.is_empty() {
                self.send_raw(answer, desk);
            }
            if self.closing_ms.is_some() {
                match result {
                    Ok(tungstenite::Message::Close(_)) => return self.end(desk),
                    Ok(_) => continue,
                    Err(WsError::Io(e)) if e.kind() == ErrorKind::WouldBlock => return,
                    Err(WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                        return self.end(desk);
                    }
                    Err(_) => self.broken = true,
                }
                continue;
            }
            let checked = match result {
                Ok(message) => {
                    self.heard_ms = desk.now_us / 1_000;
                    self.on_frame(message, desk)
                }
                Err(WsError::Io(e)) if e.kind() == ErrorKind::WouldBlock => return,
                Err(WsError::Capacity(_)) => self.fail(Reason::TooLarge),
                Err(WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                    return self.end(desk);
                }
                Err(_) => self.fail(Reason::BadMessage),
            };
            if let Err(reason) = checked {
                self.close(reason, desk);
            }
        }
    }

    /// Ends the connection after one last try to write, so that the client gets the answer to its close frame.
    fn end(&mut self, desk: &mut Desk) {
        self.flush(desk, &mut Page::new(1_024));
        self.line.close();
        self.cut(desk);
    }

    fn fail(&mut self, reason: Reason) -> Result<(), Reason> {
        self.broken = true;
        Err(reason)
    }

    fn send_raw(&mut self, frame: Vec<u8>, desk: &mut Desk) {
        match self.out.push_raw(frame.into(), &desk.shared.settings.limits) {
            true => self.mark_dirty(desk),
            false => self.close(Reason::TooSlow, desk),
        }
    }

    fn on_frame(&mut self, message: tungstenite::Message, desk: &mut Desk) -> Result<(), Reason> {
        use tungstenite::Message::{Binary, Close, Ping, Pong};
        add(&desk.shared.indicators.tally.messages_in, 1);
        match message {
            Binary(payload) => self.on_message(&payload, desk),
            Close(_) => Ok(()),
            Pong(payload) => {
                self.on_pong(&payload, desk);
                self.count(1, 0, desk)
            }
            Ping(_) => self.count(1, 0, desk),
            _ => Err(Reason::BadMessage),
        }
    }

    /// Counts what the client has sent. Beyond its share it is not closed but heard later: it may send what it was told to send, such
    /// as all its unanswered commands. A flood is closed.
    fn count(&mut self, messages: u64, bytes: u64, desk: &Desk) -> Result<(), Reason> {
        let counted = self.messages.take(messages, desk.now_us).zip(self.bytes.take(bytes, desk.now_us));
        let (first_us, second_us) = counted.ok_or(Reason::TooManyMessages)?;
        self.paused_until_us = desk.now_us + first_us.max(second_us);
        Ok(())
    }

    /// Until when nothing is read from it, if that is later than now, µs since the edge's start.
    pub(crate) fn pauses_until(&self, now_us: u64) -> Option<u64> {
        Some(self.paused_until_us).filter(|until| *until > now_us && self.closing_ms.is_none())
    }

    fn on_message(&mut self, payload: &[u8], desk: &mut Desk) -> Result<(), Reason> {
        // Decode from a slice, so that nothing the node keeps holds on to the read buffer.
        let message = ClientMessage::decode(payload).map_err(|_| Reason::BadMessage)?;
        // Each command is work for the node, no matter how many come in one message.
        self.count((message.commands.len() as u64).max(1), 0, desk)?;
        if message == ClientMessage::default() {
            return Err(Reason::BadMessage);
        }
        let is_new = |hello: &Hello| hello.token.is_empty() && hello.recovery.is_empty();
        if message.hello.as_ref().is_some_and(is_new) && self.slot.is_scarce() {
            // People with a player come before newcomers.
            return Err(Reason::Full);
        }
        if !self.greeted {
            if message.hello.is_none() {
                return Err(Reason::BadMessage);
            }
            self.greeted = true;
            if let Some(from) = self.from.take() {
                self.give(Input::From { conn: self.id, from }, Urgency::Now, desk);
            }
        }
        let waits = message.hello.is_some() || message.ping.is_some() || message.bye.is_some();
        let urgency = if waits || !message.commands.is_empty() { Urgency::Now } else { Urgency::Tick };
        self.give(Input::Client { conn: self.id, message }, urgency, desk);
        Ok(())
    }

    // ---- what the node hears ---------------------------------------------------------------------------

    /// Hands an input to the node, unless the node has received Gone for this connection.
    fn give(&mut self, input: Input, urgency: Urgency, desk: &mut Desk) {
        if self.voice != Voice::Gone {
            self.voice = Voice::Spoke;
            desk.give(input, urgency);
        }
    }

    fn gone(&mut self, desk: &mut Desk) {
        if self.voice == Voice::Spoke {
            desk.give(Input::Gone { conn: self.id }, Urgency::Tick);
        }
        self.voice = Voice::Gone;
    }
}

/// The socket as the WebSocket protocol sees it: bytes read for it, and room for the frames it sends itself (pongs, close).
struct Pipe<'a, 'b> {
    bytes: &'a mut &'b [u8],
    answer: &'a mut Vec<u8>,
}

impl Read for Pipe<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.bytes.read(buf)
    }
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.answer.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
