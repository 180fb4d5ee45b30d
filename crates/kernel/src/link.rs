//! Links to the other members: what must arrive arrives, once and in order, however often a connection between two nodes breaks.
//!
//! A link is what two incarnations have between them. Messages that must arrive are numbered. The sender keeps each until the
//! other side has said, in the labels of its own messages, that it has arrived. The receiver takes the next number only. If it
//! notices a gap it asks ([`Peer::Heard`]), and everything from there on is sent again; so is everything unacknowledged when the
//! driver says that a connection broke. Frames, heartbeats and reports of what was sent have no numbers and may be lost.
//!
//! A message of more than `piece_bytes_max` bytes leaves in pieces, which must arrive; see `pieces`.
//!
//! A sender keeps `link_bytes_max` bytes. Beyond that, and when the driver has lost messages for good, the link is **reset**:
//! both sides drop what they kept and begin again with number 1, under a higher count of resets, which every message carries.
//! The router then tells every room that messages between the two were lost (`Node::on_link_reset`). Between two resets by the same
//! side passes at least a second; meanwhile it sends nothing that must arrive.
//!
//! Not here: which members there are (`membership`), and what a lost message means (the rooms).

mod early;
mod inbound;
mod outbound;
mod pieces;

use std::collections::{BTreeMap, VecDeque};

use gundo_types::{NodeId, Planted, Time};
use gundo_wire::peer::MESSAGE_BYTES_MAX;

use self::early::{EARLY_BYTES_MAX, Early};
use self::inbound::{Inbound, Takes};
use self::outbound::Outbound;
use crate::core::Core;
use crate::io::{Member, Output, Size};
use crate::membership::Membership;
use crate::peer::{Label, Peer};

/// After it has sent everything again a node ignores requests for the same for so long, ms: they were on their way.
const AGAIN_EVERY_MS: u64 = 100;
/// Between two resets that this side begins, ms.
const RESET_EVERY_MS: u64 = 1_000;
/// Incarnations that may send before the view that has them arrives. What others send is not taken, so they send it again.
const NEWCOMERS_MAX: usize = 64;

/// The links of a node.
#[derive(Default)]
pub(crate) struct Links {
    members: BTreeMap<NodeId, Link>,
    /// What incarnations sent that are in no view yet.
    newcomers: BTreeMap<(NodeId, u64), Inbound>,
    /// Members that get something again, in the order in which that was decided.
    resending: Vec<NodeId>,
    /// Members whose link must be reset by this side.
    broken: Vec<NodeId>,
    early: Early,
    /// Pieces of the message that is being sent.
    pieces: VecDeque<(NodeId, Peer)>,
}

/// The link to a member.
struct Link {
    incarnation: u64,
    out: Outbound,
    inbound: Inbound,
    /// Messages were lost for good: nothing that must arrive is sent until the link is reset.
    broken: bool,
    /// When this side reset it last.
    reset_at: Option<Time>,
    /// Which message was missing when this side sent everything from there again, and when.
    repeated: Option<(u64, Time)>,
}

/// What came by a link.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// First react to this: the link was reset, so that messages were lost for good.
    pub(crate) reset: bool,
    /// A message to handle.
    pub(crate) message: Option<Peer>,
}

/// What to do with a message.
#[derive(Clone, Copy, Default)]
struct Verdict {
    /// Take it.
    take: bool,
    /// First react to a reset of the link.
    reset: bool,
    /// Something is missing: ask for it.
    ask: bool,
    /// Much has arrived since the other side last heard of it: say so.
    tell: bool,
}

impl Links {
    /// A new view: links to incarnations that are gone end, those to new ones begin.
    pub(crate) fn set(&mut self, me: NodeId, members: &[Member]) {
        let mut before = std::mem::take(&mut self.members);
        for member in members.iter().filter(|m| m.node != me) {
            let (node, incarnation) = (member.node, member.incarnation);
            let stays = before.remove(&node).filter(|link| link.incarnation == incarnation);
            let link = stays.unwrap_or_else(|| {
                let inbound = self.newcomers.remove(&(node, incarnation)).unwrap_or_default();
                let out = Outbound::default();
                Link { incarnation, out, inbound, broken: false, reset_at: None, repeated: None }
            });
            self.members.insert(node, link);
        }
        let newest = members.iter().map(|m| m.incarnation).max().unwrap_or(0);
        self.newcomers.retain(|(_, incarnation), _| *incarnation > newest);
        self.resending.retain(|node| self.members.contains_key(node));
        self.broken.retain(|node| self.members.get(node).is_some_and(|link| link.broken));
        assert!(!self.members.contains_key(&me), "no link to itself");
    }

    // ---- out -------------------------------------------------------------------------------------------

