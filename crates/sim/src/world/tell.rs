//! The story of a run, line by line.

use gundo_kernel::Input;
use gundo_wire::Message;
use gundo_wire::client::{ClientMessage, ServerMessage};

use super::{Key, World};
use crate::story::{About, brief, is_fine, short};

impl World {
    pub(super) fn tell_input(&mut self, key: Key, input: &Input) {
        let (now, n) = (self.now, key.node);
        self.story.mix(now ^ u64::from(n) << 48);
        self.story.mix(mark_of(input));
        if self.story.tell.is_none() {
            return;
        }
        let mut about = About::node(n);
        let text = match input {
            Input::View(view) => format!("n{n} learns of epoch {}", view.epoch.0),
            Input::From { conn, from } => format!("n{n}: connection {} comes from {from:?}", conn.0),
            Input::Client { conn, message } => {
                about.player = self.conns.get(conn).map(|c| self.clients[*c].person);
                about.fine = message.hello.is_none() && message.commands.is_empty() && message.bye.is_none();
                about.entity = about.player.and_then(|p| self.people[p].id);
                format!("n{n} hears on connection {}: {}", conn.0, tell_client(message))
            }
            Input::Gone { conn } => format!("n{n} loses connection {}", conn.0),
            Input::Lagging { conn } => format!("n{n}: the client of connection {} is slow", conn.0),
            Input::Drained { conn } => format!("n{n}: the client of connection {} has caught up", conn.0),
            Input::Peer { from, message, .. } => {
                about.nodes[1] = Some(from.0);
                about.entity = message.entity();
                about.fine = is_fine(message);
                format!("n{n} hears from {from}: {}", brief(message))
            }
            Input::Appended { batch, outcome } => format!("n{n}: append {batch} ended: {outcome:?}"),
            Input::Loaded { entity, load, result } => {
                about.entity = Some(*entity);
                let what = match result {
                    Ok(l) => {
                        format!("snapshot {:?}, {} events", l.snapshot.as_ref().map(|s| s.0), l.events.len())
                    }
                    Err(error) => error.clone(),
                };
                format!("n{n}: load {} of {} gives {what}", load & 0xffff_ffff, self.judge.name(*entity))
            }
            Input::Listed { kind, list, result } => {
                let what = result.as_ref().map_or_else(Clone::clone, |ids| format!("{} ids", ids.len()));
                format!("n{n}: list {} of kind {} gives {what}", list & 0xffff_ffff, kind.0)
            }
            Input::Woken { result, .. } => {
                about.fine = true;
                let what = result.as_ref().map_or_else(Clone::clone, |page| format!("{} wakes", page.len()));
                format!("n{n}: reads {what}")
            }
            Input::Timeout => {
                about.fine = true;
                format!("n{n} wakes")
            }
            Input::LinkBroken { peer, incarnation } => {
                about.nodes[1] = Some(peer.0);
                format!("n{n}: the link to {peer}, incarnation {incarnation}, breaks")
            }
            Input::Row { stands, .. } => {
                format!("n{n}: its row {}", if *stands { "stands" } else { "is gone" })
            }
            Input::LinkLost { peer } => {
                about.nodes[1] = Some(peer.0);
                format!("n{n}: messages to {peer} are lost for good")
            }
            Input::Renewed { renewal, .. } => {
                about.fine = *renewal == gundo_kernel::Renewal::Renewed;
                format!("n{n}: its renewal ended: {renewal:?}")
            }
            other => format!("n{n}: {}", short(other)),
        };
        self.story.tell(now, about, || text);
    }

    pub(super) fn tell_append(&mut self, key: Key, batch: &gundo_wire::journal::Batch) {
        if self.story.tell.is_none() {
            return;
        }
        let mut about = About::node(key.node);
        about.entity = batch.streams.first().map(|s| s.entity);
        let streams: Vec<_> = batch
            .streams
            .iter()
            .map(|s| {
                let events: Vec<_> = s.events.iter().map(|e| format!("{:?}", e.event_type)).collect();
                let kept = if s.snapshot.is_some() { ", snapshot" } else { "" };
                format!("{} after {} [{}{kept}]", self.judge.name(s.entity), s.after, events.join(" "))
            })
            .collect();
        let text = format!("n{} appends {}: {}", key.node, batch.id, streams.join("; "));
        self.story.tell(self.now, about, || text);
    }

