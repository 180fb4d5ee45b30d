//! Availability: once everything has healed, every player succeeds at each kind of thing in its sight, and new players come in
//! everywhere.
//!
//! An errand is tried again until it succeeds. If it has not by its deadline, the failure says whose it is, since when, and what the
//! last answer was.

use std::fmt;

use gundo_client::{Answer, CommandId};
use gundo_types::{Body, ChunkId, EntityId, Point, Time};

use super::World;
use crate::game::Errand as Wish;
use crate::judge::{Guarantee, Verdict, violated};
use crate::story::About;

/// How long one try may take before the next, µs.
const TRY_US: u64 = 2_000_000;
/// Wait after a refusal, µs.
const AGAIN_US: u64 = 250_000;
/// How far an errand walks, mm.
const STEP_MM: i32 = 300;
/// Directions in which it tries to.
const DIRECTIONS: [(i32, i32); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];
/// A player that watches so much ceases to watch something before its errand.
const WATCHES: usize = 6;

/// What somebody must succeed at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// A command of the game.
    Command(Wish),
    /// A step to another place.
    Walk,
    /// Seeing somebody else's last step.
    See(usize),
    /// Watching land.
    Watch(EntityId),
    /// Coming into the world for the first time, at this node.
    Arrive(u16),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(Wish::Own) => f.write_str("to do something alone"),
            Self::Command(Wish::Around) => f.write_str("to do something with its surroundings"),
            Self::Command(Wish::Say) => f.write_str("to say something"),
            Self::Command(Wish::Tell(player)) => write!(f, "to tell player {:x} something", player.id),
            Self::Walk => f.write_str("to walk"),
            Self::See(other) => write!(f, "to see where player {other} has gone"),
            Self::Watch(entity) => write!(f, "to watch {entity}"),
            Self::Arrive(node) => write!(f, "to come into the world at n{node}"),
        }
    }
}

/// A player's errand.
#[derive(Debug)]
pub(super) struct Errand {
    person: usize,
    what: What,
    since: u64,
    /// When it was last tried.
    tried: Option<u64>,
    tries: u32,
    /// The command that waits for its answer.
    open: Option<CommandId>,
    last: String,
    done: bool,
}

impl World {
    /// From now on everybody has errands.
    pub(crate) fn begin_errands(&mut self) {
        let nodes: Vec<u16> =
            self.nodes.iter().filter(|(_, n)| n.kernel.is_ready()).map(|(k, _)| k.node).collect();
        let live: Vec<usize> = (0..self.people.len()).filter(|p| self.live_client(*p).is_some()).collect();
        let mut whats = Vec::new();
        for (at, person) in live.iter().copied().enumerate() {
            let next = live[(at + 1) % live.len()];
            whats.extend([Wish::Own, Wish::Around, Wish::Say].map(|wish| (person, What::Command(wish))));
            whats.push((person, What::Walk));
            if next != person {
                whats.push((person, What::See(next)));
                whats.extend(self.people[next].id.map(|id| (person, What::Command(Wish::Tell(id)))));
            }
            let chunk = self.people[person].wishes.body.chunk();
            whats.extend(
                self.rules.land_kind().map(|kind| (person, What::Watch(EntityId::new(kind, chunk.to_u64())))),
            );
        }
        for node in nodes {
            let person = self.add_newcomer(node);
            whats.push((person, What::Arrive(node)));
        }
        let errand = |(person, what)| Errand {
            person,
            what,
            since: self.now,
            tried: None,
            tries: 0,
            open: None,
            last: "nothing".to_owned(),
            done: false,
        };
        self.errands = whats.into_iter().map(errand).collect();
    }

    /// Whether all errands are done; those that are not are tried again when it is time.
    pub(crate) fn run_errands(&mut self) -> Verdict {
        for index in 0..self.errands.len() {
            if self.errands[index].done {
                continue;
            }
            self.errands[index].done = self.is_errand_done(index);
            let Errand { tried, open, done, what, .. } = self.errands[index];
            // Others, and the player itself, may see a step only a second later.
            let is_refused = open.is_none() && matches!(what, What::Command(_));
            let wait = if is_refused { AGAIN_US } else { TRY_US };
            if !done && tried.is_none_or(|at| self.now >= at + wait) {
                (self.errands[index].tried, self.errands[index].open) = (Some(self.now), None);
                self.errands[index].tries += 1;
                self.try_errand(index);
            }
        }
        let Some(Errand { person, what, since, tries, last, .. }) = self.errands.iter().find(|e| !e.done)
        else {
            return Ok(());
        };
        let name = &self.people[*person].name;
        let last = match what {
            What::Walk => self.sight_of(*person, *person),
            What::See(other) => self.sight_of(*person, *other),
            _ => format!("it heard last: {last}"),
        };
        let text = format!(
            "available: player {person} ({name}) has tried since {} ms {what}, {tries} times; {last}",
            since / 1_000
        );
        violated(Guarantee::G10, text)
    }

    /// A command is answered: perhaps it was an errand.
    pub(super) fn on_errand_answered(&mut self, client: usize, answer: &Answer) {
        let person = self.clients[client].person;
        let is_it = |e: &&mut Errand| e.person == person && e.open == Some(answer.id);
        let Some(errand) = self.errands.iter_mut().find(is_it) else { return };
        errand.open = None;
        match &answer.result {
            Ok(_) => errand.done |= !matches!(errand.what, What::Command(Wish::Tell(_))),
            Err(refusal) => {
                // The surroundings may have a reason of their own.
                let own = self.people[person].mind.is_own_refusal(&refusal.code);
                errand.done |= own && errand.what == What::Command(Wish::Around);
                errand.last.clone_from(&refusal.code);
            }
        }
    }