    /// Labels a message that is sent now, and keeps a copy if it must arrive; passes everything else. `None`: it is not sent.
    pub(crate) fn label(&mut self, core: &mut Core, output: Output) -> Option<Output> {
        let Output::Peer { to, message, .. } = output else { return Some(output) };
        let weight = weight_of(&message);
        if weight > core.world().piece_bytes_max
            && message.may_be_cut()
            && !core.planted(Planted::BigInOnePiece)
        {
            self.cut(core, to, &message);
            return None;
        }
        self.send(core, to, message, weight)
    }

    /// The next piece of a message that is too long for one. Before anything else is sent, poll this until it is `None`.
    pub(crate) fn poll_piece(&mut self, core: &Core) -> Option<Output> {
        while let Some((to, piece)) = self.pieces.pop_front() {
            let weight = piece.weight();
            let sent = self.send(core, to, piece, weight);
            if sent.is_some() {
                return sent;
            }
        }
        None
    }

    fn cut(&mut self, core: &mut Core, to: NodeId, message: &Peer) {
        let world = core.world();
        match pieces::cut(message, world.piece_bytes_max, world.whole_bytes_max()) {
            Some(pieces) => self.pieces.extend(pieces.into_iter().map(|piece| (to, piece))),
            None => {
                core.counters.too_large += 1;
                // Lost frames are noticed by their numbers. Anything else may not be lost unnoticed.
                if message.must_arrive() {
                    self.on_lost(to);
                }
            }
        }
    }

    fn send(&mut self, core: &Core, to: NodeId, message: Peer, weight: usize) -> Option<Output> {
        let label = self.label_of(core, to, &message, weight)?;
        Some(Output::Peer { to, label, message })
    }

    fn label_of(&mut self, core: &Core, to: NodeId, message: &Peer, weight: usize) -> Option<Label> {
        let from = core.settings.incarnation;
        let Some(link) = self.members.get_mut(&to) else {
            // A node that is not a member (any more): it hears that, and nothing that depends on an answer.
            return (!message.must_arrive()).then_some(Label { from, ..Label::default() });
        };
        if message.must_arrive() {
            if !link.broken && !link.out.keep(message, weight, core.world().link_bytes_max) {
                link.broken = true;
                self.broken.push(to);
            }
            if link.broken {
                return None;
            }
        }
        Some(link.label(from, message.must_arrive().then(|| link.out.last())))
    }

    /// The next message that is sent again. Before anything newer is sent, poll this until it is `None`.
    pub(crate) fn poll_again(&mut self, core: &Core) -> Option<Output> {
        while let Some(to) = self.resending.first().copied() {
            let link = self.members.get_mut(&to).expect("only members get something again");
            if let Some((number, message)) = link.out.next_again() {
                let label = link.label(core.settings.incarnation, Some(number));
                return Some(Output::Peer { to, label, message });
            }
            self.resending.remove(0);
        }
        None
    }

    /// The connection to a member broke: what is not acknowledged may have been lost, and is sent again.
    pub(crate) fn on_broken(&mut self, core: &Core, to: NodeId) {
        let Some(link) = self.members.get_mut(&to) else { return };
        if !core.planted(Planted::LinkDoesNotResend) && link.out.again() && !self.resending.contains(&to) {
            self.resending.push(to);
        }
    }

    /// Messages to a member were lost for good: the link must be reset.
    pub(crate) fn on_lost(&mut self, peer: NodeId) {
        if let Some(link) = self.members.get_mut(&peer).filter(|link| !link.broken) {
            link.broken = true;
            self.broken.push(peer);
        }
    }

    /// Resets the next link that must be reset by this side, if it is time. The rooms must react.
    pub(crate) fn next_reset(&mut self, core: &mut Core) -> Option<NodeId> {
        let now = core.now.time;
        for peer in std::mem::take(&mut core.lost) {
            self.on_lost(peer);
        }
        let due = |node: &NodeId| self.members.get(node).is_some_and(|link| link.may_reset(now));
        let at = self.broken.iter().position(due)?;
        let peer = self.broken.remove(at);
        let link = self.members.get_mut(&peer).expect("just seen");
        link.reset(link.inbound.resets.saturating_add(1));
        link.reset_at = Some(now);
        self.early.forget(peer);
        Some(peer)
    }

    // ---- in --------------------------------------------------------------------------------------------