    pub(super) fn tell_fault(&mut self, key: Key, text: impl FnOnce() -> String) {
        self.story.tell(self.now, About::node(key.node), || format!("fault: {}", text()));
    }
}

/// What tells an input from others, for the trace.
fn mark_of(input: &Input) -> u64 {
    let word = |a: u64, b: u64| a << 56 ^ b;
    match input {
        Input::View(view) => word(1, view.epoch.0),
        Input::From { conn, .. } => word(17, conn.0),
        Input::Client { conn, message } => word(2, conn.0) ^ message.encoded_len() as u64,
        Input::Gone { conn } => word(3, conn.0),
        Input::Lagging { conn } => word(4, conn.0),
        Input::Drained { conn } => word(5, conn.0),
        Input::Peer { from, message, .. } => word(6, u64::from(from.0)) ^ u64::from(is_fine(message)),
        Input::Appended { batch, .. } => word(7, *batch),
        Input::Loaded { entity, load, .. } => word(8, *load) ^ entity.id,
        Input::Listed { list, result, .. } => {
            word(13, *list) ^ result.as_ref().map_or(0, |ids| ids.iter().fold(1, |a, b| a ^ b))
        }
        Input::Woken { list, result } => {
            word(18, *list) ^ result.as_ref().map_or(0, |page| page.len() as u64)
        }
        Input::Blamed { entity, points } => word(14, entity.id) ^ u64::from(*points),
        Input::Order { entity, order } => word(19, order.request) ^ entity.id,
        Input::Timeout => word(9, 0),
        Input::LinkBroken { peer, incarnation } => word(11, u64::from(peer.0)) ^ *incarnation << 16,
        Input::LinkLost { peer } => word(15, u64::from(peer.0)),
        Input::Row { stands, .. } => word(16, u64::from(*stands)),
        Input::Renewed { renewal, .. } => word(12, *renewal as u64),
        Input::Gauges(_) | Input::Hold(_) | Input::Stop => word(10, 0),
    }
}

pub(super) fn tell_client(message: &ClientMessage) -> String {
    let mut words = Vec::new();
    if let Some(hello) = &message.hello {
        words.push(format!("hello, {} ({} bytes of token)", hello.name, hello.token.len()));
    }
    words.extend(message.commands.iter().map(|c| format!("command {} ({} bytes)", c.seq, c.payload.len())));
    if let Some(wish) = &message.r#move {
        words.push(format!("move {} to {}, {}", wish.seq, wish.x, wish.y));
    }
    if message.ping.is_some() {
        words.push("ping".to_owned());
    }
    let entities = [("watch", &message.watch), ("unwatch", &message.unwatch)];
    let entities = entities.into_iter().filter_map(|(word, entity)| Some((word, entity.as_ref()?)));
    words.extend(entities.map(|(word, entity)| format!("{word} {}:{:x}", entity.kind, entity.id)));
    if message.bye.is_some() {
        words.push("bye".to_owned());
    }
    words.join("; ")
}

pub(super) fn tell_server(message: &ServerMessage) -> String {
    let mut words = Vec::new();
    if let Some(w) = &message.welcome {
        words.push(format!(
            "welcome at {}, {} (adoption {}, next command {})",
            w.x, w.y, w.adoption, w.next_seq
        ));
    }
    for reply in &message.replies {
        match &reply.refusal {
            None => words.push(format!("command {} done", reply.seq)),
            Some(refusal) => words.push(format!("command {} refused: {}", reply.seq, refusal.code)),
        }
    }
    if message.own.is_some() {
        words.push("own state".to_owned());
    }
    if let Some(c) = &message.correction {
        words.push(format!("you are at {}, {}: {}", c.x, c.y, c.code));
    }
    if let Some(c) = &message.closing {
        words.push(format!("closing: {}", c.code));
    }
    if let Some(r) = &message.refused {
        words.push(format!("hello refused: {}", r.code));
    }
    if !message.forget.is_empty() {
        let chunks: Vec<_> = message.forget.iter().map(|c| format!("{}/{}", c.x, c.y)).collect();
        words.push(format!("forget {}", chunks.join(" ")));
    }
    if message.resync.is_some() {
        words.push("resync".to_owned());
    }
    if message.pong.is_some() {
        words.push("pong".to_owned());
    }
    words.join("; ")
}
