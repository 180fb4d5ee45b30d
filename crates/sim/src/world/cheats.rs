//! Players who cheat: about where they are, how fast they walk, how much they ask at once, and in every number.
//!
//! A cheat is a player with an honest client program whose connection also carries lies. It lies only while faults happen, so that
//! it comes to rest with the others. What its connection is told is not compared with what it said; everything else is checked
//! as for honest players, and those must not notice it.

use gundo_types::{EntityId, Kind, Point};
use gundo_wire::client::{ClientMessage, Command, Hello, Move, PROTOCOL};

use super::World;
use crate::plan::Dial;
use crate::story::About;

/// Of so many steps a cheat lies in one.
const LIES_EVERY: u64 = 2;
/// For so long it claims the same place, or walks in the same direction, µs: so it also lies while its player changes its node.
const INSISTS_US: u64 = 4_000_000;

impl World {
    /// Whether this player cheats.
    fn is_cheat(&self, person: usize) -> bool {
        let Some(percent) = self.plan.dials.get(&Dial::Cheats) else { return false };
        // Spread evenly, and the first player is among them.
        (person as u64 * 37) % 100 < u64::from(*percent)
    }

    /// A step of a player who cheats, beside what it does honestly.
    pub(super) fn cheat(&mut self, person: usize, client: usize) {
        if !self.faulty || !self.is_cheat(person) || self.wrong.below(LIES_EVERY) > 0 {
            return;
        }
        let Some((_, conn)) = self.clients[client].conn else { return };
        self.judge.hostile(conn);
        self.judge.disordered(conn);
        *self.counts.faults.entry(Dial::Cheats).or_insert(0) += 1;
        let what = match self.wrong.below(12) {
            0..=6 => self.lie_about_place(person, client),
            7 => self.run_too_fast(person, client),
            8 => self.walk_through_walls(person, client),
            9 => self.ask_too_much(client),
            10 => self.lie_in_numbers(client),
            _ => self.break_the_protocol(person, client),
        };
        self.story.tell(self.now, About::player(person), || format!("player {person} cheats: {what}"));
    }

    /// What a cheat insists on at this time: the same number for some seconds.
    fn obsession(&self, person: usize) -> u64 {
        let since = self.now / INSISTS_US;
        (person as u64 ^ since << 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    }

    /// Says that it stands far away, and goes on saying it.
    fn lie_about_place(&mut self, person: usize, client: usize) -> &'static str {
        let at = self.people[person].wishes.body.at;
        let obsession = self.obsession(person);
        let far = |bits: u64| 20_000 + (bits % 300_000) as i32;
        let (dx, dy) = (far(obsession), far(obsession >> 20));
        let sign = |v: i32, bit: u64| if obsession >> bit & 1 == 0 { v } else { -v };
        let to = Point::new(at.x.saturating_add(sign(dx, 61)), at.y.saturating_add(sign(dy, 62)));
        self.move_as(client, 1, to);
        "a place far away"
    }

    /// Says that its player was last seen far away: with the seal of another place, or of somebody else's.
    pub(super) fn lie_about_the_last_place(&mut self, client: usize, hello: &mut Hello) {
        let person = self.clients[client].person;
        if !self.faulty || hello.token.is_empty() || !self.is_cheat(person) || self.wrong.below(2) > 0 {
            return;
        }
        let other = self.wrong.below(self.people.len() as u64) as usize;
        let mut place = self.people[other].place.to_vec();
        if self.wrong.below(3) > 0 && place.len() == 35 {
            let at = self.people[person].wishes.body.at;
            let far = 20_000 + self.wrong.below(200_000) as i32;
            place[..8].copy_from_slice(&self.world_time().0.saturating_sub(100).to_be_bytes());
            place[10..14].copy_from_slice(&at.x.saturating_add(far).to_be_bytes());
            place[14..18].copy_from_slice(&at.y.to_be_bytes());
        }
        hello.place = place.into();
    }

