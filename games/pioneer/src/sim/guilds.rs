//! What the simulator checks of guilds: members and guilds agree, and nobody takes what its role does not allow. And where the goods
//! of a chest come from and go to.

use std::collections::{BTreeMap, BTreeSet};

use gundo::sim::{EventType, Facts, Flows, Holdings};
use gundo::{EntityId, Message, Payload, State};

use super::{give, hold, naming, take};
use crate::guild::{Guild, MEMBERS_MAX, Right};
use crate::schema::{ChestServed, GuildRole, GuildState, Membership, PlayerState, Stack, guild_event::Event};

/// What is in a chest.
pub(super) fn holdings(snapshot: &[u8], holdings: &mut Holdings) {
    let chest = GuildState::decode(snapshot).unwrap_or_default().chest;
    chest.iter().for_each(|stack| hold(holdings, stack));
}

/// What an event of a guild does to goods.
pub(super) fn flows(event: &[u8], flows: &mut Flows) {
    let Some(Event::ChestChanged(changed)) = Event::from_bytes(event).ok().flatten() else { return };
    // The player has it, and the chest not any more; or the other way round.
    moves(!changed.took, changed.stack.as_ref(), flows);
}

/// What a member's event does to goods.
pub(super) fn served(served: &ChestServed, flows: &mut Flows) {
    moves(served.took, served.stack.as_ref(), flows);
}

fn moves(gains: bool, stack: Option<&Stack>, flows: &mut Flows) {
    let Some(stack) = stack else { return };
    let stacks = std::slice::from_ref(stack);
    if gains { take(flows, stacks) } else { give(flows, stacks) }
}

/// Every member of a guild is in that guild, with the same role, and every player's guild has it as a member; a guild has one leader,
/// and a name of its own; who is invited was invited; a dissolved guild has nothing; nobody took without the right to.
pub(super) fn check(facts: &Facts<'_>, players: &BTreeMap<u64, PlayerState>) -> Result<(), String> {
    let (mut guilds, mut names) = (BTreeMap::new(), BTreeSet::new());
    for (id, state) in facts.states(Guild::KIND) {
        let guild = GuildState::decode(state).map_err(|e| e.to_string())?;
        is_whole(id, &guild, players)?;
        if !guild.dissolved && !guild.name.is_empty() && !names.insert(guild.name.to_lowercase()) {
            return Err(format!("{} is the name of two guilds, one of them {id}", guild.name));
        }
        takes_by_right(id, facts)?;
        guilds.insert(id.id, guild);
    }
    naming::check_guilds(facts, &guilds)?;
    for (id, player) in players {
        if let Some(mine) = &player.guild {
            let listed =
                guilds.get(&mine.id).is_some_and(|guild| guild.members.iter().any(|m| m.id() == *id));
            if !listed {
                return Err(format!("{id:x} is in the guild {:x}, which does not list it", mine.id));
            }
        }
        for invitation in &player.invitations {
            let guild = guilds.get(&invitation.guild).filter(|guild| !guild.dissolved);
            if guild.is_some_and(|guild| !guild.invited.iter().any(|invited| invited.id() == *id)) {
                return Err(format!(
                    "{id:x} has an invitation that the guild {:x} has not made",
                    invitation.guild
                ));
            }
        }
    }
    Ok(())
}

fn is_whole(id: EntityId, guild: &GuildState, players: &BTreeMap<u64, PlayerState>) -> Result<(), String> {
    if guild.dissolved {
        let is_empty = guild.members.is_empty() && guild.invited.is_empty() && guild.chest.is_empty();
        return if is_empty {
            Ok(())
        } else {
            Err(format!("{id} is dissolved, and something is left in it"))
        };
    }
    // Its founding failed, and its stream has only a fence.
    if *guild == GuildState::default() {
        return Ok(());
    }
    let leaders = guild.members.iter().filter(|member| member.role() == GuildRole::Leader).count();
    if leaders != 1 || guild.members.len() > MEMBERS_MAX {
        return Err(format!("{id} has {} members and {leaders} leaders", guild.members.len()));
    }
    for member in &guild.members {
        let who = member.id();
        let has = players.get(&who).and_then(|player| player.guild.as_ref());
        // A member hears of a new name after the guild has it.
        let agrees = |has: &Membership| has.id == id.id && has.role == member.role && !has.name.is_empty();
        if !has.is_some_and(agrees) {
            return Err(format!("{id} lists {who:x} as {member:?}, which says {has:?}"));
        }
    }
    Ok(())
}

/// Its events say which role a member had when it took something.
fn takes_by_right(id: EntityId, facts: &Facts<'_>) -> Result<(), String> {
    for (seq, event) in facts.events(id).iter().filter(|(_, event)| event.event_type == EventType::Game) {
        let Some(Event::ChestChanged(changed)) = Event::from_bytes(&event.payload).ok().flatten() else {
            continue;
        };
        let right = if changed.took { Right::Take } else { Right::Put };
        if !changed.role().may(right) {
            return Err(format!("{id}, event {seq}: a role that does not allow it: {changed:?}"));
        }
    }
    Ok(())
}
