//! What the simulator checks of names: who is called so or keeps a name has it in the table of names, and the table has nothing else.

use std::collections::BTreeMap;

use gundo::sim::Facts;
use gundo::{EntityId, State};

use crate::guild;
use crate::player::{self, Player};
use crate::schema::{GuildState, PlayerState};

pub(super) fn check_players(facts: &Facts<'_>, players: &BTreeMap<u64, PlayerState>) -> Result<(), String> {
    let held = players.iter().filter(|(_, player)| !player.name.is_empty()).map(|(id, player)| {
        let keys = player.naming.clone().unwrap_or_default().all_keys(&player.name);
        (EntityId::new(Player::KIND, *id), keys)
    });
    check(facts, player::NAMES, held)
}

pub(super) fn check_guilds(facts: &Facts<'_>, guilds: &BTreeMap<u64, GuildState>) -> Result<(), String> {
    let held = guilds.iter().map(|(id, guild)| {
        let naming = guild.naming.clone().unwrap_or_default();
        let kept = naming.kept.into_iter().flat_map(|kept| kept.keys);
        (EntityId::new(guild::Guild::KIND, *id), naming.keys.into_iter().chain(kept).collect())
    });
    check(facts, guild::NAMES, held)
}

fn check(
    facts: &Facts<'_>,
    space: &str,
    held: impl Iterator<Item = (EntityId, Vec<String>)>,
) -> Result<(), String> {
    let rows: BTreeMap<String, EntityId> = facts.names(space).into_iter().collect();
    let mut holders = BTreeMap::new();
    for (id, key) in held.flat_map(|(id, keys)| keys.into_iter().map(move |key| (id, key))) {
        if rows.get(&key) != Some(&id) {
            return Err(format!("{id} has the name {key}, which is {:?}'s in the table", rows.get(&key)));
        }
        holders.insert(key, id);
    }
    match rows.iter().find(|(key, owner)| holders.get(*key) != Some(*owner)) {
        Some((key, owner)) => Err(format!("the name {key} is {owner}'s in the table, which has it no more")),
        None => Ok(()),
    }
}
