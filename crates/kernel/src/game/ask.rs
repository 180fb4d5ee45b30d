//! The typed builder of a decision's transaction; the messages of any decision; and the parts that only a player's decision has.

use std::any::Any;
use std::marker::PhantomData;

use bytes::Bytes;
use gundo_types::{Body, EntityId};

use super::context::{Context, RawContext};
use super::decision::{Conclude, Decision, Done, Exists, Part, RawAsk, RawDecision, Sending};
use super::entity::{Asked, Player, Receives};
use super::kinds::Typed;
use super::payload::Payload;
use super::refusal::{Refusal, game_error};
use super::state::{Key, State};

impl<E: State> Done<E> {
    /// Sends `message` to the entity `id` of kind `T`, which takes it by its rule [`Receives::take`](super::Receives::take) some time
    /// after this decision is durable, wherever it is: once, whatever crashes meanwhile, and in the order in which this entity sent its
    /// messages to that one. Nobody waits for that. At most 16 in a decision, and 64 that one entity has sent and that are not taken
    /// yet: beyond that the decision is refused with `busy`. What is not taken within an hour of world time is given up: counted
    /// (`gundo_mail_lost_total`), and named in the log. Among these is what is sent to an entity that does not exist.
    ///
    /// # Panics
    /// `id` is the id of an entity of another kind: a mistake in the rules.
    pub fn send<T: Receives>(mut self, id: impl Key, message: &T::Message) -> Self {
        let to = EntityId::new(T::KIND, id.number::<T>());
        self.raw.sends.push(Sending { to, message: message.to_bytes() });
        self
    }
}

impl<E: Player> Done<E> {
    /// The reply to the player's client. Without it, the reply is empty.
    pub fn reply(mut self, reply: &E::Reply) -> Self {
        self.raw.reply = reply.to_bytes();
        self
    }

    /// Puts the player's body elsewhere.
    pub fn body(mut self, body: Body) -> Self {
        self.raw.body = Some(body);
        self
    }
}

/// Begins a transaction: asks other entities, and says with [`then`](Asking::then) what follows from their answers. Everything
/// takes effect together or not at all, whatever crashes meanwhile.
///
/// **What is atomic.** The events, names, signals, messages and places of the asking entity and of all asked ones land together
/// or not at all. Others see each part as soon as its node knows that they have landed: never before, but not all at one moment.
///
/// **Who.** Any kind with `ask = …`, players included: at most 16 entities, each once, and never the asking entity itself. With
/// more, or with one of them twice, also in a later round, the command is refused with `game_error`, and the log says why. A player
/// is asked wherever it is real. One that is not in the world is loaded for that, is shown to nobody, and leaves again; its client
/// finds the result when it comes back. A player whom nobody has created is refused with `no_such_entity`.
///
/// **Asking on.** A conclusion may ask others in the same transaction ([`then`](Asking::then)): up to three rounds, 16 entities in
/// all.
///
/// **What it costs.** A round takes a message to each entity and back, for a player one more (by its home). After the last round
/// there is one append, and a message to each. Entities on the same node take no messages. An asked entity is locked from its
/// answer until the append has landed: it answers no other transaction, and the commands of an asked player wait.
///
/// **Busy.** Asks of a locked entity are tried again for at most 3 s in all; then the command is refused with `busy`. No
/// transaction waits for another one, and the older of two gets through: players who ask each other at once both succeed, one
/// after the other.
#[derive(Debug)]
pub struct Ask;

impl Ask {
    /// Asks the entity `id` of kind `T`, which must exist: otherwise the command is refused with `no_such_entity`. For land, `id`
    /// is its chunk.
    pub fn of<T: Asked>(id: impl Key, ask: &T::Ask) -> Asking<One<T>> {
        Asking { parts: vec![part::<T>(id, ask, Exists::Yes)], answers: PhantomData }
    }

    /// Asks the entity `id` of kind `T`, which must not exist: its first events create it. Otherwise the command is refused with
    /// `already_exists`.
    pub fn create<T: Asked>(id: impl Key, ask: &T::Ask) -> Asking<One<T>> {
        Asking { parts: vec![part::<T>(id, ask, Exists::No)], answers: PhantomData }
    }

    /// Asks several entities of one kind the same thing. Their answers come in this order.
    pub fn each<T: Asked>(ids: impl IntoIterator<Item = impl Key>, ask: &T::Ask) -> Asking<Many<T>> {
        let parts = ids.into_iter().map(|id| part::<T>(id, ask, Exists::Yes)).collect();
        Asking { parts, answers: PhantomData }
    }
}

