//! Bots that do things together change their names, and those of their guilds.

use gundo::bots::Wishes;

use super::{OTHER, Pioneer, command, guild};
use crate::schema::{Rename, RenameGuild, player_command::Command};

/// Few, so that several want the same.
const NAMES: [&str; 6] = ["Finn", "Gale", "Hugo", "Ines", "Juno", "Kira"];

impl Pioneer {
    /// Another name, or the one it came with. The game says whether it is time.
    pub(super) fn wish_of_name(&self, wishes: &mut Wishes) {
        let pick = wishes.chance.below(3 * NAMES.len() as u64) as usize;
        let wish = match &self.own.guild {
            Some(mine) if pick < NAMES.len() => {
                let name = guild::NAMES[pick % guild::NAMES.len()].to_owned();
                Command::RenameGuild(RenameGuild { guild: mine.id, name })
            }
            _ => {
                let other = NAMES.get(pick % (NAMES.len() + 1)).copied();
                Command::Rename(Rename { name: other.unwrap_or(&self.called).to_owned() })
            }
        };
        command(wishes, OTHER, wish);
    }
}
