//! The faults: what each dial does to nodes, players or the journal.

use gundo_kernel::{Gauges, Input};
use gundo_types::ConnId;
use gundo_wire::client::{ClientMessage, Command};

use super::members::Reach;
use super::{Flight, Key, SimNode, Stall, World};
use crate::judge::{Guarantee, violated};
use crate::plan::Dial;
use crate::story::About;

impl World {
    pub(super) fn some_node(&mut self) -> Key {
        let node = 1 + self.wrong.below(u64::from(self.plan.nodes)) as u16;
        self.key(node)
    }

    pub(super) fn schedule_fault(&mut self, dial: Dial) {
        let Some(rate) = self.plan.dials.get(&dial) else { return };
        let mean = 60_000_000 / u64::from(*rate).max(1);
        // Between nothing and twice the mean, most often near the mean.
        let after = (self.wrong.below(mean) + self.wrong.below(mean)).max(1);
        self.fly(after, Flight::Fault(dial));
    }

    pub(super) fn fault(&mut self, dial: Dial) {
        // The kernel repairs lost frames by itself, so they may get lost until all players stand still.
        if !(self.faulty || dial == Dial::Frames && self.playing) {
            return;
        }
        self.schedule_fault(dial);
        if self.cause(dial) {
            *self.counts.faults.entry(dial).or_insert(0) += 1;
        }
    }

    /// Causes the fault; false if nothing suits it.
    pub(super) fn cause(&mut self, dial: Dial) -> bool {
        let second = 1_000_000;
        if is_unsteady(dial) {
            self.unsteady_until = self.now + 10 * second;
        }
        match dial {
            Dial::Delay
            | Dial::Clocks
            | Dial::Mixed
            | Dial::HalfDone
            | Dial::Bytes
            | Dial::Lanes
            | Dial::Cheats
            | Dial::Uneven
            | Dial::Drift
            | Dial::Work => return false,
            Dial::Busy => return self.slow_down_some(),
            Dial::Partition | Dial::OneWay | Dial::Frames => return self.cut_links(dial),
            Dial::Reset | Dial::Scatter | Dial::Forget => return self.reset_link(dial),
            Dial::Cut | Dial::Hang | Dial::Apart | Dial::Lazy => return self.keep_apart(dial),
            Dial::Pause => return self.pause_some(),
            Dial::Crash | Dial::Zombie => return self.crash(dial == Dial::Zombie),
            Dial::NodeCrash => return self.crash_node(),
            Dial::Drain => return self.drain_node(),
            Dial::Poison => return self.poison_some(),
            Dial::Panics => return self.panic_some(),
            Dial::Orders => return self.order_something(),
            Dial::Views => {
                if self.booting || self.coordinator_is_down() || self.coordinator.view.members.is_empty() {
                    return false;
                }
                self.renumber();
            }
            Dial::Leader | Dial::Failover | Dial::TailLost => return self.fail_behind(dial),
            Dial::Steps => return self.set_a_clock(),
            Dial::Edge => self.break_edge(),
            Dial::Vanish | Dial::Elsewhere | Dial::Leave | Dial::Resend | Dial::Lag => {
                let person = self.wrong.below(self.people.len() as u64) as usize;
                return self.disturb(dial, person);
            }
            // The choice happens where the message is sent.
            Dial::Reorder => return self.reorder(),
            Dial::Wave => self.wave(),
            Dial::Garbage => return self.hostile(),
            Dial::Forged => return self.forge(),
            Dial::Overload => return self.overload_some(),
            Dial::Coordinator => {
                let until = self.now + 100_000 + self.wrong.below(12 * second);
                self.coordinator.go_down(self.now, until);
                self.excuse_all(until);
            }
            Dial::Stall | Dial::Low | Dial::Slow | Dial::Full | Dial::Unreadable | Dial::Prune => {
                self.trouble_storage(dial);
            }
            Dial::Reject | Dial::Queue | Dial::Collide | Dial::UnknownLanded | Dial::UnknownLost => {
                self.trouble_storage(dial);
            }
        }
        if dial != Dial::Edge {
            self.story.tell(self.now, About::default(), || format!("fault: {dial}"));
        }
        true
    }

