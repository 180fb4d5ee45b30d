//! Work that waits at an entity: sessions to adopt, commands of its player, parts of others' transactions. Plain values.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, ConnId, EntityId, NodeId, Time, WorldTime};

use crate::game::{Actor, Exists, Reads};
use crate::peer::{Age, Key, Line, Placed, TxId};

/// One piece of work. The entity keeps it until its effects are durable, so that it can do it again.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Adopt a session for a connection.
    Open { line: Line, key: Key, name: String, place: Option<Placed>, since: Time },
    /// Continue the session of a connection after the player's node was lost.
    Resume(Resume),
    /// A command of the player.
    Command(Command),
    /// A part of a transaction.
    Prepare(Prepare),
    /// Show the public part to another entity's decision.
    Read(TxId),
    /// An ask to itself from a tick.
    Own(Bytes),
    /// Record which messages it does not owe any more.
    Delivered,
}

impl Work {
    pub(super) fn command(line: Line, seq: u64, payload: Bytes, question: bool, since: Time) -> Self {
        Self::Command(Command {
            line,
            seq,
            payload,
            since,
            question,
            counted: false,
            tries: 0,
            losses: 0,
            age: None,
            ask_until: None,
            reads: Reads::default(),
            origin: None,
        })
    }

    pub(super) fn letter(letter: Letter, payload: Bytes, since: Time) -> Self {
        let origin = Some(Box::new(Origin::Letter(letter)));
        Self::Command(Command { payload, origin, ..Command::bare(since) })
    }

    /// Whether it comes again by itself as long as it is not done: a message of another entity, a timer, an order.
    pub(super) fn comes_again(&self) -> bool {
        matches!(self, Self::Command(command) if command.origin.is_some())
    }

    /// Whether it is refused when too much waits already. The player's own commands are not: a repeated one may already have
    /// taken effect, and its edge lets no more than `commands_unanswered_max` of them in. Messages of others are.
    pub(super) fn is_bounded(&self) -> bool {
        match self {
            Self::Command(command) => command.letter().is_some() || command.ordering().is_some(),
            Self::Delivered => false,
            _ => true,
        }
    }

    /// The connection that is to have the session, if the work is about that.
    pub(super) fn wants_line(&self) -> Option<Line> {
        match self {
            Self::Open { line, .. } | Self::Resume(Resume { line, leaves_at: None, .. }) => Some(*line),
            Self::Resume(_) | Self::Command(_) | Self::Prepare(_) | Self::Read(_) | Self::Own(_) => None,
            Self::Delivered => None,
        }
    }

    /// When it arrived. Work without appends never waits for room.
    pub(super) fn since(&self) -> Time {
        match self {
            Self::Open { since, .. } | Self::Command(Command { since, .. }) => *since,
            Self::Resume(_) | Self::Prepare(_) | Self::Read(_) | Self::Own(_) | Self::Delivered => {
                Time::default()
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Resume {
    pub(super) line: Line,
    pub(super) adoption: u64,
    /// Where the client wants its body.
    pub(super) wish: Body,
    /// Where the edge last saw it, as its last owner showed it.
    pub(super) seen: Option<Body>,
    /// Since when no owner has checked the client's moves.
    pub(super) since: WorldTime,
    /// The connection has closed meanwhile: when the player leaves the world.
    pub(super) leaves_at: Option<Time>,
}

/// Something to decide: a client's command, a message of another entity, a timer, or an operator's order.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) line: Line,
    pub(super) seq: u64,
    pub(super) payload: Bytes,
    /// It may have taken nodes down: the entity answers it if it has taken effect, but does not decide it again.
    pub(super) question: bool,
    pub(super) since: Time,
    /// Its player's pace has counted it.
    pub(super) counted: bool,
    pub(super) tries: u8,
    /// Nodes that were lost while they were deciding a part of it.
    pub(super) losses: u8,
    /// Age of its first transaction, if it needed one. Retries keep it, so that the command grows older than others.
    pub(super) age: Option<Age>,
    /// Until when it may ask, if it had to give way to an older transaction.
    pub(super) ask_until: Option<Time>,
    /// Public parts of others that were fetched for it.
    pub(super) reads: Reads,
    /// It is no client's. Nobody gets an answer: the line and the seq mean nothing.
    pub(super) origin: Option<Box<Origin>>,
}

/// What something to decide is, if not a client's command.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A message of another entity.
    Letter(Letter),
    /// A timer that was due then.
    Timer(WorldTime),
    /// An operator's order.
    Order(Ordering),
}

/// Whose order it is, and which.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ordering {
    /// The request's number.
    pub(super) request: u64,
    /// The node that the operator asked. It hears how the order ended.
    pub(super) node: NodeId,
    /// Who gives it.
    pub(super) by: String,
}

/// Whose message it is, and which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    pub(super) from: EntityId,
    /// The sender's.
    pub(super) number: u64,
    pub(super) at: WorldTime,
    /// Of the journal that the sender was read from.
    pub(super) generation: u64,
    /// Where the sender is real, and hears that it was taken.
    pub(super) node: NodeId,
}

