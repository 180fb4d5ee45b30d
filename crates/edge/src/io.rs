//! An I/O thread: it owns sockets and works in turns. In a turn it reads everything that clients have sent and passes it to
//! the node as one batch, then writes everything the node has for the clients.
//!
//! Each message needs a system call; it does not need to wake a thread or a task, which costs as much. So after a turn the
//! thread rests a little, longer the more clients it has, and finds more to do in the next turn.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_kernel::Input;
use gundo_types::ConnId;
use mio::{Events, Poll, Token, Waker};

use crate::Shared;
use crate::conn::Conn;
use crate::indicators::add;
use crate::line::Scratch;
use crate::link::{Delivery, Urgency};
use crate::mailbox::{Arrival, Mail, Mailbox};
use crate::out::Page;
use crate::reason::Reason;

/// The token of the waker. A connection's token is its number, from 1.
const WAKER: Token = Token(0);
/// Ready sockets taken from one poll.
const EVENTS: usize = 4_096;
/// Bytes read from one client in a turn, and offered to one socket in one call.
const SCRATCH: usize = 64 * 1024;
/// Rest after a turn, for each connection. A client sends about ten messages per second, so a few arrive during the rest.
const REST_PER_CONN: Duration = Duration::from_micros(4);
/// The longest rest: the most that a message is delayed to be batched with others.
const REST_MAX: Duration = Duration::from_millis(4);
/// How long reading pauses when the node's inbox is full.
const PAUSE: Duration = Duration::from_millis(10);

/// State that a thread shares among all its connections.
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    /// Time of this turn, µs since the edge's start.
    pub(crate) now_us: u64,
    /// Connections with something to write.
    pub(crate) dirty: Vec<ConnId>,
    /// Connections that have ended.
    pub(crate) over: Vec<ConnId>,
    inputs: Vec<Input>,
    urgency: Urgency,
}

impl Desk {
    /// Queues an input for the node.
    pub(crate) fn give(&mut self, input: Input, urgency: Urgency) {
        self.inputs.push(input);
        if urgency == Urgency::Now {
            self.urgency = Urgency::Now;
        }
    }

    fn hand_over(&mut self) {
        if !self.inputs.is_empty() {
            self.shared.link.give(&mut self.inputs, self.urgency);
            self.inputs.clear();
            self.urgency = Urgency::Tick;
        }
    }
}

/// The thread's poll and its mailbox, before it runs.
pub(crate) struct Ground {
    poll: Poll,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Ground {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), WAKER)?));
        Ok(Self { poll, mailbox })
    }
}

/// The thread.
pub(crate) struct Thread {
    /// Which of the edge's threads.
    index: usize,
    poll: Poll,
    mailbox: Arc<Mailbox>,
    desk: Desk,
    conns: HashMap<ConnId, Box<Conn>>,
    /// Connections that may be read.
    ready: Vec<ConnId>,
    /// Connections that are not read for a while, and the earliest time at which one is, µs since the edge's start.
    paused: (Vec<ConnId>, u64),
    scratch: Scratch,
    page: Page,
    sweep_every: Duration,
    next_sweep: Instant,
    /// The edge has stopped: those that come now are closed with this reason.
    closed: Option<Reason>,
}

impl Thread {
    pub(crate) fn new(index: usize, ground: Ground, shared: Arc<Shared>) -> Self {
        let s = &shared.settings;
        // Deadlines are kept to within a quarter of the shortest one.
        let shortest = s.hello_ms.min(s.idle_ms).min(s.ping_ms).min(s.close_ms);
        Self {
            index,
            poll: ground.poll,
            mailbox: ground.mailbox,
            desk: Desk {
                now_us: shared.now_us(),
                shared,
                dirty: Vec::new(),
                over: Vec::new(),
                inputs: Vec::new(),
                urgency: Urgency::Tick,
            },
            conns: HashMap::new(),
            ready: Vec::new(),
            paused: (Vec::new(), u64::MAX),
            scratch: Scratch::new(SCRATCH),
            page: Page::new(SCRATCH),
            sweep_every: Duration::from_millis((shortest / 4).clamp(5, 250)),
            next_sweep: Instant::now(),
            closed: None,
        }
    }

