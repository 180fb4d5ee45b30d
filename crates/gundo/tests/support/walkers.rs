//! A game whose rules take processes down.

use std::time::Duration;

use gundo::{
    Body, Context, Decision, Done, Entity, Player, Point, Refusal, Rules, State, WorldTime, message,
};

pub(crate) fn rules() -> Rules {
    Rules::new("walkers", ()).with::<Walker>()
}

#[message(name = 1)]
struct Said {
    name: String,
}

/// A player. A step of the one called Bomb overflows the stack, and one of the one called Snare does not return.
#[message(name = 1)]
#[derive(State)]
#[state(kind = 1, name = "walker", player, event = Said, command = Said)]
struct Walker {
    name: String,
}

/// As deep as it can.
fn dive(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { dive(depth + 1) + room[1] }
}

impl Player for Walker {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Said { name: name.into() }).take_name("walker", name, cx.id))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn decide(&self, _: Said, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().into())
    }

    fn speed_max(&self, (): &()) -> u32 {
        5_000
    }

    fn walk(&self, _: &Body, _: &Body, _: &mut Context<'_, Self>) -> Result<(), Refusal> {
        if self.name == "Bomb" && dive(0) == 1 {
            return Err(Refusal::new("deep", "That was deep."));
        }
        if self.name == "Snare" {
            loop {
                // It hangs, and costs no core.
                std::thread::sleep(Duration::from_secs(3_600));
            }
        }
        Ok(())
    }

    fn private(&self) {}
}

impl Entity for Walker {
    fn apply(&mut self, event: &Said) {
        self.name.clone_from(&event.name);
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}
