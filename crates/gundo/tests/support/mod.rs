//! The smallest game that has everything a world needs: players with a counter.

use gundo::{
    Body, Context, Decision, Done, Entity, Player, Point, Refusal, Rules, State, Stored, WorldInfo,
    WorldTime, message,
};

/// Command, event, state and reply: a number.
#[message]
pub(crate) struct Count {
    /// The number.
    #[tag(1)]
    pub(crate) n: u64,
}

/// A player that counts.
#[derive(State)]
#[state(kind = 1, name = "counter", player, durable = Count, event = Count)]
#[state(command = Count, reply = Count, public = Count, private = Count)]
pub(crate) struct Counter(u64);

impl Stored for Counter {
    fn load(_: u64, _: &(), count: Count) -> Self {
        Self(count.n)
    }

    fn save(&self) -> Count {
        Count { n: self.0 }
    }
}

impl Player for Counter {
    fn decide(&self, command: Count, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if command.n > 10 {
            return Err(Refusal::new("too_much", "Nobody counts that fast."));
        }
        Ok(Done::new().event(&command).reply(&Count { n: self.0 + command.n }).into())
    }

    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Count { n: 0 }).take_name("player", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, _: &()) -> u32 {
        5_000
    }

    fn private(&self) -> Count {
        self.save()
    }
}

impl Entity for Counter {
    fn apply(&mut self, event: &Count) {
        self.0 += event.n;
    }

    fn public(&self, _: WorldTime) -> Option<Count> {
        Some(self.save())
    }
}

/// The game.
pub(crate) fn rules(_: &WorldInfo) -> Rules {
    Rules::new("counting", ()).with::<Counter>()
}
