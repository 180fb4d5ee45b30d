//! A small game with one board in it that everybody asks all the time: its node appends for those who ask. Now and then a player refuses
//! because of what the board says, and its refusal names that.

use std::sync::Arc;

use bytes::Bytes;
use gundo_bots::{Behaviour, Wishes};
use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Player, Refusal, Rules, State,
};
use gundo_sim::Game;
use gundo_types::{Body, EntityId, Point, WorldTime};
use prost::Message;

/// The number of the board.
const BOARD: u64 = 1;
/// Of so many answers, one is refused.
const REFUSED: u32 = 5;
/// Commands that a player has open.
const OPEN: usize = 3;

/// Everything that is said, asked, answered, recorded and stored: a count.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Count {
    #[prost(uint32, tag = "1")]
    n: u32,
}

#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "asker", player, event = Count, command = Count, reply = Count)]
#[state(public = (), private = Count)]
struct Asker {
    #[prost(uint32, tag = "1")]
    n: u32,
}

impl Player for Asker {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Count::default()).take_name("asker", name, cx.id))
    }

    fn decide(&self, wish: Count, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let ask = Ask::of::<Board>(BOARD, &wish);
        Ok(ask.then(move |_: &Self, before: Count, _: &mut Context<'_, Self>| {
            if (before.n + wish.n).is_multiple_of(REFUSED) {
                return Err(Refusal::new("full", format!("{}", before.n)));
            }
            Ok(Done::new().event(&Count { n: 1 }).reply(&before))
        }))
    }

    fn private(&self) -> Count {
        Count { n: self.n }
    }

    fn spawn(&self, cx: &mut Context<'_, Self>) -> Body {
        let far = cx.random() % 200_000;
        Body { at: Point::new(29_000 + far as i32, 29_000), ..Body::default() }
    }

    fn speed_max(&self, (): &()) -> u32 {
        3_000
    }
}

impl Entity for Asker {
    fn apply(&mut self, count: &Count) {
        self.n += count.n;
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        Some(())
    }
}

#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 2, name = "board", event = Count, ask = Count, answer = Count, public = Count)]
#[state(asking_creates)]
struct Board {
    #[prost(uint32, tag = "1")]
    n: u32,
}

impl Asked for Board {
    fn answer(&self, _: Count, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&Count { n: 1 }), Count { n: self.n }))
    }
}

impl Entity for Board {
    fn apply(&mut self, count: &Count) {
        self.n += count.n;
    }

    fn public(&self, _: WorldTime) -> Option<Count> {
        Some(Count { n: self.n })
    }
}

struct Eager(u32);

impl Behaviour for Eager {
    fn step(&mut self, wishes: &mut Wishes) {
        if wishes.open < OPEN {
            self.0 += 1;
            wishes.command(0, Count { n: self.0 }.encode_to_vec());
        }
    }
}

pub(crate) struct Asking;

impl Game for Asking {
    fn name(&self) -> &'static str {
        "asking"
    }

    fn rules(&self, _: u64) -> Arc<Rules> {
        Arc::new(Rules::new("asking", ()).with::<Asker>().with::<Board>())
    }

    fn mind(&self, index: usize) -> Box<dyn Behaviour> {
        Box::new(Eager(index as u32))
    }

    fn seen_in(&self, code: &str, text: &str) -> Option<(EntityId, Bytes)> {
        let n = text.parse().ok().filter(|_| code == "full")?;
        // Before the first there is nothing to be seen.
        (n > 0).then(|| (EntityId::new(Board::KIND, BOARD), Count { n }.encode_to_vec().into()))
    }
}
