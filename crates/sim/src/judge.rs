//! The checkers: one per guarantee, named after it. They watch everything that lands in the journal and everything that
//! leaves the nodes. They keep their own records beside the system: a replica of every entity, fed only by landed events.
//!
//! `landed` handles landed appends, `letters` what they tell players, this file the messages from and to clients, `rest` the checks when all is quiet.

mod guarantee;
mod landed;
mod letters;
mod lost;
mod mail;
mod orders;
mod replica;
mod rest;
mod timers;

pub use guarantee::{Guarantee, Violation};
pub(crate) use guarantee::{Verdict, violated};

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use gundo_kernel::game::Rules;
use gundo_kernel::{Peer, ToEdge, ToPlayer};
use gundo_types::{ConnId, EntityId, Kind, Point, WorldTime};
use gundo_wire::client::{Reply, ServerMessage};
use gundo_wire::fingerprint;

use self::replica::Replica;
use crate::game::{Game, Holdings};

/// The record of a connection.
#[derive(Default)]
struct Line {
    player: Option<EntityId>,
    adoption: u64,
    /// Commands sent on it: fingerprints by seq.
    said: BTreeMap<u64, u64>,
    /// The same commands were also sent out of order, or again.
    disordered: bool,
    /// The highest command that the player itself refused.
    refused_max: u64,
    /// Commands that were refused unlooked, by a message between nodes, or may have been: if that is lost, they are decided after
    /// all, later than those after them.
    unlooked: BTreeSet<u64>,
    /// Those of them that leave no record.
    shows: BTreeSet<u64>,
    /// First answers.
    heard: BTreeMap<u64, Result<u64, String>>,
}

/// The records of all checkers.
pub(crate) struct Judge {
    seed: u64,
    rules: Arc<Rules>,
    game: Arc<dyn Game>,
    replicas: BTreeMap<EntityId, Replica>,
    /// Those of them that are not players, in order.
    known: Vec<EntityId>,
    members: BTreeSet<u64>,
    made: Holdings,
    lines: HashMap<ConnId, Line>,
    /// The connection by which each player last came in.
    by_player: HashMap<EntityId, ConnId>,
    hostile: HashSet<ConnId>,
    thieves: HashSet<ConnId>,
    /// Successes that clients received: in the end each must be in the journal.
    told: BTreeMap<(EntityId, u64), u64>,
    letters: letters::Letters,
    mail: mail::Mail,
    timers: timers::Timers,
    orders: orders::Orders,
    lost: lost::Lost,
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
            known: Vec::new(),
            members: BTreeSet::new(),
            made: Holdings::default(),
            lines: HashMap::new(),
            by_player: HashMap::new(),
            hostile: HashSet::new(),
            thieves: HashSet::new(),
            told: BTreeMap::new(),
            letters: letters::Letters::default(),
            mail: mail::Mail::default(),
            timers: timers::Timers::default(),
            orders: orders::Orders::default(),
            lost: lost::Lost::default(),
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

    // ---- messages --------------------------------------------------------------------------------------

    /// A client sends a command.
    pub(crate) fn said(&mut self, conn: ConnId, seq: u64, payload: &[u8]) {
        let shows = self.game.only_shows(payload);
        let line = self.lines.entry(conn).or_default();
        if let Entry::Vacant(new) = line.said.entry(seq) {
            new.insert(fingerprint(payload));
            line.shows.extend(shows.then_some(seq));
        }
    }

    /// On this connection a client sends commands out of order, or again.
    pub(crate) fn disordered(&mut self, conn: ConnId) {
        self.lines.entry(conn).or_default().disordered = true;
    }

    /// On this connection a stranger sends what no client would: its answers are not checked.
    pub(crate) fn hostile(&mut self, conn: ConnId) {
        self.hostile.insert(conn);
    }

