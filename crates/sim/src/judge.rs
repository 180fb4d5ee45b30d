//! The checkers: one per guarantee, named after it. They watch what lands in the journal and what leaves the nodes, and keep
//! books of their own beside the system: a replica of every entity, fed with nothing but landed events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use gundo_journal::Store;
use gundo_kernel::game::{AnyEntity, Rules};
use gundo_types::{ConnId, EntityId, Kind, WorldTime};
use gundo_wire::client::{Reply, ServerMessage};
use gundo_wire::fingerprint;
use gundo_wire::journal::{
    Answer, Batch, Cause, EventRecord, EventType, Loaded, Session, Snapshot, SnapshotParts,
};
use gundo_wire::{DecodeError, Kept, Message};

use crate::game::{Facts, Flows, Game, Holdings};

/// The guarantee a failure breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Durable: what was answered with success is in the journal.
    G1,
    /// Single writer: streams are gap-free, and nobody writes who has left.
    G2,
    /// Replay gives the live state.
    G3,
    /// Goods are conserved.
    G4,
    /// A command takes effect at most once, and its answer stays the same.
    G5,
    /// A transaction takes effect in all or in none.
    G6,
    /// Durable before visible.
    G7,
    /// Pictures converge.
    G8,
    /// No shared fate: nothing a client or a peer sends takes a node down.
    G9,
    /// Progress once the faults have healed.
    G10,
    /// One live session per player.
    G11,
    /// Queues, tables, frames and waits are bounded, and empty when nobody needs them.
    G12,
    /// What the game itself demands.
    Game,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::G1 => "G1 durable",
            Self::G2 => "G2 single writer",
            Self::G3 => "G3 replay = live",
            Self::G4 => "G4 conserved",
            Self::G5 => "G5 once",
            Self::G6 => "G6 atomic",
            Self::G7 => "G7 durable before visible",
            Self::G8 => "G8 pictures converge",
            Self::G9 => "G9 no shared fate",
            Self::G10 => "G10 progress",
            Self::G11 => "G11 one session",
            Self::G12 => "G12 bounded",
            Self::Game => "the game's own",
        };
        f.write_str(text)
    }
}

/// A guarantee that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub guarantee: Guarantee,
    /// What was seen, for people.
    pub text: String,
}

pub(crate) type Verdict = Result<(), Violation>;

/// Answers a player's durable state keeps (architecture, section 7).
const ANSWERS: usize = 32;

pub(crate) fn violated<T>(guarantee: Guarantee, text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { guarantee, text: text.into() })
}

/// A command that has taken effect.
struct Effect {
    fingerprint: u64,
    reply: Bytes,
}

/// An entity as the landed events make it.
struct Replica {
    state: Box<dyn AnyEntity>,
    seq: u64,
    at: WorldTime,
    session: Session,
    effects: BTreeMap<u64, Effect>,
    holdings: Holdings,
    snapshot: Bytes,
    /// Fingerprints of what others, and the own player, may have been shown.
    publics: HashSet<u64>,
    privates: HashSet<u64>,
    /// Fields of a later version that were once written: in the session, in the snapshot, and in the answers to which commands.
    later: (bool, bool, BTreeSet<u64>),
    /// Its public part changes by time alone: what may be shown is not in the books.
    changes_by_time: bool,
}

impl Replica {
    fn new(state: Box<dyn AnyEntity>) -> Self {
        let mut replica = Self {
            snapshot: state.snapshot(),
            state,
            seq: 0,
            at: WorldTime(0),
            session: Session::default(),
            effects: BTreeMap::new(),
            holdings: Holdings::default(),
            publics: HashSet::new(),
            privates: HashSet::new(),
            later: Default::default(),
            changes_by_time: false,
        };
        replica.note(WorldTime(0));
        replica
    }

    fn note(&mut self, at: WorldTime) {
        self.changes_by_time |= self.state.next_change(at).is_some();
        if let Some(public) = self.state.public(at) {
            self.publics.insert(fingerprint(&public));
        }
        self.privates.insert(fingerprint(&self.state.private()));
    }
}