    /// Walks several seconds' way in a moment.
    fn run_too_fast(&mut self, person: usize, client: usize) -> &'static str {
        let mut to = self.people[person].wishes.body.at;
        let pace = 400 + self.wrong.below(4_000) as i32;
        let (east, south) = (self.obsession(person) >> 50 & 1 == 0, self.obsession(person) >> 51 & 1 == 0);
        for count in 1..=12 {
            to.x = to.x.saturating_add(if east { pace } else { -pace });
            to.y = to.y.saturating_add(if south { pace } else { -pace });
            self.move_as(client, count, to);
        }
        "too fast"
    }

    /// Goes straight on at a walker's pace, whatever is in the way.
    fn walk_through_walls(&mut self, person: usize, client: usize) -> &'static str {
        let obsession = self.obsession(person);
        let pace = (self.speed / 10).max(1) as i32;
        let body = &mut self.people[person].wishes.body;
        match obsession >> 40 & 3 {
            0 => body.at.x = body.at.x.saturating_add(pace),
            1 => body.at.x = body.at.x.saturating_sub(pace),
            2 => body.at.y = body.at.y.saturating_add(pace),
            _ => body.at.y = body.at.y.saturating_sub(pace),
        }
        let to = body.at;
        self.move_as(client, 1, to);
        "through walls"
    }

    /// More commands at once than it may have open, and more watches than it may have.
    fn ask_too_much(&mut self, client: usize) -> &'static str {
        let said = self.clients[client].said.back().cloned().unwrap_or_default();
        let many = 33 + self.wrong.below(70);
        let command = |k| Command { seq: said.seq + k, payload: said.payload.clone(), ..Default::default() };
        let commands = (1..=many).map(command).collect();
        self.lie(client, ClientMessage { commands, ..Default::default() });
        for k in 0..20 {
            let entity = EntityId::new(Kind(2 + k % 3), self.wrong.below(1 << 20));
            let c = &mut self.clients[client];
            c.sneaked.extend(c.conn.map(|(_, conn)| (conn, entity)));
            self.lie(client, ClientMessage { watch: Some(entity.into()), ..Default::default() });
        }
        "too much at once"
    }

    /// Faults have ended: cheats cease to watch what their programs do not know of, so that there is room for what those ask for.
    pub(super) fn take_back_watches(&mut self) {
        for client in 0..self.clients.len() {
            let sneaked = std::mem::take(&mut self.clients[client].sneaked);
            let open = self.clients[client].conn.map(|(_, conn)| conn);
            for (_, entity) in sneaked.into_iter().filter(|(conn, _)| Some(*conn) == open) {
                if self.clients[client].session.watched().all(|watched| watched != entity) {
                    self.lie(client, ClientMessage { unwatch: Some(entity.into()), ..Default::default() });
                }
            }
        }
    }

    /// Numbers that nobody gave: used already, far ahead, at their limits; payloads that are too long.
    fn lie_in_numbers(&mut self, client: usize) -> &'static str {
        let said = self.clients[client].said.front().cloned().unwrap_or_default();
        let ends = [i32::MIN, i32::MIN + 1, -1, 0, i32::MAX - 1, i32::MAX];
        let mut end = || ends[self.wrong.below(6) as usize];
        let (x, y) = (end(), end());
        let seq = [0, 1, u32::MAX - 1, u32::MAX][self.wrong.below(4) as usize];
        let corrections = [None, Some(0), Some(u32::MAX)][self.wrong.below(3) as usize];
        let wish = Move { seq, x, y, heading: u32::MAX, speed: u32::MAX, corrections };
        self.lie(client, ClientMessage { r#move: Some(wish), ..Default::default() });
        // A number near the end of all numbers would leave none for the player itself.
        let seq = [0, 1, said.seq, said.seq + 40, said.seq + 1_000][self.wrong.below(5) as usize];
        let len = [0, 1, 4_096, 4_097, 16_000][self.wrong.below(5) as usize];
        let lost = [0, 1, u32::MAX][self.wrong.below(3) as usize];
        let payload = if len == 1 { said.payload } else { vec![self.wrong.next_u64() as u8; len].into() };
        let lives = [0, 1, self.wrong.below(40), u64::MAX];
        let lost_at = lives[..self.wrong.below(5) as usize].to_vec();
        let commands = vec![Command { seq, payload, lost, lost_at, asks: false }];
        self.lie(client, ClientMessage { commands, ..Default::default() });
        "numbers"
    }

    /// Says hello again, or as somebody else.
    fn break_the_protocol(&mut self, person: usize, client: usize) -> &'static str {
        if self.wrong.below(6) > 0 {
            return self.run_too_fast(person, client);
        }
        let mut token = self.people[person].tokens.last().cloned().unwrap_or_default().to_vec();
        if let Some(last) = token.last_mut() {
            *last ^= 1;
        }
        let hello = Hello { protocol: PROTOCOL, token: token.into(), ..Default::default() };
        self.lie(client, ClientMessage { hello: Some(hello), ..Default::default() });
        "hello again"
    }

    fn move_as(&mut self, client: usize, seq: u32, to: Point) {
        let wish = Move { seq, x: to.x, y: to.y, heading: 0, speed: 40, corrections: None };
        self.lie(client, ClientMessage { r#move: Some(wish), ..Default::default() });
    }

    /// Sends it after what the client sent before.
    fn lie(&mut self, client: usize, message: ClientMessage) {
        let c = &mut self.clients[client];
        let Some((node, conn)) = c.conn else { return };
        c.up_at = (self.now + c.distance_us).max(c.up_at);
        let at = c.up_at;
        if self.conns.contains_key(&conn) {
            self.queue.push(at, super::Flight::ToNode { node, conn, message });
        }
    }
}