    /// On this hostile connection somebody tries to log in as a player without knowing its secret.
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
                let adoption = adoption.max(self.past_adoption(player));
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
            // A lost adoption's number is given again, unless its owner could record it again.
            if line >= newest && line > self.past_adoption(player) {
                let text = format!(
                    "{}: connection {} hears that a newer one took over, but it is the newest (adoption {line})",
                    self.name(player),
                    conn.0
                );
                return violated(Guarantee::G11, text);
            }
        }
        if let Some(own) = &message.own {
            self.own_shown(player, &own.payload)?;
        }
        for told in &message.told {
            self.told(player, &told.payload)?;
        }
        for reply in &message.replies {
            self.answered(conn, player, reply)?;
            self.refused_because(player, reply)?;
        }
        Ok(())
    }

    /// A refusal may say why: what it says of another entity must be durable.
    fn refused_because(&self, player: EntityId, reply: &Reply) -> Verdict {
        let seen = reply.refusal.as_ref().and_then(|r| self.game.seen_in(&r.code, &r.text));
        let Some((id, public)) = seen else { return Ok(()) };
        let print = fingerprint(&public);
        let known = self.replicas.get(&id).is_some_and(|replica| replica.publics.contains(&print));
        if known || self.lost.past.get(&id).is_some_and(|past| past.publics.contains(&print)) {
            return Ok(());
        }
        let (who, whose) = (self.name(player), self.name(id));
        let text =
            format!("{who}: command {} is refused because of what {whose} has not durably become", reply.seq);
        violated(Guarantee::G7, text)
    }

    /// A message between nodes.
    pub(crate) fn on_the_way(&mut self, message: &Peer) {
        match message {
            // A player's node refuses a command.
            Peer::ToEdge { conn, message: ToEdge::Reply { seq, result: Err(refusal) }, .. }
                if is_unlooked(&refusal.code) =>
            {
                self.lines.entry(*conn).or_default().unlooked.insert(*seq);
            }
            Peer::ToPlayer { line, message: ToPlayer::Resume { .. }, .. } => self.asks_again(line.conn),
            _ => {}
        }
    }

    /// Answers to this connection were lost between nodes, and its edge asks for them again. Some never left their node: so each of
    /// its commands that is not answered may have been refused unlooked.
    fn asks_again(&mut self, conn: ConnId) {
        if let Some(line) = self.lines.get_mut(&conn) {
            let Line { said, heard, unlooked, .. } = line;
            unlooked.extend(said.keys().filter(|seq| !heard.contains_key(seq)));
        }
    }

    fn own_shown(&mut self, player: EntityId, own: &Bytes) -> Verdict {
        self.shown += 1;
        let print = fingerprint(own);
        let known = self.replicas.get(&player).is_some_and(|r| r.privates.contains(&print));
        let past = self.lost.past.get(&player).is_some_and(|past| past.privates.contains(&print));
        if !known && !past {
            let text =
                format!("{} is shown a private state that no durable event has made", self.name(player));
            return violated(Guarantee::G7, text);
        }
        Ok(())
    }

    fn answered(&mut self, conn: ConnId, player: EntityId, reply: &Reply) -> Verdict {
        self.answers += 1;
        let rules = Arc::clone(&self.rules);
        let name = || name_of(&rules, player);
        if self.hostile.contains(&conn) {
            return Ok(());
        }
        let past = self.past_effect(player, reply.seq).map(|e| (e.fingerprint, e.reply.clone()));
        let line = self.lines.get_mut(&conn).expect("a line with a player");
        let Some(said) = line.said.get(&reply.seq).copied() else {
            return violated(
                Guarantee::G5,
                format!("{}: an answer to {}, which was never sent", name(), reply.seq),
            );
        };
        let answer = match &reply.refusal {
            None => Ok(fingerprint(&reply.payload)),
            Some(refusal) => Err(refusal.code.clone()),
        };
        if reply.refusal.as_ref().is_some_and(|r| !is_unlooked(&r.code)) {
            line.refused_max = line.refused_max.max(reply.seq);
        }
        let first = line.heard.entry(reply.seq).or_insert_with(|| answer.clone());
        if *first != answer && answer.is_ok() && first.is_ok() && past.is_none() {
            return violated(
                Guarantee::G5,
                format!("{}: command {} was answered in two ways", name(), reply.seq),
            );
        }
        let replica = self.replicas.get(&player);
        let outdone = replica.is_some_and(|r| line.adoption < r.session.adoption);
        let effect = replica.and_then(|r| r.effects.get(&reply.seq));
        let effect = effect.filter(|e| e.fingerprint == said);
        // It was durable when its node sent it.
        let is_past = past.is_some_and(|(print, text)| print == said && text == reply.payload);
        match (&reply.refusal, effect) {
            (None, _) if is_past => {
                self.told.insert((player, reply.seq), said);
                Ok(())
            }
            // What only shows is not durable: a crash of its node may forget it.
            (None, None) if line.shows.contains(&reply.seq) => Ok(()),
            (None, None) => {
                let text =
                    format!("{}: command {} is answered with success and not durable", name(), reply.seq);
                violated(Guarantee::G7, text)
            }
            (None, Some(effect)) if effect.reply != reply.payload => {
                let text = format!("{}: the answer to {} differs from the recorded one", name(), reply.seq);
                violated(Guarantee::G5, text)
            }
            (None, Some(_)) => {
                self.told.insert((player, reply.seq), said);
                Ok(())
            }
            // When a newer connection resends the command, that is another attempt, and its answer is the session's.
            (Some(refusal), Some(_)) if refusal.code != "too_old" && !outdone => {
                let text = format!(
                    "{}: command {} is refused ({}), and took effect",
                    name(),
                    reply.seq,
                    refusal.code
                );
                violated(Guarantee::G5, text)
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// A client sees an entity's public part, for the first time or changed.
    pub(crate) fn seen(&mut self, id: EntityId, public: &Bytes, at: WorldTime) -> Verdict {
        let Some(replica) = self.replicas.get(&id) else { return Ok(()) };
        self.shown += 1;
        if replica.changes_by_time || replica.publics.contains(&fingerprint(public)) {
            return Ok(());
        }
        if replica.state.public(at).as_ref() == Some(public) {
            return Ok(());
        }
        if self.lost.past.get(&id).is_some_and(|past| past.publics.contains(&fingerprint(public))) {
            return Ok(());
        }
        violated(
            Guarantee::G7,
            format!("{} is seen in a state that no durable event has made", self.name(id)),
        )
    }

    /// Entities of which something has landed, but players.
    pub(crate) fn known(&self) -> usize {
        self.known.len()
    }

    /// One of them.
    pub(crate) fn nth_known(&self, index: usize) -> Option<EntityId> {
        self.known.get(index).copied()
    }

    /// Where the journal last recorded a player, and when.
    pub(crate) fn placed(&self, id: EntityId) -> Option<(WorldTime, Point)> {
        self.replicas.get(&id)?.place
    }

    /// An entity's name for people: `player 3f`.
    pub(crate) fn name(&self, id: EntityId) -> String {
        name_of(&self.rules, id)
    }
}

fn name_of(rules: &Rules, id: EntityId) -> String {
    let kind = rules.kind_of(id.kind).map_or("entity", |kind| kind.name());
    format!("{kind} {:x}", id.id)
}

/// Whether a command is refused with this code before it is examined: that depends on nothing.
fn is_unlooked(code: &str) -> bool {
    matches!(code, "too_many_commands" | "too_large" | "busy" | "storage") || code.starts_with("storage_")
}