/// Where a snapshot has fields that this version does not know: its session, itself, its answers.
fn later_fields(bytes: &Bytes) -> Result<(bool, bool, BTreeSet<u64>), DecodeError> {
    let snapshot = Kept::<SnapshotParts>::decode(bytes.clone())?;
    let itself = !snapshot.unknown().is_empty();
    let session = Kept::<Session>::decode(snapshot.known.session.unwrap_or_default())?;
    let mut answers = BTreeSet::new();
    for answer in snapshot.known.answers {
        let answer = Kept::<Answer>::decode(answer)?;
        if !answer.unknown().is_empty() {
            answers.insert(answer.known.seq);
        }
    }
    Ok((!session.unknown().is_empty(), itself, answers))
}

/// What is known of a connection.
#[derive(Default)]
struct Line {
    player: Option<EntityId>,
    adoption: u64,
    /// Commands that were said by it: fingerprints by seq.
    said: BTreeMap<u64, u64>,
    /// The same things were said out of order, or again.
    disordered: bool,
    /// The highest command that was refused by the player itself.
    refused_max: u64,
    /// First answers.
    heard: BTreeMap<u64, Result<u64, String>>,
}

/// Every checker's books.
pub(crate) struct Judge {
    seed: u64,
    rules: Arc<Rules>,
    game: Arc<dyn Game>,
    replicas: BTreeMap<EntityId, Replica>,
    members: BTreeSet<u64>,
    made: Holdings,
    lines: HashMap<ConnId, Line>,
    /// The line by which each player came in last.
    by_player: HashMap<EntityId, ConnId>,
    hostile: HashSet<ConnId>,
    thieves: HashSet<ConnId>,
    /// Successes told: by the end, each stands in the journal.
    told: BTreeMap<(EntityId, u64), u64>,
    /// Effects checked, answers checked, frames' entries checked.
    pub(crate) effects: u64,
    pub(crate) answers: u64,
    pub(crate) shown: u64,
}

impl Judge {
    pub(crate) fn new(seed: u64, game: Arc<dyn Game>, rules: Arc<Rules>) -> Self {
        Self {
            seed,
            rules,
            game,
            replicas: BTreeMap::new(),
            members: BTreeSet::new(),
            made: Holdings::default(),
            lines: HashMap::new(),
            by_player: HashMap::new(),
            hostile: HashSet::new(),
            thieves: HashSet::new(),
            told: BTreeMap::new(),
            effects: 0,
            answers: 0,
            shown: 0,
        }
    }

    pub(crate) fn join(&mut self, incarnation: u64) {
        self.members.insert(incarnation);
    }

    pub(crate) fn leave(&mut self, incarnation: u64) {
        self.members.remove(&incarnation);
    }

    // ---- what lands ------------------------------------------------------------------------------------

    /// A batch has landed in the journal.
    pub(crate) fn landed(&mut self, batch: &Batch) -> Verdict {
        for incarnation in std::iter::once(&batch.incarnation).chain(&batch.prepared_by) {
            if !self.members.contains(incarnation) {
                let text = format!("an append of incarnation {incarnation}, which has left, has landed");
                return violated(Guarantee::G2, text);
            }
        }
        let mut moved = Holdings::default();
        for append in &batch.streams {
            let (id, mut seq) = (append.entity, append.after);
            let known = self.replicas.get(&id).map_or(0, |r| r.seq);
            if seq != known {
                let text = format!("{}: an append after {seq} has landed on {known}", self.name(id));
                return violated(Guarantee::G2, text);
            }
            for event in &append.events {
                seq += 1;
                self.take(id, seq, event, &mut moved)?;
            }
            if let Some(snapshot) = &append.snapshot {
                self.compare_snapshot(id, seq, snapshot)?;
            }
        }
        if moved != Holdings::default() {
            let ids: Vec<_> = batch.streams.iter().map(|s| self.name(s.entity)).collect();
            let text = format!("one append over {} gives and takes {:?} too much", ids.join(", "), moved.0);
            return violated(Guarantee::G6, text);
        }
        Ok(())
    }

