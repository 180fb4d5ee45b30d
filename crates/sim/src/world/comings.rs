//! Players who come for the first time, and players who leave for good. Nothing of those may stay: no node has them, and nobody sees them.

use gundo_bots::Wishes;
use gundo_types::{Body, Time};

use super::{Flight, Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::people::{Absence, Person};
use crate::story::About;

/// Of so many players who leave, one leaves for good.
const QUITS_IN: u64 = 3;
/// Of so many players, one may.
const OF: usize = 3;
/// A player who tries once more gives up within this time, µs.
const TRIES_US: u64 = 300_000;

impl World {
    /// A player that arrives within the plan's time.
    pub(super) fn add_person(&mut self, index: usize) {
        self.push_person(index);
        let at = self.life.below(self.plan.arrival_ms * 1_000 + 1);
        self.fly(at, Flight::Arrive(index));
        let step_us = 1_000_000 / u64::from(self.plan.steps_per_second);
        let first = self.life.below(step_us);
        self.fly(first, Flight::Step(index));
    }

    /// A player that comes now, to this node and to no other.
    pub(super) fn add_newcomer(&mut self, node: u16) -> usize {
        let index = self.people.len();
        self.push_person(index);
        self.open_client_at(index, node, 1);
        index
    }

    fn push_person(&mut self, index: usize) {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.life.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&self.life.next_u64().to_le_bytes());
        let seed = self.life.next_u64();
        let mut mind = self.game.mind(index);
        // Some first want another player's name.
        let wished = if index % 5 == 4 { index - 1 } else { index };
        let name = mind.name(&format!("sim{wished}"));
        self.people.push(Person {
            name,
            names_tried: 0,
            role: self.plan.role(index),
            nonce,
            id: None,
            mind,
            wishes: Wishes::at(Body::default(), seed),
            current: None,
            wants_in: true,
            tokens: Vec::new(),
            place: bytes::Bytes::new(),
            last_step: 0,
            goal: None,
            absence: Absence::default(),
            quits: false,
        });
    }

    /// A player leaves, and comes back within 12 s, or never. Of those who never do, some log in once more and are gone before or just
    /// after they are welcome.
    pub(super) fn leave_for_long(&mut self, person: usize) {
        if !self.may_quit() || self.wrong.below(QUITS_IN) != 0 {
            self.leave(person);
            let back = 1 + self.wrong.below(12_000_000);
            return self.fly(back, Flight::Arrive(person));
        }
        self.people[person].quits = true;
        let tries = if self.wrong.below(2) == 0 { 0 } else { 1 + self.wrong.below(TRIES_US) };
        if tries > 0 {
            self.people[person].current = None;
            self.open_client(person);
        }
        self.fly(tries, Flight::Quits(person));
    }

    /// A node dies: some of those who were connected there are never seen again.
    pub(super) fn some_give_up(&mut self, node: Key) {
        for person in 0..self.people.len() {
            let client = self.people[person].current.map(|client| &self.clients[client]);
            let is_there = client.is_some_and(|client| client.conn.is_some_and(|(key, _)| key == node));
            if is_there && self.may_quit() && self.wrong.below(QUITS_IN) == 0 {
                self.people[person].quits = true;
                self.fly(0, Flight::Quits(person));
            }
        }
    }

    /// Most players play on.
    fn may_quit(&self) -> bool {
        let quit = self.people.iter().filter(|p| p.quits).count();
        (quit + 1) * OF <= self.people.len()
    }

    /// A player leaves for good, with all its clients.
    pub(super) fn quit(&mut self, person: usize) {
        self.story.tell(self.now, About::player(person), || format!("player {person} leaves for good"));
        self.leave(person);
        let now = Time(self.now);
        let theirs: Vec<_> = (0..self.clients.len()).filter(|c| self.clients[*c].person == person).collect();
        for client in theirs {
            self.clients[client].session.leave(now);
            self.drain_client(client);
        }
    }

    /// No node has a player who has left for good.
    pub(crate) fn check_left(&self) -> Verdict {
        for (index, person) in self.people.iter().enumerate().filter(|(_, p)| p.quits) {
            let holds = |id| self.nodes.iter().find(|(_, node)| node.kernel.holds(id));
            if let Some((key, _)) = person.id.and_then(holds) {
                let text = format!("player {index} has left for good, and n{} still has it", key.node);
                return violated(Guarantee::G12, text);
            }
        }
        Ok(())
    }
}
