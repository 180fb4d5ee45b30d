//! The last events of a logic thread, kept where another thread can read them when that one hangs.
//!
//! A fixed number of fixed-size records: noting one takes four stores and no allocation, so it is always on. The content of
//! messages is not in it, only the sender, the sort and the size, so the ring may be shown to anyone who may see logs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use gundo_kernel::{HomeMessage, Input, MailMessage, Output, Peer, ToEdge, ToPlayer, TxMessage};
use gundo_types::{EntityId, Kind, NodeId, Time};
use gundo_wire::journal::Outcome;

/// Records kept: 768 KiB for each node, some seconds of a busy one.
const RECORDS: usize = 1 << 15;
/// Words of a record: time (48 bits) and sort; id; node, kind and size.
const WORDS: usize = 3;

/// Sorts of records.
const NAMES: &[&str] = &[
    "in  view",
    "in  from",
    "in  client",
    "in  gone",
    "in  lagging",
    "in  drained",
    "in  appended done",
    "in  appended conflict",
    "in  appended taken",
    "in  appended rejected",
    "in  appended unknown",
    "in  appended outdated",
    "in  loaded",
    "in  not loaded",
    "in  blamed",
    "in  listed",
    "in  not listed",
    "in  timeout",
    "in  gauges",
    "in  hold",
    "in  stop",
    "in  link broken",
    "in  link lost",
    "in  renewed",
    "in  row",
    "out send",
    "out close",
    "out append",
    "out load",
    "out list",
    "out panicked",
    "out suspended",
    "out renew",
    "out ask row",
    "out remove",
    "out view wanted",
    "out fenced",
    "out game fault",
    "out tails lost",
    "out stopped",
    "peer home",
    "peer watch",
    "peer watched",
    "peer tell",
    "peer announce",
    "peer locate",
    "peer frames",
    "peer sent",
    "peer keyframe wanted",
    "peer missed",
    "peer piece",
    "peer open",
    "peer resume",
    "peer command",
    "peer move",
    "peer gone",
    "peer to edge",
    "peer prepare",
    "peer transaction",
    "peer membership",
    "in  woken",
    "out wakes",
    "peer mail",
    "in  order",
    "out ordered",
    "peer order",
];

/// The number of a sort, by its name.
const fn sort(name: &str) -> u8 {
    let mut at = 0;
    while at < NAMES.len() {
        if same(NAMES[at].as_bytes(), name.as_bytes()) {
            return at as u8;
        }
        at += 1;
    }
    panic!("no such sort")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// This bit of a sort marks a message to a peer.
const OUT: u8 = 0x80;

/// An input or an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    sort: u8,
    /// The entity, or with kind 0 a connection, batch or number.
    id: u64,
    kind: u16,
    node: u16,
    /// Bytes, or a count.
    size: u32,
}

impl Event {
    const fn of(sort: u8) -> Self {
        Self { sort, id: 0, kind: 0, node: 0, size: 0 }
    }

    const fn id(self, id: u64) -> Self {
        Self { id, ..self }
    }

    const fn entity(self, entity: EntityId) -> Self {
        Self { id: entity.id, kind: entity.kind.0, ..self }
    }

    const fn node(self, node: NodeId) -> Self {
        Self { node: node.0, ..self }
    }

    fn size(self, size: usize) -> Self {
        Self { size: u32::try_from(size).unwrap_or(u32::MAX), ..self }
    }

