//! One client's connection: what the flushers, the sweep and the client's own task share, and that task.
//!
//! The task reads, checks and gives messages to the node. Writing is done by whoever has something to write
//! ([`Conn::flush`]); only when the socket takes no more does the task wait until it does.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use gundo_kernel::{Input, Parts, SendClass};
use gundo_types::ConnId;
use gundo_wire::Message as _;
use gundo_wire::client::ClientMessage;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Sleep, sleep};
use tungstenite::error::Error as WsError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::bucket::Bucket;
use crate::indicators::add;
use crate::link::Urgency;
use crate::out::{Out, Pushed};
use crate::reason::{Reason, close_payload, code_in};
use crate::{Shared, locked};

/// Pieces of a message offered to the socket in one call. A sight of 7 × 7 chunks fits.
const SLICES: usize = 64;
/// Bytes read for one client before others get their turn.
const TURN_BYTES: usize = 64 * 1024;
/// Bytes read and thrown away from a client that has been told to go: enough that what it was told is not lost to a reset.
const FAREWELL_BYTES: usize = 1024 * 1024;
/// First size of a connection's read buffer: moves and commands are small, and there are thousands of connections.
const READ_BUFFER: usize = 1024;
/// How long reading pauses when the node's inbox is full.
const PAUSE: Duration = Duration::from_millis(10);

/// A connection as all who touch it see it.
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    shared: Arc<Shared>,
    write: OwnedWriteHalf,
    out: Mutex<Out>,
    voice: Mutex<Voice>,
    task: AtomicWaker,
    /// It is in the flushers' list.
    dirty: AtomicBool,
    /// To be dropped without more words.
    cut: AtomicBool,
    greeted: AtomicBool,
    born_ms: u64,
    heard_ms: AtomicU64,
    closing_ms: AtomicU64,
    next_ping_ms: AtomicU64,
    /// When the ping that is under way was sent, µs since the edge's start; 0: none.
    ping_us: AtomicU64,
}

/// What the node has heard of this connection: nothing after Gone, and Gone only if there was something before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Silent,
    Spoke,
    Gone,
}

impl Conn {
    pub(crate) fn new(id: ConnId, shared: Arc<Shared>, write: OwnedWriteHalf) -> Self {
        let now_ms = shared.now_ms();
        // The first round trip is measured early; later pings keep the connections' own rhythm.
        let first_ping_ms = now_ms + shared.settings.ping_ms / 20;
        Self {
            id,
            shared,
            write,
            out: Mutex::new(Out::new()),
            voice: Mutex::new(Voice::Silent),
            task: AtomicWaker::new(),
            dirty: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            born_ms: now_ms,
            heard_ms: AtomicU64::new(now_ms),
            closing_ms: AtomicU64::new(u64::MAX),
            next_ping_ms: AtomicU64::new(first_ping_ms),
            ping_us: AtomicU64::new(0),
        }
    }

    /// Queues a message. True: hand the connection to the flushers.
    pub(crate) fn send(&self, parts: Parts, class: SendClass) -> bool {
        let pushed = {
            let mut out = locked(&self.out);
            let pushed = out.push(parts, class, &self.shared.settings.limits);
            if pushed == (Pushed::Dropped { first: true }) {
                // Told with the queue locked, so that Drained cannot overtake it.
                self.give(Input::Lagging { conn: self.id }, Urgency::Tick);
            }
            if pushed == Pushed::Queued && out.blocked {
                return false;
            }
            pushed
        };
        match pushed {
            Pushed::Queued => self.mark_dirty(),
            Pushed::Dropped { .. } => {
                add(&self.shared.indicators.tally.frames_dropped, 1);
                false
            }
            Pushed::TooSlow => self.begin_close(Reason::TooSlow),
            Pushed::Closed => false,
        }
    }

    /// Frames fit together again.
    pub(crate) fn resume(&self) {
        locked(&self.out).resume();
    }

