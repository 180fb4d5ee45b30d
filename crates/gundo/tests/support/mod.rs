//! The smallest game that has everything a world needs: players with a counter.

use std::sync::Arc;

use gundo::prost::Message;
use gundo::{
    Body, Context, Decision, DecodeError, Entity, Kind, Point, Refusal, Rules, WorldInfo, WorldTime,
};

/// Command, event, state and reply: a number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Count {
    /// The number.
    #[prost(uint64, tag = "1")]
    pub(crate) n: u64,
}

/// A player that counts.
pub(crate) struct Counter(u64);

impl Entity for Counter {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "counter";
    type World = ();
    type Command = Count;
    type Event = Count;
    type Live = ();

    fn new(_: u64, _: &()) -> Self {
        Self(0)
    }

    fn restore(_: u64, _: &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        Count::decode(snapshot).map(|c| Self(c.n))
    }

    fn snapshot(&self) -> Vec<u8> {
        Count { n: self.0 }.encode_to_vec()
    }

    fn decide(&self, command: Count, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        if command.n > 10 {
            return Err(Refusal::new("too_much", "Nobody counts that fast."));
        }
        Ok(Decision::new().event(&command).reply(&Count { n: self.0 + command.n }))
    }

    fn create(&self, name: &str, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        Ok(Decision::new().event(&Count { n: 0 }).take_name("player", name, cx.id))
    }

    fn apply(&mut self, event: &Count) {
        self.0 += event.n;
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(self.snapshot())
    }

    fn private(&self) -> Vec<u8> {
        self.snapshot()
    }

    fn spawn(&self, _: &mut Context<'_, ()>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, _: &()) -> u32 {
        5_000
    }
}

/// The game.
pub(crate) fn rules(_: &WorldInfo) -> Rules {
    Rules::new::<Counter>("counting", &Arc::new(()))
}
