//! A small game with messages in it: players send coins to a bank, which puts every other one into a chest and passes the rest on to
//! the player who came before.

use std::sync::Arc;

use gundo_bots::{Behaviour, Wishes};
use gundo_kernel::game::{
    Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Player, Receives, Refusal, Rules, State,
    Stored,
};
use gundo_sim::{Facts, Flows, Game, Goods, Holdings};
use gundo_types::{Body, ChunkId, EntityId, Point, WorldTime};
use prost::Message;

/// Coins that every player starts with.
const BEGINNING: i32 = 40;
const CHEST_MAX: i32 = 12;
/// The number of the one bank.
const BANK: u64 = 5;

/// Everything that is said, asked and recorded: coins, and for whom.
#[derive(Clone, Copy, PartialEq, Message)]
struct Coins {
    #[prost(sint32, tag = "1")]
    n: i32,
    /// In an event of the bank: who sent them.
    #[prost(uint64, tag = "2")]
    to: u64,
    /// They come back.
    #[prost(bool, tag = "3")]
    back: bool,
}

impl Coins {
    fn more(n: i32) -> Self {
        Self { n, ..Self::default() }
    }
}

#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "sender", player, durable = Coins, event = Coins)]
#[state(command = Coins, reply = (), public = (), private = Coins, message = Coins)]
struct Sender {
    coins: i32,
}

impl Stored for Sender {
    fn load(_: u64, (): &(), more: Coins) -> Self {
        Self { coins: BEGINNING + more.n }
    }

    fn save(&self) -> Coins {
        Coins::more(self.coins - BEGINNING)
    }
}

impl Player for Sender {
    fn create(&self, name: &str, cx: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new().event(&Coins::more(0)).take_name("sender", name, cx.id))
    }

    fn decide(&self, wish: Coins, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if wish.n < 1 || wish.n > self.coins {
            return Err(Refusal::new("poor", "You do not have that much."));
        }
        Ok(Done::new().event(&Coins::more(-wish.n)).send::<Bank>(BANK, &wish).into())
    }

    fn private(&self) -> Coins {
        self.save()
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body { at: Point::new(29_000, 29_000), ..Body::default() }
    }

    fn speed_max(&self, (): &()) -> u32 {
        3_000
    }
}

impl Receives for Sender {
    /// A rich one does not keep what others send.
    fn take(&self, coins: Coins, _: EntityId, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        if self.coins > BEGINNING + 5 && !coins.back {
            return Err(Refusal::new("rich", "Keep it."));
        }
        Ok(Done::new().event(&Coins::more(coins.n)).into())
    }

    fn not_taken(&self, coins: Coins, from: EntityId, _: &Refusal, _: &mut Context<'_, Self>) -> Done<Self> {
        Done::new().send::<Bank>(from, &Coins { back: true, ..coins })
    }
}

impl Entity for Sender {
    fn apply(&mut self, event: &Coins) {
        self.coins += event.n;
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        Some(())
    }
}

/// It has nothing itself: it counts what it has put into the chest.
#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 2, name = "bank", event = Coins, message = Coins, public = (), asking_creates)]
struct Bank {
    #[prost(sint32, tag = "1")]
    put: i32,
    /// Who sent the last coin.
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(bool, tag = "3")]
    passes: bool,
}

impl Receives for Bank {
    fn take(
        &self,
        coins: Coins,
        from: EntityId,
        _: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        if self.passes && self.last != from.id && !coins.back {
            let passed = Coins { n: 0, to: from.id, back: false };
            return Ok(Done::new().event(&passed).send::<Sender>(self.last, &coins).into());
        }
        let put = move |_: &Self, (), _: &mut Context<'_, Self>| {
            Ok(Done::new().event(&Coins { to: from.id, ..coins }))
        };
        Ok(Ask::of::<Chest>(ChunkId::default(), &coins).then(put))
    }

    fn not_taken(&self, coins: Coins, from: EntityId, _: &Refusal, _: &mut Context<'_, Self>) -> Done<Self> {
        Done::new().send::<Sender>(from, &Coins { back: true, ..coins })
    }
}

impl Entity for Bank {
    fn apply(&mut self, event: &Coins) {
        self.put += event.n;
        (self.last, self.passes) = (event.to, !self.passes);
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        None
    }
}

#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 3, name = "chest", land, event = Coins, ask = Coins)]
struct Chest {
    #[prost(sint32, tag = "1")]
    coins: i32,
}

impl Asked for Chest {
    fn answer(&self, coins: Coins, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        if self.coins + coins.n > CHEST_MAX {
            return Err(Refusal::new("full", "The chest is full."));
        }
        Ok((Done::new().event(&coins), ()))
    }
}

impl Entity for Chest {
    fn apply(&mut self, event: &Coins) {
        self.coins += event.n;
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

struct Payer {
    turns: u32,
}

impl Behaviour for Payer {
    fn step(&mut self, wishes: &mut Wishes) {
        self.turns += 1;
        if self.turns.is_multiple_of(3) && wishes.open < 2 {
            wishes.command(0, Coins::more(1).encode_to_vec());
        }
    }
}

pub(crate) struct Mails;

const COIN: Goods = Goods(7);

impl Game for Mails {
    fn name(&self) -> &'static str {
        "mails"
    }

    fn rules(&self, _: u64) -> Arc<Rules> {
        Arc::new(Rules::new("mails", ()).with::<Sender>().with::<Bank>().with::<Chest>())
    }

    fn mind(&self, _: usize) -> Box<dyn Behaviour> {
        Box::new(Payer { turns: 0 })
    }

    /// Coins that are on their way are in nobody's purse: they leave the world with one event and come back with another.
    fn flows(&self, _: u64, entity: EntityId, _: &[u8], event: &[u8], flows: &mut Flows) {
        let n = Coins::decode(event).expect("an event of ours").n;
        match entity.kind {
            Bank::KIND => {}
            _ if n < 0 => flows.destroy(COIN, n.unsigned_abs().into()),
            _ => flows.create(COIN, n.unsigned_abs().into()),
        }
    }

    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let n = match entity.kind {
            Sender::KIND => BEGINNING + Coins::decode(snapshot).expect("a snapshot of ours").n,
            Chest::KIND => Chest::decode(snapshot).expect("a snapshot of ours").coins,
            _ => 0,
        };
        holdings.add(COIN, n.into());
    }

    /// Nothing is on its way any more: all coins are there.
    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        let read = |state: &[u8]| Coins::decode(state).map(|coins| coins.n).map_err(|e| e.to_string());
        let (mut senders, mut chests, mut put) = (0, 0, 0);
        for (_, state) in facts.states(Sender::KIND) {
            senders += read(state)?;
        }
        for (_, state) in facts.states(Chest::KIND) {
            chests += read(state)?;
        }
        for (_, state) in facts.states(Bank::KIND) {
            put += read(state)?;
        }
        if senders + chests != 0 || put != chests {
            return Err(format!(
                "senders have {senders} more, the chest has {chests}, the bank has put {put}"
            ));
        }
        Ok(())
    }
}
