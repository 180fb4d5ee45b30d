//! The engine's part of a player: its recorded answers, its session's tokens, and its place in the world.
//!
//! Answers, token digests and the last place are durable: they are rebuilt from the causes of events and kept in
//! snapshots. Connection, refusals, answers to what only shows, and moves are not. A plain value: what happens to it is in `session`
//! and `walk`.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, NodeId, Point, Time, WorldTime};
use gundo_wire::journal::{Answer, Cause, EventType, Place, Session, SnapshotParts};
use gundo_wire::{DecodeError, Kept, fingerprint};
use sha2::{Digest, Sha256};

use super::queue::Work;
use crate::game::{Paces, Refusal};
use crate::peer::{Key, Line, Unrecorded};

/// Answers kept in durable state: as many as a session may have unanswered commands.
const ANSWERS_MAX: usize = 32;

/// The engine's part of a player.
#[derive(Default)]
pub(super) struct Player {
    /// The answers to the commands with the highest numbers, ascending.
    answers: VecDeque<Kept<Answer>>,
    /// Answers given since the load that the journal does not have, so that a repeat gets the same one: refusals, and what only
    /// shows.
    pub(super) unrecorded: VecDeque<Unrecorded>,
    /// What it has used up of its paces.
    pub(super) paces: Paces,
    pub(super) session: Kept<Session>,
    place: Option<Kept<Place>>,
    /// Highest seq decided.
    pub(super) last_seq: u64,
    pub(super) line: Option<Line>,
    /// The newest adoption, if it was made here and has not failed, and the connection that it was for.
    pub(super) adopter: Option<(u64, Line)>,
    /// The connection whose edge has resumed it here.
    pub(super) heard: Option<Line>,
    /// Whether it stands in the world for others to see.
    pub(super) present: bool,
    /// Without a connection: when it leaves the world.
    pub(super) leave_at: Option<Time>,
    pub(super) placed_at: Time,
    /// Its body here is of before another node had it: where that one showed it last is newer.
    pub(super) outdated: bool,
    /// Distance it may still go at once, mm; grows with time.
    pub(super) credit_mm: u64,
    pub(super) moved_at: Time,
    /// Its line was silent: until then, moves that were made meanwhile may arrive.
    pub(super) late_until: Time,
    /// A new connection has the session: since when no move has arrived.
    pub(super) quiet_since: Option<WorldTime>,
    /// The place that its client has sealed.
    pub(super) sealed: Option<Point>,
    /// When its session last went on here, and its client's way since then was judged as one step.
    pub(super) resumed_at: Time,
    /// The chunk its sight is centred on.
    pub(super) center: Option<ChunkId>,
    /// The home of its surroundings, if that is another node, and since when.
    pub(super) away: Option<(NodeId, Time)>,
    /// It is not handed to another node before then.
    pub(super) stays_until: Time,
}

/// The record of a command.
pub(super) enum Known {
    /// It has been answered, or must be refused.
    Answer(Result<Bytes, Refusal>),
    /// It is to be decided.
    New,
}

impl Player {
    pub(super) fn forget_records(&mut self) {
        self.answers.clear();
        self.session = Kept::default();
        self.place = None;
    }

    pub(super) fn restore(&mut self, snapshot: SnapshotParts) -> Result<(), DecodeError> {
        self.answers = snapshot.answers.into_iter().map(Kept::decode).collect::<Result<_, _>>()?;
        self.answers.make_contiguous().sort_by_key(|a| a.known.seq);
        self.session = Kept::decode(snapshot.session.unwrap_or_default())?;
        self.place = snapshot.place.map(Kept::decode).transpose()?;
        self.last_seq = self.answers.back().map_or(0, |a| a.known.seq).max(self.last_seq);
        Ok(())
    }

    pub(super) fn add_later_fields(&mut self, tag: u32, value: u64) {
        self.session.add_unknown(tag, value);
        self.answers.iter_mut().for_each(|a| a.add_unknown(tag, value));
    }

