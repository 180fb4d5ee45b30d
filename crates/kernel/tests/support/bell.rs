//! Towers with bells: the test game's kind with timers. Players set them, and have bells of their own.

use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Refusal, State, Timed,
};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::Message;

use super::cluster::{Cluster, game_state};
use super::game::{Player, PlayerCommand, PlayerEvent};
use super::gift::Gift;

pub const TOWER: Kind = Kind(8);

/// What a player wants: bells that ring later, or not at all.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct BellWish {
    /// The tower; 0: the player's own bells.
    #[prost(uint64, tag = "1")]
    pub tower: u64,
    #[prost(message, optional, tag = "2")]
    pub bell: Option<Bell>,
    /// `None`: it is cancelled.
    #[prost(uint64, optional, tag = "3")]
    pub after_ms: Option<u64>,
    /// So many bells: this one, and those with the next numbers.
    #[prost(uint32, tag = "4")]
    pub count: u32,
}

/// A timer: which bell, and what it does.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Bell {
    #[prost(uint32, tag = "1")]
    pub number: u32,
    /// One of the constants below.
    #[prost(uint32, tag = "2")]
    pub does: u32,
    /// Whom it asks.
    #[prost(uint64, tag = "3")]
    pub whom: u64,
}

/// Nothing but a ring.
pub const RINGS: u32 = 0;
/// Asks another tower to ring, or gives a pebble to another player.
pub const ASKS: u32 = 1;
/// Sets the same bell again, two more times.
pub const RINGS_ON: u32 = 2;
pub const REFUSES: u32 = 3;
/// It is busy until it has been asked three things.
pub const BUSY: u32 = 4;
pub const PANICS: u32 = 5;
/// Takes a name that somebody else has.
pub const TAKES_A_NAME: u32 = 6;

impl Bell {
    pub fn new(number: u32, does: u32) -> Self {
        Self { number, does, whom: 0 }
    }
}

impl BellWish {
    pub fn set(tower: u64, bell: Bell, after_ms: u64) -> Self {
        Self { tower, bell: Some(bell), after_ms: Some(after_ms), count: 1 }
    }

    pub fn cancel(tower: u64, bell: Bell) -> Self {
        Self { tower, bell: Some(bell), after_ms: None, count: 1 }
    }

    pub fn decide(self, cx: &Context<'_, Player>) -> Decision<Player> {
        if self.tower > 0 {
            return Ask::of::<Tower>(self.tower, &self).then(|_: &Player, (), _| Ok(Done::new()));
        }
        self.apply(Done::new(), cx.now).into()
    }

    fn apply<E: Timed + State<Timer = Bell>>(self, done: Done<E>, now: WorldTime) -> Done<E> {
        let bell = self.bell.unwrap_or_default();
        let bells = (0..self.count).map(|more| Bell { number: bell.number + more, ..bell });
        bells.fold(done, |done, bell| match self.after_ms {
            Some(ms) => done.timer(&bell, now + ms),
            None => done.no_timer(&bell),
        })
    }
}

/// A ring.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Ring {
    #[prost(uint32, tag = "1")]
    pub number: u32,
    #[prost(uint64, tag = "2")]
    pub due: u64,
    #[prost(uint64, tag = "3")]
    pub at: u64,
    /// It was refused.
    #[prost(bool, tag = "4")]
    pub refused: bool,
    /// Somebody has asked it.
    #[prost(bool, tag = "5")]
    pub asked: bool,
}

#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 8, name = "tower", event = Ring, ask = BellWish, timer = Bell, asking_creates)]
pub struct Tower {
    #[prost(message, repeated, tag = "1")]
    pub rings: Vec<Ring>,
}

impl Asked for Tower {
    fn answer(&self, wish: BellWish, _: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        let asked = Ring { asked: true, at: cx.now.0, ..Ring::default() };
        Ok((wish.apply(Done::new().event(&asked), cx.now), ()))
    }
}

impl Timed for Tower {
    fn on_timer(
        &self,
        bell: Bell,
        due: WorldTime,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        let ring = Ring { number: bell.number, due: due.0, at: cx.now.0, ..Ring::default() };
        let done = Done::new().event(&ring);
        let before = self.rings.iter().filter(|ring| ring.number == bell.number && ring.due > 0).count();
        match bell.does {
            ASKS => {
                let ask = Ask::of::<Self>(bell.whom, &BellWish::default());
                return Ok(ask.then(move |_: &Self, (), _| Ok(Done::new().event(&ring))));
            }
            RINGS_ON if before < 2 => return Ok(done.timer(&bell, due + 1_000).into()),
            REFUSES => return Err(Refusal::new("no", "No.")),
            BUSY if self.rings.iter().filter(|ring| ring.asked).count() < 3 => {
                return Err(Refusal::new("busy", "Not now."));
            }
            PANICS => panic!("a planted panic in on_timer"),
            TAKES_A_NAME => return Ok(done.take_name("player", "ann", cx.id).into()),
            _ => {}
        }
        Ok(done.into())
    }

    fn on_timer_refused(
        &self,
        bell: Bell,
        due: WorldTime,
        refusal: &Refusal,
        cx: &mut Context<'_, Self>,
    ) -> Done<Self> {
        assert_eq!(refusal.code, "no");
        let (number, due, at) = (bell.number, due.0, cx.now.0);
        Done::new().event(&Ring { number, due, at, refused: true, ..Ring::default() })
    }
}

impl Entity for Tower {
    fn apply(&mut self, ring: &Ring) {
        self.rings.push(*ring);
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

impl Timed for Player {
    fn on_timer(
        &self,
        bell: Bell,
        _: WorldTime,
        _: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        if bell.does == ASKS {
            let ask = Ask::of::<Self>(bell.whom, &Gift { n: 1, ..Gift::default() });
            let given = PlayerEvent { gained: -1, ..Default::default() };
            return Ok(ask.then(move |_: &Self, _, _| Ok(Done::new().event(&given))));
        }
        Ok(Done::new().into())
    }
}

pub fn tower(number: u64) -> EntityId {
    EntityId::new(TOWER, number)
}

/// How a tower's bells have rung, by the journal.
pub fn rings(cluster: &Cluster, number: u64) -> Vec<Ring> {
    let mut rings = game_state::<Tower>(&cluster.disk.store.load(tower(number))).rings;
    rings.retain(|ring| !ring.asked);
    rings
}

pub fn bells(cluster: &mut Cluster, client: usize, wish: BellWish) {
    cluster.command(client, &PlayerCommand { bell: Some(wish), ..Default::default() });
}