    fn take(&mut self, id: EntityId, seq: u64, event: &EventRecord, moved: &mut Holdings) -> Verdict {
        let name = self.name(id);
        let Some(kind) = self.rules.kind_of(id.kind) else {
            return violated(Guarantee::G3, format!("{name} is of a kind the game does not have"));
        };
        if !self.replicas.contains_key(&id) {
            let mut replica = Replica::new(kind.create(id.id));
            // What an entity begins with came into the world with it.
            self.game.holdings(id, &replica.snapshot, &mut replica.holdings);
            self.made.add_all(&replica.holdings, 1);
            self.replicas.insert(id, replica);
        }
        let replica = self.replicas.get_mut(&id).expect("it is there by now");
        replica.seq = seq;
        if event.at < replica.at {
            let text =
                format!("{name}: event {seq} is of {}, the one before of {}", event.at.0, replica.at.0);
            return violated(Guarantee::G2, text);
        }
        replica.at = event.at;
        let Ok(cause) = Cause::decode(event.cause.as_ref()) else {
            return violated(Guarantee::G3, format!("{name}: the cause of event {seq} does not decode"));
        };
        if event.event_type == EventType::Session {
            let Ok(session) = Kept::<Session>::decode(event.payload.clone()) else {
                return violated(
                    Guarantee::G3,
                    format!("{name}: the session in event {seq} does not decode"),
                );
            };
            if std::mem::replace(&mut replica.later.0, !session.unknown().is_empty()) && !replica.later.0 {
                let text = format!("{name}: the session in event {seq} has lost what a newer version wrote");
                return violated(Guarantee::G1, text);
            }
            let session = session.known;
            if session.adoption <= replica.session.adoption {
                let text =
                    format!("{name}: adoption {} follows {}", session.adoption, replica.session.adoption);
                return violated(Guarantee::G11, text);
            }
            replica.session = session;
        }
        if cause.seq > 0 {
            if let Some(line) = self.by_player.get(&id).and_then(|conn| self.lines.get(conn))
                && !line.disordered
                && line.refused_max > cause.seq
                && line.said.get(&cause.seq) == Some(&cause.fingerprint)
                && !line.heard.contains_key(&cause.seq)
            {
                let text = format!(
                    "{name}: command {} was refused before what was decided before it, command {}, was durable",
                    line.refused_max, cause.seq
                );
                return violated(Guarantee::G7, text);
            }
            if let Some(line) = self.by_player.get(&id).and_then(|conn| self.lines.get(conn))
                && !line.disordered
                && line.said.get(&cause.seq) == Some(&cause.fingerprint)
                && let Some(Err(code)) = line.heard.get(&cause.seq)
            {
                let text = format!("{name}: command {} was refused ({code}), and takes effect", cause.seq);
                return violated(Guarantee::G5, text);
            }
            self.effects += 1;
            let effect = Effect { fingerprint: cause.fingerprint, reply: cause.reply.clone() };
            if replica.effects.insert(cause.seq, effect).is_some() {
                let text = format!("{name}: command {} took effect twice, again in event {seq}", cause.seq);
                return violated(Guarantee::G5, text);
            }
        }
        if event.event_type == EventType::Game {
            let payload = event.payload.as_ref();
            if replica.state.apply(payload).is_err() {
                return violated(Guarantee::G3, format!("{name}: event {seq} does not decode"));
            }
            let mut flows = Flows::default();
            self.game.flows(self.seed, id, &replica.snapshot, payload, &mut flows);
            replica.snapshot = replica.state.snapshot();
            let mut after = Holdings::default();
            self.game.holdings(id, &replica.snapshot, &mut after);
            let mut expected = replica.holdings.clone();
            expected.add_all(&flows.own, 1);
            if after != expected {
                let text = format!(
                    "{name}: event {seq} makes {:?} of {:?}; by its word it should be {:?}",
                    after.0, replica.holdings.0, expected.0
                );
                return violated(Guarantee::G4, text);
            }
            if let Some((goods, amount)) = after.0.iter().find(|(_, amount)| **amount < 0) {
                return violated(Guarantee::G4, format!("{name} has {amount} of {goods:?}"));
            }
            replica.holdings = after;
            moved.add_all(&flows.moved, 1);
            self.made.add_all(&flows.made, 1);
        }
        replica.note(event.at);
        Ok(())
    }