    pub(super) fn snapshot_into(&self, snapshot: &mut SnapshotParts) {
        snapshot.answers = self.answers.iter().map(Kept::encode).collect();
        snapshot.session = Some(self.session.encode());
        snapshot.place = self.place.as_ref().map(Kept::encode);
    }

    pub(super) fn apply(
        &mut self,
        event_type: EventType,
        payload: &[u8],
        cause: &Cause,
    ) -> Result<(), DecodeError> {
        if event_type == EventType::Session {
            self.session = Kept::decode(payload.to_vec())?;
        }
        if cause.seq > 0 {
            // Ordered by number and not by time of effect: a refused command may be sent again and take effect after later ones.
            // So a number above the lowest one kept that is missing here never had an effect.
            let (seq, fingerprint, reply) = (cause.seq, cause.fingerprint, cause.reply.clone());
            let at = self.answers.partition_point(|a| a.known.seq < seq);
            self.answers.insert(at, Answer { seq, fingerprint, reply }.into());
            if self.answers.len() > ANSWERS_MAX {
                self.answers.pop_front();
            }
            assert!(self.answers.len() <= ANSWERS_MAX, "the answers kept are bounded");
            self.last_seq = self.last_seq.max(seq);
        }
        // A place is replaced as a whole: the new one takes nothing from the old one.
        if let Some(place) = cause.place {
            self.place = Some(place.into());
        }
        Ok(())
    }

    /// The record of the command `seq` with this fingerprint. `window`: how many answers a client may rely on.
    pub(super) fn known(&self, seq: u64, fingerprint: u64, window: usize) -> Known {
        let not_the_same = || {
            let text = "This number was used for another command already.";
            Known::Answer(Err(Refusal::new("not_the_same", text)))
        };
        if let Some(answer) = self.answers.iter().map(|a| &a.known).find(|a| a.seq == seq) {
            let same = answer.fingerprint == fingerprint;
            return if same { Known::Answer(Ok(answer.reply.clone())) } else { not_the_same() };
        }
        if let Some((_, print, result)) = self.unrecorded.iter().find(|(s, ..)| *s == seq) {
            let same = *print == fingerprint;
            return if same { Known::Answer(result.clone()) } else { not_the_same() };
        }
        // A command that is not in a full window may be older than the window and may have had its effect long ago.
        let full = self.answers.len() >= window.min(ANSWERS_MAX);
        let oldest = self.answers.front().map_or(0, |a| a.known.seq);
        if seq == 0 || (full && seq < oldest) {
            return Known::Answer(Err(Refusal::new("too_old", "This command was answered long ago.")));
        }
        Known::New
    }

    /// The chunk at the centre of its surroundings.
    pub(super) fn stands_around(&self) -> Option<ChunkId> {
        self.center.filter(|_| self.present)
    }

    /// The last durable place.
    pub(super) fn placed(&self) -> Option<Body> {
        self.place.as_ref().map(|place| body_of(&place.known))
    }

    /// Its connection has closed, and it does not wait for another.
    pub(super) fn leave_now(&mut self, now: Time) {
        self.leave_at = Some(now);
    }

    /// Whether its grace time is over.
    pub(super) fn is_due_to_leave(&self, now: Time) -> bool {
        self.line.is_none() && self.present && self.leave_at.is_some_and(|at| at <= now)
    }

    /// An adoption failed: the connection before it has the session again, unless that has closed meanwhile.
    pub(super) fn give_line_back(&mut self, before: Option<Line>, leaves_at: Time) {
        self.line = before;
        self.adopter = None;
        self.leave_at = if before.is_some() { None } else { self.leave_at.or(Some(leaves_at)) };
    }

    /// Remembers an answer that the journal does not get. A client has no more unanswered commands than are remembered.
    pub(super) fn remember(
        &mut self,
        seq: u64,
        payload: &[u8],
        result: Result<Bytes, Refusal>,
        window: usize,
    ) {
        if self.unrecorded.len() >= window {
            self.unrecorded.pop_front();
        }
        self.unrecorded.push_back((seq, fingerprint(payload), result));
    }

