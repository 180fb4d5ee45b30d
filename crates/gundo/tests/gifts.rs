//! Gardeners who give flowers to one another, as the guide `docs/first-game.md` shows; and a stall that names the seller, who is then
//! asked.

use gundo::prelude::*;
use gundo::testing::Town;

const GUIDE: &str = include_str!("../../../docs/first-game.md");
const THIS: &str = include_str!("gifts.rs");

/// What a gardener's client can send.
#[message(Grow = 1, Give = 2, Buy = 3)]
enum Wish {
    Grow,
    Give(Gift),
    Buy(Purchase),
}

#[message(to = 1, flowers = 2)]
struct Gift {
    to: u64,
    flowers: u32,
}

#[message(stall = 1)]
struct Purchase {
    stall: u64,
}

/// What one gardener asks another: to take flowers, wherever it is, or only if it stands near.
#[message(flowers = 1, near = 2)]
struct Bouquet {
    flowers: u32,
    near: bool,
}

#[message(Grew = 1, Gave = 2, Got = 3)]
enum GiftEvent {
    Grew,
    Gave(Bouquet),
    Got(Bouquet),
}

#[message(flowers = 1)]
#[derive(State)]
#[state(kind = 1, name = "gardener", player, event = GiftEvent, command = Wish, ask = Bouquet)]
struct Gardener {
    flowers: u32,
}

impl Asked for Gardener {
    fn answer(&self, gift: Bouquet, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        // Refuses if one of the two is not in the world.
        if gift.near && !cx.here()?.at.within(by.here()?.at, 4_000) {
            return Err(Refusal::new("far_away", "Step closer."));
        }
        Ok((Done::new().event(&GiftEvent::Got(gift)), ()))
    }
}

impl Gardener {
    fn give(&self, gift: &Gift, cx: &Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if gift.to == cx.id.id {
            return Err(Refusal::new("yourself", "They are yours already."));
        }
        let flowers = gift.flowers;
        let bouquet = Bouquet { flowers, near: true };
        Ok(Ask::of::<Self>(gift.to, &bouquet).then(move |me: &Self, (), _| me.pay(flowers)))
    }

    /// The stall says whose it is and what it costs; then the seller is asked to take that, away or not.
    fn buy(stall: u64) -> Decision<Self> {
        Ask::of::<Stall>(stall, &Sell {}).then(|_: &Self, offer, _| {
            let price = offer.price;
            let coins = Bouquet { flowers: price, near: false };
            Ok(Ask::of::<Self>(offer.seller, &coins).then(move |me: &Self, (), _| me.pay(price)))
        })
    }

    fn pay(&self, flowers: u32) -> Result<Done<Self>, Refusal> {
        if flowers > self.flowers {
            return Err(Refusal::new("not_enough", "You have not that many."));
        }
        Ok(Done::new().event(&GiftEvent::Gave(Bouquet { flowers, near: false })))
    }
}

impl Entity for Gardener {
    fn apply(&mut self, event: &GiftEvent) {
        match event {
            GiftEvent::Grew => self.flowers += 10,
            GiftEvent::Gave(gift) => self.flowers -= gift.flowers,
            GiftEvent::Got(gift) => self.flowers += gift.flowers,
        }
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        None
    }
}

impl Player for Gardener {
    fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&GiftEvent::Grew))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body::default()
    }

    fn speed_max(&self, (): &()) -> u32 {
        4_000
    }

    fn private(&self) {}

    fn decide(&self, wish: Wish, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        match wish {
            Wish::Grow => Ok(Done::new().event(&GiftEvent::Grew).into()),
            Wish::Give(gift) => self.give(&gift, cx),
            Wish::Buy(purchase) => Ok(Self::buy(purchase.stall)),
        }
    }
}

#[message]
struct Sell {}

#[message(seller = 1, price = 2)]
struct Offer {
    seller: u64,
    price: u32,
}

#[message(sold = 1)]
#[derive(State)]
#[state(kind = 2, name = "stall", event = Sell, ask = Sell, answer = Offer, asking_creates)]
struct Stall {
    sold: u32,
}

impl Asked for Stall {
    fn answer(&self, _: Sell, _: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        // Its number is its seller's.
        Ok((Done::new().event(&Sell {}), Offer { seller: cx.id.id, price: 3 + self.sold }))
    }
}

impl Entity for Stall {
    fn apply(&mut self, _: &Sell) {
        self.sold += 1;
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        None
    }
}

fn town() -> (Town, [EntityId; 2]) {
    let mut town = Town::new(Rules::new("gifts", ()).with::<Gardener>().with::<Stall>());
    let both = ["Ada", "Ben"].map(|name| town.join(name).expect("a good name"));
    (town, both)
}

#[test]
fn a_gift_is_one_transaction() {
    let (mut town, [ada, ben]) = town();
    let give = |to: EntityId, flowers| Wish::Give(Gift { to: to.id, flowers });
    town.command::<Gardener>(ada, &give(ben, 4)).expect("both stand at the same place");
    assert_eq!([ada, ben].map(|id| town.state::<Gardener>(id).flowers), [6, 14]);
    for (wish, code) in [
        (give(ben, 7), "not_enough"),
        (give(ada, 1), "yourself"),
        (give(EntityId::new(ada.kind, 4_711), 1), "no_such_entity"),
    ] {
        assert_eq!(town.command::<Gardener>(ada, &wish).unwrap_err().code, code);
    }
    assert_eq!([ada, ben].map(|id| town.state::<Gardener>(id).flowers), [6, 14]);
}

#[test]
fn a_stall_names_its_seller_who_is_then_asked() {
    let (mut town, [ada, ben]) = town();
    let buy = Wish::Buy(Purchase { stall: ben.id });
    for left in [7, 3] {
        town.command::<Gardener>(ada, &buy).expect("she has enough");
        assert_eq!(town.state::<Gardener>(ada).flowers, left);
    }
    assert_eq!(town.command::<Gardener>(ada, &buy).unwrap_err().code, "not_enough");
    assert_eq!(town.state::<Gardener>(ben).flowers, 17);
}

#[test]
fn the_guide_shows_this_code() {
    let blocks = GUIDE.split("```rust,ignore\n").skip(1);
    let shown = blocks.flat_map(|rest| rest.split("```").next().unwrap_or_default().lines());
    let shown: Vec<_> = shown.filter(|line| !line.trim().is_empty()).collect();
    assert!(shown.len() > 20, "{shown:?}");
    let foreign: Vec<_> = shown.iter().filter(|line| !THIS.contains(**line)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