    /// A message from another node. Only members are heard; what is of a view to come waits for that view.
    pub(crate) fn admit(
        &mut self,
        core: &mut Core,
        members: &mut Membership,
        from: NodeId,
        label: Label,
        message: Peer,
    ) -> Incoming {
        if matches!(message, Peer::Later) && core.planted(Planted::LaterNotTaken) {
            return Incoming::default();
        }
        let verdict = match members.admits(core, from, label.from) {
            // The sender is ahead, or this node was removed: the next view says which.
            Err(_) if matches!(message, Peer::Stale { .. }) => Verdict { take: true, ..Verdict::default() },
            Err(false) => {
                members.tell_stale(core, from);
                return Incoming::default();
            }
            admitted
                if self.early.is_full() && (admitted.is_err() || may_be_early(core, members, &message)) =>
            {
                // It is sent again.
                core.note_early();
                return Incoming::default();
            }
            Err(true) => self.take_newcomer(core, from, &label, &message),
            Ok(()) => {
                members.hear(core, from);
                self.take(core, from, &label, &message)
            }
        };
        if verdict.reset {
            self.early.forget(from);
        }
        if verdict.ask || verdict.tell {
            core.send(from, Peer::Heard { again: verdict.ask });
        }
        if !verdict.take {
            core.counters.links_repeated += 1;
            return Incoming { reset: verdict.reset, message: None };
        }
        let reset = verdict.reset && self.members.get(&from).is_some_and(|l| l.incarnation == label.from);
        let message = self.complete(core, from, &label, message);
        let message = message.and_then(|message| self.admit_taken(core, members, from, label.from, message));
        Incoming { reset, message }
    }

    /// The message that was taken, or the one of which it is the last piece.
    fn complete(&mut self, core: &mut Core, from: NodeId, label: &Label, message: Peer) -> Option<Peer> {
        let member = self.members.get_mut(&from).filter(|link| link.incarnation == label.from);
        let inbound = member.map(|link| &mut link.inbound);
        let Some(inbound) = inbound.or_else(|| self.newcomers.get_mut(&(from, label.from))) else {
            return Some(message);
        };
        let complete = inbound.complete(message);
        if complete.is_err() {
            // What it was is lost.
            core.note_nonsense();
            core.lose(from);
        }
        complete.ok().flatten()
    }

    /// A new view has come: the messages that waited for it, in order. Pass each to [`admit_taken`](Self::admit_taken).
    pub(crate) fn take_early(&mut self) -> impl IntoIterator<Item = (NodeId, u64, Peer)> + use<> {
        self.early.take()
    }

    /// A message that its link has taken, if it can be handled in the present view.
    pub(crate) fn admit_taken(
        &mut self,
        core: &mut Core,
        members: &mut Membership,
        from: NodeId,
        incarnation: u64,
        message: Peer,
    ) -> Option<Peer> {
        match members.admits(core, from, incarnation) {
            Err(_) if matches!(message, Peer::Stale { .. }) => return Some(message),
            Err(false) => members.tell_stale(core, from),
            Ok(()) if !is_early(core, members, &message) => return Some(message),
            _ => self.early.push(from, incarnation, message),
        }
        None
    }

    /// Whether a member's message is to be taken.
    fn take(&mut self, core: &Core, from: NodeId, label: &Label, message: &Peer) -> Verdict {
        let Some(link) = self.members.get_mut(&from).filter(|link| link.incarnation == label.from) else {
            return Verdict::default();
        };
        let for_me = label.to == 0 || label.to == core.settings.incarnation;
        if !for_me || label.resets < link.inbound.resets {
            // It is of an earlier incarnation of this node, or of the time before a reset.
            return Verdict { take: message.is_membership(), ..Verdict::default() };
        }
        let reset = label.resets > link.inbound.resets;
        if reset {
            link.reset(label.resets);
            link.reset_at = None;
            self.broken.retain(|node| *node != from);
        }
        link.out.on_received(label.received);
        let takes = link.inbound.take(core, label, message);
        let tell = takes == Takes::Yes && link.inbound.owes(core.world().link_bytes_max);
        if matches!(message, Peer::Heard { again: true }) && link.may_repeat(label.received, core.now.time) {
            self.on_broken(core, from);
        }
        Verdict { take: takes.is_taken(), reset, ask: takes.asks(), tell }
    }

    /// Whether a message of an incarnation is to be taken that is in no view yet.
    fn take_newcomer(&mut self, core: &Core, from: NodeId, label: &Label, message: &Peer) -> Verdict {
        let key = (from, label.from);
        let full = self.newcomers.len() >= NEWCOMERS_MAX && !self.newcomers.contains_key(&key);
        let for_me = label.to == 0 || label.to == core.settings.incarnation;
        // What is long must wait until its sender is a member.
        let long = matches!(message, Peer::Piece { .. });
        if full || !for_me || long {
            return Verdict::default();
        }
        let inbound = self.newcomers.entry(key).or_default();
        if label.resets < inbound.resets {
            return Verdict::default();
        }
        let reset = label.resets > inbound.resets;
        if reset {
            *inbound = Inbound::after(label.resets);
        }
        // It cannot be asked for more before it is a member.
        Verdict { take: inbound.take(core, label, message).is_taken(), reset, ..Verdict::default() }
    }

