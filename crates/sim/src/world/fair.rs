//! Fairness: of those who want the same thing, nobody is refused again and again while others succeed.
//!
//! What somebody wants is the entity that a command asks, as the game says. A streak of refusals counts only while nothing is wrong with
//! the two nodes that it takes: the player's, and the home of what is asked.

use std::collections::BTreeMap;

use gundo_client::{Answer, CommandId};
use gundo_types::EntityId;

use super::World;
use crate::judge::{Guarantee, Verdict, violated};

/// A streak of refusals is unfair if it has so many, others succeeded so often meanwhile, and it took so long.
const REFUSALS: u32 = 24;
const OTHERS: u64 = 12;
const UNFAIR_US: u64 = 4_000_000;

/// Consecutive refusals of one player by one entity.
#[derive(Clone, Copy, Debug)]
struct Streak {
    refusals: u32,
    since: u64,
    /// How often anybody had succeeded before.
    served: u64,
}

/// Who asked what, and how it ended.
#[derive(Default)]
pub(super) struct Fair {
    asked: BTreeMap<(usize, CommandId), EntityId>,
    served: BTreeMap<EntityId, u64>,
    streaks: BTreeMap<(usize, EntityId), Streak>,
    /// The longest streak that was fair, for people.
    longest: u32,
}

impl World {
    /// A client sends a command.
    pub(super) fn asks(&mut self, client: usize, id: CommandId, payload: &[u8]) {
        if let Some(entity) = self.game.asked_by(payload) {
            self.fair.asked.insert((client, id), entity);
        }
    }

    /// A command is answered.
    pub(super) fn check_fair(&mut self, client: usize, answer: &Answer) -> Verdict {
        let Some(entity) = self.fair.asked.remove(&(client, answer.id)) else { return Ok(()) };
        let person = self.clients[client].person;
        let served = self.fair.served.entry(entity).or_insert(0);
        let refused = answer.result.as_ref().is_err_and(|refusal| refusal.code == "busy");
        if !refused {
            *served += u64::from(answer.result.is_ok());
            self.fair.streaks.remove(&(person, entity));
            return Ok(());
        }
        let fresh = Streak { refusals: 0, since: self.now, served: *served };
        let served = *served;
        let streak = self.fair.streaks.entry((person, entity)).or_insert(fresh);
        let since = streak.since;
        if self.is_troubled(person, entity, since) {
            self.fair.streaks.insert((person, entity), fresh);
            return Ok(());
        }
        let streak = self.fair.streaks.get_mut(&(person, entity)).expect("just seen");
        streak.refusals += 1;
        let (refusals, others) = (streak.refusals, served - streak.served);
        self.fair.longest = self.fair.longest.max(refusals);
        if refusals >= REFUSALS && others >= OTHERS && self.now >= since + UNFAIR_US {
            let (name, what) = (&self.people[person].name, self.judge.name(entity));
            let text = format!(
                "fair: {what} was busy for {name} {refusals} times since {} ms, and others succeeded {others} times",
                since / 1_000
            );
            return violated(Guarantee::G10, text);
        }
        Ok(())
    }

    /// Whether something was wrong, since then, with a node that the command of a player takes.
    fn is_troubled(&self, person: usize, entity: EntityId, since: u64) -> bool {
        let player = self.people[person].id;
        let owner = self.nodes.iter().find(|(_, node)| player.is_some_and(|id| node.kernel.holds(id)));
        let home = owner.and_then(|(_, node)| node.kernel.home(entity));
        let (Some((owner, _)), Some(home)) = (owner, home) else { return true };
        [owner.node, home.0].into_iter().any(|node| self.was_troubled(node, since))
    }
}
