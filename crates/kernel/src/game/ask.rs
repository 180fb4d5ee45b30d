//! The typed builder of a decision's transaction; and the parts that only a player's decision has.

use std::any::Any;
use std::marker::PhantomData;

use bytes::Bytes;
use gundo_types::{Body, EntityId};

use super::context::{Context, RawContext};
use super::decision::{Conclude, Decision, Done, Exists, Part, RawAsk, RawDone};
use super::entity::{Asked, Player};
use super::kinds::Typed;
use super::payload::Payload;
use super::refusal::{Refusal, game_error};
use super::state::{Key, State};

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
/// At most 16 entities, each once. A player cannot be asked. An entity that takes part in a transaction answers no other; asks
/// of the same entity wait or are retried for at most 3 s, and then the command is refused with `busy`.
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
    /// Decides on the answers: what happens to the asking entity itself, or a refusal, after which nothing happens to any entity.
    ///
    /// The closure gets the entity's present state, the answers, and a context. It may run again, like `decide`.
    pub fn then<E: State>(
        self,
        conclude: impl Fn(&E, A::Out, &mut Context<'_, E>) -> Result<Done<E>, Refusal> + Send + 'static,
    ) -> Decision<E> {
        let then: Conclusion<E, A, _> = Conclusion { conclude, kinds: PhantomData };
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

struct Conclusion<E, A, F> {
    conclude: F,
    kinds: PhantomData<fn(E, A)>,
}

impl<E, A, F> Conclude for Conclusion<E, A, F>
where
    E: State,
    A: Answers,
    F: Fn(&E, A::Out, &mut Context<'_, E>) -> Result<Done<E>, Refusal> + Send,
{
    fn conclude(
        &self,
        entity: &dyn Any,
        answers: &[Bytes],
        cx: &mut RawContext<'_>,
    ) -> Result<RawDone, Refusal> {
        let entity: &Typed<E> = entity.downcast_ref().expect("an entity concludes what it has asked itself");
        let mut rest = answers.iter();
        let answers = A::read(&mut rest).filter(|_| rest.next().is_none()).ok_or_else(game_error)?;
        (self.conclude)(&entity.state, answers, &mut entity.context(cx)).map(Done::into_raw)
    }
}