    /// Whether the message with this label has been taken, rather than kept for later or thrown away.
    pub(crate) fn has_taken(&self, from: NodeId, label: &Label) -> bool {
        let link = self.members.get(&from).filter(|link| link.incarnation == label.from);
        link.is_some_and(|link| {
            link.inbound.resets == label.resets && link.inbound.received() >= label.number
        })
    }

    /// How full its lists are.
    pub(crate) fn sizes(&self, core: &Core, sizes: &mut Vec<Size>) {
        let kept = self.members.values().map(|link| link.out.bytes()).max().unwrap_or(0);
        // One message always has room, however large.
        let most = core.world().link_bytes_max.max(MESSAGE_BYTES_MAX);
        sizes.push(Size { what: "kept for one node, bytes", used: kept, most });
        let most = EARLY_BYTES_MAX + MESSAGE_BYTES_MAX;
        sizes.push(Size { what: "of views to come, bytes", used: self.early.bytes(), most });
        let used = self.newcomers.len();
        sizes.push(Size { what: "incarnations to come", used, most: NEWCOMERS_MAX });
    }

    /// Bytes of all messages that are not acknowledged yet.
    pub(crate) fn bytes(&self) -> usize {
        self.members.values().map(|link| link.out.bytes()).sum()
    }

    /// Asserts the invariants between two inputs.
    pub(crate) fn check(&self, core: &Core) {
        assert!(self.newcomers.len() <= NEWCOMERS_MAX, "newcomers are bounded");
        for (node, link) in &self.members {
            link.out.check(core.world().link_bytes_max);
            assert_eq!(link.broken, self.broken.contains(node), "{node}: a broken link is listed");
        }
    }
}

#[cfg(feature = "planted")]
impl Links {
    /// What the link to an incarnation is doing, and what a label says to it, as the table of coverage names both.
    pub(crate) fn reading(
        &self,
        core: &Core,
        is_new: bool,
        from: NodeId,
        label: &Label,
    ) -> (&'static str, &'static str) {
        let link = self.members.get(&from).filter(|_| !is_new);
        let state = match link {
            _ if is_new => "newcomer",
            Some(link) if link.broken => "broken",
            _ => "member",
        };
        let inbound = link.map(|l| &l.inbound).or_else(|| self.newcomers.get(&(from, label.from)));
        let resets = inbound.map_or(0, |inbound| inbound.resets);
        let received = inbound.map_or(0, Inbound::received);
        let word = match label.number {
            _ if label.to != 0 && label.to != core.settings.incarnation => "of an earlier life",
            _ if label.resets < resets => "before a reset",
            _ if label.resets > resets => "after a reset",
            0 if label.after > received => "unnumbered after a gap",
            0 => "unnumbered",
            number if number <= received => "known",
            number if number > received + 1 => "gap",
            _ => "next",
        };
        (state, word)
    }
}

/// About how many bytes a message to another node has: at least as many as it has on a link.
fn weight_of(message: &Peer) -> usize {
    match message {
        // Together they fit: the publisher has seen to that.
        Peer::Frames { frames, .. } if frames.len() != 1 => 0,
        message => message.weight(),
    }
}

/// Whether a member's message waits, or may be a piece of one that does.
fn may_be_early(core: &Core, members: &Membership, message: &Peer) -> bool {
    matches!(message, Peer::Piece { .. }) || is_early(core, members, message)
}

/// Whether a member's message waits: for a view to come, or, if it is of this one, until this node knows what time it is. No home
/// opens before that.
fn is_early(core: &Core, members: &Membership, message: &Peer) -> bool {
    core.is_ahead(message) || matches!(message, Peer::Home { .. }) && !members.is_connected()
}

impl Link {
    /// `number`: of a message that must arrive.
    fn label(&mut self, from: u64, number: Option<u64>) -> Label {
        let (resets, received) = (self.inbound.resets, self.inbound.say());
        let after = if number.is_some() { 0 } else { self.out.last() };
        Label { from, to: self.incarnation, resets, number: number.unwrap_or(0), after, received }
    }

    fn may_reset(&self, now: Time) -> bool {
        self.broken && self.reset_at.is_none_or(|at| now.since(at) >= RESET_EVERY_MS * 1_000)
    }

    fn may_repeat(&mut self, after: u64, now: Time) -> bool {
        let lately = |(last, at): (u64, Time)| last == after && now.since(at) < AGAIN_EVERY_MS * 1_000;
        if self.repeated.is_some_and(lately) {
            return false;
        }
        self.repeated = Some((after, now));
        true
    }

    fn reset(&mut self, resets: u32) {
        self.out = Outbound::default();
        self.inbound = Inbound::after(resets);
        (self.broken, self.repeated) = (false, None);
    }
}
