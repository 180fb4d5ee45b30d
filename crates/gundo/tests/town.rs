//! A town behaves as a world does.

use gundo::prelude::*;
use gundo::testing::Town;

#[message(Open = 1, Close = 2, Look = 3)]
enum Wish {
    Open(Sign),
    Close,
    Look,
}

#[message(text = 1)]
struct Sign {
    text: String,
}

#[message(text = 1)]
#[derive(State)]
#[state(kind = 1, name = "owner", player, event = Sign, command = Wish, reply = Sign)]
struct Owner {
    text: String,
}

#[message(text = 1)]
#[derive(State)]
#[state(kind = 2, name = "stall", placed, event = Sign, ask = Wish, answer = Sign)]
struct Stall {
    text: String,
}

const STALL: EntityId = EntityId::new(Stall::KIND, 7);

impl Player for Owner {
    fn create(&self, name: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Sign { text: name.into() }))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(15_000, 15_000), ..Body::default() }
    }

    fn speed_max(&self, (): &()) -> u32 {
        4_000
    }

    fn decide(&self, wish: Wish, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if matches!(wish, Wish::Look) {
            let here = cx.here()?;
            let near: Vec<_> =
                cx.near(here.island, here.at, 10_000).into_iter().map(|n| n.id.to_string()).collect();
            return Ok(Done::new().reply(&Sign { text: near.join(" ") }).into());
        }
        let ask = match &wish {
            Wish::Open(_) => Ask::create::<Stall>(STALL, &wish),
            _ => Ask::of::<Stall>(STALL, &wish),
        };
        Ok(ask.then(|_: &Self, sign, _| Ok(Done::new().reply(&sign))))
    }

    fn private(&self) {}
}

impl Entity for Owner {
    fn apply(&mut self, event: &Sign) {
        self.text.clone_from(&event.text);
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

impl Asked for Stall {
    fn answer(&self, wish: Wish, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        let sign = if let Wish::Open(sign) = wish { sign } else { Sign::default() };
        Ok((Done::new().event(&sign), sign))
    }
}

impl Entity for Stall {
    fn apply(&mut self, event: &Sign) {
        self.text.clone_from(&event.text);
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

impl Placed for Stall {
    fn place(&self) -> Option<Body> {
        let at = Point::new(15_500, 15_000);
        (!self.text.is_empty()).then(|| Body { at, ..Body::default() })
    }
}

fn town() -> (Town, EntityId) {
    let mut town = Town::new(Rules::new("stalls", ()).with::<Owner>().with::<Stall>());
    let ada = town.join("Ada").expect("she may join");
    (town, ada)
}

fn open(text: &str) -> Wish {
    Wish::Open(Sign { text: text.into() })
}

#[test]
fn a_closed_stall_makes_room_for_the_next() {
    let (mut town, ada) = town();
    let code = |done: Result<Sign, Refusal>| done.map(|sign| sign.text).map_err(|refusal| refusal.code);
    assert_eq!(code(town.command::<Owner>(ada, &open("bread"))), Ok("bread".into()));
    assert_eq!(code(town.command::<Owner>(ada, &open("fish"))), Err("already_exists".into()));
    assert!(town.command::<Owner>(ada, &Wish::Close).is_ok());
    assert_eq!(code(town.command::<Owner>(ada, &open("fish"))), Ok("fish".into()));
    assert_eq!(town.state::<Stall>(STALL).text, "fish");
}

#[test]
fn nobody_is_near_itself() {
    let (mut town, ada) = town();
    assert!(town.command::<Owner>(ada, &open("bread")).is_ok());
    assert_eq!(town.command::<Owner>(ada, &Wish::Look).expect("she looks").text, STALL.to_string());
}

#[test]
fn a_town_begins_as_a_world_does() {
    assert_eq!(town().0.now, WorldTime(0));
}

#[test]
#[should_panic(expected = "a chunk names its land, and stall is none")]
fn a_chunk_is_no_stall() {
    let chunk = Body::default().chunk();
    let _ = Ask::of::<Stall>(chunk, &Wish::Close);
}