    /// The node wants the connection closed; `last` is what it sent just before: its reason. True: hand it to the flushers.
    pub(crate) fn close_by_node(&self, last: Option<&Parts>) -> bool {
        let code = last.and_then(|parts| code_in(parts));
        let code = code.as_deref().unwrap_or("closed");
        self.close_with(None, close_payload(1000, code), code)
    }

    /// Closes with a reason of the edge, dropping what waits.
    pub(crate) fn close(&self, reason: Reason) {
        if self.begin_close(reason) {
            self.dirty.store(false, Ordering::Release);
            self.flush();
        }
    }

    fn begin_close(&self, reason: Reason) -> bool {
        self.close_with(Some(reason.message()), reason.close_payload(), reason.code())
    }

    fn close_with(&self, last: Option<Bytes>, payload: Bytes, code: &str) -> bool {
        {
            let mut out = locked(&self.out);
            if out.is_closing() {
                return false;
            }
            out.close(last, payload);
        }
        self.closing_ms.store(self.shared.now_ms(), Ordering::Release);
        self.shared.indicators.closed(code);
        self.gone();
        self.task.wake();
        self.mark_dirty()
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Looks at the clock: too late, too silent, time for a ping? Returns the bytes that wait.
    pub(crate) fn sweep(&self, now_ms: u64) -> usize {
        let s = &self.shared.settings;
        let since = |ms: u64| now_ms.saturating_sub(ms);
        if self.closing_ms.load(Ordering::Acquire) != u64::MAX {
            if since(self.closing_ms.load(Ordering::Acquire)) > s.close_ms {
                self.cut();
            }
        } else if !self.greeted.load(Ordering::Relaxed) && since(self.born_ms) > s.hello_ms {
            self.close(Reason::HelloTimeout);
        } else if since(self.heard_ms.load(Ordering::Relaxed)) > s.idle_ms {
            self.close(Reason::Idle);
        } else if now_ms >= self.next_ping_ms.load(Ordering::Relaxed) {
            self.next_ping_ms.store(now_ms + s.ping_ms, Ordering::Relaxed);
            self.ping();
        }
        locked(&self.out).bytes()
    }

    fn ping(&self) {
        let now_us = (self.shared.started.elapsed().as_micros() as u64).max(1);
        // One at a time: the answer to an older one would be taken for this one's.
        if self.ping_us.compare_exchange(0, now_us, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            locked(&self.out).push_ping(Bytes::copy_from_slice(&now_us.to_be_bytes()));
            self.flush();
        }
    }

    fn on_pong(&self, payload: &[u8]) {
        let sent_us = self.ping_us.load(Ordering::Relaxed);
        if sent_us != 0 && payload == sent_us.to_be_bytes() {
            self.ping_us.store(0, Ordering::Relaxed);
            let now_us = self.shared.started.elapsed().as_micros() as u64;
            self.shared.indicators.round_trip(now_us.saturating_sub(sent_us));
        }
    }

    /// True: it was not in the flushers' list and belongs there.
    fn mark_dirty(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// Writes for a flusher.
    pub(crate) fn flush_dirty(&self) {
        self.dirty.store(false, Ordering::Release);
        self.flush();
    }

    /// Writes as much as the socket takes.
    fn flush(&self) {
        let mut out = locked(&self.out);
        let mut written = 0;
        while !out.is_empty() && !out.blocked {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = out.gather(&mut slices);
            match self.write.try_write_vectored(&slices[..count]) {
                Ok(n) => {
                    written += n as u64;
                    if out.advance(n) {
                        self.give(Input::Drained { conn: self.id }, Urgency::Tick);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    out.blocked = true;
                    self.task.wake();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.cut();
                    break;
                }
            }
        }
        add(&self.shared.indicators.tally.bytes_out, written);
    }

    /// Gives an input to the node, unless it has been told that the connection is gone.
    fn give(&self, input: Input, urgency: Urgency) {
        let mut voice = locked(&self.voice);
        if *voice != Voice::Gone {
            *voice = Voice::Spoke;
            self.shared.link.give(input, urgency);
        }
    }

    fn gone(&self) {
        let mut voice = locked(&self.voice);
        if *voice == Voice::Spoke {
            self.shared.link.give(Input::Gone { conn: self.id }, Urgency::Tick);
        }
        *voice = Voice::Gone;
    }
}

/// Runs a connection until it ends. `early` are bytes the client sent right behind its upgrade.
pub(crate) async fn run(conn: Arc<Conn>, read: OwnedReadHalf, early: Vec<u8>) {
    let limits = conn.shared.settings.limits;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(limits.client_message_bytes_max))
        .max_frame_size(Some(limits.client_message_bytes_max));
    let per_second = u64::from(limits.client_messages_per_second_max);
    let mut task = Task {
        read,
        protocol: WebSocketContext::from_partially_read(early, Role::Server, Some(config)),
        broken: false,
        messages: Bucket::new(per_second, 0),
        bytes: Bucket::new(per_second.saturating_mul(limits.client_message_bytes_max as u64), 0),
        farewell: FAREWELL_BYTES,
        pause: None,
        conn,
    };
    poll_fn(|cx| task.poll(cx)).await;
    task.conn.gone();
}

/// What only the connection's own task touches.
struct Task {
    conn: Arc<Conn>,
    read: OwnedReadHalf,
    protocol: WebSocketContext,
    /// The protocol was violated: what comes is not read as messages any more.
    broken: bool,
    messages: Bucket,
    bytes: Bucket,
    farewell: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

/// What one turn of reading led to.
enum Turn {
    /// Nothing more to read now.
    Wait,
    /// The connection is over.
    End,
}

impl Task {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.conn.task.register(cx.waker());
        if self.conn.cut.load(Ordering::Acquire) || self.poll_write(cx).is_err() {
            return Poll::Ready(());
        }
        match self.poll_read(cx) {
            Poll::Ready(Turn::End) => {
                // The answer to the client's own close frame, if the socket takes it.
                self.conn.flush();
                Poll::Ready(())
            }
            Poll::Ready(Turn::Wait) | Poll::Pending => Poll::Pending,
        }
    }

    /// If the socket was full: waits for room, then writes.
    fn poll_write(&self, cx: &mut Context<'_>) -> io::Result<()> {
        while locked(&self.conn.out).blocked {
            match self.conn.write.as_ref().poll_write_ready(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(()),
            }
            locked(&self.conn.out).blocked = false;
            self.conn.flush();
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if !self.conn.shared.link.is_full() {
                break;
            }
            // The inbox cannot wake us when it has room: look again a little later.
            self.pause = Some(Box::pin(sleep(PAUSE)));
        }
        let now_us = self.conn.shared.started.elapsed().as_micros() as u64;
        let mut budget = TURN_BYTES;
        loop {
            if self.broken {
                return self.poll_farewell(cx);
            }
            let before = budget;
            let mut pipe = Pipe { conn: &self.conn, read: &mut self.read, cx, budget: &mut budget };
            let result = self.protocol.read(&mut pipe);
            let taken = before - budget;
            add(&self.conn.shared.indicators.tally.bytes_in, taken as u64);
            if self.conn.closing_ms.load(Ordering::Acquire) != u64::MAX {
                self.farewell = self.farewell.saturating_sub(taken);
                match result {
                    Ok(tungstenite::Message::Close(_)) => return Poll::Ready(Turn::End),
                    Ok(_) if self.farewell > 0 => continue,
                    Err(WsError::Io(e)) if e.kind() == ErrorKind::WouldBlock => {
                        return Poll::Ready(Turn::Wait);
                    }
                    Err(WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                        return Poll::Ready(Turn::End);
                    }
                    _ => {
                        self.broken = true;
                        continue;
                    }
                }
            }
            let within_bytes = self.bytes.take(taken as u64, now_us);
            let checked = match result {
                _ if !within_bytes => Err(Reason::TooManyMessages),
                Ok(message) => {
                    self.conn.heard_ms.store(now_us / 1_000, Ordering::Relaxed);
                    self.on_frame(message, now_us)
                }
                Err(WsError::Io(e)) if e.kind() == ErrorKind::WouldBlock => {
                    return Poll::Ready(Turn::Wait);
                }
                Err(WsError::Capacity(_)) => self.fail(Reason::TooLarge),
                Err(WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                    return Poll::Ready(Turn::End);
                }
                Err(WsError::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                    return Poll::Ready(Turn::End);
                }
                Err(_) => self.fail(Reason::BadMessage),
            };
            if let Err(reason) = checked {
                self.conn.close(reason);
            }
        }
    }

    fn fail(&mut self, reason: Reason) -> Result<(), Reason> {
        self.broken = true;
        Err(reason)
    }

    fn on_frame(&mut self, message: tungstenite::Message, now_us: u64) -> Result<(), Reason> {
        use tungstenite::Message::{Binary, Close, Pong};
        let tally = &self.conn.shared.indicators.tally;
        add(&tally.messages_in, 1);
        match message {
            Binary(payload) => self.on_message(&payload, now_us),
            Close(_) => Ok(()),
            _ if !self.messages.take(1, now_us) => Err(Reason::TooManyMessages),
            Pong(payload) => {
                self.conn.on_pong(&payload);
                Ok(())
            }
            tungstenite::Message::Ping(_) => Ok(()),
            _ => Err(Reason::BadMessage),
        }
    }

    fn on_message(&mut self, payload: &[u8], now_us: u64) -> Result<(), Reason> {
        // Decoded from a slice: what the node keeps of it does not hold on to the read buffer.
        let message = ClientMessage::decode(payload).map_err(|_| Reason::BadMessage)?;
        // Every command is work for the node, however many are packed in one message.
        if !self.messages.take((message.commands.len() as u64).max(1), now_us) {
            return Err(Reason::TooManyMessages);
        }
        if message == ClientMessage::default() {
            return Err(Reason::BadMessage);
        }
        if !self.conn.greeted.load(Ordering::Relaxed) {
            if message.hello.is_none() {
                return Err(Reason::BadMessage);
            }
            self.conn.greeted.store(true, Ordering::Relaxed);
        }
        let waits = message.hello.is_some() || message.ping.is_some() || message.bye.is_some();
        let urgency = if waits || !message.commands.is_empty() { Urgency::Now } else { Urgency::Tick };
        self.conn.give(Input::Client { conn: self.conn.id, message }, urgency);
        Ok(())
    }

    /// Throws away what a client sends that does not follow the protocol, so that it can read why it was closed.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut scratch = [0u8; 4096];
        while self.farewell > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.read).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.farewell = self.farewell.saturating_sub(buffer.filled().len());
                }
                _ => return Poll::Ready(Turn::End),
            }
        }
        Poll::Ready(Turn::Wait)
    }
}

/// The socket as the protocol sees it: reads what is there, writes (pongs, close) into the send queue.
struct Pipe<'a, 'b> {
    conn: &'a Conn,
    read: &'a mut OwnedReadHalf,
    cx: &'a mut Context<'b>,
    budget: &'a mut usize,
}

impl Read for Pipe<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if *self.budget == 0 {
            self.cx.waker().wake_by_ref();
            return Err(ErrorKind::WouldBlock.into());
        }
        let end = buf.len().min(*self.budget);
        let mut buffer = ReadBuf::new(&mut buf[..end]);
        match Pin::new(&mut *self.read).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                let n = buffer.filled().len();
                *self.budget -= n;
                Ok(n)
            }
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Pipe<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let queued =
            locked(&self.conn.out).push_raw(Bytes::copy_from_slice(buf), &self.conn.shared.settings.limits);
        match queued {
            true => self.conn.flush(),
            false => self.conn.close(Reason::TooSlow),
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
