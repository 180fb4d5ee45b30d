//! What players do at stalls: build one and take it down, put things up, buy, and take what was earned. The stall itself is in `stall`.

use gundo::{Ask, Context, Decision, Done, Point, Refusal};

use crate::inventory::shown;
use crate::mail::is_goods;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    Bought, Buy, Close, Person, PlayerReply, PutUp, Reprice, Stack, StallAnswer, StallEmptied, StallFilled,
    StallPublic, TakeProceeds, Withdraw, player_command::Command, player_event::Event,
    stall_ask::Ask as Wish,
};
use crate::stall::{Stall, is_price, same_item, times};

impl Player {
    /// What players do by mail and at stalls.
    pub(crate) fn trades_with_absent(
        &self,
        command: Command,
        cx: &mut Context<'_, Self>,
    ) -> Result<Decision<Self>, Refusal> {
        match command {
            Command::SendLetter(letter) => self.send_letter(letter, cx),
            Command::ReadLetter(read) => Ok(Self::read_letter(read, cx)),
            Command::TakeFromLetter(take) => Ok(Self::take_from_letter(take, cx)),
            Command::DeleteLetter(delete) => Ok(Self::delete_letter(delete, cx)),
            Command::ReturnLetter(give_back) => Ok(Self::return_letter(give_back, cx)),
            Command::PutUp(put_up) => Ok(self.put_up(put_up, cx)?),
            Command::Reprice(reprice) => Ok(Self::reprice(reprice)?),
            Command::Withdraw(withdraw) => Ok(Self::withdraw(withdraw)),
            Command::Buy(buy) => Ok(Self::buy(buy)?),
            Command::TakeProceeds(take) => Ok(Self::take_proceeds(take)?),
            _ => Err(No::Unclear.into()),
        }
    }

    /// The building of a stall also opens it: its entity is created in the same transaction.
    pub(crate) fn opens_stall(
        &self,
        (stall, middle): (u64, Point),
        owner: u64,
        built: impl Fn(&Self) -> Result<Done<Self>, No> + Send + 'static,
    ) -> Decision<Self> {
        let owner = Some(Person { id: owner, name: self.name.clone() });
        let open = StallPublic { owner, x: middle.x, y: middle.y, ..StallPublic::default() };
        Ask::create::<Stall>(stall, &Wish::Open(open))
            .then(move |me: &Self, _: StallAnswer, _| Ok(built(me)?))
    }

    pub(crate) fn closes_stall(
        stall: u64,
        demolished: impl Fn(&Self) -> Result<Done<Self>, No> + Send + 'static,
    ) -> Decision<Self> {
        Ask::of::<Stall>(stall, &Wish::Close(Close {}))
            .then(move |me: &Self, _: StallAnswer, _| Ok(demolished(me)?))
    }

    fn put_up(&self, put_up: PutUp, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, No> {
        let PutUp { stall, lot, price, lots } = put_up;
        let (lot_of, price_of) = lot.filter(is_goods).zip(price.filter(is_goods)).ok_or(No::Unclear)?;
        if same_item(lot, price) {
            return Err(No::SamePrice);
        }
        if !is_price(price_of) {
            return Err(No::PriceUnique);
        }
        let goods = times(lot_of, lots).filter(is_goods).ok_or(No::Unclear)?;
        let goods = self.items.named_one(goods, || cx.random())?;
        if !self.items.can_spend(&[goods]) {
            return Err(No::MissingItems);
        }
        // A unique thing is an offer of its own, of one lot.
        let lot = Some(Stack { count: lot_of.count, ..shown(goods) });
        let ask = Ask::of::<Stall>(stall, &Wish::PutUp(PutUp { lot, ..put_up }));
        Ok(ask.then(move |me: &Self, _: StallAnswer, _| {
            let spent = vec![goods];
            if !me.items.can_spend(&spent) {
                return Err(No::MissingItems.into());
            }
            let reply = PlayerReply { spent: spent.clone(), ..PlayerReply::default() };
            Ok(Done::new().event(&Event::StallFilled(StallFilled { stall, spent })).reply(&reply))
        }))
    }

    fn reprice(reprice: Reprice) -> Result<Decision<Self>, No> {
        if !is_price(reprice.price.filter(is_goods).ok_or(No::Unclear)?) {
            return Err(No::PriceUnique);
        }
        let ask = Ask::of::<Stall>(reprice.stall, &Wish::Reprice(reprice));
        Ok(ask.then(|_: &Self, _: StallAnswer, _| Ok(Done::new())))
    }

    fn withdraw(withdraw: Withdraw) -> Decision<Self> {
        let stall = withdraw.stall;
        Ask::of::<Stall>(stall, &Wish::Withdraw(withdraw))
            .then(move |me: &Self, answer: StallAnswer, _| Ok(me.empties(stall, answer)?))
    }

    fn take_proceeds(take: TakeProceeds) -> Result<Decision<Self>, No> {
        take.stack.filter(is_goods).filter(|stack| stack.id == 0 && !stack.first_id).ok_or(No::Unclear)?;
        let stall = take.stall;
        Ok(Ask::of::<Stall>(stall, &Wish::TakeProceeds(take))
            .then(move |me: &Self, answer: StallAnswer, _| Ok(me.empties(stall, answer)?)))
    }

    /// What comes out of its own stall.
    fn empties(&self, stall: u64, answer: StallAnswer) -> Result<Done<Self>, No> {
        let gained: Vec<Stack> = answer.goods.into_iter().collect();
        if !self.has_room(&[], &gained) {
            return Err(No::InventoryFull);
        }
        let reply = PlayerReply { gained: gained.clone(), ..PlayerReply::default() };
        Ok(Done::new().event(&Event::StallEmptied(StallEmptied { stall, gained })).reply(&reply))
    }

    fn buy(buy: Buy) -> Result<Decision<Self>, No> {
        let stall = buy.stall;
        if buy.lots == 0 {
            return Err(No::Unclear);
        }
        Ok(Ask::of::<Stall>(stall, &Wish::Buy(buy)).then(move |me: &Self, answer: StallAnswer, _| {
            let (goods, price) = answer.goods.zip(answer.price).ok_or(No::Unclear)?;
            let (gained, spent) = (vec![goods], vec![price]);
            if !me.items.can_spend(&spent) {
                return Err(No::MissingItems.into());
            }
            if !me.has_room(&spent, &gained) {
                return Err(No::InventoryFull.into());
            }
            let reply =
                PlayerReply { gained: gained.clone(), spent: spent.clone(), ..PlayerReply::default() };
            Ok(Done::new().event(&Event::Bought(Bought { stall, spent, gained })).reply(&reply))
        }))
    }
}