    /// A move of an errand was not accepted.
    pub(super) fn on_errand_corrected(&mut self, person: usize, code: &str) {
        let own = self.people[person].mind.is_own_refusal(code);
        if let Some(errand) = self.errands.iter_mut().find(|e| e.person == person && e.what == What::Walk) {
            code.clone_into(&mut errand.last);
            // It stands between walls.
            errand.tried = None;
            errand.done |= own && errand.tries as usize >= DIRECTIONS.len();
        }
    }

    /// A player gets a message from another.
    pub(super) fn on_errand_told(&mut self, from: EntityId, to: EntityId) {
        let people = &self.people;
        let is_it =
            |e: &&mut Errand| e.what == What::Command(Wish::Tell(to)) && people[e.person].id == Some(from);
        self.errands.iter_mut().filter(is_it).for_each(|errand| errand.done = true);
    }

    /// The refusal of something watched.
    pub(super) fn on_errand_refused(&mut self, client: usize, entity: EntityId, code: &str) {
        let person = self.clients[client].person;
        let is_it = |e: &&mut Errand| e.person == person && e.what == What::Watch(entity);
        for errand in self.errands.iter_mut().filter(is_it) {
            code.clone_into(&mut errand.last);
            // The rules answer: it is theirs to say who may watch it, and land without events is not there yet.
            errand.done |= matches!(code, "not_allowed" | "no_such_entity");
        }
    }

    fn live_client(&self, person: usize) -> Option<usize> {
        self.people[person].current.filter(|client| self.clients[*client].session.is_live())
    }

    fn is_errand_done(&self, index: usize) -> bool {
        let Errand { person, what, tries, .. } = self.errands[index];
        let Some(client) = self.live_client(person).map(|c| &self.clients[c]) else { return false };
        let stands = |who: usize| self.people[who].wishes.body.rounded().at;
        let seen = |id: Option<EntityId>| client.picture.entity(id?)?.body.map(|body| body.at);
        match what {
            What::Command(_) => false,
            What::Walk => tries > 0 && seen(self.people[person].id) == Some(stands(person)),
            What::See(other) => {
                let walks = self.errands.iter().any(|e| e.person == other && e.what == What::Walk && !e.done);
                let (mine, theirs) = (self.chunk_of(person), self.chunk_of(other));
                let sure = self.plan.world.sight_chunks.into_iter().max().unwrap_or(0).saturating_sub(1);
                let far = mine.steps_to(theirs).is_none_or(|steps| steps > sure);
                !walks && (far || seen(self.people[other].id) == Some(stands(other)))
            }
            What::Watch(entity) => client.watched.contains_key(&entity),
            What::Arrive(_) => true,
        }
    }

    /// Where a player sees another, for people.
    fn sight_of(&self, person: usize, other: usize) -> String {
        let client = self.live_client(person).map(|client| &self.clients[client]);
        let id = self.people[other].id;
        let seen = client.zip(id).and_then(|(client, id)| client.picture.entity(id)?.body);
        let real = self.nodes.iter().find_map(|(key, node)| {
            let shown = node.kernel.reals().find(|real| Some(real.id) == id)?.shown;
            Some((key.node, shown.and_then(|(.., body)| body)))
        });
        format!("it sees {seen:?}, its client says {:?}, its node {real:?}", self.people[other].wishes.body)
    }

    fn chunk_of(&self, person: usize) -> ChunkId {
        self.people[person].wishes.body.chunk()
    }

    fn try_errand(&mut self, index: usize) {
        let Errand { person, what, tries, .. } = self.errands[index];
        let Some(client) = self.live_client(person) else { return };
        let body = self.people[person].wishes.body;
        let now = Time(self.now);
        match what {
            What::Command(wish) => {
                let own = self.clients[client].own.clone();
                let Some(payload) = self.game.errand(self.plan.seed, wish, &body, &own) else {
                    self.errands[index].done = true;
                    return;
                };
                match self.clients[client].session.command(now, payload) {
                    Ok(id) => self.errands[index].open = Some(id),
                    Err(_) => {
                        "its client has too many commands open".clone_into(&mut self.errands[index].last)
                    }
                }
            }
            What::Walk => {
                let (x, y) = DIRECTIONS[(tries as usize + person) % DIRECTIONS.len()];
                let at = Point::new(body.at.x + x * STEP_MM, body.at.y + y * STEP_MM);
                let wish = Body { at, speed: 0, ..body };
                if self.clients[client].session.walk(wish).is_some() {
                    self.people[person].wishes.body = wish;
                }
            }
            What::Watch(entity) => {
                let session = &mut self.clients[client].session;
                let others: Vec<_> = session.watched().skip(WATCHES).collect();
                others.into_iter().for_each(|other| session.unwatch(other));
                session.unwatch(entity);
                session.watch(entity);
            }
            What::See(_) | What::Arrive(_) => {}
        }
        let text = || format!("player {person} tries {what}");
        self.story.tell(self.now, About::player(person), text);
        self.drain_client(client);
    }
}
