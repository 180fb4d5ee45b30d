//! Selling estates: the deed of one can be part of an offer in a trade.
//!
//! While it is offered it stays with its owner, who can do nothing else about the estate (`deed_offered`), and offer it nowhere else: a
//! player is in one trade. So there is nothing to give back when the trade ends. The exchange asks the estates too, in the same
//! transaction: each goes from the one of the two who owns it to the other one. Land is not asked: see the top of `estate`.

use gundo::{Ask, Context, Decision, Done};

use super::{DEEDS_MAX, Estate};
use crate::mistakes::Mistake;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{AskOfferable, AskSell, EstateAnswer, Person, Trade, estate_ask::Ask as Wish};

impl Player {
    pub(crate) fn offers_deed(&self, estate: u64) -> bool {
        self.trade.as_ref().is_some_and(|trade| trade.my_deeds.contains(&estate))
    }

    /// Whether the player can offer these deeds.
    pub(crate) fn has_deeds(&self, deeds: &[u64]) -> Result<(), No> {
        let twice = |(at, deed): (usize, &u64)| deeds[..at].contains(deed);
        if deeds.iter().enumerate().any(twice) {
            return Err(No::Unclear);
        }
        if deeds.iter().all(|deed| self.deeds.contains(deed)) { Ok(()) } else { Err(No::NoDeed) }
    }

    /// What was decided, if these estates can be offered.
    pub(crate) fn offers_deeds(
        deeds: Vec<u64>,
        done: impl Fn() -> Done<Self> + Send + 'static,
    ) -> Decision<Self> {
        if deeds.is_empty() {
            return done().into();
        }
        Ask::each::<Estate>(deeds, &Wish::Offerable(AskOfferable {}))
            .then(move |_: &Self, _: Vec<EstateAnswer>, _| Ok(done()))
    }

    /// Whether there is room for the other one's deeds.
    pub(crate) fn has_room_for_deeds(&self, trade: &Trade) -> bool {
        self.deeds.len() + trade.their_deeds.len() <= DEEDS_MAX + trade.my_deeds.len()
    }

    /// What was decided, and the deeds of both change hands.
    pub(crate) fn sells_deeds(
        &self,
        trade: &Trade,
        done: impl Fn() -> Done<Self> + Send + 'static,
        cx: &Context<'_, Self>,
    ) -> Decision<Self> {
        let deeds: Vec<u64> = trade.my_deeds.iter().chain(&trade.their_deeds).copied().collect();
        if deeds.is_empty() {
            return done().into();
        }
        let me = Person { id: cx.id.id, name: self.name.clone() };
        let parties = std::iter::once(me).chain(trade.with.clone()).collect();
        Ask::each::<Estate>(deeds, &Wish::Sell(AskSell { parties }))
            .then(move |_: &Self, _: Vec<EstateAnswer>, _| Ok(done()))
    }

    pub(crate) fn on_deeds_traded(&mut self, spent: &[u64], gained: &[u64]) {
        self.deeds.retain(|deed| !spent.contains(deed));
        self.deeds.extend(gained);
    }
}

/// The deeds that who gives them loses.
pub(crate) fn deeds_spent(trade: &Trade, cx: &Context<'_, Player>) -> Vec<u64> {
    if cx.world.planted(Mistake::DeedSoldTwice) { Vec::new() } else { trade.my_deeds.clone() }
}
