//! What bots do with estates: all of them claim some land when they can pay; those that do things together also grow, open and close,
//! release and abandon what they have. (What they sell: see their offers in trades.)

use gundo::bots::Wishes;

use super::{OTHER, Pioneer, command};
use crate::schema::{
    AbandonEstate, AttendEstate, ChunkRef, ClaimLand, Level, ReleaseLand, Rights, SetRights, Stack,
    player_command::Command,
};

impl Pioneer {
    /// Something about an estate of its own, or about getting one.
    pub(super) fn wish_of_estates(&self, wishes: &mut Wishes) {
        let deeds = &self.own.deeds;
        let wish = match deeds.get(wishes.chance.below(deeds.len().max(1) as u64) as usize) {
            Some(estate) => self.wish_of_owner(*estate, wishes),
            None => self.wish_to_claim(0, wishes),
        };
        if let Some(wish) = wish {
            command(wishes, OTHER, wish);
        }
    }

    /// The chunk it stands on and one or two beside it, if it can pay them.
    fn wish_to_claim(&self, estate: u64, wishes: &mut Wishes) -> Option<Command> {
        let count = 1 + wishes.chance.below(3) as i32;
        let chunks = here(wishes, count);
        let count = chunks.len() as u32;
        let carries =
            |item| self.own.slots.iter().filter(|slot| slot.item == item).map(|slot| slot.count).sum::<u32>();
        let pays = |price: &Stack| carries(price.item) >= price.count * count;
        let world = self.world.as_ref()?;
        world.estate_price.iter().all(pays).then_some(Command::ClaimLand(ClaimLand { estate, chunks }))
    }

    fn wish_of_owner(&self, estate: u64, wishes: &mut Wishes) -> Option<Command> {
        if !self.minds.together {
            return Some(Command::AttendEstate(AttendEstate { estate }));
        }
        Some(match wishes.chance.below(16) {
            0..=3 => return self.wish_to_claim(0, wishes),
            4..=6 => return self.wish_to_claim(estate, wishes),
            7..=11 => {
                let mut level =
                    || Level::try_from(wishes.chance.below(4) as i32).unwrap_or(Level::Owner).into();
                let (gather, build, demolish) = (level(), level(), level());
                let guild = self.own.guild.as_ref().map_or(0, |guild| guild.id);
                let open = Rights { gather, build, demolish, guild, ..Rights::default() };
                let rights = if wishes.chance.below(2) == 0 { open } else { Rights::default() };
                Command::SetRights(SetRights { estate, rights: Some(rights) })
            }
            12..=13 => Command::ReleaseLand(ReleaseLand { estate, chunks: here(wishes, 1) }),
            14 => Command::AttendEstate(AttendEstate { estate }),
            _ => Command::AbandonEstate(AbandonEstate { estate }),
        })
    }
}

/// So many chunks in a row, from the one it stands on.
fn here(wishes: &Wishes, count: i32) -> Vec<ChunkRef> {
    let chunk = wishes.body.chunk();
    (0..count).map(|k| ChunkRef { cx: i32::from(chunk.x) + k, cy: chunk.y.into() }).collect()
}
