//! Trade of two players: both put things on the table, both see both offers, and both confirm the same version of them.
//!
//! **Where things are.** An offer is out of its owner's bag and in the owner's own trade (escrow), durably and before anybody sees it: it
//! cannot be spent, given or offered elsewhere. It keeps its slots in the bag, so it always fits back. No thing is ever between the
//! two: one transaction takes each offer from its owner and gives it to the other.
//!
//! **Who knows what.** Both players hold the trade: its id, its version, both offers, both confirmations. Every step is a transaction
//! of both, so the two always agree, with one exception: who leaves *alone* asks nobody.
//!
//! **Why nothing is lost or doubled.** An exchange is one append in both streams, and needs both to be in the trade of this id, at
//! this version, with these offers. A player decides one thing at a time. So whatever comes at once, one of the two comes first:
//!
//! | first | then | what happens |
//! | --- | --- | --- |
//! | A changes its offer | B confirms what it saw | B names the old version: `trade_changed`; nobody has confirmed |
//! | B confirms | A changes its offer | the change withdraws both confirmations |
//! | A and B change their offers at once | | one after the other; the version goes up by two |
//! | A and B confirm at once | | one confirms, the other one's confirmation exchanges |
//! | A leaves, with or without B | B confirms | B is in no trade: `no_trade`; or A is not in it: `trade_over`. B's things wait for B to leave |
//! | B's confirmation exchanges | A leaves | A is in no trade any more: `no_trade` |
//! | A leaves alone | A begins another trade, even with B | another id: B's old one cannot meet it, and B cannot begin before it has left |
//! | A confirms, and its client repeats that | | the engine repeats the answer; a new command gets `already_confirmed` or `no_trade` |
//! | a node dies before the append | | nothing has happened; the client sends its command again |
//! | a node dies after the append | | everything has happened; the repeated command gets its recorded answer |
//! | A closes the browser, walks away, logs out | B leaves | A is asked wherever it is, not in the world too: its things are back in its bag |
//! | A cannot be asked at all (suspended, broken) | B leaves alone | B's things are back; A finds `trade_over` |

use gundo::{Actor, Answered, Ask, Context, Decision, Done};

use crate::estate::deeds_spent;
use crate::friends::name_of;
use crate::gifts::is_next_to;
use crate::inventory::{all_shown, is_twice};
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskConfirm, AskEndTrade, AskSeeOffer, AskTrade, Confirm, Item, LeaveTrade, News, Offer, Person,
    PlayerAnswer, PlayerReply, Stack, Trade, TradeBegun, TradeChanged, TradeConfirmed, TradeDone, TradeLeft,
    player_ask::Ask as Wish, player_event::Event,
};

/// Entries of one offer.
pub const OFFER_STACKS_MAX: usize = 6;

impl Trade {
    fn partner(&self) -> u64 {
        self.with.as_ref().map_or(0, |with| with.id)
    }

    pub(crate) fn on_changed(&mut self, fact: &TradeChanged) {
        *(if fact.mine { &mut self.mine } else { &mut self.theirs }) = all_shown(&fact.stacks);
        *(if fact.mine { &mut self.my_deeds } else { &mut self.their_deeds }) = fact.deeds.clone();
        self.version = fact.version;
        (self.confirmed, self.they_confirmed) = (false, false);
    }

    pub(crate) fn on_confirmed(&mut self, fact: &TradeConfirmed) {
        *(if fact.mine { &mut self.confirmed } else { &mut self.they_confirmed }) = true;
    }
}

impl Player {
    // ---- begin ---------------------------------------------------------------------------------------------------

