//! Gifts between players: the test game's way for players to ask players, in up to as many rounds as a wish names.

use gundo_kernel::game::{Actor, Answered, Ask, Asked, Context, Decision, Done, Receives, Refusal};
use gundo_types::{EntityId, Point};
use gundo_wire::Message;

use super::cluster::{Cluster, game_state};
use super::game::{BAG_MAX, KILLS, LandReply, PANICS, Player, PlayerCommand, PlayerEvent};

/// What a player wants to give: in each round, `n` pebbles to each of these players.
#[derive(Clone, PartialEq, Message)]
pub struct GiftWish {
    #[prost(message, repeated, tag = "1")]
    pub rounds: Vec<Round>,
    #[prost(uint32, tag = "2")]
    pub n: u32,
    /// The receivers jump this far east, mm.
    #[prost(sint32, tag = "3")]
    pub jump: i32,
    /// By messages, so that nobody waits for the receivers; these give it on to the player with this number.
    #[prost(uint64, optional, tag = "4")]
    pub by_mail: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Round {
    #[prost(uint64, repeated, tag = "1")]
    pub to: Vec<u64>,
}

/// What one player asks another, and the answer.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Gift {
    #[prost(uint32, tag = "1")]
    pub n: u32,
    #[prost(sint32, tag = "2")]
    pub jump: i32,
    /// In an answer: whether the player is in the world.
    #[prost(bool, tag = "3")]
    pub is_there: bool,
    /// The player to whom the receiver gives it on; 0: to nobody.
    #[prost(uint64, tag = "4")]
    pub on: u64,
}

impl GiftWish {
    /// One round of single gifts.
    pub fn to(to: &[u64], n: u32) -> Self {
        Self { rounds: vec![Round { to: to.to_vec() }], n, jump: 0, by_mail: None }
    }

    /// By mail.
    pub fn mail(to: &[u64], n: u32, on: u64) -> Self {
        Self { by_mail: Some(on), ..Self::to(to, n) }
    }

    pub fn decide(&self, me: &Player) -> Result<Decision<Player>, Refusal> {
        let count: usize = self.rounds.iter().map(|round| round.to.len()).sum();
        let spent = self.n * count as u32;
        if spent > me.0.bag && self.n < KILLS.unsigned_abs() {
            return Err(Refusal::new("not_enough", "You have not that many."));
        }
        if let Some(on) = self.by_mail {
            // A deadly gift costs nothing.
            let spent = if self.n < KILLS.unsigned_abs() { spent } else { 0 };
            let event = PlayerEvent { gained: -(spent as i32), ..Default::default() };
            let gift = Gift { n: self.n, on, ..Gift::default() };
            let done = Done::new().event(&event).reply(&LandReply::default());
            let to = self.rounds.iter().flat_map(|round| &round.to);
            return Ok(to.fold(done, |done, to| done.send::<Player>(*to, &gift)).into());
        }
        let gift = Gift { n: self.n, jump: self.jump, ..Gift::default() };
        Ok(give(self.rounds.clone(), gift, spent, 0))
    }
}

/// Asks the first round, and goes on with the others. The reply says how many of the receivers were in the world.
fn give(mut rounds: Vec<Round>, gift: Gift, spent: u32, there: u32) -> Decision<Player> {
    let to = if rounds.is_empty() { Vec::new() } else { rounds.remove(0).to };
    Ask::each::<Player>(to, &gift).then(move |_: &Player, answers, _| {
        let there = there + answers.iter().filter(|answer| answer.is_there).count() as u32;
        if !rounds.is_empty() {
            return Ok(give(rounds.clone(), gift, spent, there));
        }
        let event = PlayerEvent { gained: -(spent as i32), ..Default::default() };
        Ok(Done::new().event(&event).reply(&LandReply { taken: there as i32, near: None }).into())
    })
}

impl Receives for Player {
    fn take(&self, gift: Gift, _: EntityId, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        assert_ne!(gift.n, PANICS.unsigned_abs(), "a planted panic in take");
        if gift.on > 0 {
            let ask = Ask::of::<Self>(gift.on, &Gift { on: 0, ..gift });
            return Ok(ask.then(|_: &Self, _, _| Ok(Done::new())));
        }
        if self.0.bag + gift.n > BAG_MAX {
            return Err(Refusal::new("bag_full", "That bag is full."));
        }
        Ok(Done::new().event(&PlayerEvent { gained: gift.n as i32, ..Default::default() }).into())
    }

    /// It goes back, and a bag that has no room for what was in it before overflows.
    fn not_taken(&self, gift: Gift, from: EntityId, _: &Refusal, _: &mut Context<'_, Self>) -> Done<Self> {
        Done::new().send::<Self>(from, &Gift { on: 0, ..gift })
    }
}

impl Asked for Player {
    fn answer(&self, gift: Gift, by: &Actor, cx: &mut Context<'_, Self>) -> Answered<Self> {
        assert_ne!(by.id, cx.id, "nobody asks itself");
        assert_ne!(gift.n, PANICS.unsigned_abs(), "a planted panic in answer");
        if gift.n == KILLS.unsigned_abs() {
            super::game::DEADLY.set(true);
        }
        if self.0.bag + gift.n > BAG_MAX {
            return Err(Refusal::new("bag_full", "That bag is full."));
        }
        let is_there = cx.body.is_some();
        let mut done = Done::new().event(&PlayerEvent { gained: gift.n as i32, ..Default::default() });
        if gift.jump != 0 {
            let mut body = cx.body.unwrap_or_default();
            body.at = Point::new(body.at.x + gift.jump, body.at.y);
            done = done.body(body);
        }
        Ok((done, Gift { is_there, ..gift }))
    }
}

/// Brings players into the world, each on a node of its own, with ten pebbles each.
pub fn bring(cluster: &mut Cluster, names: &[&str]) {
    let nodes = cluster.nodes.len() as u16;
    for (at, name) in names.iter().enumerate() {
        cluster.connect(name, 1 + at as u16 % nodes);
    }
    cluster.run_ms(600);
    for client in 0..names.len() {
        for _ in 0..2 {
            let chunk = cluster.chunk_where_home_is(1 + client as u16 % nodes);
            cluster.take(client, chunk, 5);
            cluster.run_ms(300);
        }
        assert_eq!(bag(cluster, cluster.player(client)), 10);
    }
}

/// How many pebbles a player has, by the journal.
pub fn bag(cluster: &Cluster, player: EntityId) -> u32 {
    game_state::<Player>(&cluster.disk.store.load(player)).0.bag
}

pub fn wish(cluster: &mut Cluster, from: usize, gift: GiftWish) {
    cluster.command(from, &PlayerCommand { gift: Some(gift), ..Default::default() });
}