    /// Runs until its mailbox says that it ends.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "an I/O thread cannot poll its sockets; trying again");
                // An error that comes at once would come again at once, forever.
                std::thread::sleep(PAUSE);
            }
            let mail = self.mailbox.take();
            let ended = mail.ended;
            let idle = events.is_empty() && self.ready.is_empty();
            self.turn(&events, mail);
            if ended {
                return;
            }
            if !idle {
                self.mailbox.rest((REST_PER_CONN * self.conns.len() as u32).min(REST_MAX));
            }
        }
    }

    /// How long the poll may wait.
    fn wait(&self) -> Duration {
        if !self.mailbox.may_poll() {
            return Duration::ZERO;
        }
        let until_sweep = self.next_sweep.saturating_duration_since(Instant::now());
        let until_read = self.paused.1.saturating_sub(self.desk.shared.now_us());
        let until_sweep = until_sweep.min(Duration::from_micros(until_read));
        match (self.ready.is_empty(), self.desk.shared.link.is_full()) {
            (true, _) => until_sweep,
            // The inbox does not wake this thread when it has room again, so look again a little later.
            (false, true) => until_sweep.min(PAUSE),
            (false, false) => Duration::ZERO,
        }
    }

    fn turn(&mut self, events: &Events, mail: Mail) {
        self.desk.now_us = self.desk.shared.now_us();
        self.take_events(events);
        if !self.desk.shared.link.is_full() {
            self.end_pauses();
            self.read();
            self.desk.hand_over();
        }
        for arrival in mail.arrivals {
            self.arrive(arrival);
        }
        self.deliver(mail.deliveries);
        if let Some(reason) = mail.close_all {
            self.closed = Some(reason);
            self.conns.values_mut().for_each(|conn| conn.close(reason, &mut self.desk));
        }
        if mail.cut_all {
            self.conns.values_mut().for_each(|conn| conn.cut(&mut self.desk));
        }
        self.flush();
        if self.next_sweep <= Instant::now() {
            self.sweep();
            self.flush();
        }
        for id in std::mem::take(&mut self.desk.over) {
            if self.conns.remove(&id).is_some() {
                self.desk.shared.leave(self.index);
            }
        }
        self.desk.hand_over();
    }

    fn take_events(&mut self, events: &Events) {
        for event in events {
            let id = ConnId(event.token().0 as u64);
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            if event.is_writable() {
                conn.handle_writable(&mut self.desk);
            }
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            if readable && !std::mem::replace(&mut conn.ready, true) {
                self.ready.push(id);
            }
        }
    }

    /// Reads once from every connection that has bytes.
    fn read(&mut self) {
        for id in std::mem::take(&mut self.ready) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            let (desk, scratch) = (&mut self.desk, &mut self.scratch);
            // Whatever a stranger's bytes trigger, they end no more than that stranger's connection.
            conn.ready = catch_unwind(AssertUnwindSafe(|| conn.read(desk, scratch))).unwrap_or_else(|_| {
                tracing::error!(conn = id.0, "a bug: reading from a client panicked; its connection ends");
                conn.cut(&mut self.desk);
                false
            });
            if let Some(until_us) = conn.pauses_until(self.desk.now_us) {
                conn.ready = true;
                self.paused.0.push(id);
                self.paused.1 = self.paused.1.min(until_us);
            } else if conn.ready {
                self.ready.push(id);
            }
        }
    }

    /// Those that have waited for long enough are read again.
    fn end_pauses(&mut self) {
        if self.paused.1 > self.desk.now_us {
            return;
        }
        self.paused.1 = u64::MAX;
        for id in std::mem::take(&mut self.paused.0) {
            let Some(conn) = self.conns.get(&id) else { continue };
            match conn.pauses_until(self.desk.now_us) {
                Some(until_us) => {
                    self.paused.0.push(id);
                    self.paused.1 = self.paused.1.min(until_us);
                }
                None => self.ready.push(id),
            }
        }
    }

    fn arrive(&mut self, mut arrival: Arrival) {
        let token = Token(arrival.id.0 as usize);
        if let Err(error) = arrival.line.register(self.poll.registry(), token) {
            tracing::warn!(%error, "cannot register another connection; it is dropped");
            self.desk.shared.leave(self.index);
            return;
        }
        let came = (arrival.early, arrival.from);
        let line = (arrival.line, arrival.slot);
        let mut conn = Box::new(Conn::new(arrival.id, line, came, &self.desk));
        add(&self.desk.shared.indicators.tally.accepted, 1);
        // Its upgrade may have begun before the edge stopped.
        if let Some(reason) = arrival.refused.or(self.closed) {
            conn.close(reason, &mut self.desk);
        }
        conn.ready = true;
        self.ready.push(arrival.id);
        self.conns.insert(arrival.id, conn);
    }

    /// Puts a batch into the send queues, in order.
    fn deliver(&mut self, deliveries: Vec<Delivery>) {
        let mut sent = 0;
        for delivery in deliveries {
            let Some(conn) = self.conns.get_mut(&delivery.conn()) else { continue };
            match delivery {
                Delivery::Send { parts, class, .. } => {
                    sent += 1;
                    conn.send(parts, class, &mut self.desk);
                }
                Delivery::Close { closing, .. } => {
                    sent += u64::from(closing.is_some());
                    conn.close_by_node(closing, &mut self.desk);
                }
                Delivery::Resume { .. } => conn.resume(),
            }
        }
        add(&self.desk.shared.indicators.tally.messages_out, sent);
    }

    fn flush(&mut self) {
        for id in std::mem::take(&mut self.desk.dirty) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.flush(&mut self.desk, &mut self.page);
            }
        }
    }

    /// The edge's clock: looks at every connection for a late Hello, silence, or a due ping.
    fn sweep(&mut self) {
        self.next_sweep = Instant::now() + self.sweep_every;
        let queued: usize = self.conns.values_mut().map(|conn| conn.sweep(&mut self.desk)).sum();
        self.desk.shared.queued(self.index, queued);
    }
}
