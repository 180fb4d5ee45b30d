//! What bots do by mail and at stalls. A bot sees no mailbox: it tries the numbers of letters that may have come.

use gundo::bots::{Picture, Wishes};
use gundo::{Payload, State};

use super::{OTHER, Pioneer, command};
use crate::land::Land;
use crate::schema::{
    Build, Building, Buy, DeleteLetter, Item, LandWalls, PutUp, ReadLetter, Reprice, ReturnLetter,
    SendLetter, Stack, TakeFromLetter, TakeProceeds, Withdraw, player_command::Command,
};

/// Tags of letters that a bot takes from: this and the letter's number.
const TAKE: u64 = 1 << 32;
/// Numbers of letters around the highest one that was there.
const NUMBERS: u64 = 12;
/// Offers of a stall that a bot tries, and their versions.
const OFFERS: u64 = 4;
const VERSIONS: u64 = 2;
/// Stalls that a bot remembers.
const STALLS_MAX: usize = 6;
/// What bots send and sell.
const GOODS: [Item; 5] = [Item::Wood, Item::Berry, Item::Stone, Item::Fibre, Item::Plank];

impl Pioneer {
    /// What an answer says about letters.
    pub(super) fn notes_letter(&mut self, tag: u64, code: Option<&str>) {
        let there = matches!(code, None | Some("nothing_inside" | "inventory_full"));
        if let Some(number) = tag.checked_sub(TAKE).filter(|number| there && *number <= u64::from(u32::MAX)) {
            self.letters = self.letters.max(number as u32);
        }
    }

    /// Remembers the stalls in sight.
    pub(super) fn notes_stalls(&mut self, sight: &Picture) {
        for (_, seen) in sight.entities().filter(|(id, _)| id.kind == Land::KIND) {
            let walls = LandWalls::from_bytes(&seen.public).ok().flatten().unwrap_or_default();
            let stalls = walls.buildings.iter().map(|built| built.entity).filter(|stall| *stall != 0);
            let new: Vec<u64> = stalls.filter(|stall| !self.stalls.contains(stall)).collect();
            self.stalls.extend(new);
        }
        self.stalls.drain(..self.stalls.len().saturating_sub(STALLS_MAX));
    }

    /// Sends a letter, to somebody whom it has met or to a bot with another number, or does something with its own.
    pub(super) fn wish_of_mail(&self, wishes: &mut Wishes) {
        let from = u64::from(self.letters).saturating_sub(NUMBERS - 2);
        let letter = (1 + from + wishes.chance.below(NUMBERS)) as u32;
        let wish = match wishes.chance.below(12) {
            0..=3 => {
                let Some((to, name)) = self.addressee(wishes) else { return };
                let stacks = some_of(wishes, &self.own.slots).into_iter().collect();
                Command::SendLetter(SendLetter { to, name, text: "For you.".to_owned(), stacks })
            }
            4..=8 => {
                let take = Command::TakeFromLetter(TakeFromLetter { letter });
                return command(wishes, TAKE + u64::from(letter), take);
            }
            9 => Command::ReturnLetter(ReturnLetter { letter }),
            10 => Command::DeleteLetter(DeleteLetter { letter }),
            _ => Command::ReadLetter(ReadLetter { letter }),
        };
        command(wishes, OTHER, wish);
    }

    fn addressee(&self, wishes: &mut Wishes) -> Option<(Vec<u64>, String)> {
        if !self.met.is_empty() && wishes.chance.below(4) > 0 {
            return Some((vec![self.somebody(wishes)], String::new()));
        }
        // Names of bots end in their number.
        let word = self.called.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: u64 = self.called[word.len()..].parse().ok()?;
        Some((Vec::new(), format!("{word}{}", wishes.chance.below(number.saturating_add(4)))))
    }

    /// Builds a stall, does something with one of its own, or buys at one that it has seen. The game knows whose it is.
    pub(super) fn wish_at_stalls(&self, wishes: &mut Wishes) {
        if self.stalls.is_empty() || wishes.chance.below(16) == 0 {
            let mut near = |v: i32| v + wishes.chance.below(8_000) as i32 - 4_000;
            let (x, y) = (near(wishes.body.at.x), near(wishes.body.at.y));
            let build = Build { what: Building::Stall.into(), x, y, rotation: 0 };
            return command(wishes, super::BUILD, Command::Build(build));
        }
        let stall = self.stalls[wishes.chance.below(self.stalls.len() as u64) as usize];
        let mut upto = |n: u64| 1 + wishes.chance.below(n) as u32;
        let (offer, version, lots, count) = (upto(OFFERS), upto(VERSIONS), upto(2), upto(2));
        let item = GOODS[wishes.chance.below(GOODS.len() as u64) as usize].into();
        let price = Some(Stack { item, count, ..Stack::default() });
        let wish = match wishes.chance.below(16) {
            0..=4 => {
                let Some(lot) = some_of(wishes, &self.own.slots) else { return };
                Command::PutUp(PutUp { stall, lot: Some(lot), price, lots })
            }
            5..=11 => Command::Buy(Buy { stall, offer, version, lots }),
            12 => Command::Reprice(Reprice { stall, offer, price }),
            13 => Command::Withdraw(Withdraw { stall, offer, lots }),
            _ => Command::TakeProceeds(TakeProceeds { stall, stack: price }),
        };
        command(wishes, OTHER, wish);
    }
}

/// One or two of something in the bag.
fn some_of(wishes: &mut Wishes, slots: &[Stack]) -> Option<Stack> {
    let slot = slots.get(wishes.chance.below(slots.len() as u64) as usize)?;
    let count = (1 + wishes.chance.below(2) as u32).min(slot.count);
    Some(Stack { count, ..*slot })
}
