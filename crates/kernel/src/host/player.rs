//! The engine's part of a player: its recorded answers, its session's tokens, and its place in the world.
//!
//! Answers, token digests and the last place are durable: they are rebuilt from the causes of events and kept in
//! snapshots. Connection, refusals and moves are not. A plain value: what happens to it is in `session` and `walk`.

use std::collections::VecDeque;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, NodeId, Point, Time};
use gundo_wire::journal::{Answer, Cause, EventType, Place, Session, SnapshotParts};
use gundo_wire::{DecodeError, Kept, fingerprint};
use sha2::{Digest, Sha256};

use super::queue::Work;
use crate::game::Refusal;
use crate::peer::{Key, Line};

/// Answers kept in durable state: as many as a session may have unanswered commands.
const ANSWERS_MAX: usize = 32;

/// The engine's part of a player.
#[derive(Default)]
pub(super) struct Player {
    /// The answers to the commands with the highest numbers, ascending.
    answers: VecDeque<Kept<Answer>>,
    /// Refusals given since the load, so that a repeat gets the same answer.
    pub(super) refusals: VecDeque<(u64, u64, Refusal)>,
    pub(super) session: Kept<Session>,
    place: Option<Kept<Place>>,
    /// Highest seq decided.
    pub(super) last_seq: u64,
    pub(super) line: Option<Line>,
    /// Whether it stands in the world for others to see.
    pub(super) present: bool,
    /// Without a connection: when it leaves the world.
    pub(super) leave_at: Option<Time>,
    pub(super) placed_at: Time,
    /// Distance it may still go at once, mm; grows with time.
    pub(super) credit_mm: u64,
    pub(super) moved_at: Time,
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
        if let Some((_, print, refusal)) = self.refusals.iter().find(|(s, ..)| *s == seq) {
            let same = *print == fingerprint;
            return if same { Known::Answer(Err(refusal.clone())) } else { not_the_same() };
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
        self.leave_at = if before.is_some() { None } else { self.leave_at.or(Some(leaves_at)) };
    }

    pub(super) fn remember_refusal(&mut self, seq: u64, payload: &[u8], refusal: &Refusal, window: usize) {
        if self.refusals.len() >= window {
            self.refusals.pop_front();
        }
        self.refusals.push_back((seq, fingerprint(payload), refusal.clone()));
    }

    /// These pieces of work are done again: forgets their refusals, which no client has received.
    pub(super) fn forget_refusals<'a>(&mut self, work: impl Iterator<Item = &'a Work>) {
        for item in work {
            if let Work::Command(c) = item {
                self.refusals.retain(|(seq, ..)| *seq != c.seq);
            }
        }
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        let digest = Sha256::digest(key.secret());
        let same = |known: &[u8]| !known.is_empty() && known == digest.as_slice();
        let session = &self.session.known;
        same(&session.token) || same(&session.token_before) || session.tokens_given.iter().any(|t| same(t))
    }

    /// The session after a resume with `key`, and the token its client gets.
    ///
    /// The token is derived from the key and a salt of the session, so the same key gets the same token until that is used:
    /// hellos arrive late, out of order and from several devices, and nobody knows which welcome has arrived.
    pub(super) fn session_after(&self, key: &Key, salt: [u8; 16]) -> (Kept<Session>, [u8; 16]) {
        let before = Bytes::copy_from_slice(&Sha256::digest(key.secret()));
        let session = &self.session.known;
        let again = before == session.token_before;
        let kept = again && !session.salt.is_empty();
        let salt = if kept { session.salt.clone() } else { Bytes::copy_from_slice(&salt) };
        let derived = Sha256::new().chain_update(&salt).chain_update(key.secret()).finalize();
        let token = *derived.first_chunk().expect("a digest has 32 bytes");
        let digest = Bytes::copy_from_slice(&Sha256::digest(token));
        let mut given = if again { session.tokens_given.clone() } else { Vec::new() };
        if again && digest != session.token {
            given.push(session.token.clone());
        }
        given.drain(..given.len().saturating_sub(TOKENS_GIVEN_MAX));
        assert!(given.len() <= TOKENS_GIVEN_MAX, "the number of valid tokens is bounded");
        let session = Session {
            session: 1,
            token: digest,
            token_before: before,
            adoption: session.adoption + 1,
            tokens_given: given,
            salt,
        };
        (self.session.with(session), token)
    }
}

/// How many tokens for the same key stay valid besides ours: versions that draw tokens at random gave them out.
const TOKENS_GIVEN_MAX: usize = 3;

fn body_of(place: &Place) -> Body {
    Body {
        island: place.island as u16,
        at: Point::new(place.x, place.y),
        heading: (place.heading & 127) as u8,
        speed: 0,
    }
}