    /// The event of an input.
    pub(crate) fn of_input(input: &Input) -> Self {
        match input {
            Input::View(view) => {
                Self::of(const { sort("in  view") }).id(view.epoch.0).size(view.members.len())
            }
            Input::From { conn, .. } => Self::of(const { sort("in  from") }).id(conn.0),
            Input::Client { conn, message } => {
                let bytes = message.commands.iter().map(|c| c.payload.len()).sum();
                Self::of(const { sort("in  client") }).id(conn.0).size(bytes)
            }
            Input::Gone { conn } => Self::of(const { sort("in  gone") }).id(conn.0),
            Input::Lagging { conn } => Self::of(const { sort("in  lagging") }).id(conn.0),
            Input::Drained { conn } => Self::of(const { sort("in  drained") }).id(conn.0),
            Input::Peer { from, message, .. } => Self::of_peer(*from, message),
            Input::Appended { batch, outcome } => Self::of(match outcome {
                Outcome::Done => const { sort("in  appended done") },
                Outcome::Conflict => const { sort("in  appended conflict") },
                Outcome::Taken => const { sort("in  appended taken") },
                Outcome::Rejected(_) => const { sort("in  appended rejected") },
                Outcome::Unknown => const { sort("in  appended unknown") },
                Outcome::Generation(_) => const { sort("in  appended outdated") },
            })
            .id(*batch),
            Input::Loaded { entity, result: Ok(loaded), .. } => {
                Self::of(const { sort("in  loaded") }).entity(*entity).size(loaded.events.len())
            }
            Input::Loaded { entity, .. } => Self::of(const { sort("in  not loaded") }).entity(*entity),
            Input::Listed { list, result: Ok(ids), .. } => {
                Self::of(const { sort("in  listed") }).id(*list).size(ids.len())
            }
            Input::Listed { list, .. } => Self::of(const { sort("in  not listed") }).id(*list),
            Input::Woken { list, .. } => Self::of(const { sort("in  woken") }).id(*list),
            Input::Blamed { entity, .. } => Self::of(const { sort("in  blamed") }).entity(*entity),
            Input::Order { entity, order } => {
                Self::of(const { sort("in  order") }).entity(*entity).size(order.order.len())
            }
            Input::Timeout => Self::of(const { sort("in  timeout") }),
            Input::Gauges(_) => Self::of(const { sort("in  gauges") }),
            Input::Hold(_) => Self::of(const { sort("in  hold") }),
            Input::Stop => Self::of(const { sort("in  stop") }),
            Input::LinkBroken { peer, .. } => Self::of(const { sort("in  link broken") }).node(*peer),
            Input::LinkLost { peer } => Self::of(const { sort("in  link lost") }).node(*peer),
            Input::Renewed { .. } => Self::of(const { sort("in  renewed") }),
            Input::Row { .. } => Self::of(const { sort("in  row") }),
        }
    }

    /// The event of an output.
    pub(crate) fn of_output(output: &Output) -> Self {
        match output {
            Output::Send { conn, parts, .. } => {
                let bytes = parts.iter().map(|p| p.len()).sum();
                Self::of(const { sort("out send") }).id(conn.0).size(bytes)
            }
            Output::Close { conn, .. } => Self::of(const { sort("out close") }).id(conn.0),
            Output::Peer { to, message, .. } => {
                let event = Self::of_peer(*to, message);
                Self { sort: event.sort | OUT, ..event }
            }
            Output::Append(batch) => {
                Self::of(const { sort("out append") }).id(batch.id).size(batch.streams.len())
            }
            Output::Load { entity, .. } => Self::of(const { sort("out load") }).entity(*entity),
            Output::List { list, .. } => Self::of(const { sort("out list") }).id(*list),
            Output::Wakes { list, .. } => Self::of(const { sort("out wakes") }).id(*list),
            Output::Panicked { entity, suspended, .. } => Self::of(match suspended {
                false => const { sort("out panicked") },
                true => const { sort("out suspended") },
            })
            .entity(*entity),
            Output::GameFault { entity, .. } => Self::of(const { sort("out game fault") }).entity(*entity),
            Output::TailsLost { lost, .. } => Self::of(const { sort("out tails lost") }).size(lost.len()),
            Output::Renew { .. } => Self::of(const { sort("out renew") }),
            Output::AskRow { .. } => Self::of(const { sort("out ask row") }),
            Output::Remove { node, .. } => Self::of(const { sort("out remove") }).node(*node),
            Output::Ordered { request, .. } => Self::of(const { sort("out ordered") }).id(*request),
            Output::ViewWanted => Self::of(const { sort("out view wanted") }),
            Output::Fenced => Self::of(const { sort("out fenced") }),
            Output::Stopped => Self::of(const { sort("out stopped") }),
        }
    }

