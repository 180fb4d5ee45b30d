//! Mistakes that the types catch: for each the right code, the wrong code, and what the compiler says.
//!
//! The examples on this page are tests: every right one compiles, and every wrong one, which differs only in the mistake, does
//! not. The rules around them (a walker who drinks from wells, a pasture with sheep) are hidden; the source shows them.
//!
//! A [`Town`](crate::testing::Town) finds mistakes that no type catches, when a test runs the rule: too many asks, an `apply` that
//! does not depend on the event alone.
//!
//! # Events beside an ask
//! The closure of `then` decides what happens to the asking entity, when the answers are there. An ask takes no events.
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         let well = Ask::of::<Well>(here, &Draw {});
//!         Ok(well.then(|_: &Self, (), _| Ok(Done::new().event(&Drink {}))))
//!     }
//! # }
//! ```
//! ```compile_fail,E0599
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         let well = Ask::of::<Well>(here, &Draw {});
//!         Ok(well.event(&Drink {}).then(|_: &Self, (), _| Ok(Done::new())))
//!     }
//! # }
//! ```
//! ```text
//! error[E0599]: no method named `event` found for struct `Asking<A>` in the current scope
//! ```
//!
//! # A conclusion that asks on, sometimes
//! The closure of `then` may ask others in the same transaction. Where another way through it is done already, `.into()` makes a
//! decision of that. (Those who can be asked at once are asked at once, with `and` or `Ask::each`: each round takes time.)
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         let other = ChunkId { x: here.x + 1, ..here };
//!         let well = Ask::of::<Well>(here, &Draw {});
//!         Ok(well.then(move |me: &Self, (), _| {
//!             if me.drinks > 9 {
//!                 return Ok(Done::new().into());
//!             }
//!             Ok(Ask::of::<Well>(other, &Draw {}).then(|_: &Self, (), _| Ok(Done::new())))
//!         }))
//!     }
//! # }
//! ```
//! ```compile_fail,E0308
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         let other = ChunkId { x: here.x + 1, ..here };
//!         let well = Ask::of::<Well>(here, &Draw {});
//!         Ok(well.then(move |me: &Self, (), _| {
//!             if me.drinks > 9 {
//!                 return Ok(Done::new());
//!             }
//!             Ok(Ask::of::<Well>(other, &Draw {}).then(|_: &Self, (), _| Ok(Done::new())))
//!         }))
//!     }
//! # }
//! ```
//! ```text
//! error[E0308]: mismatched types: expected `Done<_>`, found `Decision<Walker>`
//! ```
//!
//! # Asking a kind that answers nothing
//! A kind can be asked, a player too, if its `#[state]` says `ask = …`.
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         Ok(Ask::of::<Well>(here, &Draw {}).then(|_: &Self, (), _| Ok(Done::new())))
//!     }
//! # }
//! ```
//! ```compile_fail,E0277
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//!     fn decide(&self, _: Drink, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
//!         let here = cx.here()?.chunk();
//!         Ok(Ask::of::<Walker>(here, &Draw {}).then(|_: &Self, (), _| Ok(Done::new())))
//!     }
//! # }
//! ```
//! ```text
//! error[E0277]: nobody can ask a `Walker`
//! ```
//!
//! # An ask that a client sends
//! A client sends commands; only rules ask. A [`Town`](crate::testing::Town) takes only commands too. (If a client sends the
//! bytes of an ask, the engine reads them as a command: it refuses them with `bad_command`, unless they are a valid command.)
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//! #     fn decide(&self, _: Drink, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> { Ok(Done::new().into()) }
//! # }
//! # use gundo::testing::Town;
//! fn drink(town: &mut Town, ada: EntityId) -> Result<(), Refusal> {
//!     town.command::<Walker>(ada, &Drink {})
//! }
//! ```
//! ```compile_fail,E0308
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # impl Player for Walker {
//! #     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//! #     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//! #     fn private(&self) {}
//! #     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//! #     fn decide(&self, _: Drink, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> { Ok(Done::new().into()) }
//! # }
//! # use gundo::testing::Town;
//! fn drink(town: &mut Town, ada: EntityId) -> Result<(), Refusal> {
//!     town.command::<Walker>(ada, &Draw {})
//! }
//! ```
//! ```text
//! error[E0308]: mismatched types: expected `&Drink`, found `&Draw`
//! ```
//!
//! # A player without `spawn`
//! A kind with the word `player` implements all of [`Player`](crate::Player).
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! impl Player for Walker {
//!     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//!     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//!     fn private(&self) {}
//!     fn decide(&self, _: Drink, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> { Ok(Done::new().into()) }
//!     fn spawn(&self, _: &mut Context<'_, Self>) -> Body { Body::default() }
//! }
//! ```
//! ```compile_fail,E0046
//! # use gundo::prelude::*;
//! # #[message] struct Drink {}
//! # #[message] struct Draw {}
//! # #[message(litres = 1)] #[derive(State)] #[state(kind = 2, name = "well", land, event = Draw, ask = Draw)]
//! # struct Well { litres: u32 }
//! # impl Asked for Well {
//! #     fn answer(&self, _: Draw, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> { Ok((Done::new(), ())) }
//! # }
//! # impl Entity for Well {
//! #     fn apply(&mut self, _: &Draw) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! # #[message(drinks = 1)] #[derive(State)]
//! # #[state(kind = 1, name = "walker", player, event = Drink, command = Drink)]
//! # struct Walker { drinks: u32 }
//! # impl Entity for Walker {
//! #     fn apply(&mut self, _: &Drink) { self.drinks += 1; }
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! impl Player for Walker {
//!     fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> { Ok(Done::new()) }
//!     fn speed_max(&self, _: &()) -> u32 { 4_000 }
//!     fn private(&self) {}
//!     fn decide(&self, _: Drink, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> { Ok(Done::new().into()) }
//! }
//! ```
//! ```text
//! error[E0046]: not all trait items implemented, missing: `spawn`
//! ```
//!
//! # `live` without `Ticking`
//! The words of `#[state]` are promises: `live` says that the kind implements [`Ticking`](crate::Ticking), `ask` that it implements
//! [`Asked`](crate::Asked), and `placed` that it implements [`Placed`](crate::Placed).
//! ```
//! # use gundo::prelude::*;
//! # #[message] struct Grazed {}
//! # #[derive(Default)] struct Flock { sheep: u32 }
//! # impl Entity for Pasture {
//! #     fn apply(&mut self, _: &Grazed) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! #[message]
//! #[derive(State)]
//! #[state(kind = 2, name = "pasture", land, event = Grazed, live = Flock)]
//! struct Pasture {}
//!
//! impl Ticking for Pasture {
//!     fn tick(&self, flock: &mut Flock, _: &mut TickContext<'_, Self>) { flock.sheep = 3; }
//! }
//! ```
//! ```compile_fail,E0277
//! # use gundo::prelude::*;
//! # #[message] struct Grazed {}
//! # #[derive(Default)] struct Flock { sheep: u32 }
//! # impl Entity for Pasture {
//! #     fn apply(&mut self, _: &Grazed) {}
//! #     fn public(&self, _: WorldTime) -> Option<Self> { None }
//! # }
//! #[message]
//! #[derive(State)]
//! #[state(kind = 2, name = "pasture", land, event = Grazed, live = Flock)]
//! struct Pasture {}
//! ```
//! ```text
//! error[E0277]: `Pasture` does not say what it does in a tick
//! ```
//!
//! # A field without a number
//! Stored and sent bytes carry numbers, not names.
//! ```
//! use gundo::prelude::*;
//!
//! #[message(x = 1, y = 2)]
//! struct Flower {
//!     x: i32,
//!     y: i32,
//! }
//! ```
//! ```compile_fail
//! use gundo::prelude::*;
//!
//! #[message(x = 1)]
//! struct Flower {
//!     x: i32,
//!     y: i32,
//! }
//! ```
//! ```text
//! error: a field of a message has a number: #[tag(1)], or #[message(name = 1)]; it never changes once a world exists
//! ```
//!
//! # The same number twice
//! Each field of a struct and each variant of an enum has a number of its own.
//! ```
//! use gundo::prelude::*;
//!
//! #[message]
//! enum Wish {
//!     #[tag(1)]
//!     Plant,
//!     #[tag(2)]
//!     Pick,
//! }
//! ```
//! ```compile_fail
//! use gundo::prelude::*;
//!
//! #[message]
//! enum Wish {
//!     #[tag(1)]
//!     Plant,
//!     #[tag(1)]
//!     Pick,
//! }
//! ```
//! ```text
//! error: something else in this message has this number
//! ```

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Mistakes on this page.
    const COUNT: usize = 8;
    /// Lines in which a wrong example may differ from the right one before it.
    const DIFFERENT_MAX: usize = 8;

    #[test]
    fn wrong_examples_are_right_but_for_the_mistake() {
        let page = include_str!("traps.rs").lines().map_while(|line| line.strip_prefix("//!"));
        let page: Vec<&str> = page.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        let blocks: Vec<&[&str]> =
            page.split(|line| line.starts_with("# ") && !line.contains([';', '{', '}', '['])).collect();
        let mut pairs = 0;
        for block in blocks {
            let parts: Vec<&[&str]> = block.split(|line| line.starts_with("```")).collect();
            // Words, right, nothing, wrong, nothing, what the compiler says, nothing.
            let [_, right, _, wrong, _, says, _] = parts[..] else { continue };
            let (right, wrong): (BTreeSet<_>, BTreeSet<_>) = (right.iter().collect(), wrong.iter().collect());
            let different = right.symmetric_difference(&wrong).count();
            assert!((1..=DIFFERENT_MAX).contains(&different), "{says:?}: {different} lines");
            assert!(says[0].starts_with("error"), "{says:?}");
            pairs += 1;
        }
        let wrong = page.iter().filter(|line| line.starts_with("```compile_fail")).count();
        assert_eq!((pairs, wrong), (COUNT, COUNT));
    }
}