impl Letter {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.from, self.number) == (other.from, other.number)
    }
}

impl Command {
    /// One of no client.
    pub(super) fn bare(since: Time) -> Self {
        let line = Line { edge: NodeId(0), conn: ConnId(0) };
        Self {
            line,
            seq: 0,
            payload: Bytes::new(),
            question: false,
            since,
            counted: true,
            tries: 0,
            losses: 0,
            age: None,
            ask_until: None,
            reads: Reads::default(),
            origin: None,
        }
    }

    /// A timer that was due at `due`.
    pub(super) fn timer(timer: Bytes, due: WorldTime, since: Time) -> Self {
        Self { payload: timer, origin: Some(Box::new(Origin::Timer(due))), ..Self::bare(since) }
    }

    /// An operator's order.
    pub(super) fn order(ordering: Ordering, order: Bytes, since: Time) -> Self {
        Self { payload: order, origin: Some(Box::new(Origin::Order(ordering))), ..Self::bare(since) }
    }

    /// If it is an order, whose and which.
    pub(super) fn ordering(&self) -> Option<&Ordering> {
        match self.origin.as_deref() {
            Some(Origin::Order(ordering)) => Some(ordering),
            _ => None,
        }
    }

    /// The message that it is, if it is one.
    pub(super) fn letter(&self) -> Option<Letter> {
        match self.origin.as_deref() {
            Some(Origin::Letter(letter)) => Some(*letter),
            _ => None,
        }
    }

