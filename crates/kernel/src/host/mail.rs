//! Messages between entities, after commit: a decision says what it sends; the append that records it owes it.
//!
//! | step | who | what |
//! | --- | --- | --- |
//! | 1 | sender | its append lands: the message is owed, and the journal knows that the entity has something to do |
//! | 2 | sender | sends the first message that it owes to each receiver, until each is answered; again after a wait |
//! | 3 | receiver | was it taken before? Then it says so. If not, its rule `take` decides; one append has the note and what follows |
//! | 4 | receiver | once that is durable, it says so |
//! | 5 | sender | does not owe it any more: one append for all that was answered meanwhile |
//!
//! Nothing of this depends on memory. After a crash, a takeover or a handoff the sender is loaded, because the journal knows that it
//! owes something, and goes on with step 2. What is durable is in `post`.

use bytes::Bytes;
use gundo_types::{EntityId, Planted};
use gundo_wire::Message;
use gundo_wire::journal::{Delivered, EventType, Taken};

use super::desk::{Cx, Rooms, context};
use super::entity::Entity;
use super::pending::{Effect, Record};
use super::phase::Phase;
use super::post::{self, OWED_MAX, Post, Seen};
use super::queue::{Command, Letter, Work};
use super::room::Host;
use super::storage::Room;
use super::vicinity::Vicinity;
use crate::core::{Core, Timer};
use crate::game::{Exists, RawDecision, RawDone, Refusal, Rule, Sending, guard};
use crate::io::Output;
use crate::peer::{MailMessage, Owes, Peer, Prepared, TxId};
use crate::retry;

/// Messages in one decision. With more, it is refused with `game_error`.
const SENDS_MAX: usize = 16;
/// So often a message is tried whose rules fail; then it is taken without effect.
const FAILS_MAX: u8 = 3;

/// Why the engine cannot send a decision's messages, if it cannot.
pub(super) fn cannot_send(core: &Core, sends: &[Sending]) -> Option<String> {
    let bytes_max = core.world().limits.public_bytes_max;
    if sends.len() > SENDS_MAX {
        return Some(format!("it sends {} messages: {SENDS_MAX} at most", sends.len()));
    }
    sends.iter().find_map(|send| match send.message.len() {
        bytes if bytes > bytes_max => Some(format!("what it sends has {bytes} bytes: {bytes_max} at most")),
        _ => core.settings.rules.cannot_take(send.to),
    })
}

/// What an engine does with a refusal of the message that it takes.
pub(super) fn passes(refusal: &Refusal) -> bool {
    matches!(&*refusal.code, "busy" | "storage" | "storage_busy" | "storage_full" | "suspended" | "gave_up")
}

// ---- the sender ----------------------------------------------------------------------------------------

impl Entity {
    /// Whether it owes messages to others.
    pub(super) fn owes(&self) -> bool {
        self.durable.post.as_ref().is_some_and(|post| post.owed() > 0)
    }

    /// A planted mistake.
    pub(super) fn forget_owed(&mut self, cx: &Cx<'_>) {
        if cx.core.planted(Planted::OwedForgotten)
            && let Some(post) = &mut self.durable.post
        {
            post.forget_owed();
        }
    }

    /// Whether so many more messages may be owed.
    pub(super) fn has_room_for(&self, sends: usize) -> bool {
        sends == 0 || self.durable.post.as_ref().map_or(0, |post| post.owed()) + sends <= OWED_MAX
    }

    /// The events that make it owe these messages.
    pub(super) fn sent_events(
        &self,
        core: &Core,
        sends: Vec<Sending>,
    ) -> impl Iterator<Item = (EventType, Bytes)> + use<> {
        let at = core.world_time_from(self.durable.last_at);
        sends
            .into_iter()
            .map(move |send| (EventType::Sent, post::sent(send.to, at, send.message).encode_to_vec().into()))
    }

    /// Sends what it owes and nobody has answered: the first message to each receiver.
    pub(super) fn send_mail(&mut self, cx: &mut Cx<'_>) {
        let Some(post) = self.durable.post.as_deref().filter(|post| post.owed() > 0) else { return };
        if !matches!(self.phase(), Phase::Live | Phase::Freezing) {
            return;
        }
        let mail = self.mail.get_or_insert_default();
        let early = cx.core.planted(Planted::MailEarly);
        for (to, number) in post.firsts(&mail.over) {
            let Some(owed) = post.get(number) else { continue };
            let durable = owed.seq <= self.durable.known || early;
            if !durable || mail.sent.insert(to, number) == Some(number) {
                continue;
            }
            let owes = Owes {
                from: self.id,
                number,
                at: owed.at,
                generation: self.durable.generation,
                node: cx.core.me(),
                message: owed.message.clone(),
            };
            if let Some(home) = cx.core.home_of(to) {
                let message = MailMessage::Owes(Box::new(owes));
                cx.core.send(home, Peer::Mail { entity: to, message });
            }
        }
        if !std::mem::replace(&mut mail.waits, true) {
            let wait_ms = cx.core.retry_ms(retry::MAIL, mail.failures);
            cx.core.after_ms(wait_ms, Timer::Mail(self.id));
        }
    }