    /// Half of all players log out, and come back at once.
    fn wave(&mut self) {
        let back = self.wrong.below(5_000_000);
        for person in 0..self.people.len() {
            if self.wrong.below(2) == 0 {
                self.leave(person);
                self.fly(1 + back, Flight::Arrive(person));
            }
        }
    }

    /// A node freezes for a while.
    fn pause_some(&mut self) -> bool {
        let second = 1_000_000;
        let key = self.some_node();
        let Some(node) = self.nodes.get_mut(&key).filter(|n| !n.paused) else { return false };
        node.paused = true;
        let after = 20_000 + self.wrong.below(3 * second);
        self.excuse(key.node, self.now + after);
        self.fly(after, Flight::Resume(key));
        self.tell_fault(key, || format!("n{} stands still for {} ms", key.node, after / 1_000));
        true
    }

    /// All connections of a node break.
    fn break_edge(&mut self) {
        let key = self.some_node();
        let lost: Vec<_> = self.conns.iter().map(|(conn, client)| (*conn, *client)).collect();
        let mut lost: Vec<_> =
            lost.into_iter().filter(|(conn, c)| self.clients[*c].conn == Some((key, *conn))).collect();
        lost.sort_unstable();
        for (conn, client) in lost {
            self.cut(client, key, conn, 0, 300_000);
        }
        self.tell_fault(key, || format!("all connections of n{} break", key.node));
    }

    /// A node has too much to do for a while.
    fn overload_some(&mut self) -> bool {
        let second = 1_000_000;
        let (key, seconds) = (self.some_node(), 1 + self.wrong.below(6));
        if !self.nodes.contains_key(&key) {
            return false;
        }
        self.tell_load(key, 1_000, seconds);
        let takes = 500_000 + self.wrong.below(8 * second);
        self.fly(takes, Flight::Ease(key));
        self.tell_fault(key, || format!("n{} has too much to do: {seconds} levels", key.node));
        true
    }

    /// The current counts.
    pub(super) fn stall(&self) -> Stall {
        let updates: u64 = self.nodes.values().map(|n| n.kernel.counters().updates).sum();
        let updates = self.updates_ended + updates;
        Stall { began: self.now, walks: self.walks, walked: self.walked, updates }
    }

    /// Durable work had to wait. Moves must have been accepted all the same, and clients must have seen them.
    pub(super) fn stall_ends(&mut self, before: Stall) {
        const ENOUGH: u64 = 20;
        if self.unsteady_until > before.began {
            return;
        }
        let now = self.stall();
        let (walks, walked) = (now.walks - before.walks, now.walked - before.walked);
        let text = if walks >= ENOUGH && walked == 0 {
            format!("{walks} moves came in while the journal stalled, and nobody could walk")
        } else if walked >= ENOUGH && now.updates == before.updates {
            format!("{walked} moves were decided while the journal stalled, and nobody was seen walking")
        } else {
            return;
        };
        self.rule(violated(Guarantee::G12, text));
    }

