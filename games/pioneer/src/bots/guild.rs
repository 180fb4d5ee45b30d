//! What bots do in guilds: all of them found one when they can pay, and use its chest; those that do things together also invite,
//! join, leave and govern.

use gundo::bots::Wishes;

use super::{OTHER, Pioneer, command};
use crate::schema::{
    AcceptGuild, DeclineGuild, DissolveGuild, FoundGuild, GuildRole, InviteToGuild, Item, LeaveGuild,
    Membership, PutInChest, RemoveFromGuild, SetGuildRole, Stack, TakeFromChest, player_command::Command,
};

/// Names that bots which do things together want for their guilds: few, so that several want the same.
pub(super) const NAMES: [&str; 6] = ["Foxes", "Herons", "Otters", "Ravens", "Seals", "Wolves"];
/// Letters of the other bots' names for guilds: no two look alike.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz";
/// Things that bots look for in a chest.
const THINGS: [Item; 7] =
    [Item::Wood, Item::Berry, Item::Stone, Item::Fibre, Item::Plank, Item::Axe, Item::Pickaxe];

impl Pioneer {
    /// Something about its guild, or about getting one.
    pub(super) fn wish_of_guild(&self, wishes: &mut Wishes) {
        let wish = match &self.own.guild {
            Some(guild) => self.wish_of_member(guild, wishes),
            None => self.wish_to_join(wishes),
        };
        if let Some(wish) = wish {
            command(wishes, OTHER, wish);
        }
    }

    fn wish_to_join(&self, wishes: &mut Wishes) -> Option<Command> {
        if let Some(invitation) = self.own.invitations.first() {
            let guild = invitation.guild;
            return Some(match wishes.chance.below(4) {
                0 => Command::DeclineGuild(DeclineGuild { guild }),
                _ => Command::AcceptGuild(AcceptGuild { guild }),
            });
        }
        let world = self.world.as_ref()?;
        let has = |wanted: &Stack| {
            self.own.slots.iter().any(|slot| slot.item == wanted.item && slot.count >= wanted.count)
        };
        if !world.guild_price.iter().all(has) {
            return None;
        }
        Some(Command::FoundGuild(FoundGuild { name: self.name_of_guild(wishes) }))
    }

    pub(super) fn name_of_guild(&self, wishes: &mut Wishes) -> String {
        if self.minds.together {
            return NAMES[wishes.chance.below(NAMES.len() as u64) as usize].to_owned();
        }
        let letter = |_| char::from(LETTERS[wishes.chance.below(LETTERS.len() as u64) as usize]);
        (0..12).map(letter).collect()
    }

    fn wish_of_member(&self, mine: &Membership, wishes: &mut Wishes) -> Option<Command> {
        let guild = mine.id;
        let kinds = if self.minds.together { 24 } else { 12 };
        let whom = if self.met.is_empty() { 0 } else { self.somebody(wishes) };
        Some(match wishes.chance.below(kinds) {
            0..=5 => {
                let slots = &self.own.slots;
                let slot = slots.get(wishes.chance.below(slots.len().max(1) as u64) as usize)?;
                let count = (1 + wishes.chance.below(2) as u32).min(slot.count);
                let stack = Some(Stack { count, ..*slot });
                Command::PutInChest(PutInChest { guild, stack })
            }
            6..=11 => {
                let item = THINGS[wishes.chance.below(THINGS.len() as u64) as usize];
                let stack = Some(Stack { item: item.into(), count: 1, ..Stack::default() });
                Command::TakeFromChest(TakeFromChest { guild, stack })
            }
            12..=17 => Command::InviteToGuild(InviteToGuild { guild, whom }),
            18 => Command::RemoveFromGuild(RemoveFromGuild { guild, whom }),
            19..=20 => {
                let roles = [GuildRole::Member, GuildRole::Officer, GuildRole::Leader];
                let role = roles[wishes.chance.below(3) as usize].into();
                Command::SetGuildRole(SetGuildRole { guild, whom, role })
            }
            21..=22 => Command::LeaveGuild(LeaveGuild { guild }),
            _ => Command::DissolveGuild(DissolveGuild { guild }),
        })
    }
}
