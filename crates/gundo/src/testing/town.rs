//! Rules without a server: entities in a map; commands and transactions run in one thread, as the engine runs them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gundo_kernel::game::{
    Actor, AnyEntity, Asked, Child, Conclude, Entity, Exists, Key, Neighbour, Part, Payload, Player,
    RawContext, RawDecision, RawDone, Reads, Refusal, Role, Rules, Surroundings, Ticked,
};
use gundo_types::{Body, ChunkId, EntityId, Point, WorldTime};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Timers that ring at one time.
const RINGS_MAX: usize = 1_000;

/// A town in a test: the rules of a game, and all its entities.
///
/// ```
/// # use gundo::{Body, Context, Decision, Done, Entity, Player, Refusal, Rules, State, WorldTime, message};
/// # #[message] #[derive(State)]
/// # #[state(kind = 1, name = "counter", player, event = Count, command = Count, reply = Count, private = Counter)]
/// # struct Counter { #[tag(1)] n: u32 }
/// # #[message] struct Count { #[tag(1)] by: u32 }
/// # impl Player for Counter {
/// #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
/// #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
/// #     fn speed_max(&self, _: &()) -> u32 { 5_000 }
/// #     fn decide(&self, c: Count, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
/// #         if c.by > 10 { return Err(Refusal::new("too_much", "Nobody counts that fast.")); }
/// #         Ok(Done::new().event(&c).into())
/// #     }
/// #     fn private(&self) -> Counter { self.clone() }
/// # }
/// # impl Entity for Counter {
/// #     fn apply(&mut self, e: &Count) { self.n += e.by; }
/// #     fn public(&self, _: WorldTime) -> Option<Self> { Some(self.clone()) }
/// # }
/// # fn rules() -> Rules { Rules::new("counting", ()).with::<Counter>() }
/// use gundo::testing::Town;
///
/// let mut town = Town::new(rules());
/// let ada = town.join("Ada").expect("a good name");
/// town.command::<Counter>(ada, &Count { by: 3 }).expect("not too much");
/// assert_eq!(town.state::<Counter>(ada).n, 3);
/// assert_eq!(town.command::<Counter>(ada, &Count { by: 99 }).unwrap_err().code, "too_much");
/// ```
///
/// When dropped, it replays the events of every entity, from nothing and from a snapshot, and compares with the live state: an
/// `apply` that depends on anything but state and event, or a state that does not store all of itself, fails the test.
///
/// It does not cover nodes, crashes, speed limits, or names of entities that end. If the rules want what the engine cannot do, a
/// command panics with the reason, because that is a mistake in the rules.
pub struct Town {
    /// World time. Set it, or call [`pass_ms`](Self::pass_ms).
    pub now: WorldTime,
    rules: Arc<Rules>,
    rng: ChaCha8Rng,
    entities: BTreeMap<EntityId, Box<dyn AnyEntity>>,
    events: BTreeMap<EntityId, Vec<Bytes>>,
    bodies: BTreeMap<EntityId, Body>,
    names: BTreeMap<(String, String), EntityId>,
    signals: Vec<(EntityId, Bytes)>,
    tells: Vec<(EntityId, Bytes)>,
    timers: BTreeMap<(EntityId, Bytes), WorldTime>,
    /// Messages that nobody has taken yet: who sent each, to whom, in order.
    post: Vec<(EntityId, EntityId, Bytes)>,
    joined: u64,
}

impl Town {
    /// A town of these rules, at world time 1,000 s.
    pub fn new(rules: impl Into<Arc<Rules>>) -> Self {
        Self {
            now: WorldTime(0),
            rules: rules.into(),
            rng: ChaCha8Rng::seed_from_u64(7),
            entities: BTreeMap::new(),
            events: BTreeMap::new(),
            bodies: BTreeMap::new(),
            names: BTreeMap::new(),
            signals: Vec::new(),
            tells: Vec::new(),
            timers: BTreeMap::new(),
            post: Vec::new(),
            joined: 0,
        }
    }

    /// Lets world time pass.
    pub fn pass_ms(&mut self, ms: u64) {
        self.now = self.now + ms;
    }

