//! The game of the guide `docs/first-game.md`: a meadow where players plant flowers, wait, and pick them.

#[cfg(feature = "sim")]
pub mod sim;

use gundo::prelude::*;

/// How long a flower takes to ripen, ms.
pub const RIPE_MS: u64 = 60_000;
/// How far a gardener reaches, mm.
pub const REACH_MM: u32 = 2_000;
/// Flowers that fit into one chunk of meadow.
pub const FLOWERS_MAX: usize = 100;
/// Flowers that a gardener can carry.
pub const ARMS_MAX: u32 = 20;

/// What a gardener's client can send, and what the gardener then asks of the meadow.
#[message(Plant = 1, Pick = 2)]
pub enum Wish {
    /// Plant a flower here.
    Plant,
    /// Pick a ripe flower in reach.
    Pick,
}

/// A flower: part of a meadow's state, of its events and of its answers.
#[message(x = 1, y = 2, planted_at = 3, ripe = 4)]
pub struct Flower {
    /// Millimetres on the island.
    pub x: i32,
    /// Millimetres on the island.
    pub y: i32,
    /// World time, ms.
    pub planted_at: u64,
    /// Set only in what others see.
    pub ripe: bool,
}

impl Flower {
    fn ripe_at(&self) -> WorldTime {
        WorldTime(self.planted_at) + RIPE_MS
    }
}

/// What happens to a meadow.
#[message(Planted = 1, Picked = 2)]
pub enum MeadowEvent {
    /// One flower more.
    Planted(Flower),
    /// One flower less.
    Picked(Flower),
}

/// The flowers of one chunk.
#[message(flowers = 1)]
#[derive(State)]
#[state(kind = 2, name = "meadow", land, event = MeadowEvent, ask = Wish, answer = Flower)]
pub struct Meadow {
    /// In the order they were planted.
    pub flowers: Vec<Flower>,
}

impl Asked for Meadow {
    fn answer(&self, wish: Wish, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        let at = by.here()?.at;
        match wish {
            Wish::Plant if self.flowers.len() >= FLOWERS_MAX => Err(Refusal::new("full", "No room is left.")),
            Wish::Plant => {
                let flower = Flower { x: at.x, y: at.y, planted_at: cx.now.0, ripe: false };
                Ok((Done::new().event(&MeadowEvent::Planted(flower.clone())), flower))
            }
            Wish::Pick => {
                let in_reach = |flower: &&Flower| at.within(Point::new(flower.x, flower.y), REACH_MM);
                let ripe = self.flowers.iter().filter(in_reach).find(|flower| flower.ripe_at() <= cx.now);
                let flower = ripe.ok_or(Refusal::new("nothing_ripe", "No ripe flower is in reach."))?;
                Ok((Done::new().event(&MeadowEvent::Picked(flower.clone())), flower.clone()))
            }
        }
    }
}

impl Entity for Meadow {
    fn apply(&mut self, event: &MeadowEvent) {
        match event {
            MeadowEvent::Planted(flower) => self.flowers.push(flower.clone()),
            MeadowEvent::Picked(flower) => {
                let index = self.flowers.iter().position(|other| other == flower);
                index.map(|index| self.flowers.remove(index));
            }
        }
    }

    fn public(&self, at: WorldTime) -> Option<Meadow> {
        let show = |flower: &Flower| Flower { ripe: flower.ripe_at() <= at, ..flower.clone() };
        Some(Meadow { flowers: self.flowers.iter().map(show).collect() })
    }

    fn next_change(&self, at: WorldTime) -> Option<WorldTime> {
        self.flowers.iter().map(Flower::ripe_at).filter(|time| *time > at).min()
    }
}

/// What happens to a gardener.
#[message(Named = 1, Picked = 2)]
pub enum GardenerEvent {
    /// A gardener joined: the first event.
    Named(Gardener),
    /// One flower more to carry.
    Picked,
}

/// A player.
#[message(name = 1, flowers = 2)]
#[derive(State)]
#[state(kind = 1, name = "gardener", player, event = GardenerEvent)]
#[state(command = Wish, reply = Flower, private = Gardener)]
pub struct Gardener {
    /// Unique in the world.
    pub name: String,
    /// How many flowers the gardener carries.
    pub flowers: u32,
}

impl Player for Gardener {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        let name =
            NameRules::default().accept(name).map_err(|why| Refusal::new("bad_name", why.to_string()))?;
        let named = GardenerEvent::Named(Gardener { name: name.shown.clone(), flowers: 0 });
        Ok(Done::new().event(&named).take_names("gardener", name.keys(), cx.id))
    }

    fn spawn(&self, _cx: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, _world: &()) -> u32 {
        4_000
    }

    fn decide(&self, wish: Wish, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let meadow = Ask::of::<Meadow>(cx.here()?.chunk(), &wish);
        Ok(meadow.then(move |me: &Self, flower, _| match wish {
            Wish::Plant => Ok(Done::new().reply(&flower)),
            Wish::Pick if me.flowers >= ARMS_MAX => Err(Refusal::new("arms_full", "Your arms are full.")),
            Wish::Pick => Ok(Done::new().event(&GardenerEvent::Picked).reply(&flower)),
        }))
    }

    fn private(&self) -> Gardener {
        self.clone()
    }
}

impl Entity for Gardener {
    fn apply(&mut self, event: &GardenerEvent) {
        match event {
            GardenerEvent::Named(gardener) => self.clone_from(gardener),
            GardenerEvent::Picked => self.flowers += 1,
        }
    }

    fn public(&self, _at: WorldTime) -> Option<Gardener> {
        Some(self.clone())
    }
}

/// The whole game.
pub fn rules() -> Rules {
    let names = NameRules::default();
    let rules = Rules::new("meadow", ()).with::<Gardener>().with::<Meadow>();
    rules.names(names.characters_min, names.characters_max, names.sentence())
}