    /// Drivers check the disk.
    pub(super) fn tell_room(&mut self, storage_full: bool) {
        self.disk_is_low = storage_full;
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(key, Input::Gauges(Gauges { storage_full, ..Gauges::default() }));
        }
    }

    /// A driver reports this load, for so many seconds.
    pub(super) fn tell_load(&mut self, key: Key, load_permille: u32, seconds: u64) {
        for _ in 0..seconds {
            self.input(key, Input::Gauges(Gauges { load_permille, ..Gauges::default() }));
        }
    }

    pub(super) fn resume(&mut self, key: Key) {
        let Some(node) = self.nodes.get_mut(&key).filter(|n| n.paused) else { return };
        node.paused = false;
        let inbox = std::mem::take(&mut node.inbox);
        self.story.tell(self.now, About::node(key.node), || format!("n{} goes on", key.node));
        for (_, input) in inbox {
            self.input(key, input);
        }
        // The queue dropped timers that fell due meanwhile.
        self.input(key, Input::Timeout);
    }

    /// The whole process dies. A zombie works on for a moment without knowing.
    pub(super) fn crash(&mut self, zombie: bool) -> bool {
        let generation = self.generation;
        if self.booting || !self.nodes.keys().any(|key| key.generation == generation) {
            return false;
        }
        let text = if zombie { "the process is taken for dead" } else { "the process dies" };
        self.story.tell(self.now, About::default(), || format!("fault: {text}"));
        let boots_in = 100_000 + self.wrong.below(2_000_000);
        if zombie {
            // The next process deletes its rows when it starts; it checks for them once per second.
            let ends_in = boots_in + 1 + self.wrong.below(1_000_000);
            self.fly(ends_in, Flight::ZombieEnds(generation));
        } else {
            self.crash_storage(&|key| key.generation == generation);
            let of =
                |(key, node): (&Key, &SimNode)| (key.generation == generation).then_some(node.incarnation);
            let gone: Vec<_> = self.nodes.iter().filter_map(of).collect();
            gone.into_iter().for_each(|incarnation| self.leave_journal(incarnation));
            self.end_generation(generation);
        }
        self.booting = true;
        self.fly(boots_in, Flight::Boot);
        true
    }

    fn crash_storage(&mut self, dies: &dyn Fn(&Key) -> bool) {
        match self.storage.crash(self.now, dies, &mut self.judge) {
            Ok(None) => {}
            Ok(Some(due)) => self.queue.push(due, Flight::Late),
            Err(violation) => self.rule(Err(violation)),
        }
    }

    /// Deletes its row: from now on nothing of it may land.
    pub(super) fn leave_journal(&mut self, incarnation: u64) {
        self.storage.disk.store.leave(incarnation);
        self.judge.leave(incarnation);
    }

    pub(super) fn end_generation(&mut self, generation: u32) {
        self.end_nodes(&|key| key.generation == generation);
    }

    /// One node dies. Most of its peers notice at once, by their links. When two are sure, the others continue without it;
    /// later it starts again.
    pub(super) fn crash_node(&mut self) -> bool {
        let key = self.some_node();
        let alive = self.nodes.keys().filter(|k| k.generation == self.generation).count();
        if !self.nodes.contains_key(&key) || alive < 2 || self.booting {
            return false;
        }
        self.tell_fault(key, || format!("n{} dies", key.node));
        self.excuse(key.node, self.now);
        let (peer, incarnation) = (gundo_types::NodeId(key.node), self.nodes[&key].incarnation);
        for n in (1..=self.plan.nodes).filter(|n| *n != key.node) {
            // Some notice late: the node may be back by then, as another incarnation.
            let within = [100_000, 100_000, 100_000, 12_000_000][self.wrong.below(4) as usize];
            let (node, after) = (self.key(n), self.wrong.below(within));
            self.fly(after, Flight::LinkBroken { node, peer, incarnation });
        }
        self.some_give_up(key);
        self.end_nodes(&|k| *k == key);
        let starts_in = 300_000 + self.wrong.below(8_000_000);
        self.fly(starts_in, Flight::NodeStarts(key));
        true
    }

    /// Drains a node: one at a time, and never the last.
    fn drain_node(&mut self) -> bool {
        let key = self.some_node();
        let members = &self.coordinator.view.members;
        let refuses = self.booting || self.coordinator_is_down();
        if refuses || members.len() < 2 || members.iter().any(|m| m.draining) {
            return false;
        }
        let Some(member) = members.iter().find(|m| m.node.0 == key.node) else { return false };
        let incarnation = member.incarnation;
        self.tell_fault(key, || format!("n{} is to be emptied", key.node));
        self.drain(incarnation);
        true
    }

    /// A node reports that it is empty. It ends, and starts again.
    pub(super) fn emptied(&mut self, key: Key) {
        let Some(node) = self.nodes.get(&key) else { return };
        let (incarnation, counters) = (node.incarnation, node.kernel.counters());
        let (reals, sessions, handing) = (counters.reals, counters.sessions, counters.handing_over);
        if reals + sessions + handing + counters.appends_waiting > 0 {
            let text = format!("n{} says it is empty: {reals} entities, {sessions} sessions", key.node);
            return self.rule(violated(Guarantee::G12, text));
        }
        self.story.tell(self.now, About::node(key.node), || format!("n{} is empty and ends", key.node));
        self.excuse(key.node, self.now);
        self.leave_view(incarnation);
        self.end_nodes(&|k| *k == key);
        let starts_in = 100_000 + self.wrong.below(2_000_000);
        self.fly(starts_in, Flight::NodeStarts(key));
    }

    /// A removed node has found out.
    pub(super) fn fenced(&mut self, key: Key) {
        if !self.nodes.contains_key(&key) {
            return;
        }
        let verdict = self.check_gives_up(key);
        self.rule(verdict);
        self.check_end(key);
        self.story.tell(self.now, About::node(key.node), || format!("n{} ends: it was removed", key.node));
        self.end_nodes(&|k| *k == key);
        let starts_in = 100_000 + self.wrong.below(2_000_000);
        self.fly(starts_in, Flight::NodeStarts(key));
    }

    pub(super) fn node_starts(&mut self, key: Key) {
        if key != self.key(key.node) || self.booting {
            return;
        }
        if !matches!(self.reaches_coordinator(key), Reach::Yes | Reach::Late(_)) {
            return self.fly(super::START_AGAIN_US, Flight::NodeStarts(key));
        }
        // This also ends an incarnation that nobody has missed yet.
        let Some(members) = self.join([key.node]) else {
            return self.fly(super::START_AGAIN_US, Flight::NodeStarts(key));
        };
        *self.lives.entry(key.node).or_insert(0) += 1;
        members.iter().for_each(|member| self.start_node(member));
        self.story.tell(self.now, About::node(key.node), || format!("n{} starts again", key.node));
        self.spread_views();
    }

    pub(super) fn end_nodes(&mut self, dies: &dyn Fn(&Key) -> bool) {
        self.crash_storage(dies);
        self.judge.on_node_ended();
        let ended = self.nodes.iter().filter(|(key, _)| dies(key));
        self.updates_ended += ended.map(|(_, node)| node.kernel.counters().updates).sum::<u64>();
        self.keep_coverage(dies);
        self.nodes.retain(|key, _| !dies(key));
        self.heard.forget(dies);
        self.links.retain(|(from, to), _| !dies(from) && !dies(to));
        for client in 0..self.clients.len() {
            if let Some((key, conn)) = self.clients[client].conn
                && dies(&key)
            {
                let after = self.wrong.below(500_000);
                self.fly(after, Flight::Broken { client, conn });
            }
        }
    }

    /// All faults end.
    pub(crate) fn heal(&mut self) {
        self.faulty = false;
        self.coordinator.go_down(self.now, 0);
        self.leader.silent_until = self.now;
        self.troubles.end(self.now);
        self.storage.faults.clear();
        (self.storage.full_until, self.storage.slow_until, self.storage.unreadable_until) = (0, 0, 0);
        if std::mem::take(&mut self.storage.stalled_until) > self.now {
            self.fly(1, Flight::Commit);
        }
        self.heal_rules();
        self.tell_room(false);
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.tell_load(key, 0, super::EASE_SECONDS);
        }
        self.end_turns();
        self.links.values_mut().for_each(|link| (link.held_until, link.dead_until) = (0, 0));
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.resume(key);
        }
        for client in 0..self.clients.len() {
            self.drained(client);
        }
        self.take_back_watches();
        for person in 0..self.people.len() {
            self.fly(1, Flight::Arrive(person));
        }
        self.story.tell(self.now, About::default(), || "everything heals".to_owned());
    }

    /// Creatures stop moving.
    pub(crate) fn hold(&mut self) {
        for key in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(key, Input::Hold(true));
        }
    }

    pub(super) fn disturb(&mut self, dial: Dial, person: usize) -> bool {
        let Some(client) = self.people[person].current else { return false };
        let live = self.clients[client].session.is_live();
        let Some((key, conn)) = self.clients[client].conn else { return false };
        match dial {
            Dial::Vanish => {
                // Either side may learn of it late, or both at once.
                let (to_client, to_node) = match self.wrong.below(3) {
                    0 => (0, 0),
                    1 => (0, 8_000_000),
                    _ => (20_000_000, 0),
                };
                self.cut(client, key, conn, to_client, to_node);
            }
            Dial::Elsewhere => {
                if self.people[person].tokens.is_empty() {
                    return false;
                }
                self.people[person].current = None;
                self.open_client(person);
            }
            Dial::Leave => {
                self.leave_for_long(person);
            }
            Dial::Resend => {
                let said = self.clients[client].said.len() as u64;
                if !live || said == 0 {
                    return false;
                }
                let at = self.wrong.below(said) as usize;
                let command = self.clients[client].said[at].clone();
                self.judge.disordered(conn);
                self.say(client, ClientMessage { commands: vec![command], ..Default::default() });
            }
            Dial::Lag => {
                if !live || self.clients[client].lagging {
                    return false;
                }
                self.clients[client].lagging = true;
                self.input(key, Input::Lagging { conn });
                let after = 50_000 + self.wrong.below(4_000_000);
                self.fly(after, Flight::Drained(client));
            }
            _ => return false,
        }
        self.story.tell(self.now, About::player(person), || format!("fault: {dial} of player {person}"));
        true
    }

    pub(super) fn drained(&mut self, client: usize) {
        if !std::mem::take(&mut self.clients[client].lagging) {
            return;
        }
        self.clients[client].caught_up = self.now;
        if let Some((key, conn)) = self.clients[client].conn {
            self.input(key, Input::Drained { conn });
        }
    }

    /// Later messages overtake a message with commands.
    pub(super) fn reorder(&mut self) -> bool {
        let person = self.wrong.below(self.people.len() as u64) as usize;
        let Some(client) = self.people[person].current else { return false };
        let c = &self.clients[client];
        let (Some((node, conn)), true) = (c.conn, c.session.is_live()) else { return false };
        let mut commands: Vec<_> = c.said.iter().rev().take(3).cloned().collect();
        if commands.len() < 2 {
            return false;
        }
        // The newest first, in one message, long before or after they arrive in order.
        let late = self.wrong.below(400_000);
        commands.sort_by_key(|c| std::cmp::Reverse(c.seq));
        commands.iter().for_each(|c| self.judge.said(conn, c.seq, &c.payload));
        self.judge.disordered(conn);
        let message = ClientMessage { commands, ..Default::default() };
        self.fly(late, Flight::ToNode { node, conn, message });
        true
    }

    /// A connection breaks; each side learns of it within the given time, µs.
    pub(super) fn cut(&mut self, client: usize, node: Key, conn: ConnId, to_client: u64, to_node: u64) {
        let client_in = self.wrong.below(to_client + 1);
        let node_in = self.wrong.below(to_node + 1);
        // The connection carries nothing any more.
        self.conns.remove(&conn);
        self.fly(client_in, Flight::Broken { client, conn });
        self.fly(node_in, Flight::Gone { node, conn });
    }

    /// A stranger who speaks the protocol badly, or too well.
    pub(super) fn hostile(&mut self) -> bool {
        use gundo_wire::client::{Bye, Hello, PROTOCOL};
        let node = self.some_node();
        self.next_conn += 1;
        self.hostiles += 1;
        let conn = ConnId(self.next_conn);
        self.judge.hostile(conn);
        let mut bytes = |n: usize| -> Vec<u8> { (0..n).map(|_| self.wrong.next_u64() as u8).collect() };
        let (nonce, token, payload) = (bytes(16), bytes(32), bytes(60));
        let name = format!("evil{}", self.hostiles);
        let hello = |name: &str, token: &[u8], nonce: &[u8]| {
            let (token, nonce) = (token.to_vec().into(), nonce.to_vec().into());
            let hello = Hello { protocol: PROTOCOL, name: name.into(), token, nonce, ..Default::default() };
            ClientMessage { hello: Some(hello), ..Default::default() }
        };
        let mut at = self.now;
        let say = |world: &mut Self, at: &mut u64, message: ClientMessage| {
            *at += world.wrong.below(200_000);
            world.queue.push(*at, Flight::ToNode { node, conn, message });
        };
        // A stranger who knows a player but not its secret, or whose player is on another node than its connection.
        let known: Vec<_> = self.people.iter().filter_map(|p| p.id).collect();
        match self.wrong.below(7) {
            // Nonsense comes first.
            6 => {}
            4 if !known.is_empty() => {
                let player = known[self.wrong.below(known.len() as u64) as usize];
                let mut token = token.clone();
                token[..8].copy_from_slice(&player.id.to_be_bytes());
                // Of this version, whose MAC is wrong, or of an earlier one.
                token.truncate([24, 32][self.wrong.below(2) as usize]);
                self.judge.thief(conn);
                say(self, &mut at, hello(&name, &token, &nonce));
            }
            5 => {
                at += 1_000_000;
                let elsewhere = self.some_node();
                let first = ConnId(conn.0 + 1);
                self.next_conn += 1;
                self.judge.hostile(first);
                let message = hello(&name, &[], &nonce);
                self.queue.push(self.now, Flight::ToNode { node: elsewhere, conn: first, message });
                self.queue.push(self.now + 6_000_000, Flight::Gone { node: elsewhere, conn: first });
                say(self, &mut at, hello(&name, &[], &nonce));
                at += 500_000;
                let commands = (1..60).map(|i| command(i, &payload[..(i % 7) as usize])).collect();
                say(self, &mut at, ClientMessage { commands, ..Default::default() });
            }
            0 => say(self, &mut at, ClientMessage { bye: Some(Bye {}), ..Default::default() }),
            1 => say(self, &mut at, hello("", &token, &nonce)),
            2 => say(self, &mut at, hello(&name, &[], &nonce[..5])),
            _ => say(self, &mut at, hello(&name, &[], &nonce)),
        }
        for _ in 0..self.wrong.below(12) {
            let message = self.nonsense(&payload).unwrap_or_else(|| hello(&name, &token, &nonce));
            say(self, &mut at, message);
        }
        let stays = self.wrong.below(3_000_000);
        self.queue.push(at + stays, Flight::Gone { node, conn });
        true
    }

    /// A message that no client of ours sends; `None`: a second hello.
    fn nonsense(&mut self, payload: &[u8]) -> Option<ClientMessage> {
        use gundo_wire::client::{EntityId, Move, Ping};
        let far = self.wrong.next_u64() as i32;
        let seq = [0, 1, 2, 3, 1 << 40, u64::MAX - 1, u64::MAX][self.wrong.below(7) as usize];
        Some(match self.wrong.below(8) {
            6 | 7 => {
                let entity = Some(EntityId { kind: far as u32 % 7, id: seq });
                ClientMessage { watch: entity, unwatch: entity.filter(|_| far < 0), ..Default::default() }
            }
            0 => ClientMessage { commands: vec![command(seq, payload)], ..Default::default() },
            1 => ClientMessage { commands: vec![command(seq, &[0; 20_000])], ..Default::default() },
            2 => {
                let flood = (1..100).map(|i| command(i % 60, &payload[..(i % 7) as usize]));
                ClientMessage { commands: flood.collect(), ..Default::default() }
            }
            3 => {
                let wish = Move {
                    seq: far as u32,
                    x: far,
                    y: -far,
                    heading: far as u32,
                    speed: 9_999,
                    corrections: None,
                };
                ClientMessage { r#move: Some(wish), ..Default::default() }
            }
            4 => ClientMessage { ping: Some(Ping { stamp: u64::MAX }), ..Default::default() },
            _ => return None,
        })
    }
}

/// Whether players may be kept from walking for a while after it.
fn is_unsteady(dial: Dial) -> bool {
    let links = matches!(dial, Dial::Reset | Dial::Scatter | Dial::Forget);
    links || matches!(dial, Dial::Unreadable | Dial::Crash | Dial::Zombie | Dial::NodeCrash | Dial::Busy)
}

fn command(seq: u64, payload: &[u8]) -> Command {
    Command { seq, payload: payload.to_vec().into(), ..Default::default() }
}
