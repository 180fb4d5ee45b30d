//! Messages from the server: their parts, and what each changes. Frames belong to the picture.

use gundo_types::{EntityId, Kind, Time};
use gundo_wire::client::{ClientMessage, Closing, Edges, Notice, Refusal, ServerMessage, Watched, Welcome};

use super::connection::State;
use super::{Event, Output, Session};

/// Worlds of which it keeps the key. Beyond: it forgets one of the others.
const WORLDS_MAX: usize = 16;

impl Session {
    /// A message from the edge. Its frames are ignored.
    pub fn handle_message(&mut self, now: Time, message: ServerMessage) {
        if !matches!(self.state, State::Greeting { .. } | State::Refused { .. } | State::Live) {
            return;
        }
        self.on_heard(now);
        if !message.world_id.is_empty() {
            self.world_id = message.world_id;
        }
        if message.names.is_some() {
            self.names = message.names;
        }
        if let Some(welcome) = message.welcome {
            self.on_welcome(now, welcome);
        }
        if let Some(edges) = message.edges {
            self.on_edges(edges, None);
        }
        for reply in message.replies {
            if let Some(answer) = self.commands.on_reply(now, reply) {
                self.event(Event::Answered(answer));
            }
        }
        if let Some(own) = message.own {
            self.event(Event::Own(own.payload));
        }
        if !message.place.is_empty() {
            self.place = message.place;
        }
        if let Some(correction) = message.correction {
            self.corrections = self.corrections.wrapping_add(1);
            self.event(Event::Corrected(correction));
        }
        if let Some(notice) = message.notice {
            self.on_notice(notice);
        }
        if let Some(pong) = message.pong {
            self.set_world(now, pong.world_ms);
            let trip_us = now.0.saturating_sub(pong.stamp);
            let changed = self.line.on_pong(trip_us / 1_000);
            self.event(Event::RoundTrip(trip_us));
            if let Some(slow) = changed {
                self.event(Event::SlowLine(slow));
            }
        }
        for watched in message.watched {
            self.on_watched(watched);
        }
        for told in message.told {
            self.event(Event::Told(told.payload));
        }
        if let Some(stats) = message.stats {
            self.event(Event::Stats(stats));
        }
        if let Some(refusal) = message.refused {
            self.on_refused(now, refusal);
        }
        if let Some(closing) = message.closing {
            self.on_closing(now, closing);
        }
        self.send_waiting();
    }

    fn on_welcome(&mut self, now: Time, welcome: Welcome) {
        self.state = State::Live;
        self.welcomed = now;
        self.closing = None;
        (self.corrections, self.life) = (0, welcome.life);
        self.next_ping = now.plus_ms(self.settings.ping_every_ms);
        self.player = welcome.player.map(|p| EntityId::new(Kind(p.kind as u16), p.id));
        self.settings.token = welcome.token.clone();
        self.settings.world_id = self.world_id.clone();
        // The next new player, if there is one, is another.
        self.settings.nonce = None;
        self.settings.recovery.clear();
        self.keep_key();
        self.commands.continue_at(welcome.next_seq);
        self.set_world(now, welcome.world_ms);
        if let Some(edges) = welcome.edges.clone() {
            self.on_edges(edges, Some(welcome.node));
        }
        self.event(Event::Welcomed(Box::new(welcome)));
        if self.wants_stats {
            self.want_stats(true);
        }
        // One in each message, as before: an edge counts messages, and lets a burst of so many pass.
        for entity in self.watched.clone() {
            self.send(ClientMessage { watch: Some(entity.into()), ..Default::default() });
        }
        let expired = self.commands.expire(now, self.settings.command_age_ms_max);
        self.outputs.extend(expired.map(|answer| Output::Event(Event::Answered(answer))));
        self.commands.send_again(now, self.settings.command_age_ms_max, &mut self.outputs);
    }

    /// How a watched entity looks. What was under way when it was watched no more is not for the user.
    fn on_watched(&mut self, watched: Watched) {
        let Some(entity) = watched.entity.as_ref() else { return };
        let Ok(kind) = u16::try_from(entity.kind) else { return };
        let entity = EntityId::new(Kind(kind), entity.id);
        let known = self.watched.contains(&entity);
        if watched.refusal.is_some() {
            self.watched.remove(&entity);
        }
        if known {
            let Watched { public, refusal, gone, .. } = watched;
            self.event(Event::Watched { entity, public, refusal, gone });
        }
    }

    /// `node` is the one that welcomes us.
    fn on_edges(&mut self, edges: Edges, node: Option<u32>) {
        let came_by = self.ring.came_by().clone();
        let (mut named, mut serving) = (Vec::new(), None);
        for edge in edges.edges {
            let serves = Some(edge.node) == node;
            let Some(address) = came_by.of_edge(edge) else { continue };
            if serves {
                serving = Some(address.clone());
            }
            named.push(address);
        }
        self.ring.replace(named, serving.as_ref());
    }

    fn on_notice(&mut self, notice: Notice) {
        self.commands.suspect(&notice.suspects);
        if !notice.text.is_empty() {
            self.event(Event::Notice(notice));
        }
    }

    fn on_refused(&mut self, now: Time, refusal: Refusal) {
        if self.is_live() {
            return; // Only a hello can be refused, and none is outstanding.
        }
        match refusal.code.as_str() {
            "unknown_world" if self.take_other_key(now) => return,
            "bad_token" | "no_player" => {
                self.keys.remove(&self.world_id);
                self.settings.nonce = None;
            }
            "bad_code" => self.settings.recovery.clear(),
            _ => {}
        }
        let retry = (refusal.code == "not_ready").then(|| now.plus_ms(self.ring.on_not_ready().max(50)));
        self.state = State::Refused { retry };
        if retry.is_none() {
            self.event(Event::Refused(refusal));
        }
    }

    fn keep_key(&mut self) {
        self.keys.insert(self.world_id.clone(), self.settings.token.clone());
        if self.keys.len() > WORLDS_MAX {
            let other = self.keys.keys().find(|world| **world != self.world_id).cloned();
            other.and_then(|world| self.keys.remove(&world));
        }
    }

    /// Another world answers, which it has been in: says hello with the key for that one.
    fn take_other_key(&mut self, now: Time) -> bool {
        let other = self.keys.get(&self.world_id).filter(|token| **token != self.settings.token).cloned();
        let Some(token) = other else { return false };
        (self.settings.token, self.settings.world_id) = (token, self.world_id.clone());
        // They were for the player of the other world.
        self.lose_commands(now);
        self.commands.begin_at_zero();
        self.greet(now);
        true
    }

    fn on_closing(&mut self, now: Time, closing: Closing) {
        self.outputs.push_back(Output::Disconnect);
        if closing.retry_ms == 0 {
            self.end(now, Some(closing));
        } else {
            self.closing = Some(closing);
            self.on_lost(now);
        }
    }

    fn set_world(&mut self, now: Time, world_ms: u64) {
        // Accept whatever the edge claims: far beyond any world's age it only has to remain a number.
        let world_ms = i64::try_from(world_ms).unwrap_or(i64::MAX);
        self.world_offset_ms = world_ms.saturating_sub((now.0 / 1_000) as i64);
    }
}