    /// A new player called `name` joins, at the place where the game lets players begin.
    ///
    /// # Errors
    /// The game's refusal, or `name_taken`.
    pub fn join(&mut self, name: &str) -> Result<EntityId, Refusal> {
        self.joined += 1;
        let id = EntityId::new(self.rules.player_kind(), self.joined);
        let done = self.with(id, None, |entity, cx| entity.create(name, cx))?;
        let spawn = self.with(id, None, |entity, cx| entity.spawn(cx));
        let body = done.body.unwrap_or(spawn);
        self.land(vec![(id, done)])?;
        self.bodies.insert(id, body);
        Ok(id)
    }

    /// Puts a player somewhere, without asking the rules.
    pub fn stand(&mut self, player: EntityId, at: Point) {
        let body = self.bodies.entry(player).or_default();
        body.at = at;
    }

    /// Where a player or a placed entity stands.
    ///
    /// # Panics
    /// It stands nowhere.
    pub fn body(&self, id: EntityId) -> Body {
        let placed = || self.entities.get(&id).and_then(|entity| entity.place());
        self.bodies.get(&id).copied().or_else(placed).unwrap_or_else(|| panic!("{id} stands nowhere"))
    }

    /// A player walks straight to `to`, if [`Player::walk`] allows it. Speed is not checked.
    ///
    /// # Errors
    /// The way is barred.
    pub fn walk(&mut self, player: EntityId, to: Point) -> Result<(), Refusal> {
        let from = self.body(player);
        let body = Body { at: to, ..from };
        self.with(player, None, |entity, cx| entity.walk(&from, &body, cx))?;
        self.bodies.insert(player, body);
        Ok(())
    }

    /// Runs a player's command as the engine would: alone, or with all entities that it asks in one transaction.
    ///
    /// # Errors
    /// The refusal; then nothing has changed.
    ///
    /// # Panics
    /// The rules want what the engine cannot do.
    pub fn command<P: Player>(
        &mut self,
        player: EntityId,
        command: &P::Command,
    ) -> Result<P::Reply, Refusal> {
        let bytes = command.to_bytes();
        let reply = self.run(player, &bytes)?;
        let reply = P::Reply::from_bytes(&reply).ok().flatten();
        Ok(reply.expect("a reply that is a choice must be given: the rules left `Done::reply` out"))
    }

    /// What `id` answers to an ask of `by`. It has no effect.
    ///
    /// # Errors
    /// Its refusal.
    pub fn ask<T: Asked>(&mut self, by: EntityId, id: impl Key, ask: &T::Ask) -> Result<T::Answer, Refusal> {
        let actor = self.actor(by);
        let part = Part {
            entity: EntityId::new(T::KIND, id.number::<T>()),
            ask: ask.to_bytes(),
            exists: Exists::Yes,
        };
        let done = self.answer(&part, &actor)?;
        Ok(T::Answer::from_bytes(&done.reply)
            .ok()
            .flatten()
            .expect("the engine hands over what the rules encoded"))
    }

    /// Lets an event happen, whatever the rules say: to set up a test.
    pub fn happen<E: Entity>(&mut self, id: impl Key, event: &E::Event) {
        self.apply(EntityId::new(E::KIND, id.number::<E>()), event.to_bytes());
    }

    /// The durable state of an entity.
    pub fn state<E: Entity>(&mut self, id: impl Key) -> E::Durable {
        let snapshot = self.entity(EntityId::new(E::KIND, id.number::<E>())).snapshot();
        gundo_wire::Message::decode(snapshot).expect("a snapshot is the durable state")
    }

    /// What others see of an entity now.
    pub fn public<E: Entity>(&mut self, id: impl Key) -> Option<E::Public> {
        let now = self.now;
        let public = self.entity(EntityId::new(E::KIND, id.number::<E>())).public(now)?;
        E::Public::from_bytes(&public).ok().flatten()
    }

    /// What a player's own client sees.
    pub fn private<P: Player>(&mut self, player: EntityId) -> P::Private {
        let private = self.entity(player).private();
        P::Private::from_bytes(&private).ok().flatten().expect("the private part is encoded")
    }

    /// When the public part of an entity next changes with time alone.
    pub fn next_change<E: Entity>(&mut self, id: impl Key) -> Option<WorldTime> {
        let now = self.now;
        self.entity(EntityId::new(E::KIND, id.number::<E>())).next_change(now)
    }

    /// All events of an entity, in order.
    pub fn events<E: Entity>(&self, id: impl Key) -> Vec<E::Event> {
        let events =
            self.events.get(&EntityId::new(E::KIND, id.number::<E>())).map_or(&[][..], Vec::as_slice);
        events.iter().filter_map(|event| E::Event::from_bytes(event).ok().flatten()).collect()
    }

