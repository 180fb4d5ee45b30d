//! Rules that fail on purpose: one that hangs takes down each node that runs it, one that panics costs what was being done.
//!
//! A witness does it, so that any rule of any game can fail. The nodes of a process are told at once over which entity one of them
//! hung, as their supervisor does.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use gundo_kernel::Input;
use gundo_kernel::game::{BLAME_LIMIT, Rule, Witness, set_witness};
use gundo_types::EntityId;

use super::flight::Flight;
use super::{Key, World};
use crate::judge::{Guarantee, violated};
use crate::story::About;

/// Panics of an entity in a run: one fewer than suspend it for longer than a run lasts.
const PANICS_MAX: u32 = 4;

/// What fails, and whether it just has.
#[derive(Default)]
struct Trap {
    hangs: Cell<Option<(EntityId, Rule)>>,
    hung: Cell<bool>,
    panics: Cell<Option<(EntityId, Rule)>>,
    panics_left: Cell<u32>,
}

impl Witness for Trap {
    fn begins(&self, entity: EntityId, rule: Rule) {
        if self.hangs.get() == Some((entity, rule)) {
            self.hung.set(true);
        }
        if self.panics_left.get() > 0 && self.panics.get() == Some((entity, rule)) {
            self.panics_left.set(self.panics_left.get() - 1);
            // Without the panic hook: the simulator does this thousands of times.
            std::panic::resume_unwind(Box::new("a rule panics on purpose"));
        }
    }

    fn ends(&self) {}
}

/// The rules that fail in this world.
pub(super) struct Poison {
    trap: Rc<Trap>,
    /// Points of blame of each entity.
    points: BTreeMap<EntityId, u8>,
    /// Nodes that were lost over the rule that hangs now.
    lost: u32,
    /// Some entity was not loaded any more, in this run.
    has_suspended: bool,
    panics: BTreeMap<EntityId, u32>,
}

impl Poison {
    pub(super) fn new() -> Self {
        let trap = Rc::new(Trap::default());
        set_witness(Some(Rc::clone(&trap) as Rc<dyn Witness>));
        Self { trap, points: BTreeMap::new(), lost: 0, has_suspended: false, panics: BTreeMap::new() }
    }

    /// Whether the node that has just taken an input hangs.
    pub(super) fn has_hung(&self) -> bool {
        self.trap.hung.take()
    }

    /// Whether a hello may have been refused with this code because of it; the player then tries again.
    pub(super) fn refuses(&self, code: &str) -> bool {
        code == "suspended" && self.has_suspended || code == "game_error" && !self.panics.is_empty()
    }

    /// What a node that starts must know.
    pub(super) fn blames(&self) -> Vec<Input> {
        self.points
            .iter()
            .map(|(entity, points)| Input::Blamed { entity: *entity, points: *points })
            .collect()
    }
}

impl World {
    /// From now on a rule of some entity takes down each node that runs it; instead of an earlier one.
    pub(super) fn poison_some(&mut self) -> bool {
        let Some((entity, rule)) = self.some_rule() else { return false };
        if self.poison.points.contains_key(&entity) {
            return false;
        }
        self.poison.trap.hangs.set(Some((entity, rule)));
        self.poison.lost = 0;
        let name = self.judge.name(entity);
        self.story.tell(self.now, About::default(), || format!("fault: `{}` of {name} hangs", rule.name()));
        true
    }

    /// A rule of some entity panics once or a few times.
    pub(super) fn panic_some(&mut self) -> bool {
        let Some((entity, rule)) = self.some_rule() else { return false };
        let before = self.poison.panics.entry(entity).or_insert(0);
        let times = (1 + self.wrong.below(2) as u32).min(PANICS_MAX - *before);
        *before += times;
        self.poison.trap.panics.set(Some((entity, rule)));
        self.poison.trap.panics_left.set(times);
        let name = self.judge.name(entity);
        let text = || format!("fault: `{}` of {name} panics {times} times", rule.name());
        self.story.tell(self.now, About::default(), text);
        times > 0
    }

    fn some_rule(&mut self) -> Option<(EntityId, Rule)> {
        let key = self.some_node();
        let reals: Vec<_> = self.nodes.get(&key)?.kernel.reals().map(|real| real.id).collect();
        let entity = *reals.get(self.wrong.below(reals.len().max(1) as u64) as usize)?;
        let rule = Rule::ALL[self.wrong.below(Rule::ALL.len() as u64) as usize];
        Some((entity, rule))
    }

    /// A node hangs in a rule. Its process ends and restarts it, and tells its other nodes over whom.
    pub(super) fn hang(&mut self, key: Key) {
        let Some((entity, rule)) = self.poison.trap.hangs.get() else { return };
        let (name, now) = (self.judge.name(entity), self.now);
        let text = || format!("n{} hangs in `{}` of {name}", key.node, rule.name());
        self.story.tell(now, About::node(key.node), text);
        self.unsteady_until = self.now + 10_000_000;
        let incarnation = self.nodes.get(&key).map_or(0, |node| node.incarnation);
        self.excuse(key.node, self.now);
        self.end_nodes(&|k| *k == key);
        if key.generation != self.generation {
            return;
        }
        self.poison.lost += 1;
        let points = self.poison.points.entry(entity).or_insert(0);
        *points += rule.blame();
        let points = *points;
        self.poison.has_suspended |= points >= BLAME_LIMIT;
        // A command is given up after two nodes, and the second command is the last.
        let (lost, most) = (self.poison.lost, u32::from(BLAME_LIMIT / rule.blame()));
        if lost > most {
            let text = format!("{lost} nodes were lost in `{}` of {name}, {most} may", rule.name());
            return self.rule(violated(Guarantee::G9, text));
        }
        let others: Vec<_> = self.nodes.keys().filter(|k| k.generation == key.generation).copied().collect();
        for other in others {
            let after = self.wrong.below(100_000);
            let peer = gundo_types::NodeId(key.node);
            self.fly(after, Flight::LinkBroken { node: other, peer, incarnation });
            self.input(other, Input::Blamed { entity, points });
        }
        let starts_in = 300_000 + self.wrong.below(8_000_000);
        self.fly(starts_in, Flight::NodeStarts(key));
    }

    /// All rules are repaired, and everybody is pardoned.
    pub(super) fn heal_rules(&mut self) {
        self.poison.trap.hangs.set(None);
        self.poison.trap.panics_left.set(0);
        for entity in std::mem::take(&mut self.poison.points).into_keys() {
            for key in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.input(key, Input::Blamed { entity, points: 0 });
            }
        }
    }
}
