//! The trace: a run as lines that a person can follow, and as one number.

use std::fmt::Write as _;

use gundo_kernel::{HandoffMessage, HomeMessage, MailMessage, Peer, TxMessage};
use gundo_types::EntityId;
use gundo_wire::client::Frame;

/// Which lines to print: those about any of the things named here. If nothing is named, all lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Entities, by id.
    pub entities: Vec<u64>,
    /// Nodes.
    pub nodes: Vec<u16>,
    /// Players, by the simulator's number.
    pub players: Vec<usize>,
    /// From this time, ms.
    pub from_ms: u64,
    /// To this time, ms; 0: to the end.
    pub to_ms: u64,
    /// Also frames, moves and timers: nine lines of ten.
    pub everything: bool,
}

/// The receiver of the story, and which lines it gets.
pub type Listener = (Filter, Box<dyn FnMut(&str) + Send>);

/// What a line is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) entity: Option<EntityId>,
    pub(crate) nodes: [Option<u16>; 2],
    pub(crate) player: Option<usize>,
    /// Frames, moves, timers.
    pub(crate) fine: bool,
}

impl About {
    pub(crate) fn node(node: u16) -> Self {
        Self { nodes: [Some(node), None], ..Self::default() }
    }

    pub(crate) fn player(player: usize) -> Self {
        Self { player: Some(player), ..Self::default() }
    }
}

/// Receives the lines. Cheap without a listener: the text is not made.
pub(crate) struct Story {
    pub(crate) tell: Option<Listener>,
    digest: u64,
}

impl Story {
    pub(crate) fn new(tell: Option<Listener>) -> Self {
        Self { tell, digest: 0xcbf2_9ce4_8422_2325 }
    }

    /// Adds a number to the digest (FNV-1a over 64-bit words): runs that differ anywhere have different digests.
    pub(crate) fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn tell(&mut self, now_us: u64, about: About, text: impl FnOnce() -> String) {
        let Some((filter, out)) = &mut self.tell else { return };
        let ms = now_us / 1_000;
        if (about.fine && !filter.everything)
            || ms < filter.from_ms
            || (filter.to_ms > 0 && ms > filter.to_ms)
        {
            return;
        }
        let all = filter.entities.is_empty() && filter.nodes.is_empty() && filter.players.is_empty();
        let named = about.entity.is_some_and(|e| filter.entities.contains(&e.id))
            || about.nodes.iter().flatten().any(|n| filter.nodes.contains(n))
            || about.player.is_some_and(|p| filter.players.contains(&p));
        if !all && !named {
            return;
        }
        let mut line = format!("{:>4}.{:06} ", now_us / 1_000_000, now_us % 1_000_000);
        line.push_str(&text());
        out(&line);
    }
}

/// Whether a peer message is of a frequent kind.
pub(crate) fn is_fine(message: &Peer) -> bool {
    use gundo_kernel::ToPlayer;
    matches!(message, Peer::Frames { .. } | Peer::Sent { .. })
        || matches!(message, Peer::ToPlayer { message: ToPlayer::Move { .. }, .. })
}

/// A frame's roster part: `n3 11/49 roster 7: keyframe, enter 3 = 4a15…, leave 5`.
pub(crate) fn roster(frame: &Frame) -> String {
    let (node, x, y) = (frame.publisher, frame.cx, frame.cy);
    let mut text = format!("n{node} {x}/{y} tick {} roster {}:", frame.tick, frame.roster);
    if frame.keyframe {
        text.push_str(" keyframe");
    }
    frame.leave.iter().for_each(|l| write!(text, " leave {}", l.slot).expect("a string takes it"));
    frame
        .enter
        .iter()
        .for_each(|e| write!(text, " enter {} = {:x}", e.slot, e.id).expect("a string takes it"));
    frame.change.iter().for_each(|c| write!(text, " change {}", c.slot).expect("a string takes it"));
    text
}

/// A peer message in a few words.
pub(crate) fn brief(message: &Peer) -> String {
    match message {
        Peer::Frames { number, frames } => {
            let rosters = frames.iter().filter_map(|f| f.roster.as_ref()).map(|r| roster(&r.frame));
            format!("bundle {number} of {} frames {}", frames.len(), rosters.collect::<Vec<_>>().join("; "))
        }
        Peer::Sent { number, rosters } => format!("has sent bundle {number}, {} rosters", rosters.len()),
        Peer::Alive { epoch, alive } => {
            let (unreachable, ago) = (&alive.unreachable, alive.confirmed_ms);
            let unheard = if alive.unheard { ", has not heard the receiver" } else { "" };
            format!(
                "is alive (epoch {}), cannot reach {unreachable:?}, confirmed {ago} ms ago{unheard}",
                epoch.0
            )
        }
        Peer::Stale { epoch } => format!("that is past: it is epoch {}", epoch.0),
        Peer::Heard { again: true } => "misses something: again".to_owned(),
        Peer::Heard { again: false } => "has heard much".to_owned(),
        Peer::Piece { bytes, left } => format!("a piece of {} bytes, {left} follow", bytes.len()),
        Peer::Later => "something that this version does not know".to_owned(),
        Peer::Missed { first } => format!("misses bundle {first} and those after it"),
        Peer::KeyframeWanted(chunk) => format!("wants a keyframe of {}", place(*chunk)),
        Peer::Home { epoch, message } => format!("{} (epoch {})", home(message), epoch.0),
        Peer::ToPlayer { player, line, message } => {
            format!("to player {:x} by {}:{}: {}", player.id, line.edge, line.conn.0, short(message))
        }
        Peer::ToEdge { conn, player, message } => {
            format!("of player {:x} to connection {}: {}", player.id, conn.0, short(message))
        }
        Peer::Handoff { entity, term, message } => {
            let what = match message {
                HandoffMessage::Image(image) => format!("offered, {} events", image.seq),
                HandoffMessage::Refused => "refused".to_owned(),
            };
            format!("handoff of player {:x} (term {}.{}): {what}", entity.id, term.epoch, term.count)
        }
        Peer::Mail { entity, message: MailMessage::Owes(owes) } => {
            format!("message {} of {} to {entity}", owes.number, owes.from)
        }
        Peer::Mail { entity, message: MailMessage::Took { by, number } } => {
            format!("{by} has taken message {number} of {entity}")
        }
        Peer::Mail { entity, message: MailMessage::Order(order) } => {
            format!("order {:x} for {entity}, asked at {}", order.request, order.node)
        }
        Peer::Mail { entity, message: MailMessage::Ordered { request, end } } => {
            format!("order {request:x} for {entity} has ended: {}", short(end))
        }
        Peer::Transaction { tx, entity, message } => {
            let what = match message {
                TxMessage::Prepare { .. } => "prepare".to_owned(),
                other => short(other),
            };
            format!("transaction {}.{} of {entity}: {what}", tx.node, tx.count)
        }
    }
}

fn home(message: &HomeMessage) -> String {
    match message {
        HomeMessage::Announce { holds, subscribes, publishes, .. } => {
            format!(
                "announces {} held, {} subscribed, {} published",
                holds.len(),
                subscribes.len(),
                publishes.len()
            )
        }
        other => short(other),
    }
}

fn place(chunk: gundo_types::ChunkId) -> String {
    format!("chunk {}/{}", chunk.x, chunk.y)
}

/// The first part of the debug text, without line breaks.
pub(crate) fn short(what: &impl std::fmt::Debug) -> String {
    const SHORT: usize = 140;
    let mut text = String::new();
    write!(text, "{what:?}").expect("strings take everything");
    if text.len() > SHORT {
        let end = (0..=SHORT).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
