//! A vault that somebody must create: the test game's kind at home that exists only then. Players fill it, and read it from anywhere.

use gundo_kernel::game::{Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, Refusal, State};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::Message;

use super::game::{Land, LandCommand, LandReply, Player};

pub const VAULT: Kind = Kind(6);

/// What a player wants of a vault.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct VaultWish {
    /// One of the constants below.
    #[prost(uint32, tag = "1")]
    pub what: u32,
    #[prost(uint64, tag = "2")]
    pub vault: u64,
    /// How much goes in; how many are read.
    #[prost(uint32, tag = "3")]
    pub n: u32,
}

pub const CREATE: u32 = 1;
pub const PUT: u32 = 2;
/// Read it, and answer with what was seen.
pub const READ: u32 = 3;
/// Ask it twice at once.
pub const TWICE: u32 = 4;
/// Ask an entity of a kind that the game does not have.
pub const STRANGE: u32 = 5;
/// Put in only if it is empty, by what is read.
pub const FIRST: u32 = 6;

#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 6, name = "vault", event = VaultWish, ask = VaultWish)]
pub struct Vault {
    #[prost(uint32, tag = "1")]
    pub n: u32,
}

/// A kind that is not among the rules.
#[derive(Clone, PartialEq, Message, State)]
#[state(crate = gundo_kernel::game, kind = 7, name = "stranger", event = VaultWish, ask = VaultWish)]
pub struct Stranger {}

impl Asked for Vault {
    fn answer(&self, wish: VaultWish, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&wish), ()))
    }
}

impl Entity for Vault {
    fn apply(&mut self, wish: &VaultWish) {
        self.n += wish.n;
    }

    fn public(&self, _: WorldTime) -> Option<Self> {
        Some(self.clone())
    }
}

impl Asked for Stranger {
    fn answer(&self, _: VaultWish, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new(), ()))
    }
}

impl Entity for Stranger {
    fn apply(&mut self, _: &VaultWish) {}

    fn public(&self, _: WorldTime) -> Option<Self> {
        None
    }
}

impl VaultWish {
    pub fn decide(self, cx: &mut Context<'_, Player>) -> Result<Decision<Player>, Refusal> {
        let done = |_: &Player, (), _: &mut Context<'_, Player>| Ok(Done::new());
        Ok(match self.what {
            CREATE => Ask::create::<Vault>(self.vault, &self).then(done),
            PUT => Ask::of::<Vault>(self.vault, &self).then(done),
            READ => {
                let mut taken = 0;
                for vault in self.vault..=self.vault + u64::from(self.n) {
                    taken += cx.read::<Vault>(vault)?.map_or(-1, |vault| vault.n as i32);
                }
                Done::new().reply(&LandReply { taken, near: None }).into()
            }
            TWICE => {
                let both = Ask::of::<Vault>(self.vault, &self).and::<Vault>(self.vault, &self);
                both.then(|_: &Player, ((), ()), _| Ok(Done::new()))
            }
            STRANGE => Ask::of::<Stranger>(self.vault, &self).then(done),
            _ => {
                let n = cx.read::<Vault>(self.vault)?.map_or(0, |vault| vault.n);
                if n > 0 {
                    return Err(Refusal::new("not_first", "Somebody was here before."));
                }
                let land = Ask::of::<Land>(cx.here()?.chunk(), &LandCommand { take: 1, near_mm: 0 });
                let both = land.and::<Vault>(self.vault, &self);
                both.then(|_: &Player, (_, ()), _| Ok(Done::new()))
            }
        })
    }
}

pub fn vault(id: u64) -> EntityId {
    EntityId::new(VAULT, id)
}
