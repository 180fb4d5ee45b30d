//! One client's session at this edge, and what it is doing.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | greeting | locating | it has said hello; the edge asks where its player is |
//! | locating | opening | the edge asks the player's real to adopt the session for this connection |
//! | opening | locating | the node that was asked was lost, or does not own the player |
//! | greeting, locating, opening | greeting | it was refused, and may say hello again |
//! | greeting, locating, opening | playing | the real has adopted it, and the edge welcomes the client |
//! | playing, moving | moving | its player is, or may be, on another node now; the edge asks that one to resume |
//! | moving | playing | the session goes on |

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, NodeId, Origin, Point, Term, Time};

use crate::peer::{Key, LATE_MS_MAX, Placed};

/// A pause between two messages of a client that counts as a silence of its line, ms.
const SILENCE_MS: u64 = 300;

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No Hello yet, or it was refused.
    Greeting,
    /// The edge asks its player's home.
    Locating,
    /// The edge asks its player's real.
    Opening,
    /// The client plays.
    Playing,
    /// The client plays, and the edge locates its player's node. The client notices nothing but a pause.
    Moving,
}

#[cfg(feature = "planted")]
impl Phase {
    /// Its name in the table of coverage.
    fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Locating => "locating",
            Self::Opening => "opening",
            Self::Playing => "playing",
            Self::Moving => "moving",
        }
    }
}

pub(super) struct Session {
    phase: Phase,
    pub(super) player: EntityId,
    pub(super) holder: NodeId,
    pub(super) term: Term,
    /// The key from its Hello.
    pub(super) key: Key,
    pub(super) name: String,
    /// When it began to wait.
    pub(super) since: Time,
    /// Unanswered commands: the edge resends them when the player's node is lost.
    pub(super) unanswered: BTreeMap<u64, Unanswered>,
    /// How many times the session had been adopted when this connection adopted it.
    pub(super) adoption: u64,
    /// Where its client wants its body: its newest move, unless the real has corrected that since.
    pub(super) body: Body,
    /// While it moves: where its last owner showed the body, and since when no owner has checked its client's moves.
    pub(super) unchecked: Option<(Option<Body>, Time)>,
    /// Where its player was seen last, as its client has kept it.
    pub(super) place: Option<Placed>,
    /// When its client was heard last, and until when its moves may be late.
    heard: Time,
    late_until: Time,
    /// Corrections that its client has been sent, how many of them it knows of if it says so, and the place of the newest.
    pub(super) corrections: u32,
    pub(super) known: Option<u32>,
    pub(super) told: Point,
    /// Its place in the last message to its player's present node, and the count of the newest move.
    pub(super) said: (Body, u32),
    pub(super) center: Option<ChunkId>,
    /// Its client wants the edge's statistics.
    pub(super) wants_stats: bool,
    /// Entities that its client watches.
    pub(super) watched: BTreeSet<EntityId>,
    /// It has a place at this edge.
    pub(super) is_seated: bool,
    /// Where its client comes from.
    pub(super) from: Option<Origin>,
    /// Its hello is that of a new player with an invitation.
    pub(super) is_invited: bool,
    /// Its hello was counted as that of a new player.
    pub(super) is_counted: bool,
}

/// A command that waits for its answer.
pub(super) struct Unanswered {
    pub(super) payload: Bytes,
    /// Nodes that were lost while they had it, counted here or, as the client says, at earlier edges.
    pub(super) losses: u8,
    /// Edges that may have been lost over it.
    pub(super) doubts: Vec<Doubt>,
    /// Its client does not want it done any more: it asks only what became of it.
    pub(super) asks: bool,
    /// The player's node has it.
    pub(super) passed: bool,
}

/// An edge that may have been lost over a command.
pub(super) struct Doubt {
    pub(super) node: NodeId,
    pub(super) life: u64,
    /// Heartbeats since the client named it.
    pub(super) beats: u8,
    pub(super) until: Time,
}