    /// Signals of entities of kind `E` since the last call, each with its entity.
    pub fn signals<E: Entity>(&mut self) -> Vec<(EntityId, E::Signal)> {
        let (ours, rest) =
            std::mem::take(&mut self.signals).into_iter().partition(|(id, _)| id.kind == E::KIND);
        self.signals = rest;
        let ours: Vec<(EntityId, Bytes)> = ours;
        ours.iter()
            .filter_map(|(id, bytes)| Some((*id, E::Signal::from_bytes(bytes).ok().flatten()?)))
            .collect()
    }

    /// The messages to the client of `player` alone since the last call.
    pub fn heard<P: Player>(&mut self, player: EntityId) -> Vec<P::Tell> {
        let (ours, rest) = std::mem::take(&mut self.tells).into_iter().partition(|(id, _)| *id == player);
        self.tells = rest;
        let ours: Vec<(EntityId, Bytes)> = ours;
        ours.iter().filter_map(|(_, bytes)| P::Tell::from_bytes(bytes).ok().flatten()).collect()
    }

    /// Runs one tick of 100 ms of an entity and returns its creatures. Its asks to itself take effect, unless it refuses.
    pub fn tick<E: Entity>(&mut self, id: impl Key) -> Vec<Child> {
        let id = EntityId::new(E::KIND, id.number::<E>());
        self.entity(id);
        let mut entity = self.entities.remove(&id).expect("just there");
        let picture = self.picture();
        let (now, body) = (self.now, entity.place());
        let mut ticked = Ticked::default();
        let mut cx = RawContext::new(now, (id, body), &picture, None, &mut self.rng);
        entity.tick(100, &mut cx, &mut ticked);
        self.entities.insert(id, entity);
        let actor = self.actor(id);
        for ask in ticked.asks {
            let part = Part { entity: id, ask, exists: Exists::Yes };
            // A refusal has no further effect, as in a world.
            let _ = self.answer(&part, &actor).and_then(|done| self.land(vec![(id, done)]));
        }
        ticked.children
    }

    /// Rings the timers that are due, the earliest first, and those that they set for now. Returns how many rang.
    ///
    /// # Panics
    /// More than a thousand rang: a timer sets itself again for the same time.
    pub fn ring(&mut self) -> usize {
        for rung in 0.. {
            assert!(rung <= RINGS_MAX, "timers set themselves again for now");
            let due = self.timers.iter().filter(|(_, at)| **at <= self.now).min_by_key(|(_, at)| **at);
            let Some(((id, timer), at)) = due.map(|(key, at)| (key.clone(), *at)) else { return rung };
            self.timers.remove(&(id, timer.clone()));
            let decided = self.with(id, None, |entity, cx| entity.on_timer(&timer, at, cx));
            let all = decided.and_then(|decision| self.ask_all(id, decision)).map(|(mut all, last)| {
                all.push((id, last));
                all
            });
            let refused = all.and_then(|all| self.land(all)).err();
            if let Some(why) = refused {
                let done = self.with(id, None, |entity, cx| entity.on_timer_refused(&timer, at, &why, cx));
                let landed = done.and_then(|done| self.land(vec![(id, done)]));
                landed.expect("what follows a refusal takes no name");
            }
        }
        unreachable!("it returns when nothing is due")
    }

    /// Has every message between entities taken that was sent, and those that are sent for them. Returns how many there were. What is
    /// refused as `busy` is not taken again.
    ///
    /// # Panics
    /// There were more than a thousand: two entities send each other messages for ever.
    pub fn deliver(&mut self) -> usize {
        for taken in 0.. {
            assert!(taken <= RINGS_MAX, "entities send each other messages for ever");
            if self.post.is_empty() {
                return taken;
            }
            let (from, to, message) = self.post.remove(0);
            let decided = self.with(to, None, |entity, cx| entity.take(&message, from, cx));
            let all = decided.and_then(|decision| self.ask_all(to, decision)).map(|(mut all, last)| {
                all.push((to, last));
                all
            });
            if let Err(why) = all.and_then(|all| self.land(all)) {
                let done = self.with(to, None, |entity, cx| entity.not_taken(&message, from, &why, cx));
                done.and_then(|done| self.land(vec![(to, done)]))
                    .expect("what follows a refusal takes no name");
            }
        }
        unreachable!("it returns when there is nothing to take")
    }