    /// If it is a timer, when that was due.
    pub(super) fn due(&self) -> Option<WorldTime> {
        match self.origin.as_deref() {
            Some(Origin::Timer(due)) => Some(*due),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Prepare {
    pub(super) tx: TxId,
    pub(super) age: Age,
    pub(super) ask: Bytes,
    pub(super) exists: Exists,
    pub(super) actor: Actor,
    /// Nobody else is asked, and its coordinator lets this node append.
    pub(super) alone: bool,
}

/// Work that waits at an entity, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Work>,
    /// The first of them waits for room in the journal. Only work that is there waits: when the first is taken away, nothing does.
    held: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether this message waits already.
    pub(super) fn has_letter(&self, letter: &Letter) -> bool {
        self.waiting.iter().any(|work| match work {
            Work::Command(command) => command.letter().is_some_and(|other| other.is_same(letter)),
            _ => false,
        })
    }

    /// Whether the order of this request waits already.
    pub(super) fn has_order(&self, request: u64) -> bool {
        self.waiting.iter().any(|work| match work {
            Work::Command(command) => command.ordering().is_some_and(|other| other.request == request),
            _ => false,
        })
    }

    /// Whether a timer waits already.
    pub(super) fn has_timer(&self) -> bool {
        self.waiting.iter().any(|work| matches!(work, Work::Command(command) if command.due().is_some()))
    }

    /// Whether the end of messages waits to be recorded.
    pub(super) fn ends_mail(&self) -> bool {
        self.waiting.iter().any(|work| matches!(work, Work::Delivered))
    }

    pub(super) fn push(&mut self, work: Work) {
        // Mostly one waits at a time, and there are many entities: reserve no more room than that.
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(1);
        }
        self.waiting.push_back(work);
    }

    /// The next piece of work. If that is a part of a transaction, the oldest transaction's comes first.
    pub(super) fn pop(&mut self) -> Option<Work> {
        self.held = false;
        if matches!(self.waiting.front(), Some(Work::Prepare(_)))
            && let Some((oldest, _)) = self.prepares().min_by_key(|(_, prepare)| prepare.age)
        {
            self.waiting.swap(0, oldest);
        }
        self.waiting.pop_front()
    }

    /// Whether parts of transactions wait.
    pub(super) fn has_prepares(&self) -> bool {
        self.prepares().next().is_some()
    }

    /// The parts of transactions that wait, and where.
    fn prepares(&self) -> impl Iterator<Item = (usize, &Prepare)> {
        self.waiting.iter().enumerate().filter_map(|(at, work)| match work {
            Work::Prepare(prepare) => Some((at, prepare)),
            _ => None,
        })
    }

    /// The queue is full: takes out the part of the youngest transaction, if that is younger than `age`.
    pub(super) fn give_up_younger(&mut self, age: Age) -> Option<Prepare> {
        let (at, _) = self.prepares().max_by_key(|(_, prepare)| prepare.age).filter(|(_, p)| p.age > age)?;
        self.held &= at > 0;
        match self.waiting.remove(at) {
            Some(Work::Prepare(prepare)) => Some(prepare),
            _ => unreachable!("a prepare is there"),
        }
    }

    /// Puts a command back behind the parts of all older transactions that wait. False: there are none, and it is not put back.
    pub(super) fn let_older_pass(&mut self, command: &Command, age: Age) -> bool {
        let older = |work: &Work| matches!(work, Work::Prepare(prepare) if prepare.age < age);
        let mut first = self.take_if(older);
        if first.is_empty() {
            return false;
        }
        self.put_back(Work::Command(command.clone()));
        first.reverse();
        first.into_iter().for_each(|prepare| self.put_back(prepare));
        true
    }

    /// Keeps only the work that `stays` names.
    fn retain(&mut self, stays: impl Fn(&Work) -> bool) {
        self.held &= self.waiting.front().is_some_and(&stays);
        self.waiting.retain(stays);
    }

    /// Forgets requests of this connection to continue its session: a newer one is here.
    pub(super) fn forget_resume(&mut self, line: Line) {
        self.retain(|w| !matches!(w, Work::Resume(resume) if resume.line == line));
    }

    /// This connection has closed: forgets its requests to have the session. Returns whether there was one. `leaves_at`: until
    /// then a player that was lost with its node stands in the world again.
    pub(super) fn forget_line(&mut self, line: Line, leaves_at: Option<Time>) -> bool {
        let before = self.waiting.len();
        for work in &mut self.waiting {
            if let Work::Resume(resume) = work
                && resume.line == line
            {
                resume.leaves_at = resume.leaves_at.or(leaves_at);
            }
        }
        self.retain(|work| work.wants_line() != Some(line));
        self.waiting.len() < before
    }

    /// The connection that is to have the session next, if that is what waits first.
    pub(super) fn first_line(&self) -> Option<Line> {
        self.waiting.front().and_then(Work::wants_line)
    }

    /// The connections that wait to have the session.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        self.waiting.iter().filter_map(Work::wants_line)
    }

    /// How many pieces of work count against the limit.
    pub(super) fn bounded(&self) -> usize {
        self.waiting.iter().filter(|work| work.is_bounded()).count()
    }