    fn compare_snapshot(&mut self, id: EntityId, seq: u64, bytes: &Bytes) -> Verdict {
        let name = self.name(id);
        let (Ok(snapshot), Ok(later)) = (Snapshot::decode(bytes.as_ref()), later_fields(bytes)) else {
            return violated(Guarantee::G3, format!("{name}: the snapshot at {seq} does not decode"));
        };
        let replica = self.replicas.get_mut(&id).expect("its events have been taken");
        let before = std::mem::replace(&mut replica.later, later);
        let later = &replica.later;
        let kept = |seq: &u64| later.2.contains(seq) || snapshot.answers.iter().all(|a| a.seq != *seq);
        if (before.0 && !later.0) || (before.1 && !later.1) || !before.2.iter().all(kept) {
            let text = format!("{name}: the snapshot at {seq} has lost what a newer version wrote");
            return violated(Guarantee::G1, text);
        }
        if replica.snapshot != snapshot.state {
            return violated(
                Guarantee::G3,
                format!("{name}: the snapshot at {seq} is not what the events make"),
            );
        }
        // The answers a snapshot forgets would be given anew.
        let window = replica.effects.keys().rev().take(ANSWERS);
        let kept: BTreeSet<_> = snapshot.answers.iter().map(|a| a.seq).collect();
        if let Some(missing) = window.into_iter().find(|seq| !kept.contains(seq)) {
            return violated(
                Guarantee::G5,
                format!("{name}: the snapshot at {seq} has forgotten answer {missing}"),
            );
        }
        Ok(())
    }

    // ---- what is said ----------------------------------------------------------------------------------

    /// A client says a command.
    pub(crate) fn said(&mut self, conn: ConnId, seq: u64, payload: &[u8]) {
        self.lines.entry(conn).or_default().said.entry(seq).or_insert(fingerprint(payload));
    }

    /// Over this connection commands are said out of order, or again.
    pub(crate) fn disordered(&mut self, conn: ConnId) {
        self.lines.entry(conn).or_default().disordered = true;
    }

    /// A connection over which things are said that no client would say: what is answered there is its own affair.
    pub(crate) fn hostile(&mut self, conn: ConnId) {
        self.hostile.insert(conn);
    }

    /// A hostile connection by which somebody wants in as a player whose secret it does not know.
    pub(crate) fn thief(&mut self, conn: ConnId) {
        self.thieves.insert(conn);
    }

    /// A node sends something that is not a frame to a client.
    pub(crate) fn sent(&mut self, conn: ConnId, message: &ServerMessage) -> Verdict {
        if let Some(welcome) = &message.welcome {
            if self.thieves.contains(&conn) {
                return violated(Guarantee::G11, format!("a thief is welcome on connection {}", conn.0));
            }
            let player = welcome.player.as_ref().map(|p| EntityId::new(Kind(p.kind as u16), p.id));
            let line = self.lines.entry(conn).or_default();
            (line.player, line.adoption) = (player, welcome.adoption.into());
            if let Some(player) = player {
                self.by_player.insert(player, conn);
                let adoption = self.replicas.get(&player).map_or(0, |r| r.session.adoption);
                if u64::from(welcome.adoption) > adoption {
                    let text = format!(
                        "{} is welcomed by adoption {}, the journal has {adoption}",
                        self.name(player),
                        welcome.adoption
                    );
                    return violated(Guarantee::G7, text);
                }
                self.own_shown(player, &welcome.own)?;
            }
        }
        let line = self.lines.get(&conn);
        let Some((player, line)) = line.and_then(|line| Some((line.player?, line.adoption))) else {
            return Ok(());
        };
        if message.closing.as_ref().is_some_and(|closing| closing.code == "superseded") {
            let newest = self.replicas.get(&player).map_or(0, |r| r.session.adoption);
            if line >= newest {
                let text = format!(
                    "{}: connection {} is told that a newer one has it, and it is the newest (adoption {line})",
                    self.name(player),
                    conn.0
                );
                return violated(Guarantee::G11, text);
            }
        }
        if let Some(own) = &message.own {
            self.own_shown(player, &own.payload)?;
        }
        for reply in &message.replies {
            self.answered(conn, player, reply)?;
        }
        Ok(())
    }