    /// It has waited for answers: sends again what it owes, and gives up what is too old.
    pub(super) fn on_mail_timer(&mut self, cx: &mut Cx<'_>) {
        let Some(mail) = self.mail.as_deref_mut() else { return };
        mail.waits = false;
        mail.failures = mail.failures.saturating_add(1);
        mail.sent.clear();
        let Some(post) = self.durable.post.as_deref().filter(|post| post.owed() > 0) else {
            self.mail = None;
            return;
        };
        for number in post.given_up(cx.core.now.world) {
            let Some(owed) = post.get(number).filter(|owed| owed.seq <= self.durable.known) else { continue };
            if mail.over.insert(number) {
                cx.core.counters.mail_lost += 1;
                let why = format!("message {number} to {} was not taken in an hour: it is given up", owed.to);
                cx.core.outputs.push_back(Output::GameFault { entity: self.id, rule: "take", why });
            }
        }
        self.send_mail(cx);
        self.end_mail(cx);
    }

    /// The receiver has taken a message.
    fn on_took(&mut self, cx: &mut Cx<'_>, by: EntityId, number: u64) {
        let owed = self.durable.post.as_deref().and_then(|post| post.get(number));
        if !owed.is_some_and(|owed| owed.to == by && owed.seq <= self.durable.known) {
            return cx.core.note_stale();
        }
        let mail = self.mail.get_or_insert_default();
        mail.failures = 0;
        mail.over.insert(number);
        self.send_mail(cx);
        self.end_mail(cx);
    }

    /// Has an append say what is not owed any more, unless that waits already.
    fn end_mail(&mut self, cx: &mut Cx<'_>) {
        let is_over = self.mail.as_ref().is_some_and(|mail| !mail.over.is_empty());
        if is_over && matches!(self.phase(), Phase::Live) && !self.queue.ends_mail() {
            self.queue.push(Work::Delivered);
            self.run(cx);
        }
    }

    /// One append for all messages that were answered or given up. While the journal is busy it comes with the next timer.
    pub(super) fn record_delivered(&mut self, cx: &mut Cx<'_>) {
        if cx.room() == Room::Busy {
            return;
        }
        let Some(mail) = self.mail.as_deref_mut() else { return };
        let post = self.durable.post.as_deref();
        let mut numbers: Vec<u64> = std::mem::take(&mut mail.over).into_iter().collect();
        numbers.retain(|number| post.is_some_and(|post| post.get(*number).is_some()));
        if numbers.is_empty() {
            return;
        }
        let events = vec![(EventType::Delivered, Delivered { numbers }.encode_to_vec().into())];
        self.record(cx, Record { events, ..Record::default() });
    }
}

// ---- the receiver --------------------------------------------------------------------------------------

impl Entity {
    /// A message has come.
    fn receive(&mut self, cx: &mut Cx<'_>, owes: Owes) {
        let Owes { from, number, at, generation, node, message } = owes;
        let letter = Letter { from, number, at, generation, node };
        if !self.queue.has_letter(&letter) {
            let since = cx.core.now.time;
            self.submit(cx, Work::letter(letter, message, since));
        }
    }