impl Session {
    pub(super) fn new(since: Time) -> Self {
        Self {
            phase: Phase::Greeting,
            player: EntityId::default(),
            holder: NodeId::default(),
            term: Term::default(),
            key: Key::Old([0; 16]),
            name: String::new(),
            since,
            unanswered: BTreeMap::new(),
            adoption: 0,
            body: Body::default(),
            unchecked: None,
            place: None,
            heard: since,
            late_until: Time::default(),
            corrections: 0,
            known: None,
            told: Point::default(),
            said: (Body::default(), 0),
            center: None,
            wants_stats: false,
            watched: BTreeSet::new(),
            is_seated: false,
            from: None,
            is_invited: false,
            is_counted: false,
        }
    }

    pub(super) fn is(&self, phase: Phase) -> bool {
        self.phase == phase
    }

    /// What it is doing, as the table of coverage names it.
    #[cfg(feature = "planted")]
    pub(super) fn doing(&self) -> &'static str {
        self.phase.name()
    }

    /// Whether its client has been welcomed.
    pub(super) fn plays(&self) -> bool {
        matches!(self.phase, Phase::Playing | Phase::Moving)
    }

    /// Whether it waits for its welcome.
    pub(super) fn opens(&self) -> bool {
        matches!(self.phase, Phase::Locating | Phase::Opening)
    }

    /// Whether a node must hear when the client disconnects, because the edge has asked it.
    pub(super) fn has_holder(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Playing | Phase::Moving)
    }

    /// The client has said hello.
    pub(super) fn greet(&mut self, player: EntityId, key: Key, name: String, now: Time) {
        self.step(Phase::Locating, |from| from == Phase::Greeting);
        (self.player, self.key, self.name, self.since) = (player, key, name, now);
    }

    /// Its player's node is located, and the edge asks it.
    pub(super) fn open(&mut self) {
        self.step(Phase::Opening, |from| matches!(from, Phase::Locating | Phase::Opening));
    }

    /// The node that was asked cannot answer: the edge asks the home again.
    pub(super) fn locate(&mut self) {
        self.step(Phase::Locating, |from| !matches!(from, Phase::Playing | Phase::Moving));
    }

    pub(super) fn refuse(&mut self) {
        self.step(Phase::Greeting, |from| !matches!(from, Phase::Playing | Phase::Moving));
    }

    pub(super) fn welcome(&mut self) {
        self.step(Phase::Playing, |from| !matches!(from, Phase::Playing | Phase::Moving));
    }

    /// Its player is, or may be, on another node now. `seen`: where its last owner showed the body; `since`: since when no owner
    /// has checked its client's moves.
    pub(super) fn begin_move(&mut self, seen: Option<Body>, since: Time) {
        self.step(Phase::Moving, |from| matches!(from, Phase::Playing | Phase::Moving));
        self.unchecked.get_or_insert((seen, since));
    }

    pub(super) fn end_move(&mut self) {
        self.step(Phase::Playing, |from| from == Phase::Moving);
        self.unchecked = None;
    }

    /// Its client says something.
    pub(super) fn on_heard(&mut self, now: Time) {
        let silent_ms = now.since(std::mem::replace(&mut self.heard, now)) / 1_000;
        if silent_ms >= SILENCE_MS {
            self.late_until = self.late_until.max(now.plus_ms(silent_ms.min(LATE_MS_MAX)));
        }
    }

    /// For how long moves may be late, ms: told to the player's node once, with the first move after a silence.
    pub(super) fn take_late_ms(&mut self, now: Time) -> u64 {
        std::mem::take(&mut self.late_until).since(now) / 1_000
    }

    /// Whether its client hears of this place already, and does not know it yet.
    pub(super) fn is_told(&self, at: Point) -> bool {
        self.known.is_some_and(|known| known < self.corrections) && self.told == at
    }

    fn step(&mut self, to: Phase, may: impl Fn(Phase) -> bool) {
        assert!(may(self.phase), "a session cannot go from {:?} to {to:?}", self.phase);
        self.phase = to;
    }

    /// The player's node has lost all of its commands.
    pub(super) fn take_back_commands(&mut self) {
        self.unanswered.values_mut().for_each(|command| command.passed = false);
    }
}
