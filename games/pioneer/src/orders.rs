//! Orders: what operators can do for a player. They give a compensation, which the player is told with its reason, and end a trade that
//! is stuck.

use gundo::{Ask, Context, Decision, Done, Ordered, Refusal};

use crate::catalogue::{is_unique, item_infos};
use crate::inventory::with_ids;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{
    AskEndTrade, Compensated, Item, News, OrderEndTrade, OrderGive, PlayerAnswer, PlayerOrderAnswer,
    PlayerTold, Stack, player_ask::Ask as Wish, player_event::Event, player_order::Order,
};

/// Characters of a reason.
const REASON_MAX: usize = 200;
/// Things of one compensation.
const GIVEN_MAX: u32 = 1_000;

/// What can be ordered.
const HELP: &str = "a player can be ordered: `give COUNT ITEM REASON`, such as `give 5 wood sorry for the outage`; \
                    `end-trade`, which ends its trade for both; `end-trade alone`, if the other one cannot be reached";

impl Ordered for Player {
    fn read_order(words: &str) -> Result<Order, String> {
        let mut all = words.split_whitespace();
        match all.next() {
            Some("give") => {
                let (count, item) = (all.next().unwrap_or_default(), all.next().unwrap_or_default());
                let reason = all.collect::<Vec<_>>().join(" ");
                let count = count.parse().ok().filter(|count| (1..=GIVEN_MAX).contains(count));
                let count =
                    count.ok_or_else(|| format!("how many is a number from 1 to {GIVEN_MAX}; {HELP}"))?;
                let items = item_infos();
                let known = || items.iter().map(|info| &*info.name).collect::<Vec<_>>().join(", ");
                let item = items.iter().find(|info| info.name == item).map(|info| info.item);
                let item = item.ok_or_else(|| format!("there is no such item; there are {}", known()))?;
                if count > 1 && Item::try_from(item).is_ok_and(is_unique) {
                    return Err("each of them is a thing of its own: give one by one".to_owned());
                }
                if reason.is_empty() || reason.chars().count() > REASON_MAX {
                    return Err(format!(
                        "the player is told a reason, of {REASON_MAX} characters at most; {HELP}"
                    ));
                }
                Ok(Order::Give(OrderGive { stack: Some(Stack { item, count, ..Stack::default() }), reason }))
            }
            Some("end-trade") => match (all.next(), all.next()) {
                (None, None) => Ok(Order::EndTrade(OrderEndTrade { alone: false })),
                (Some("alone"), None) => Ok(Order::EndTrade(OrderEndTrade { alone: true })),
                _ => Err(HELP.to_owned()),
            },
            _ => Err(HELP.to_owned()),
        }
    }

    fn order(&self, order: Order, cx: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        match order {
            Order::Give(give) => Ok(self.compensate(give, cx)?.into()),
            Order::EndTrade(end) => Ok(self.end_trade(end.alone, cx)?),
        }
    }

    fn answer_words(answer: &PlayerOrderAnswer) -> String {
        let words = |stack: &Stack| {
            let infos = item_infos();
            let name = infos.iter().find(|info| info.item == stack.item).map_or("?", |info| &info.name);
            format!("{} {name}", stack.count)
        };
        let PlayerOrderAnswer { name, has, returned, partner } = answer;
        match has {
            Some(has) => format!("{name} has {} now", words(has)),
            None if returned.is_empty() => format!("the trade of {name} and {partner} is over"),
            None => {
                let returned: Vec<_> = returned.iter().map(words).collect();
                format!("the trade of {name} and {partner} is over; {name} has back {}", returned.join(", "))
            }
        }
    }
}

impl Player {
    fn compensate(&self, give: OrderGive, cx: &mut Context<'_, Self>) -> Result<Done<Self>, No> {
        let OrderGive { stack, reason } = give;
        let gained =
            stack.filter(|stack| stack.count > 0 && stack.item() != Item::None).ok_or(No::Unclear)?;
        if !self.has_room(&[], &[gained]) {
            return Err(No::NoRoom);
        }
        let gained = with_ids(&[gained], || cx.random()).pop().ok_or(No::Unclear)?;
        let has = Stack { count: self.items.count(gained.item()) + gained.count, id: 0, ..gained };
        let answer = PlayerOrderAnswer { name: self.name.clone(), has: Some(has), ..Default::default() };
        let (gift, news) = (Some(gained), News::Compensated.into());
        let told = PlayerTold { text: reason.clone(), gift, news, ..PlayerTold::default() };
        let event = Event::Compensated(Compensated { gained: Some(gained), reason });
        Ok(Done::new().event(&event).tell::<Self>(cx.id, &told).answer_order(&answer))
    }

    fn end_trade(&self, alone: bool, cx: &Context<'_, Self>) -> Result<Decision<Self>, No> {
        let trade = self.trade.clone().ok_or(No::NoTrade)?;
        let with = trade.with.unwrap_or_default();
        let partner = with.id;
        let answer = PlayerOrderAnswer {
            name: self.name.clone(),
            has: None,
            returned: trade.mine,
            partner: with.name,
        };
        let ended = move |me: &Self, cx: &Context<'_, Self>| {
            let told = PlayerTold { news: News::TradeEnded.into(), ..PlayerTold::default() };
            let done = me.leaves_trade_with(partner, Done::new(), cx).tell::<Self>(cx.id, &told);
            (done.answer_order(&answer), told)
        };
        if alone {
            return Ok(ended(self, cx).0.into());
        }
        let ask = Ask::of::<Self>(partner, &Wish::EndTrade(AskEndTrade { trade: trade.id }));
        Ok(ask.then(move |me: &Self, other: PlayerAnswer, cx| {
            let (done, told) = ended(me, cx);
            // Nobody is told of a trade that it was not in any more.
            Ok(if other.both { done.tell::<Self>(partner, &told) } else { done })
        }))
    }
}