    /// Since when the first of them waits for room in the journal.
    pub(super) fn held_since(&self) -> Option<Time> {
        self.waiting.front().filter(|_| self.held).map(Work::since)
    }

    /// Puts work that was begun back in front of everything that waits, also of work that waited for room. Not what comes
    /// again by itself: many messages may have been begun.
    pub(super) fn put_back(&mut self, work: Work) {
        if work.comes_again() {
            return;
        }
        self.held = false;
        self.waiting.push_front(work);
    }

    /// Puts work back in front, where it waits for room in the journal.
    pub(super) fn hold(&mut self, work: Work) {
        assert!(!self.held, "one piece of work waits for the journal");
        self.waiting.push_front(work);
        self.held = true;
    }

    /// The first waits for room no more. False: it did not.
    pub(super) fn release(&mut self) -> bool {
        std::mem::take(&mut self.held)
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn take_all(&mut self) -> VecDeque<Work> {
        self.held = false;
        std::mem::take(&mut self.waiting)
    }

    /// Takes out the work that `goes` names.
    pub(super) fn take_if(&mut self, goes: impl Fn(&Work) -> bool) -> Vec<Work> {
        self.held &= !self.waiting.front().is_some_and(&goes);
        let (gone, rest): (VecDeque<_>, VecDeque<_>) = self.waiting.drain(..).partition(goes);
        self.waiting = rest;
        Vec::from(gone)
    }

    /// Takes out the parts of transactions.
    pub(super) fn take_prepares(&mut self) -> Vec<Prepare> {
        let of = |work| match work {
            Work::Prepare(prepare) => Some(prepare),
            _ => None,
        };
        self.take_if(|work| matches!(work, Work::Prepare(_))).into_iter().filter_map(of).collect()
    }

    /// Forgets the part of a transaction that has ended. Returns whether it waited.
    pub(super) fn forget_prepare(&mut self, tx: TxId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|w| !matches!(w, Work::Prepare(p) if p.tx == tx));
        self.waiting.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: gundo_types::NodeId = gundo_types::NodeId(1);

    fn line(conn: u64) -> Line {
        Line { edge: EDGE, conn: gundo_types::ConnId(conn) }
    }

    fn open(line: Line) -> Work {
        let wish = Body::default();
        Work::Resume(Resume { line, adoption: 1, wish, seen: None, since: WorldTime(0), leaves_at: None })
    }

    /// Whatever takes the first piece of work away ends its wait: an entity without work that waits for room would never do anything
    /// again, until the journal is busy and open once more.
    #[test]
    fn only_work_that_is_there_waits_for_room() {
        let (here, other) = (line(7), line(8));
        let command = |line| Work::command(line, 1, Bytes::new(), false, Time::default());
        type Take = fn(&mut Queue, Line);
        let takes: [(&str, Work, Take); 4] = [
            ("pop", command(here), |queue, _| drop(queue.pop())),
            ("take all", command(here), |queue, _| drop(queue.take_all())),
            ("forget a connection", open(here), |queue, line| assert!(queue.forget_line(line, None))),
            ("put back", command(here), |queue, line| {
                queue.put_back(Work::command(line, 2, Bytes::new(), false, Time::default()));
            }),
        ];
        for (how, work, take) in takes {
            let mut queue = Queue::default();
            queue.push(open(other));
            queue.hold(work);
            assert!(queue.is_held() && queue.held_since().is_some());
            take(&mut queue, here);
            assert!(!queue.is_held(), "{how}");
            // What was behind it may wait later.
            if let Some(next) = queue.pop() {
                queue.hold(next);
            }
        }
    }

    #[test]
    fn it_waits_on_when_others_are_taken() {
        let line = line(7);
        let mut queue = Queue::default();
        queue.push(open(line));
        queue.hold(Work::command(line, 1, Bytes::new(), false, Time::default()));
        assert!(queue.forget_line(line, None) && queue.take_prepares().is_empty());
        assert!(queue.is_held() && queue.len() == 1);
        assert!(queue.release() && !queue.release());
    }
}