    /// Every entity that was asked or looked at.
    pub fn everybody(&self) -> Vec<EntityId> {
        self.entities.keys().copied().collect()
    }

    /// Replays every entity, from nothing and from a snapshot in between, and compares with the live one. Dropping the town does
    /// this too.
    ///
    /// # Panics
    /// One differs.
    pub fn check(&self) {
        for (id, live) in &self.entities {
            let count = self.events.get(id).map_or(0, Vec::len);
            for snapshot_after in [usize::MAX, count / 2, count] {
                let replayed = self.replay(*id, snapshot_after);
                assert_eq!(
                    replayed.snapshot(),
                    live.snapshot(),
                    "{id}: replaying its events gives another state"
                );
                let (replayed, live) = (replayed.public(self.now), live.public(self.now));
                assert_eq!(replayed, live, "{id}: after a replay others see something else");
            }
        }
    }

    fn replay(&self, id: EntityId, snapshot_after: usize) -> Box<dyn AnyEntity> {
        let kind = self.rules.kind_of(id.kind).expect("it is here");
        let restored =
            |entity: &dyn AnyEntity| kind.restore(id.id, &entity.snapshot()).expect("its own snapshot");
        let mut entity = kind.create(id.id);
        let events = self.events.get(&id).map_or(&[][..], Vec::as_slice);
        for (done, event) in events.iter().enumerate() {
            if done == snapshot_after {
                entity = restored(entity.as_ref());
            }
            entity.apply(event).expect("its own event");
        }
        if snapshot_after == events.len() { restored(entity.as_ref()) } else { entity }
    }

    fn run(&mut self, player: EntityId, command: &[u8]) -> Result<Bytes, Refusal> {
        let mut reads = Reads::default();
        let decision = loop {
            let decision = self.with(player, Some(&mut reads), |entity, cx| entity.decide(command, cx));
            if reads.wanted.is_empty() {
                break decision?;
            }
            let wanted = std::mem::take(&mut reads.wanted);
            if let Some(why) = self.rules.cannot_read(&wanted, reads.fetched.len()) {
                panic!("a command of {player}: {why}");
            }
            for id in wanted {
                reads.fetched.push((id, self.shown(id)));
            }
        };
        let (mut all, last) = self.ask_all(player, decision)?;
        let reply = last.reply.clone();
        all.push((player, last));
        self.land(all)?;
        Ok(reply)
    }

    /// Asks round by round, until the player is done. Returns what happens to the asked, and to the player.
    fn ask_all(
        &mut self,
        player: EntityId,
        mut decision: RawDecision,
    ) -> Result<(Vec<(EntityId, RawDone)>, RawDone), Refusal> {
        let (mut all, mut rounds) = (Vec::new(), 0);
        loop {
            let ask = match decision {
                RawDecision::Done(done) => return Ok((all, done)),
                RawDecision::Ask(ask) => ask,
            };
            let before: Vec<_> = all.iter().map(|(id, _)| *id).collect();
            if let Some(why) = self.rules.cannot_ask(player, (rounds, &before), &ask.parts) {
                panic!("a command of {player}: {why}");
            }
            rounds += 1;
            let actor = self.actor(player);
            for part in &ask.parts {
                all.push((part.entity, self.answer(part, &actor)?));
            }
            let answers: Vec<_> = all[before.len()..].iter().map(|(_, done)| done.reply.clone()).collect();
            let then: &dyn Conclude = ask.then.as_ref();
            decision = self.with(player, None, |entity, cx| then.conclude(entity.as_any(), &answers, cx))?;
        }
    }

    fn answer(&mut self, part: &Part, actor: &Actor) -> Result<RawDone, Refusal> {
        let id = part.entity;
        let place = self.entity(id).place();
        let kind = self.rules.kind_of(id.kind).expect("an entity is of a kind of the game");
        let stands = kind.role() != Role::Placed || place.is_some();
        match part.exists.refusal(self.exists(id), stands, kind.asking_creates()) {
            Some(refusal) => Err(refusal),
            None => self.with(id, None, |entity, cx| entity.answer(&part.ask, actor, cx)),
        }
    }

    fn exists(&self, id: EntityId) -> bool {
        self.events.get(&id).is_some_and(|events| !events.is_empty())
    }

    fn shown(&mut self, id: EntityId) -> Option<Bytes> {
        let is_land = Some(id.kind) == self.rules.land_kind();
        let (now, exists) = (self.now, is_land || self.exists(id));
        exists.then(|| self.entity(id).public(now)).flatten()
    }