    pub(crate) fn begin_trade(&self, with: u64, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, No> {
        if with == cx.id.id {
            return Err(No::Yourself);
        }
        if self.trade.is_some() {
            return Err(No::Trading);
        }
        if self.circle.has_blocked(with) {
            return Err(No::YouBlocked);
        }
        let id = cx.random();
        let ask = Ask::of::<Self>(with, &Wish::Trade(AskTrade { trade: id }));
        Ok(ask.then(move |me: &Self, answer: PlayerAnswer, cx| {
            let with_whom = Some(Person { id: with, name: answer.name });
            let trade = Trade { id, with: with_whom, ..Trade::default() };
            let begun = Event::TradeBegun(TradeBegun { trade: Some(trade) });
            Ok(Done::new().event(&begun).tell::<Self>(with, &me.news(cx.id, News::TradeBegun)))
        }))
    }

    pub(crate) fn answer_trade(&self, id: u64, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        if !is_next_to(cx.world, by.body, cx.body) {
            return Err(No::TooFar.into());
        }
        if self.trade.is_some() || self.circle.has_blocked(by.id.id) {
            return Err(No::NotNow.into());
        }
        let with = Some(Person { id: by.id.id, name: name_of(by) });
        let trade = Trade { id, with, asked_me: true, ..Trade::default() };
        let begun = Event::TradeBegun(TradeBegun { trade: Some(trade) });
        Ok((Done::new().event(&begun), self.answer_named()))
    }

    // ---- offers --------------------------------------------------------------------------------------------------

    pub(crate) fn offer(&self, offer: Offer, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, No> {
        let Offer { trade: id, stacks, deeds } = offer;
        let trade = self.trade_of(id).ok_or(No::NoTrade)?;
        let is_stack = |stack: &Stack| stack.count > 0 && stack.item() != Item::None;
        let fits = stacks.len() <= OFFER_STACKS_MAX && stacks.iter().all(is_stack);
        if !fits || is_twice(&stacks) {
            return Err(No::Unclear);
        }
        self.has_deeds(&deeds)?;
        let mut whole = self.items.clone();
        whole.gain(&trade.mine);
        let stacks = whole.named(&stacks, || cx.random())?;
        if !whole.can_spend(&stacks) {
            return Err(No::MissingItems);
        }
        let version = trade.version + 1;
        let seen = AskSeeOffer { trade: id, version, stacks: all_shown(&stacks), deeds: deeds.clone() };
        let ask = Ask::of::<Self>(trade.partner(), &Wish::SeeOffer(seen));
        Ok(ask.then(move |_: &Self, _: PlayerAnswer, _| {
            let changed = TradeChanged { mine: true, stacks: stacks.clone(), version, deeds: deeds.clone() };
            let changed = Event::TradeChanged(changed);
            Ok(Self::offers_deeds(deeds.clone(), move || Done::new().event(&changed)))
        }))
    }

    pub(crate) fn answer_see_offer(
        &self,
        ask: AskSeeOffer,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let AskSeeOffer { trade, version, stacks, deeds } = ask;
        let trade = self.trade_of(trade).ok_or(No::TradeOver)?;
        if !is_next_to(cx.world, by.body, cx.body) {
            return Err(No::TooFar.into());
        }
        if trade.version + 1 != version {
            return Err(No::TradeChanged.into());
        }
        let changed = TradeChanged { mine: false, stacks, version, deeds };
        Ok((Done::new().event(&Event::TradeChanged(changed)), PlayerAnswer::default()))
    }

    // ---- confirm and exchange ------------------------------------------------------------------------------------

    pub(crate) fn confirm(&self, confirm: Confirm, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        let Confirm { trade: id, version } = confirm;
        let trade = self.trade_of(id).ok_or(No::NoTrade)?;
        if trade.version != version && !cx.world.planted(Mistake::OldVersionBelieved) {
            return Err(No::TradeChanged);
        }
        if trade.confirmed {
            return Err(No::AlreadyConfirmed);
        }
        let no_deeds = trade.my_deeds.is_empty() && trade.their_deeds.is_empty();
        if trade.mine.is_empty() && trade.theirs.is_empty() && no_deeds {
            return Err(No::NothingOffered);
        }
        let with = trade.partner();
        let (stacks, deeds) = (trade.mine.clone(), trade.my_deeds.clone());
        let ask = AskConfirm { trade: id, version: trade.version, stacks, deeds };
        Ok(Ask::of::<Self>(with, &Wish::Confirm(ask)).then(move |me: &Self, answer: PlayerAnswer, cx| {
            if !answer.both {
                return Ok(Done::new().event(&Event::TradeConfirmed(TradeConfirmed { mine: true })).into());
            }
            let same = |trade: &&Trade| trade.theirs == answer.stacks && trade.their_deeds == answer.deeds;
            let trade = me.trade_of(id).filter(same).ok_or(No::TradeChanged)?;
            if !me.items.can_exchange(&[], &trade.theirs) {
                return Err(No::InventoryFull.into());
            }
            if !me.has_room_for_deeds(trade) {
                return Err(No::DeedsFull.into());
            }
            let reply = PlayerReply {
                gained: trade.theirs.clone(),
                spent: trade.mine.clone(),
                ..PlayerReply::default()
            };
            let (told, exchanged) = (me.news(cx.id, News::TradeDone), exchanged(trade, version, cx));
            let done = move || Done::new().event(&exchanged).reply(&reply).tell::<Self>(with, &told);
            Ok(me.sells_deeds(trade, done, cx))
        }))
    }

    pub(crate) fn answer_confirm(
        &self,
        ask: &AskConfirm,
        by: &Actor,
        cx: &Context<'_, Self>,
    ) -> Answered<Self> {
        let trade = self.trade_of(ask.trade).ok_or(No::TradeOver)?;
        if !is_next_to(cx.world, by.body, cx.body) {
            return Err(No::TooFar.into());
        }
        if trade.version != ask.version || trade.theirs != ask.stacks || trade.their_deeds != ask.deeds {
            return Err(No::TradeChanged.into());
        }
        if !trade.confirmed {
            let confirmed = Event::TradeConfirmed(TradeConfirmed { mine: false });
            return Ok((Done::new().event(&confirmed), PlayerAnswer::default()));
        }
        if !self.items.can_exchange(&[], &trade.theirs) {
            return Err(No::NoRoom.into());
        }
        if !self.has_room_for_deeds(trade) {
            return Err(No::TheirDeedsFull.into());
        }
        let (stacks, deeds) = (trade.mine.clone(), trade.my_deeds.clone());
        let answer = PlayerAnswer { both: true, stacks, deeds, ..PlayerAnswer::default() };
        Ok((Done::new().event(&exchanged(trade, ask.version, cx)), answer))
    }

    // ---- leave ---------------------------------------------------------------------------------------------------

    pub(crate) fn leave_trade(
        &self,
        leave: LeaveTrade,
        cx: &Context<'_, Self>,
    ) -> Result<Decision<Self>, No> {
        let LeaveTrade { trade: id, alone } = leave;
        let with = self.trade_of(id).ok_or(No::NoTrade)?.partner();
        if alone {
            return Ok(self.leaves_trade_with(with, Done::new(), cx).into());
        }
        let ask = Ask::of::<Self>(with, &Wish::EndTrade(AskEndTrade { trade: id }));
        Ok(ask.then(move |me: &Self, answer: PlayerAnswer, cx| {
            let done = me.leaves_trade_with(with, Done::new(), cx);
            // Nobody is told of a trade that it was not in any more.
            Ok(if answer.both { done.tell::<Self>(with, &me.news(cx.id, News::TradeLeft)) } else { done })
        }))
    }

    /// It never refuses: nobody can hold another one's things.
    pub(crate) fn answer_end_trade(&self, id: u64, by: &Actor, cx: &Context<'_, Self>) -> Answered<Self> {
        let both = self.trade_of(id).is_some();
        let done = if both { self.leaves_trade_with(by.id.id, Done::new(), cx) } else { Done::new() };
        Ok((done, PlayerAnswer { both, ..PlayerAnswer::default() }))
    }

    /// `done`, and the trade with this player ends, if there is one: what was offered comes back.
    pub(crate) fn leaves_trade_with(
        &self,
        with: u64,
        done: Done<Self>,
        cx: &Context<'_, Self>,
    ) -> Done<Self> {
        let Some(trade) = self.trade.as_ref().filter(|trade| trade.partner() == with) else { return done };
        let left = Event::TradeLeft(TradeLeft { returned: trade.mine.clone() });
        let done = if cx.world.planted(Mistake::EscrowTwice) { done.event(&left) } else { done };
        done.event(&left)
    }

    pub(crate) fn on_trade_changed(&mut self, fact: &TradeChanged) {
        if let (true, Some(trade)) = (fact.mine, self.trade.clone()) {
            // The old offer comes back first: the new one may be mostly the same things.
            self.items.gain(&trade.mine);
            self.exchange(&fact.stacks, &[]);
        }
        self.trade.iter_mut().for_each(|trade| trade.on_changed(fact));
    }

    fn trade_of(&self, id: u64) -> Option<&Trade> {
        self.trade.as_ref().filter(|trade| trade.id == id)
    }
}

/// `confirmed`: the version that the second confirmation named.
fn exchanged(trade: &Trade, confirmed: u64, cx: &Context<'_, Player>) -> Event {
    Event::TradeDone(TradeDone {
        spent: trade.mine.clone(),
        gained: trade.theirs.clone(),
        with: trade.partner(),
        version: trade.version,
        confirmed,
        deeds_spent: deeds_spent(trade, cx),
        deeds_gained: trade.their_deeds.clone(),
    })
}
