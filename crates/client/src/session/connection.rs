//! The connection of a session: opening it, saying hello, noticing silence, and waiting before the next attempt. `ring`
//! decides which edge comes next.

use bytes::Bytes;
use gundo_types::Time;
use gundo_wire::client::{ClientMessage, Hello, PROTOCOL, Ping};

use super::{Event, Output, Session, SessionSettings};

/// A connection must last this long after its Welcome before earlier failures are forgotten, ms. Otherwise an edge that
/// lets everybody in and drops them again would be tried forever.
const HELD_MS: u64 = 1_000;

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not started.
    New,
    /// The connection is opening.
    Connecting { give_up: Time },
    /// Hello was sent.
    Greeting { give_up: Time },
    /// The hello was refused: the user decides what to do next or, after `not_ready`, the timer.
    Refused { retry: Option<Time> },
    /// In the world.
    Live,
    /// No connection; the next attempt is due at this time.
    Waiting { until: Time },
    /// Over.
    Ended,
}

impl Session {
    /// The requested connection is open.
    pub fn handle_open(&mut self, now: Time) {
        if let State::Connecting { .. } = self.state {
            self.on_heard(now);
            self.line.on_opened(now.since(self.dialled) / 1_000);
            self.greet(now);
        }
    }

    /// The connection could not open, or was lost.
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
            State::Connecting { give_up } if now >= give_up => {
                self.line.on_overdue();
                self.give_up(now);
            }
            State::Greeting { give_up } if now >= give_up => self.give_up(now),
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
        let (edges, rounds) = (self.ring.all().len(), self.ring.rounds());
        let wait_ms = self.line.opening_ms(silence_ms, 2 * hello_wait_ms, edges, rounds);
        self.dialled = now;
        self.state = State::Connecting { give_up: now.plus_ms(wait_ms) };
        self.outputs.push_back(Output::Connect(self.ring.current().clone()));
    }

    pub(super) fn greet(&mut self, now: Time) {
        self.state = State::Greeting { give_up: now.plus_ms(self.settings.hello_wait_ms) };
        if !self.settings.recovery.is_empty() {
            let (recovery, client) = (self.settings.recovery.clone(), self.settings.client.clone());
            let hello = Hello { protocol: PROTOCOL, recovery, client, ..Hello::default() };
            return self.send(ClientMessage { hello: Some(hello), ..Default::default() });
        }
        let nonce = self.settings.nonce.filter(|_| self.settings.token.is_empty());
        let hello = Hello {
            protocol: PROTOCOL,
            name: self.settings.name.clone(),
            token: self.settings.token.clone(),
            client: self.settings.client.clone(),
            world_id: self.settings.world_id.clone(),
            place: if self.settings.token.is_empty() { Bytes::new() } else { self.place.clone() },
            nonce: nonce.map(|n| Bytes::copy_from_slice(&n)).unwrap_or_default(),
            recovery: String::new(),
            invitation: nonce.map(|_| self.settings.invitation.clone()).unwrap_or_default(),
        };
        self.send(ClientMessage { hello: Some(hello), ..Default::default() });
    }

    // ---- silence ----

    pub(super) fn on_heard(&mut self, now: Time) {
        self.last_heard = now;
        self.asked = None;
    }

    /// When to ask a silent edge whether it is still alive; if it was asked, when to give it up. The second wait counts
    /// from the moment of asking: a program that slept for a while must not mistake its own silence for the edge's.
    pub(super) fn doubt_due(&self) -> Time {
        let silence_ms = self.settings.silence_ms;
        match self.asked {
            None => self.last_heard.plus_ms(silence_ms / 2),
            Some(asked) => asked.plus_ms(self.line.answer_ms(silence_ms - silence_ms / 2)),
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

    // ---- the end of a connection ----

    pub(super) fn on_lost(&mut self, now: Time) {
        self.note_held(now);
        let closing = self.closing.take();
        if closing.is_none() && self.is_live() {
            self.commands.count_loss(self.life);
        }
        let wait = self.ring.on_lost(closing.as_ref().map(|c| c.retry_ms.into()));
        self.state = State::Waiting { until: now.plus_ms(wait) };
        self.event(Event::Lost { again_in_ms: wait, closing });
    }

    /// The connection ends: if it has lasted, earlier failures no longer count.
    pub(super) fn note_held(&mut self, now: Time) {
        if self.is_live() && now.since(self.welcomed) >= HELD_MS * 1_000 {
            self.ring.on_held();
        }
    }
}
