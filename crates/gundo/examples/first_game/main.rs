//! The game of the guide `docs/first-game.md`: a meadow where players plant flowers, wait, and pick them.

use std::process::ExitCode;
use std::sync::Arc;

use gundo::{
    Body, Bytes, Context, Decision, DecodeError, Entity, Kind, Message, Point, Refusal, Rules, WorldTime,
};
use gundo_cli::App;

const RIPE_MS: u64 = 60_000;
const REACH_MM: u32 = 2_000;
const FLOWERS_MAX: usize = 100;
const ARMS_MAX: u32 = 20;

#[derive(Clone, PartialEq, Message)]
struct Wish {
    #[prost(string, tag = "1")]
    verb: String, // "plant" or "pick"
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Flower {
    #[prost(sint32, tag = "1")]
    x: i32, // mm
    #[prost(sint32, tag = "2")]
    y: i32, // mm
    #[prost(uint64, tag = "3")]
    planted_at: u64, // world time, ms
    #[prost(bool, tag = "4")]
    ripe: bool, // only in what others see
}

#[derive(Clone, PartialEq, Message)]
struct MeadowEvent {
    #[prost(message, optional, tag = "1")]
    planted: Option<Flower>,
    #[prost(message, optional, tag = "2")]
    picked: Option<Flower>,
}

#[derive(Clone, PartialEq, Message)]
struct GardenerEvent {
    #[prost(string, optional, tag = "1")]
    named: Option<String>,
    #[prost(uint32, tag = "2")]
    picked: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Meadow {
    #[prost(message, repeated, tag = "1")]
    flowers: Vec<Flower>,
}

#[derive(Clone, PartialEq, Message)]
struct Gardener {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    flowers: u32,
}

impl Entity for Meadow {
    const KIND: Kind = Kind(2);
    const NAME: &'static str = "meadow";
    type World = ();
    type Command = Wish;
    type Event = MeadowEvent;
    type Live = ();

    fn new(_id: u64, _world: &()) -> Self {
        Meadow::default()
    }

    fn restore(_id: u64, _world: &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        Meadow::decode(snapshot)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn decide(&self, wish: Wish, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let asker = cx.actor.and_then(|actor| actor.body);
        let at = asker.ok_or(Refusal::new("unclear", "Only gardeners work here."))?.at;
        let event = match wish.verb.as_str() {
            "plant" if self.flowers.len() < FLOWERS_MAX => {
                let flower = Flower { x: at.x, y: at.y, planted_at: cx.now.0, ripe: false };
                MeadowEvent { planted: Some(flower), picked: None }
            }
            "plant" => return Err(Refusal::new("full", "There is no room for another flower.")),
            "pick" => {
                let in_reach = |flower: &&Flower| at.within(Point::new(flower.x, flower.y), REACH_MM);
                let flower = self.flowers.iter().filter(in_reach).find(|flower| is_ripe(flower, cx.now));
                let flower = flower.ok_or(Refusal::new("nothing_ripe", "No ripe flower is in reach."))?;
                MeadowEvent { planted: None, picked: Some(*flower) }
            }
            _ => return Err(Refusal::new("unclear", "Plant or pick?")),
        };
        Ok(Decision::new().event(&event).reply(&event))
    }

    fn apply(&mut self, event: &MeadowEvent) {
        self.flowers.extend(event.planted);
        if let Some(place) = self.flowers.iter().position(|flower| event.picked == Some(*flower)) {
            self.flowers.remove(place);
        }
    }

    fn public(&self, at: WorldTime) -> Option<Vec<u8>> {
        let show = |flower: &Flower| Flower { ripe: is_ripe(flower, at), ..*flower };
        Some(Meadow { flowers: self.flowers.iter().map(show).collect() }.encode_to_vec())
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        let ripens = self.flowers.iter().map(|flower| WorldTime(flower.planted_at) + RIPE_MS);
        ripens.filter(|time| *time > at).min()
    }
}

fn is_ripe(flower: &Flower, at: WorldTime) -> bool {
    at - WorldTime(flower.planted_at) >= RIPE_MS
}

impl Entity for Gardener {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "gardener";
    type World = ();
    type Command = Wish;
    type Event = GardenerEvent;
    type Live = ();

    fn new(_id: u64, _world: &()) -> Self {
        Gardener::default()
    }

    fn restore(_id: u64, _world: &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        Gardener::decode(snapshot)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn create(&self, name: &str, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        if !(3..=16).contains(&name.chars().count()) || !name.chars().all(char::is_alphanumeric) {
            return Err(Refusal::new("bad_name", "A name has 3 to 16 letters or digits."));
        }
        let event = GardenerEvent { named: Some(name.into()), picked: 0 };
        Ok(Decision::new().event(&event).take_name("gardener", &name.to_lowercase(), cx.id))
    }

    fn spawn(&self, _cx: &mut Context<'_, ()>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, _world: &()) -> u32 {
        4_000
    }

    fn decide(&self, wish: Wish, cx: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let body = cx.body.ok_or(Refusal::new("unclear", "You are nowhere."))?;
        Ok(Decision::new().ask::<Meadow>(body.chunk().to_u64(), &wish))
    }

    fn conclude(
        &self,
        _: Wish,
        replies: &[Bytes],
        _: &mut Context<'_, ()>,
    ) -> Result<Decision<Self>, Refusal> {
        let reply = replies.first().cloned().unwrap_or_default();
        let done =
            MeadowEvent::decode(reply).map_err(|_| Refusal::new("unclear", "The meadow is silent."))?;
        if done.picked.is_none() {
            return Ok(Decision::new().reply(&done));
        }
        if self.flowers >= ARMS_MAX {
            return Err(Refusal::new("arms_full", "You cannot carry more flowers."));
        }
        Ok(Decision::new().event(&GardenerEvent { named: None, picked: 1 }).reply(&done))
    }

    fn apply(&mut self, event: &GardenerEvent) {
        if let Some(name) = &event.named {
            self.name.clone_from(name);
        }
        self.flowers += event.picked;
    }

    fn public(&self, _at: WorldTime) -> Option<Vec<u8>> {
        Some(self.encode_to_vec())
    }

    fn private(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

fn rules() -> Rules {
    let world = Arc::new(());
    Rules::new::<Gardener>("meadow", &world).land::<Meadow>(&world)
}

fn main() -> ExitCode {
    let app = App::new("meadow", |_| rules());
    #[cfg(feature = "sim")]
    let app = app.simulated(sim::COMMAND, sim::Simulated);
    app.run()
}

#[cfg(feature = "sim")]
mod sim;

#[cfg(test)]
mod tests;
