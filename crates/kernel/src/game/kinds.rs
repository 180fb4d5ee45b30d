//! A game's kinds as the engine uses them: by number, in bytes.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, EntityId, WorldTime};
use gundo_wire::{DecodeError, Kept};

use super::context::{Actor, Context, RawContext, Surroundings, TickContext, Ticked};
use super::decision::{Decision, Done, RawDecision, RawDone};
use super::methods::{Methods, PlayerMethods, Registered};
use super::payload::{Payload, Schema};
use super::refusal::{Refusal, game_error};
use super::state::{Role, State};

/// An entity as the engine keeps it: its methods take and return bytes.
pub trait AnyEntity: Send {
    /// See [`Player::decide`](super::Player::decide).
    ///
    /// # Errors
    /// The game's refusal, or `bad_command` if the bytes are not a command of this kind.
    fn decide(&self, command: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal>;
    /// See [`Asked::answer`](super::Asked::answer).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn answer(&self, ask: &[u8], by: &Actor, cx: &mut RawContext<'_>) -> Result<RawDone, Refusal>;
    /// See [`Receives::take`](super::Receives::take).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn take(&self, message: &[u8], from: EntityId, cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal>;
    /// See [`Receives::not_taken`](super::Receives::not_taken). What is no message of this kind has no effect.
    ///
    /// # Errors
    /// This kind takes no messages.
    fn not_taken(
        &self,
        message: &[u8],
        from: EntityId,
        refusal: &Refusal,
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal>;
    /// See [`Timed::on_timer`](super::Timed::on_timer).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn on_timer(&self, timer: &[u8], due: WorldTime, cx: &mut RawContext<'_>)
    -> Result<RawDecision, Refusal>;
    /// See [`Timed::on_timer_refused`](super::Timed::on_timer_refused). What is no timer of this kind has no effect.
    ///
    /// # Errors
    /// This kind has no timers.
    fn on_timer_refused(
        &self,
        timer: &[u8],
        due: WorldTime,
        refusal: &Refusal,
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal>;
    /// See [`Ordered::order`](super::Ordered::order).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    fn order(&self, order: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal>;
    /// See [`Player::create`](super::Player::create).
    ///
    /// # Errors
    /// The game's refusal.
    fn create(&self, name: &str, cx: &mut RawContext<'_>) -> Result<RawDone, Refusal>;
    /// See [`Entity::apply`](super::Entity::apply). An event that this version does not know changes nothing.
    ///
    /// # Errors
    /// The bytes are not an event of this kind.
    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError>;
    /// See [`Entity::public`](super::Entity::public).
    fn public(&self, at: WorldTime) -> Option<Bytes>;
    /// See [`Entity::next_change`](super::Entity::next_change).
    fn next_change(&self, at: WorldTime) -> Option<WorldTime>;
    /// See [`Entity::may_watch`](super::Entity::may_watch).
    fn may_watch(&self, who: EntityId) -> bool;
    /// See [`Player::private`](super::Player::private).
    fn private(&self) -> Bytes;
    /// Its durable state, with the fields that a newer version wrote.
    fn snapshot(&self) -> Bytes;
    /// See [`Player::spawn`](super::Player::spawn).
    fn spawn(&self, cx: &mut RawContext<'_>) -> Body;
    /// See [`Player::speed_max`](super::Player::speed_max).
    fn speed_max(&self) -> u32;
    /// See [`Player::walk`](super::Player::walk).
    ///
    /// # Errors
    /// The game's refusal.
    fn walk(&self, from: &Body, to: &Body, cx: &mut RawContext<'_>) -> Result<(), Refusal>;
    /// See [`Placed::place`](super::Placed::place).
    fn place(&self) -> Option<Body>;
    /// See [`Ticking::tick`](super::Ticking::tick).
    fn tick(&mut self, tick_ms: u32, cx: &mut RawContext<'_>, ticked: &mut Ticked);
    /// Forgets the volatile part.
    fn sleep(&mut self);
    /// For [`Conclude`](super::Conclude): the entity itself.
    fn as_any(&self) -> &dyn Any;
}

/// One kind of entity, as the engine uses it.
pub trait AnyKind: Send + Sync {
    /// Its name for people.
    fn name(&self) -> &'static str;
    /// What it is to the engine.
    fn role(&self) -> Role;
    /// Whether others can ask it.
    fn is_asked(&self) -> bool;
    /// Whether others can send it messages.
    fn receives(&self) -> bool;
    /// Whether operators can give it orders.
    fn takes_orders(&self) -> bool;
    /// An order that an operator has typed, as bytes. `None`: this kind takes none.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn read_order(&self, words: &str) -> Option<Result<Bytes, String>>;
    /// An answer to an operator as a person can read it. `None`: the bytes are no answer of this kind.
    fn order_answer(&self, answer: &[u8]) -> Option<String>;
    /// Whether an ask creates one that does not exist yet.
    fn asking_creates(&self) -> bool;
    /// The entity before its first event.
    fn create(&self, id: u64) -> Box<dyn AnyEntity>;
    /// The entity as of a snapshot.
    ///
    /// # Errors
    /// The bytes are not a snapshot of this kind.
    fn restore(&self, id: u64, snapshot: &[u8]) -> Result<Box<dyn AnyEntity>, DecodeError>;
    /// An event as a person can read it.
    ///
    /// # Errors
    /// The bytes are not an event of this kind.
    fn describe_event(&self, payload: &[u8]) -> Result<String, DecodeError>;
    /// A timer as a person can read it. `None`: the bytes are no timer of this kind.
    fn describe_timer(&self, timer: &[u8]) -> Option<String>;
    /// Adds to the schema what clients must know of its messages.
    fn describe(&self, schema: &mut Schema);
}

pub(super) struct TypedKind<E: Registered> {
    pub(super) world: Arc<E::World>,
}

impl<E: Registered> TypedKind<E> {
    fn entity(&self, id: u64, durable: E::Durable, later: Kept<E::Durable>) -> Box<dyn AnyEntity> {
        let state = E::from_durable(id, &self.world, durable);
        let (live, world) = (E::Live::default(), Arc::clone(&self.world));
        Box::new(Typed { state, live, world, later, methods: E::methods() })
    }
}

impl<E: Registered> AnyKind for TypedKind<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn role(&self) -> Role {
        E::ROLE
    }

    fn is_asked(&self) -> bool {
        E::methods().answer.is_some()
    }

    fn receives(&self) -> bool {
        E::methods().receive.is_some()
    }

    fn takes_orders(&self) -> bool {
        E::methods().ordered.is_some()
    }

    fn read_order(&self, words: &str) -> Option<Result<Bytes, String>> {
        let read = E::methods().ordered?.read;
        Some(read(words).map(|order| order.to_bytes()))
    }

    fn order_answer(&self, answer: &[u8]) -> Option<String> {
        let words = E::methods().ordered?.words;
        E::OrderAnswer::from_bytes(answer).ok().flatten().map(|answer| words(&answer))
    }

    fn asking_creates(&self) -> bool {
        E::ASKING_CREATES
    }

    fn create(&self, id: u64) -> Box<dyn AnyEntity> {
        self.entity(id, E::Durable::default(), Kept::default())
    }

    fn restore(&self, id: u64, snapshot: &[u8]) -> Result<Box<dyn AnyEntity>, DecodeError> {
        let kept = Kept::<E::Durable>::decode(snapshot.to_vec())?;
        let later = kept.with(E::Durable::default());
        Ok(self.entity(id, kept.known, later))
    }

    fn describe_event(&self, payload: &[u8]) -> Result<String, DecodeError> {
        let event = E::Event::from_bytes(payload)?;
        Ok(event.map_or_else(|| "(an event of another version)".to_owned(), |event| format!("{event:?}")))
    }

    fn describe_timer(&self, timer: &[u8]) -> Option<String> {
        E::Timer::from_bytes(timer).ok().flatten().map(|timer| format!("{timer:?}"))
    }

    fn describe(&self, schema: &mut Schema) {
        E::describe(schema);
    }
}

/// An entity of one kind, with what its rules need.
pub(super) struct Typed<E: State> {
    pub(super) state: E,
    live: E::Live,
    world: Arc<E::World>,
    /// Fields of its durable state that a newer version wrote.
    later: Kept<E::Durable>,
    methods: Methods<E>,
}

impl<E: State> Typed<E> {
    pub(super) fn context<'a>(&'a self, cx: &'a mut RawContext<'_>) -> Context<'a, E> {
        let RawContext { now, id, body, surroundings, reads, rng, .. } = cx;
        let (world, reads) = (self.world.as_ref(), reads.as_deref_mut());
        Context { now: *now, world, id: *id, body: *body, surroundings: *surroundings, reads, rng }
    }

    fn player(&self) -> Result<&PlayerMethods<E>, Refusal> {
        self.methods.player.as_ref().ok_or_else(game_error)
    }
}

fn unread<T>(read: Result<Option<T>, DecodeError>) -> Result<T, Refusal> {
    let refusal = || Refusal::new("bad_command", "The game did not understand that.");
    read.ok().flatten().ok_or_else(refusal)
}

impl<E: Registered> AnyEntity for Typed<E> {
    fn decide(&self, command: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal> {
        let command = unread(E::Command::from_bytes(command))?;
        let player = self.player()?;
        if let Some((paces, usual)) = cx.paces.take() {
            paces.take((player.pace)(&command).unwrap_or(usual), cx.now)?;
        }
        (player.decide)(&self.state, command, &mut self.context(cx)).map(Decision::into_raw)
    }

    fn answer(&self, ask: &[u8], by: &Actor, cx: &mut RawContext<'_>) -> Result<RawDone, Refusal> {
        let answer = self.methods.answer.ok_or_else(game_error)?;
        let ask = unread(E::Ask::from_bytes(ask))?;
        let (done, reply) = answer(&self.state, ask, by, &mut self.context(cx))?;
        Ok(done.into_answer(&reply))
    }

    fn take(&self, message: &[u8], from: EntityId, cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal> {
        let receive = self.methods.receive.as_ref().ok_or_else(game_error)?;
        let message = unread(E::Message::from_bytes(message))?;
        (receive.take)(&self.state, message, from, &mut self.context(cx)).map(Decision::into_raw)
    }

    fn not_taken(
        &self,
        message: &[u8],
        from: EntityId,
        refusal: &Refusal,
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal> {
        let receive = self.methods.receive.as_ref().ok_or_else(game_error)?;
        let Ok(message) = unread(E::Message::from_bytes(message)) else { return Ok(RawDone::default()) };
        Ok((receive.not_taken)(&self.state, message, from, refusal, &mut self.context(cx)).into_raw())
    }

    fn on_timer(
        &self,
        timer: &[u8],
        due: WorldTime,
        cx: &mut RawContext<'_>,
    ) -> Result<RawDecision, Refusal> {
        let timed = self.methods.timed.as_ref().ok_or_else(game_error)?;
        let timer = unread(E::Timer::from_bytes(timer))?;
        (timed.on_timer)(&self.state, timer, due, &mut self.context(cx)).map(Decision::into_raw)
    }

    fn on_timer_refused(
        &self,
        timer: &[u8],
        due: WorldTime,
        refusal: &Refusal,
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal> {
        let timed = self.methods.timed.as_ref().ok_or_else(game_error)?;
        let Ok(timer) = unread(E::Timer::from_bytes(timer)) else { return Ok(RawDone::default()) };
        Ok((timed.refused)(&self.state, timer, due, refusal, &mut self.context(cx)).into_raw())
    }

    fn order(&self, order: &[u8], cx: &mut RawContext<'_>) -> Result<RawDecision, Refusal> {
        let ordered = self.methods.ordered.as_ref().ok_or_else(game_error)?;
        let order = unread(E::Order::from_bytes(order))?;
        (ordered.order)(&self.state, order, &mut self.context(cx)).map(Decision::into_raw)
    }

    fn create(&self, name: &str, cx: &mut RawContext<'_>) -> Result<RawDone, Refusal> {
        (self.player()?.create)(&self.state, name, &mut self.context(cx)).map(Done::into_raw)
    }

    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError> {
        if let Some(event) = E::Event::from_bytes(event)? {
            self.state.apply(&event);
        }
        Ok(())
    }

    fn public(&self, at: WorldTime) -> Option<Bytes> {
        self.state.public(at).map(|public| public.to_bytes())
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        self.state.next_change(at)
    }

    fn may_watch(&self, who: EntityId) -> bool {
        self.state.may_watch(who)
    }

    fn private(&self) -> Bytes {
        self.methods
            .player
            .as_ref()
            .map(|player| (player.private)(&self.state).to_bytes())
            .unwrap_or_default()
    }

    fn snapshot(&self) -> Bytes {
        self.later.with(self.state.to_durable()).encode()
    }

    fn spawn(&self, cx: &mut RawContext<'_>) -> Body {
        let spawn = self.methods.player.as_ref().map(|player| player.spawn);
        spawn.map_or_else(Body::default, |spawn| spawn(&self.state, &mut self.context(cx)))
    }

    fn speed_max(&self) -> u32 {
        self.methods.player.as_ref().map_or(0, |player| (player.speed_max)(&self.state, &self.world))
    }

    fn walk(&self, from: &Body, to: &Body, cx: &mut RawContext<'_>) -> Result<(), Refusal> {
        (self.player()?.walk)(&self.state, from, to, &mut self.context(cx))
    }

    fn place(&self) -> Option<Body> {
        self.methods.place.and_then(|place| place(&self.state))
    }

    fn tick(&mut self, tick_ms: u32, cx: &mut RawContext<'_>, ticked: &mut Ticked) {
        let Some(tick) = self.methods.tick else { return };
        let RawContext { now, id, surroundings, rng, .. } = cx;
        let (now, id, world) = (*now, *id, self.world.as_ref());
        let surroundings: &dyn Surroundings = *surroundings;
        tick(
            &self.state,
            &mut self.live,
            &mut TickContext { now, tick_ms, world, id, surroundings, rng, ticked },
        );
    }

    fn sleep(&mut self) {
        self.live = E::Live::default();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