fn part<T: Asked>(id: impl Key, ask: &T::Ask, exists: Exists) -> Part {
    Part { entity: EntityId::new(T::KIND, id.number::<T>()), ask: ask.to_bytes(), exists }
}

/// A transaction that is being built. It does nothing before [`then`](Self::then).
#[must_use = "an ask without `then` asks nobody"]
pub struct Asking<A> {
    parts: Vec<Part>,
    answers: PhantomData<fn(A)>,
}

impl<A: Fixed> Asking<A> {
    /// Also asks another entity. The closure of [`then`](Self::then) gets the answers as a pair.
    pub fn and<T: Asked>(mut self, id: impl Key, ask: &T::Ask) -> Asking<Both<A, One<T>>> {
        self.parts.push(part::<T>(id, ask, Exists::Yes));
        Asking { parts: self.parts, answers: PhantomData }
    }

    /// Also creates another entity, as [`Ask::create`].
    pub fn and_create<T: Asked>(mut self, id: impl Key, ask: &T::Ask) -> Asking<Both<A, One<T>>> {
        self.parts.push(part::<T>(id, ask, Exists::No));
        Asking { parts: self.parts, answers: PhantomData }
    }
}

impl<A: Answers> Asking<A> {
    /// Decides on the answers: what happens to the asking entity itself ([`Done`]), or a refusal, after which nothing happens to
    /// any entity. Or it **asks on**, by returning another `Ask` with its own `then`: whom it asks may depend on the answers. That
    /// belongs to the same transaction. Everybody who has answered stays locked meanwhile.
    ///
    /// The closure gets the entity's present state, the answers, and a context. It may run again, like `decide`. What a later
    /// closure must know of earlier answers, the earlier one moves into it.
    pub fn then<E: State, D: Into<Decision<E>> + 'static>(
        self,
        conclude: impl Fn(&E, A::Out, &mut Context<'_, E>) -> Result<D, Refusal> + Send + 'static,
    ) -> Decision<E> {
        let then: Conclusion<E, A, D, _> = Conclusion { conclude, kinds: PhantomData };
        Decision::asks(RawAsk { parts: self.parts, then: Box::new(then) })
    }
}

/// The answers to a set of asks, by type.
pub trait Answers: 'static {
    /// What the closure gets.
    type Out;
    /// Reads them, in the order of the asks. `None`: one of them is not such an answer.
    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Self::Out>;
}

/// A number of answers that the types know, so that others can be asked besides.
#[diagnostic::on_unimplemented(
    message = "after `Ask::each` nobody else can be asked",
    note = "begin with `Ask::of` and add the others with `and`, or ask with `each` alone"
)]
pub trait Fixed: Answers {}

impl<T: Asked> Fixed for One<T> {}
impl<A: Fixed, B: Fixed> Fixed for Both<A, B> {}

/// One entity's answer.
pub struct One<T>(PhantomData<fn(T)>);
/// The answers of several entities of one kind: all remaining ones.
pub struct Many<T>(PhantomData<fn(T)>);
/// The answers of both.
pub struct Both<A, B>(PhantomData<fn(A, B)>);

impl<T: Asked> Answers for One<T> {
    type Out = T::Answer;

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<T::Answer> {
        T::Answer::from_bytes(answers.next()?).ok().flatten()
    }
}

impl<T: Asked> Answers for Many<T> {
    type Out = Vec<T::Answer>;

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Vec<T::Answer>> {
        answers.map(|answer| T::Answer::from_bytes(answer).ok().flatten()).collect()
    }
}

impl<A: Answers, B: Answers> Answers for Both<A, B> {
    type Out = (A::Out, B::Out);

    fn read(answers: &mut std::slice::Iter<'_, Bytes>) -> Option<Self::Out> {
        Some((A::read(answers)?, B::read(answers)?))
    }
}

struct Conclusion<E, A, D, F> {
    conclude: F,
    kinds: PhantomData<fn(E, A) -> D>,
}

impl<E, A, D, F> Conclude for Conclusion<E, A, D, F>
where
    E: State,
    A: Answers,
    F: Fn(&E, A::Out, &mut Context<'_, E>) -> Result<D, Refusal> + Send,
    D: Into<Decision<E>>,
{
    fn conclude(
        &self,
        entity: &dyn Any,
        answers: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDecision, Refusal> {
        let entity: &Typed<E> = entity.downcast_ref().expect("an entity concludes what it has asked itself");
        let mut rest = answers.iter();
        let answers = A::read(&mut rest).filter(|_| rest.next().is_none()).ok_or_else(game_error)?;
        let decided = (self.conclude)(&entity.state, answers, &mut entity.context(cx));
        decided.map(|decision| decision.into().into_raw())
    }
}