    /// These pieces of work are done again: forgets their answers, which no client has received.
    pub(super) fn forget_answers<'a>(&mut self, work: impl Iterator<Item = &'a Work>) {
        for item in work {
            if let Work::Command(c) = item
                && c.origin.is_none()
            {
                self.unrecorded.retain(|(seq, ..)| *seq != c.seq);
            }
        }
    }

    /// Whether the key is good. Its edge has checked that a token was made by this world.
    pub(super) fn knows(&self, key: &Key) -> bool {
        let session = &self.session.known;
        let secret = match key {
            // The newest, and the one it was given for, because nobody knows which welcome has arrived. One with a higher number
            // was given after the backup that this world was restored from.
            Key::Token(token) => return token.number.saturating_add(1) >= session.newest,
            // Until the token that it gave is used, because nobody knows whether that has arrived.
            Key::Code(number) => {
                let again = u32::from(*number) == session.code_used && session.newest == session.code_gave;
                return u32::from(*number) > session.code_used || again;
            }
            Key::Nonce(secret) | Key::Old(secret) => secret,
        };
        let digest = Sha256::digest(secret);
        let same = |known: &[u8]| !known.is_empty() && known == digest.as_slice();
        same(&session.token) || same(&session.token_before) || session.tokens_given.iter().any(|t| same(t))
    }

    /// The number of its next recovery code; 0: it has used up all.
    pub(super) fn next_code(session: &Session) -> u16 {
        u16::try_from(session.code_used.saturating_add(1)).unwrap_or(0)
    }

    /// The session after a resume with `key`. Its client gets the token with the number `newest`.
    ///
    /// The same key gets the same token until that is used: hellos arrive late, out of order and from several devices, and nobody
    /// knows which welcome has arrived.
    pub(super) fn session_after(&self, key: &Key) -> Kept<Session> {
        let before = &self.session.known;
        let mut session = Session { session: 1, adoption: before.adoption + 1, ..before.clone() };
        match key {
            Key::Token(token) if token.number >= before.newest => {
                let newest = token.number.saturating_add(1);
                session = Session { newest, ..after(&session) };
            }
            Key::Code(number) if u32::from(*number) > before.code_used => {
                // Two further: no token from before is good any more.
                let newest = before.newest.saturating_add(2);
                session =
                    Session { newest, code_used: (*number).into(), code_gave: newest, ..after(&session) };
            }
            Key::Token(_) | Key::Code(_) => {}
            Key::Nonce(secret) | Key::Old(secret) => {
                let digest = Bytes::copy_from_slice(&Sha256::digest(secret));
                let again = digest == before.token_before;
                if !again || before.newest == 0 {
                    // An earlier version gave another token for the same key, and the client may hold that one.
                    let given = std::mem::take(&mut session.token);
                    session.tokens_given.push(given);
                    session.tokens_given.retain(|digest| again && !digest.is_empty());
                    let over = session.tokens_given.len().saturating_sub(TOKENS_GIVEN_MAX);
                    session.tokens_given.drain(..over);
                    (session.token_before, session.salt) = (digest, Bytes::new());
                    session.newest = before.newest.saturating_add(1);
                }
            }
        }
        assert!(session.tokens_given.len() <= TOKENS_GIVEN_MAX, "the number of valid tokens is bounded");
        self.session.with(session)
    }
}

/// The session with what stays when an earlier key is void.
fn after(session: &Session) -> Session {
    let Session { adoption, code_used, code_gave, .. } = *session;
    Session { session: 1, adoption, code_used, code_gave, ..Session::default() }
}

/// How many tokens of earlier versions stay valid besides the one that was used.
const TOKENS_GIVEN_MAX: usize = 3;