    /// Takes a message, if it has not done so before.
    pub(super) fn take(&mut self, cx: &mut Cx<'_>, command: Command) {
        let Some(letter) = command.letter() else { return };
        let now = cx.core.world_time_from(self.durable.last_at);
        if letter.generation != self.durable.generation || !self.life.is(Phase::Live) {
            // One of the two nodes does not know yet that the journal has gone back; or it takes no work now.
            return cx.core.note_early();
        }
        let seen = match &self.durable.post {
            Some(post) => post.see(letter.from, letter.number, letter.at, now),
            None => Post::default().see(letter.from, letter.number, letter.at, now),
        };
        let twice = cx.core.planted(Planted::MailTwice) && command.tries == 0;
        match seen {
            Seen::New => {}
            Seen::Before if twice => {}
            Seen::Before => {
                let effects = vec![Effect::Took { letter }];
                return self.emit(cx, None, effects);
            }
            Seen::NotNow => return cx.core.note_early(),
        }
        if self.refuses_ask(cx, Exists::Yes).is_some() || cx.room() != Room::Open {
            // It is sent again, until it exists and there is room.
            return cx.core.note_early();
        }
        if self
            .failing
            .as_deref()
            .is_some_and(|(failed, times)| failed.is_same(&letter) && *times >= FAILS_MAX)
        {
            return self.give_letter_up(cx, command);
        }
        let (from, message) = (letter.from, command.payload.clone());
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, self.place(), None);
        let decided = guard(self.id, Rule::Take, || self.durable.state().take(&message, from, &mut rules));
        match self.judge(cx, "take", decided) {
            Err(refusal) => self.refuse(cx, command, refusal),
            Ok(RawDecision::Ask(ask)) => self.begin(cx, command, ask),
            Ok(RawDecision::Done(done)) => self.record_command(cx, command, done, None),
        }
    }

    /// What a message asked for was refused: for a while, and then it is sent again; or for good, and its rule says what follows.
    pub(super) fn refuse_letter(&mut self, cx: &mut Cx<'_>, command: &Command, refusal: &Refusal) {
        let Some(letter) = command.letter() else { return };
        if passes(refusal) {
            return;
        }
        if refusal.code == "game_error" {
            return self.fail_letter(letter);
        }
        if !matches!(self.phase(), Phase::Live) || cx.room() != Room::Open {
            return;
        }
        let message = command.payload.clone();
        let eyes = Vicinity::of(&cx.crowd.interest, self.id, self.sees_around(cx.desk));
        let mut rules = context(cx.core, &eyes, self.place(), None);
        let state = || self.durable.state().not_taken(&message, letter.from, refusal, &mut rules);
        let decided = guard(self.id, Rule::Take, state);
        let decided = self.judge(cx, "not_taken", decided);
        let checked = decided.and_then(|done| self.check_sizes(cx, "not_taken", &done).map(|()| done));
        match checked {
            Ok(done) => self.record_letter(cx, letter, command.clone(), done, None),
            Err(refusal) if passes(&refusal) => {}
            Err(_) => self.fail_letter(letter),
        }
    }

    /// Its rules failed over a message. After some tries it is taken without effect: it must not block those behind it.
    fn fail_letter(&mut self, letter: Letter) {
        let (failing, times) = self.failing.as_deref().copied().unwrap_or((letter, 0));
        let times = if failing.is_same(&letter) { times + 1 } else { 1 };
        self.failing = Some(Box::new((letter, times)));
    }

    /// Takes a message that its rules have failed over, without effect.
    fn give_letter_up(&mut self, cx: &mut Cx<'_>, command: Command) {
        self.failing = None;
        let Some(letter) = command.letter() else { return };
        cx.core.counters.mail_lost += 1;
        let why =
            format!("message {} of {} is taken without effect: its rules fail", letter.number, letter.from);
        cx.core.outputs.push_back(Output::GameFault { entity: self.id, rule: "take", why });
        self.record_letter(cx, letter, command, RawDone::default(), None);
    }

    /// Makes what follows from a message durable, with the note that it was taken.
    pub(super) fn record_letter(
        &mut self,
        cx: &mut Cx<'_>,
        letter: Letter,
        command: Command,
        done: RawDone,
        tx: Option<(TxId, Vec<Prepared>)>,
    ) {
        let now = cx.core.world_time_from(self.durable.last_at);
        let Letter { from, number, at, .. } = letter;
        let forgets = post::forgets(now).0;
        let taken = Taken { kind: from.kind.0.into(), id: from.id, number, at: at.0, forgets };
        let note = (EventType::Taken, Bytes::from(taken.encode_to_vec()));
        cx.core.counters.mail_taken += 1;
        self.record_noted(cx, note, command, done, tx, Some(Effect::Took { letter }));
    }

    /// A message has been taken, durably: its sender hears of it.
    pub(super) fn say_took(&self, cx: &mut Cx<'_>, letter: Letter) {
        let message = MailMessage::Took { by: self.id, number: letter.number };
        cx.core.send(letter.node, Peer::Mail { entity: letter.from, message });
    }
}

impl Host {
    /// A message of another entity, or the answer to one.
    pub(crate) fn on_mail(&mut self, rooms: &mut Rooms<'_>, entity: EntityId, message: MailMessage) {
        match message {
            MailMessage::Order(order) => self.on_order(rooms, entity, *order),
            MailMessage::Ordered { request, end } => self.on_order_end(rooms.core, entity, request, end),
            MailMessage::Took { by, number } => {
                self.tell(rooms, entity, |e, cx| e.on_took(cx, by, number));
            }
            MailMessage::Owes(owes) => {
                if rooms.core.settings.rules.cannot_take(entity).is_some() {
                    return rooms.core.note_nonsense();
                }
                let roams = entity.kind == rooms.core.settings.rules.player_kind();
                if !roams && rooms.core.home_of(entity) == Some(rooms.core.me()) {
                    self.need_at_home(rooms, entity);
                }
                // Otherwise it is somewhere else by now: its sender asks again.
                self.tell(rooms, entity, |e, cx| e.receive(cx, *owes));
            }
        }
    }

    /// Loads an entity that lives here and has something to do.
    pub(crate) fn wake(&mut self, rooms: &mut Rooms<'_>, id: EntityId) {
        if !self.holds(id) {
            self.need_at_home(rooms, id);
        }
    }
}
