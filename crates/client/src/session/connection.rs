//! The connection of a session: it opens it, says hello, notices silence, and waits before the next attempt. Which edge comes
//! next is decided in `ring`.

use bytes::Bytes;
use gundo_types::Time;
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL, Ping};

use super::{Event, Output, Session, SessionSettings};

/// A connection that is lost sooner after its welcome has not held: an edge that lets everybody in and drops them again would
/// otherwise be tried without end.
const HELD_MS: u64 = 1_000;

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not yet started.
    New,
    /// A connection is being opened.
    Connecting { give_up: Time },
    /// Hello is sent.
    Greeting { give_up: Time },
    /// The hello was refused: the user or, for `not_ready`, the timer says what next.
    Refused { retry: Option<Time> },
    /// In the world.
    Live,
    /// No connection; the next attempt is due then.
    Waiting { until: Time },
    /// Over.
    Ended,
}

impl Session {
    /// The connection asked for is open.
    pub fn handle_open(&mut self, now: Time) {
        if let State::Connecting { .. } = self.state {
            self.on_heard(now);
            self.greet(now);
        }
    }

    /// The connection could not be opened, or is gone.
    pub fn handle_gone(&mut self, now: Time) {
        match self.state {
            State::Connecting { .. } | State::Greeting { .. } | State::Refused { .. } | State::Live => {
                self.on_lost(now);
            }
            State::New | State::Waiting { .. } | State::Ended => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.state {
            State::New | State::Ended => {}
            State::Connecting { give_up } | State::Greeting { give_up } if now >= give_up => {
                self.give_up(now)
            }
            State::Refused { retry: Some(at) } if now >= at => self.greet(now),
            State::Waiting { until } if now >= until => self.connect(now),
            State::Greeting { .. } | State::Live if now >= self.doubt_due() => match self.asked {
                Some(_) => self.give_up(now),
                None => {
                    self.asked = Some(now);
                    self.ping(now);
                }
            },
            State::Live if now >= self.next_ping => self.ping(now),
            State::Connecting { .. }
            | State::Greeting { .. }
            | State::Refused { .. }
            | State::Waiting { .. }
            | State::Live => {}
        }
    }

    // ---- opening ----

    pub(super) fn connect(&mut self, now: Time) {
        let SessionSettings { silence_ms, hello_wait_ms, .. } = self.settings;
        let wait_ms = silence_ms.saturating_mul(1 << self.ring.rounds()).min(hello_wait_ms);
        self.state = State::Connecting { give_up: now.plus_ms(wait_ms) };
        self.outputs.push_back(Output::Connect(self.ring.current().clone()));
    }

    pub(super) fn greet(&mut self, now: Time) {
        self.state = State::Greeting { give_up: now.plus_ms(self.settings.hello_wait_ms) };
        let nonce = self.settings.nonce.filter(|_| self.settings.token.is_empty());
        let hello = Hello {
            protocol: PROTOCOL,
            name: self.settings.name.clone(),
            token: self.settings.token.clone(),
            client: self.settings.client.clone(),
            nonce: nonce.map(|n| Bytes::copy_from_slice(&n)).unwrap_or_default(),
        };
        self.send(ClientMessage { hello: Some(hello), ..Default::default() });
    }

    // ---- silence ----

    pub(super) fn on_heard(&mut self, now: Time) {
        self.last_heard = now;
        self.asked = None;
    }

    /// When a silent edge is asked whether it is still there; if it was asked, when it is given up. Counted from when it was
    /// really asked: a program that slept for a while must not take its own silence for the edge's.
    pub(super) fn doubt_due(&self) -> Time {
        let silence_ms = self.settings.silence_ms;
        match self.asked {
            None => self.last_heard.plus_ms(silence_ms / 2),
            Some(asked) => asked.plus_ms(silence_ms - silence_ms / 2),
        }
    }

    fn ping(&mut self, now: Time) {
        self.next_ping = now.plus_ms(self.settings.ping_every_ms);
        self.send(ClientMessage { ping: Some(Ping { stamp: now.0 }), ..Default::default() });
    }

    fn give_up(&mut self, now: Time) {
        self.outputs.push_back(Output::Disconnect);
        self.on_lost(now);
    }

    // ---- its end ----

    pub(super) fn on_lost(&mut self, now: Time) {
        self.note_held(now);
        let closing = self.closing.take();
        if closing.is_none() && self.is_live() {
            self.commands.count_loss();
        }
        let wait = self.ring.on_lost(closing.as_ref().map(|c| c.retry_ms.into()));
        self.state = State::Waiting { until: now.plus_ms(wait) };
        self.event(Event::Lost { again_in_ms: wait, closing });
    }

    /// The connection ends: if it has held, failures before it count no more.
    pub(super) fn note_held(&mut self, now: Time) {
        if self.is_live() && now.since(self.welcomed) >= HELD_MS * 1_000 {
            self.ring.on_held();
        }
    }
}