    fn actor(&mut self, id: EntityId) -> Actor {
        let now = self.now;
        let public = self.entity(id).public(now).unwrap_or_default();
        Actor { id, public, body: self.bodies.get(&id).copied() }
    }

    fn entity(&mut self, id: EntityId) -> &mut dyn AnyEntity {
        let rules = &self.rules;
        let create = || match rules.kind_of(id.kind) {
            Some(kind) => kind.create(id.id),
            None => panic!("the game has no kind {}: add it with `Rules::with`", id.kind.0),
        };
        self.entities.entry(id).or_insert_with(create).as_mut()
    }

    fn with<T>(
        &mut self,
        id: EntityId,
        reads: Option<&mut Reads>,
        rule: impl FnOnce(&dyn AnyEntity, &mut RawContext<'_>) -> T,
    ) -> T {
        self.entity(id);
        let mut picture = self.picture();
        // Nothing is near itself.
        picture.bodies.remove(&id);
        let entity = self.entities[&id].as_ref();
        let body = self.bodies.get(&id).copied().or_else(|| entity.place());
        let now = self.now;
        rule(entity, &mut RawContext::new(now, (id, body), &picture, reads, &mut self.rng))
    }

    fn picture(&self) -> Picture {
        let mut bodies = self.bodies.clone();
        let placed = self.entities.iter().filter(|(id, _)| self.exists(**id));
        bodies.extend(placed.filter_map(|(id, entity)| Some((*id, entity.place()?))));
        let publics = self.entities.iter().filter_map(|(id, entity)| Some((*id, entity.public(self.now)?)));
        Picture { bodies, publics: publics.collect() }
    }

    /// Everything happens, or nothing: it checks names first.
    fn land(&mut self, all: Vec<(EntityId, RawDone)>) -> Result<(), Refusal> {
        for change in all.iter().flat_map(|(_, done)| &done.names) {
            let owner = self.names.get(&(change.space.clone(), change.name.clone()));
            if change.owner.is_some() && owner.is_some_and(|owner| Some(*owner) != change.owner) {
                return Err(Refusal::new("name_taken", "Somebody else has that name."));
            }
        }
        for (id, done) in all {
            for change in done.names {
                match change.owner {
                    Some(owner) => drop(self.names.insert((change.space, change.name), owner)),
                    None => drop(self.names.remove(&(change.space, change.name))),
                }
            }
            // An answer without an event creates an entity all the same.
            self.events.entry(id).or_default();
            for event in done.events {
                self.apply(id, event);
            }
            self.signals.extend(done.signals.into_iter().map(|signal| (id, signal)));
            self.post.extend(done.sends.into_iter().map(|sending| (id, sending.to, sending.message)));
            self.tells.extend(done.tells.into_iter().map(|tell| (tell.player, tell.message)));
            for timing in done.timers {
                match timing.at {
                    Some(at) => drop(self.timers.insert((id, timing.timer), at)),
                    None => drop(self.timers.remove(&(id, timing.timer))),
                }
            }
            if let Some(body) = done.body {
                self.bodies.insert(id, body);
            }
        }
        Ok(())
    }

    fn apply(&mut self, id: EntityId, event: Bytes) {
        let entity = self.entity(id);
        entity.apply(&event).expect("an event that was just encoded");
        let place = entity.place();
        self.events.entry(id).or_default().push(event);
        if let (Some(chunk), Some(body)) = (self.rules.chunk_of(id), place) {
            assert!(chunk.has(&body), "{id} stands outside its chunk: nobody would see it");
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

/// The surroundings while an entity decides.
struct Picture {
    bodies: BTreeMap<EntityId, Body>,
    publics: BTreeMap<EntityId, Bytes>,
}

impl Surroundings for Picture {
    fn near(&self, island: u16, point: Point, radius_mm: u32) -> Vec<Neighbour> {
        let close = |body: &Body| body.island == island && body.at.within(point, radius_mm);
        let neighbour = |(id, body): (&EntityId, &Body)| Neighbour {
            id: *id,
            public: self.publics.get(id).cloned().unwrap_or_default(),
            body: Some(*body),
        };
        self.bodies.iter().filter(|(_, body)| close(body)).map(neighbour).collect()
    }

    fn look(&self, _: ChunkId, id: EntityId) -> Option<Bytes> {
        self.publics.get(&id).cloned()
    }
}