fn body_of(place: &Place) -> Body {
    Body {
        island: place.island as u16,
        at: Point::new(place.x, place.y),
        heading: (place.heading & 127) as u8,
        speed: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Token;

    const NONCE: Key = Key::Nonce([9; 16]);

    fn token(number: u64) -> Key {
        Key::Token(Token { number, mac: [0; 16] })
    }

    fn digest(secret: [u8; 16]) -> Bytes {
        Bytes::copy_from_slice(&Sha256::digest(secret))
    }

    /// A player with this session.
    fn with(session: Session) -> Player {
        Player { session: session.into(), ..Player::default() }
    }

    /// Uses a good key; returns the number of the token that its client gets.
    fn uses(player: &mut Player, key: Key) -> u64 {
        assert!(player.knows(&key), "{key:?}");
        player.session = player.session_after(&key);
        player.session.known.newest
    }

    #[test]
    fn one_key_has_one_next_token_until_that_is_used() {
        let mut player = Player::default();
        player.session = player.session_after(&NONCE);
        assert_eq!((uses(&mut player, NONCE), uses(&mut player, NONCE)), (1, 1), "its welcome was lost");
        assert_eq!((uses(&mut player, token(1)), uses(&mut player, token(1))), (2, 2));
        assert!(!player.knows(&NONCE));
        assert_eq!((uses(&mut player, token(2)), uses(&mut player, token(2))), (3, 3));
        assert!(!player.knows(&token(1)));
        assert_eq!(player.session.known.adoption, 7);
    }

    #[test]
    fn a_code_is_good_once_and_makes_earlier_tokens_void() {
        let mut player = with(Session { adoption: 4, newest: 9, ..Session::default() });
        let code = Key::Code(Player::next_code(&player.session.known));
        assert_eq!((uses(&mut player, code), uses(&mut player, code)), (11, 11), "its welcome was lost");
        assert!([8, 9].iter().all(|before| !player.knows(&token(*before))), "who has it may not play on");
        assert_eq!(Player::next_code(&player.session.known), 2);
        assert_eq!(uses(&mut player, token(11)), 12);
        assert!(!player.knows(&code), "it was used");
        // One that was given after the backup that this world was restored from, and then no earlier one.
        assert_eq!(uses(&mut player, Key::Code(7)), 14);
        assert!(!player.knows(&Key::Code(2)) && !player.knows(&token(12)));
        assert_eq!(uses(&mut player, token(14)), 15);
        assert_eq!(
            (uses(&mut player, Key::Code(u16::MAX)), Player::next_code(&player.session.known)),
            (17, 0)
        );
    }

    #[test]
    fn a_token_that_is_newer_than_the_backup_is_good() {
        let mut player = with(Session { adoption: 4, newest: 4, ..Session::default() });
        assert_eq!((uses(&mut player, token(90)), uses(&mut player, token(90))), (91, 91));
        assert!(!player.knows(&token(4)) && !player.knows(&token(89)));
        assert_eq!(uses(&mut player, token(u64::MAX)), u64::MAX, "the last number has no successor");
    }

    #[test]
    fn tokens_of_earlier_versions_are_good_until_one_of_ours_is_used() {
        let [before, given, newest] = [[1; 16], [2; 16], [3; 16]];
        let session = Session {
            adoption: 5,
            token: digest(newest),
            token_before: digest(before),
            tokens_given: vec![digest(given)],
            salt: Bytes::from_static(&[4; 16]),
            ..Session::default()
        };
        // The newest: as usual.
        let mut player = with(session.clone());
        assert_eq!((uses(&mut player, Key::Old(newest)), uses(&mut player, Key::Old(newest))), (1, 1));
        assert!([before, given].iter().all(|old| !player.knows(&Key::Old(*old))));
        assert_eq!(uses(&mut player, token(1)), 2);
        assert!(!player.knows(&Key::Old(newest)));
        // The one before it, whose client may also hold one of those that it was given for it.
        let mut player = with(session);
        assert_eq!(uses(&mut player, Key::Old(before)), 1);
        assert!([before, given, newest].iter().all(|old| player.knows(&Key::Old(*old))));
        assert_eq!(uses(&mut player, Key::Old(newest)), 2);
        assert!(player.knows(&token(1)), "another device may have it");
        assert!(!player.knows(&Key::Old([5; 16])));
    }
}