    fn of_peer(peer: NodeId, message: &Peer) -> Self {
        match message {
            Peer::Home { message: HomeMessage::Announce { holds, .. }, .. } => {
                Self::of(const { sort("peer announce") }).size(holds.len())
            }
            Peer::Home { message: HomeMessage::Locate { entity, .. }, .. } => {
                Self::of(const { sort("peer locate") }).entity(*entity)
            }
            Peer::Home { message: HomeMessage::Watch { entity, players, .. }, .. } => {
                Self::of(const { sort("peer watch") }).entity(*entity).size(players.len())
            }
            Peer::Home { message: HomeMessage::Watched { entity, state, .. }, .. } => {
                let bytes = state.as_ref().and_then(|s| s.public.as_ref()).map_or(0, |public| public.len());
                Self::of(const { sort("peer watched") }).entity(*entity).size(bytes)
            }
            Peer::Home {
                message: HomeMessage::Tell { player, message } | HomeMessage::Deliver { player, message },
                ..
            } => Self::of(const { sort("peer tell") }).entity(*player).size(message.len()),
            Peer::Home { .. } => Self::of(const { sort("peer home") }),
            Peer::Frames { number, frames } => {
                Self::of(const { sort("peer frames") }).id(*number).size(frames.len())
            }
            Peer::Sent { number, rosters } => {
                Self::of(const { sort("peer sent") }).id(*number).size(rosters.len())
            }
            Peer::Missed { first } => Self::of(const { sort("peer missed") }).id(*first),
            Peer::Piece { bytes, left } => {
                Self::of(const { sort("peer piece") }).id((*left).into()).size(bytes.len())
            }
            Peer::KeyframeWanted(chunk) => {
                Self::of(const { sort("peer keyframe wanted") }).id(chunk.to_u64())
            }
            Peer::ToPlayer { player, message, .. } => match message {
                ToPlayer::Open { .. } => Self::of(const { sort("peer open") }),
                ToPlayer::Resume { .. } => Self::of(const { sort("peer resume") }),
                ToPlayer::Command { payload, .. } => {
                    Self::of(const { sort("peer command") }).size(payload.len())
                }
                ToPlayer::Move { .. } => Self::of(const { sort("peer move") }),
                ToPlayer::Gone { .. } => Self::of(const { sort("peer gone") }),
            }
            .entity(*player),
            Peer::ToEdge { player, message, .. } => {
                let bytes = if let ToEdge::Own(own) = message { own.len() } else { 0 };
                Self::of(const { sort("peer to edge") }).entity(*player).size(bytes)
            }
            Peer::Transaction { entity, message: TxMessage::Prepare { ask, .. }, .. } => {
                Self::of(const { sort("peer prepare") }).entity(*entity).size(ask.len())
            }
            Peer::Mail { entity, message: MailMessage::Order(_) | MailMessage::Ordered { .. } } => {
                Self::of(const { sort("peer order") }).entity(*entity)
            }
            Peer::Mail { entity, .. } => Self::of(const { sort("peer mail") }).entity(*entity),
            Peer::Transaction { entity, .. } => Self::of(const { sort("peer transaction") }).entity(*entity),
            _ => Self::of(const { sort("peer membership") }),
        }
        .node(peer)
    }

    fn write(self, time_us: u64, out: &mut String) {
        let name = NAMES.get(usize::from(self.sort & !OUT)).unwrap_or(&"?");
        let _ = write!(out, "{:>6}.{:06} ", time_us / 1_000_000, time_us % 1_000_000);
        match name.strip_prefix("peer ") {
            Some(name) => {
                let (way, word) = if self.sort & OUT == 0 { ("in ", "from") } else { ("out", "to") };
                let _ = write!(out, "{way} {name} {word} node {}", self.node);
            }
            None => {
                out.push_str(name);
                if self.node != 0 {
                    let _ = write!(out, " node {}", self.node);
                }
            }
        }
        if self.kind != 0 {
            let _ = write!(out, " entity {}", EntityId::new(Kind(self.kind), self.id));
        } else if self.id != 0 {
            let _ = write!(out, " #{}", self.id);
        }
        if self.size != 0 {
            let _ = write!(out, " ({})", self.size);
        }
        out.push('\n');
    }
}

