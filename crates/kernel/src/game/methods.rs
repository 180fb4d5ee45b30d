//! Which rules a kind has. `#[derive(State)]` lists them.

use gundo_types::{Body, EntityId, WorldTime};

use super::context::{Actor, Context, TickContext};
use super::decision::{Decision, Done};
use super::entity::{Asked, Entity, Placed, Player, Receives, Ticking};
use super::ordered::Ordered;
use super::pace::Pace;
use super::refusal::Refusal;
use super::state::State;
use super::timed::Timed;

/// A kind whose rules are listed. `#[derive(State)]` implements it.
pub trait Registered: Entity {
    /// The rules it has.
    fn methods() -> Methods<Self>;
}

/// The optional rules of a kind, as functions. `#[derive(State)]` fills it, so a trait that `#[state]` promises and nobody
/// implements is a compile error.
pub struct Methods<E: State> {
    pub(super) answer: Option<AnswerFn<E>>,
    pub(super) receive: Option<ReceiveMethods<E>>,
    pub(super) timed: Option<TimedMethods<E>>,
    pub(super) ordered: Option<OrderMethods<E>>,
    pub(super) player: Option<PlayerMethods<E>>,
    pub(super) tick: Option<TickFn<E>>,
    pub(super) place: Option<fn(&E) -> Option<Body>>,
}

type AnswerFn<E> = fn(
    &E,
    <E as State>::Ask,
    &Actor,
    &mut Context<'_, E>,
) -> Result<(Done<E>, <E as State>::Answer), Refusal>;
type CreateFn<E> = fn(&E, &str, &mut Context<'_, E>) -> Result<Done<E>, Refusal>;
type WalkFn<E> = fn(&E, &Body, &Body, &mut Context<'_, E>) -> Result<(), Refusal>;
type DecideFn<E> = fn(&E, <E as State>::Command, &mut Context<'_, E>) -> Result<Decision<E>, Refusal>;
type TickFn<E> = fn(&E, &mut <E as State>::Live, &mut TickContext<'_, E>);

type TakeFn<E> = fn(&E, <E as State>::Message, EntityId, &mut Context<'_, E>) -> Result<Decision<E>, Refusal>;
type NotTakenFn<E> = fn(&E, <E as State>::Message, EntityId, &Refusal, &mut Context<'_, E>) -> Done<E>;

pub(super) struct ReceiveMethods<E: State> {
    pub(super) take: TakeFn<E>,
    pub(super) not_taken: NotTakenFn<E>,
}

type OnTimerFn<E> =
    fn(&E, <E as State>::Timer, WorldTime, &mut Context<'_, E>) -> Result<Decision<E>, Refusal>;
type TimerRefusedFn<E> = fn(&E, <E as State>::Timer, WorldTime, &Refusal, &mut Context<'_, E>) -> Done<E>;

pub(super) struct TimedMethods<E: State> {
    pub(super) on_timer: OnTimerFn<E>,
    pub(super) refused: TimerRefusedFn<E>,
}

type OrderFn<E> = fn(&E, <E as State>::Order, &mut Context<'_, E>) -> Result<Decision<E>, Refusal>;

pub(super) struct OrderMethods<E: State> {
    pub(super) read: fn(&str) -> Result<E::Order, String>,
    pub(super) order: OrderFn<E>,
    pub(super) words: fn(&E::OrderAnswer) -> String,
}

pub(super) struct PlayerMethods<E: State> {
    pub(super) create: CreateFn<E>,
    pub(super) spawn: fn(&E, &mut Context<'_, E>) -> Body,
    pub(super) speed_max: fn(&E, &E::World) -> u32,
    pub(super) pace: fn(&E::Command) -> Option<Pace>,
    pub(super) decide: DecideFn<E>,
    pub(super) private: fn(&E) -> E::Private,
    pub(super) walk: WalkFn<E>,
}

impl<E: State> Default for Methods<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: State> Methods<E> {
    /// Only the rules that every entity has.
    pub fn new() -> Self {
        Self {
            answer: None,
            receive: None,
            timed: None,
            ordered: None,
            player: None,
            tick: None,
            place: None,
        }
    }

    /// Others can ask it.
    pub fn asked(mut self) -> Self
    where
        E: Asked,
    {
        self.answer = Some(E::answer);
        self
    }

    /// It takes messages.
    pub fn receiving(mut self) -> Self
    where
        E: Receives,
    {
        self.receive = Some(ReceiveMethods { take: E::take, not_taken: E::not_taken });
        self
    }

    /// It has timers.
    pub fn timed(mut self) -> Self
    where
        E: Timed,
    {
        self.timed = Some(TimedMethods { on_timer: E::on_timer, refused: E::on_timer_refused });
        self
    }

    /// Operators can give it orders.
    pub fn ordered(mut self) -> Self
    where
        E: Ordered,
    {
        let (read, order, words) = (E::read_order, E::order, E::answer_words);
        self.ordered = Some(OrderMethods { read, order, words });
        self
    }

    /// It is a player.
    pub fn player(mut self) -> Self
    where
        E: Player,
    {
        self.player = Some(PlayerMethods {
            create: E::create,
            spawn: E::spawn,
            speed_max: E::speed_max,
            pace: E::pace,
            decide: E::decide,
            private: E::private,
            walk: E::walk,
        });
        self
    }

    /// It ticks while somebody looks.
    pub fn ticking(mut self) -> Self
    where
        E: Ticking,
    {
        self.tick = Some(E::tick);
        self
    }

    /// It stands in a chunk.
    pub fn placed(mut self) -> Self
    where
        E: Placed,
    {
        self.place = Some(E::place);
        self
    }
}