    fn own_shown(&mut self, player: EntityId, own: &Bytes) -> Verdict {
        self.shown += 1;
        let known = self.replicas.get(&player).is_some_and(|r| r.privates.contains(&fingerprint(own)));
        if !known {
            let text =
                format!("{} is shown a private state that no durable event has made", self.name(player));
            return violated(Guarantee::G7, text);
        }
        Ok(())
    }

    fn answered(&mut self, conn: ConnId, player: EntityId, reply: &Reply) -> Verdict {
        self.answers += 1;
        let name = self.name(player);
        if self.hostile.contains(&conn) {
            return Ok(());
        }
        let line = self.lines.get_mut(&conn).expect("a line with a player");
        let Some(said) = line.said.get(&reply.seq).copied() else {
            return violated(
                Guarantee::G5,
                format!("{name}: an answer to {}, which was never said", reply.seq),
            );
        };
        let answer = match &reply.refusal {
            None => Ok(fingerprint(&reply.payload)),
            Some(refusal) => Err(refusal.code.clone()),
        };
        // What is refused before it is looked at rests on nothing.
        let unlooked = |code: &str| {
            matches!(code, "too_many_commands" | "too_large" | "busy" | "storage")
                || code.starts_with("storage_")
        };
        if reply.refusal.as_ref().is_some_and(|r| !unlooked(&r.code)) {
            line.refused_max = line.refused_max.max(reply.seq);
        }
        let first = line.heard.entry(reply.seq).or_insert_with(|| answer.clone());
        if *first != answer && answer.is_ok() && first.is_ok() {
            return violated(
                Guarantee::G5,
                format!("{name}: command {} was answered in two ways", reply.seq),
            );
        }
        let replica = self.replicas.get(&player);
        let outdone = replica.is_some_and(|r| line.adoption < r.session.adoption);
        let effect = replica.and_then(|r| r.effects.get(&reply.seq));
        let effect = effect.filter(|e| e.fingerprint == said);
        match (&reply.refusal, effect) {
            (None, None) => {
                let text = format!("{name}: command {} is answered with success and not durable", reply.seq);
                violated(Guarantee::G7, text)
            }
            (None, Some(effect)) if effect.reply != reply.payload => {
                let text = format!("{name}: command {} is answered otherwise than recorded", reply.seq);
                violated(Guarantee::G5, text)
            }
            (None, Some(_)) => {
                self.told.insert((player, reply.seq), said);
                Ok(())
            }
            // What a newer connection said again is another try, and its answer is the session's.
            (Some(refusal), Some(_)) if refusal.code != "too_old" && !outdone => {
                let text =
                    format!("{name}: command {} is refused ({}), and took effect", reply.seq, refusal.code);
                violated(Guarantee::G5, text)
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// A client sees an entity's public part, anew or changed.
    pub(crate) fn seen(&mut self, id: EntityId, public: &Bytes, at: WorldTime) -> Verdict {
        let Some(replica) = self.replicas.get(&id) else { return Ok(()) };
        self.shown += 1;
        if replica.changes_by_time || replica.publics.contains(&fingerprint(public)) {
            return Ok(());
        }
        if replica.state.public(at).as_ref() == Some(public) {
            return Ok(());
        }
        violated(
            Guarantee::G7,
            format!("{} is seen in a state that no durable event has made", self.name(id)),
        )
    }

    // ---- at rest ---------------------------------------------------------------------------------------

    /// What everybody should see of an entity at world time `at`; `None`: nothing, or it is not in the books.
    pub(crate) fn public(&self, id: EntityId, at: WorldTime) -> Option<Bytes> {
        self.replicas.get(&id)?.state.public(at)
    }

    /// Whether the books have an entity: creatures, and land nobody has touched, are not in them.
    pub(crate) fn knows(&self, id: EntityId) -> bool {
        self.replicas.contains_key(&id)
    }

    pub(crate) fn private(&self, id: EntityId) -> Option<Bytes> {
        Some(self.replicas.get(&id)?.state.private())
    }

    /// A settled real's seq and state are those the journal's events make.
    pub(crate) fn compare_live(&self, id: EntityId, seq: u64, state: &Bytes) -> Verdict {
        let name = self.name(id);
        let (known, expected) = match self.replicas.get(&id) {
            Some(replica) => (replica.seq, replica.snapshot.clone()),
            None => match self.rules.kind_of(id.kind) {
                Some(kind) => (0, kind.create(id.id).snapshot()),
                None => {
                    return violated(Guarantee::G3, format!("{name} is of a kind the game does not have"));
                }
            },
        };
        if seq != known {
            return violated(Guarantee::G3, format!("{name} is at {seq}, the journal at {known}"));
        }
        if *state != expected {
            return violated(
                Guarantee::G3,
                format!("{name}: the live state is not what the journal's events make"),
            );
        }
        Ok(())
    }

    /// Everything that can be checked in the journal alone.
    pub(crate) fn check_journal(&self, store: &Store) -> Verdict {
        let mut streams = BTreeMap::new();
        for stream in store.streams(None, usize::MAX) {
            streams.insert(stream.entity, stream);
        }
        for (id, replica) in &self.replicas {
            let name = self.name(*id);
            let Some(stream) = streams.remove(id) else {
                return violated(Guarantee::G1, format!("{name} is not in the journal"));
            };
            if stream.last != replica.seq {
                let text = format!("{name}: the journal ends at {}, {} has landed", stream.last, replica.seq);
                return violated(Guarantee::G1, text);
            }
            for (expected, (seq, _)) in (stream.first..).zip(store.stream(*id, 0, usize::MAX)) {
                if seq != expected {
                    let text = format!("{name}: event {seq} stands in the journal where {expected} should");
                    return violated(Guarantee::G2, text);
                }
            }
            if stream.first > 1 && stream.snapshot.is_none() {
                return violated(Guarantee::G1, format!("{name}: pruned without a snapshot"));
            }
            self.compare_load(*id, replica, &store.load(*id))?;
        }
        if let Some(id) = streams.keys().next() {
            return violated(Guarantee::G2, format!("{} has events that never landed", self.name(*id)));
        }
        for ((player, seq), said) in &self.told {
            let effect = self.replicas.get(player).and_then(|r| r.effects.get(seq));
            if effect.is_none_or(|e| e.fingerprint != *said) {
                let text = format!("{}: command {seq}, answered with success, is gone", self.name(*player));
                return violated(Guarantee::G1, text);
            }
        }
        let mut held = Holdings::default();
        self.replicas.values().for_each(|r| held.add_all(&r.holdings, 1));
        if held != self.made {
            let text = format!("the world holds {:?}; {:?} was made", held.0, self.made.0);
            return violated(Guarantee::G4, text);
        }
        let states = self.replicas.iter().map(|(id, r)| (*id, r.snapshot.clone())).collect();
        let stream = |id| store.stream(id, 0, usize::MAX);
        self.game.check(&Facts { states, stream: &stream }).or_else(|text| violated(Guarantee::Game, text))
    }

    /// What a load gives is what all events since the beginning make.
    fn compare_load(&self, id: EntityId, replica: &Replica, loaded: &Loaded) -> Verdict {
        let name = self.name(id);
        let kind = self.rules.kind_of(id.kind).expect("it has been applied");
        let mut state = match &loaded.snapshot {
            None => kind.create(id.id),
            Some((seq, bytes)) => {
                let state = Snapshot::decode(bytes.as_ref()).and_then(|s| kind.restore(id.id, &s.state));
                match state {
                    Ok(state) => state,
                    Err(_) => {
                        return violated(
                            Guarantee::G3,
                            format!("{name}: the snapshot at {seq} does not decode"),
                        );
                    }
                }
            }
        };
        for (_, event) in loaded.events.iter().filter(|(_, e)| e.event_type == EventType::Game) {
            if state.apply(event.payload.as_ref()).is_err() {
                return violated(Guarantee::G3, format!("{name}: an event does not decode"));
            }
        }
        if state.snapshot() != replica.snapshot {
            return violated(Guarantee::G3, format!("{name}: a load gives another state than all events do"));
        }
        Ok(())
    }

    /// An entity for people: `player 3f`.
    pub(crate) fn name(&self, id: EntityId) -> String {
        let kind = self.rules.kind_of(id.kind).map_or("entity", |kind| kind.name());
        format!("{kind} {:x}", id.id)
    }
}