/// The last events of one logic thread. One thread writes, any thread reads.
pub(crate) struct Ring {
    words: Box<[[AtomicU64; WORDS]]>,
    /// Records noted so far.
    count: AtomicU64,
}

impl Default for Ring {
    fn default() -> Self {
        let words = (0..RECORDS).map(|_| Default::default()).collect();
        Self { words, count: AtomicU64::new(0) }
    }
}

impl Ring {
    /// Notes an event. Only the logic thread calls it.
    pub(crate) fn note(&self, now: Time, event: Event) {
        let count = self.count.load(Ordering::Relaxed);
        let [first, second, third] = &self.words[count as usize % RECORDS];
        first.store(now.0 << 16 | u64::from(event.sort), Ordering::Relaxed);
        second.store(event.id, Ordering::Relaxed);
        let third_word = u64::from(event.node) << 48 | u64::from(event.kind) << 32 | u64::from(event.size);
        third.store(third_word, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Release);
    }

    /// The current content, oldest first. Leaves out records that are overwritten meanwhile.
    pub(crate) fn read(&self) -> Vec<[u64; WORDS]> {
        let end = self.count.load(Ordering::Acquire);
        let begin = end.saturating_sub(RECORDS as u64);
        let read = |at: u64| self.words[at as usize % RECORDS].each_ref().map(|w| w.load(Ordering::Relaxed));
        let mut records: Vec<_> = (begin..end).map(read).collect();
        let now = self.count.load(Ordering::Acquire);
        let safe = if now == end { begin } else { (now + 1).saturating_sub(RECORDS as u64) };
        records.drain(..(safe.saturating_sub(begin) as usize).min(records.len()));
        records
    }
}

/// Records as text, one per line.
pub(crate) fn write(records: &[[u64; WORDS]], out: &mut String) {
    for [first, id, third] in records {
        let event = Event {
            sort: *first as u8,
            id: *id,
            kind: (third >> 32) as u16,
            node: (third >> 48) as u16,
            size: *third as u32,
        };
        event.write(first >> 16, out);
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::ConnId;

    use gundo_kernel::Label;

    use super::*;

    fn text(ring: &Ring) -> String {
        let mut text = String::new();
        write(&ring.read(), &mut text);
        text
    }

    #[test]
    fn events_are_told_in_a_line_each() {
        let ring = Ring::default();
        ring.note(Time(1_500_000), Event::of_input(&Input::Gone { conn: ConnId(7) }));
        let player = EntityId::new(Kind(1), 0xab);
        let message = ToPlayer::Command { seq: 1, payload: vec![0; 40].into(), question: false };
        let line = gundo_kernel::Line { edge: NodeId(2), conn: ConnId(7) };
        let message = Peer::ToPlayer { player, line, message };
        let input = Input::Peer { from: NodeId(2), label: Label::default(), message: message.clone() };
        ring.note(Time(1_500_001), Event::of_input(&input));
        ring.note(
            Time(12_000_000),
            Event::of_output(&Output::Peer { to: NodeId(3), label: Label::default(), message }),
        );
        ring.note(Time(12_000_000), Event::of_input(&Input::LinkBroken { peer: NodeId(3), incarnation: 7 }));
        let lines = format!(
            "     1.500000 in  gone #7\n     1.500001 in  command from node 2 entity {player} (40)\n    \
             12.000000 out command to node 3 entity {player} (40)\n    12.000000 in  link broken node 3\n"
        );
        assert_eq!(text(&ring), lines);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let ring = Ring::default();
        for n in 0..RECORDS as u64 + 10 {
            ring.note(Time(n), Event::of_input(&Input::Gone { conn: ConnId(n + 1) }));
        }
        let text = text(&ring);
        assert_eq!(text.lines().count(), RECORDS);
        assert!(text.lines().next().is_some_and(|line| line.ends_with(" #11")), "{:?}", text.lines().next());
    }
}
