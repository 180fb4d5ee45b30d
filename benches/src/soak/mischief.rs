//! The disturbances of a soak: chosen from a seed, within what the world must survive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gundo::NodeId;
use gundo_bots::Chance;
use gundo_node::{Control, NodeState, Refused, WorldStatus};

use crate::stage::look_on;

/// Nodes that stay up at all times.
const UP_MIN: usize = 2;
/// Nodes in excess of the complete world's.
const EXTRA_MAX: usize = 2;
/// How long the world may take to be complete once the disturbances end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Disturbances and their results that are kept for the report.
const TOLD: usize = 4;
/// How often to check whether it is complete.
const POLL: Duration = Duration::from_millis(50);

/// See the top of the file.
pub(super) struct Mischief {
    control: Control,
    chance: Chance,
    nodes: usize,
    pause_ms_max: u64,
    begun: Instant,
    /// Each disturbance, its node, and when it happened, ms since the start.
    deeds: Vec<(f64, &'static str, Option<NodeId>)>,
    /// Refusals by code.
    pub(super) refused: BTreeMap<String, u64>,
}

impl Mischief {
    /// For a world that has `nodes` nodes when it is complete.
    pub(super) fn new(control: Control, seed: u64, nodes: u16, every_seconds: f64) -> Self {
        let pause_ms_max = (every_seconds * 1_000.0) as u64;
        Self {
            control,
            chance: Chance::new(seed),
            nodes: nodes.into(),
            pause_ms_max,
            begun: Instant::now(),
            deeds: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// How long to wait before the next one.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.chance.below(self.pause_ms_max) + 100)
    }

    /// Disturbs some node.
    ///
    /// # Errors
    /// The world has ended.
    pub(super) fn strike(&mut self) -> Result<(), String> {
        let world = self.look()?;
        let up = in_state(&world, NodeState::Up);
        let paused = in_state(&world, NodeState::Paused);
        if !paused.is_empty() && self.chance.below(2) == 0 {
            let node = self.pick(&paused);
            return self.act("resume", Some(node), |control| control.resume(node));
        }
        let running = world.nodes.iter().filter(|node| node.state != NodeState::Down).count();
        if running < self.nodes && self.chance.below(3) > 0 {
            return self.act("add", None, |control| control.add().map(drop));
        }
        if up.len() <= UP_MIN {
            return Ok(());
        }
        let node = self.pick(&up);
        match self.chance.below(4) {
            0 => self.act("kill", Some(node), |control| control.kill(node)),
            1 => self.act("drain", Some(node), |control| control.drain(node)),
            2 => self.act("pause", Some(node), |control| control.pause(node)),
            _ if running < self.nodes + EXTRA_MAX => self.act("add", None, |control| control.add().map(drop)),
            _ => Ok(()),
        }
    }

    /// Makes the world complete again and waits until it is.
    ///
    /// # Errors
    /// The world has ended, or does not become complete.
    pub(super) fn mend(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let world = self.look()?;
            for node in in_state(&world, NodeState::Paused) {
                self.act("resume", Some(node), |control| control.resume(node))?;
            }
            let running = world.nodes.iter().filter(|node| node.state != NodeState::Down).count();
            let whole = world.nodes.iter().filter(|node| node.state == NodeState::Up && node.member).count();
            if running < self.nodes {
                self.act("add", None, |control| control.add().map(drop))?;
            } else if whole == running {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the world is not complete after {PATIENCE:?}: {world:?}"));
            }
            look_on(POLL);
        }
    }

    /// The last disturbances before `at_ms`, and how long before.
    pub(super) fn before(&self, at_ms: f64) -> String {
        let before = self.deeds.iter().rev().skip_while(|(at, ..)| *at > at_ms).take(TOLD);
        let told = before.map(|(at, deed, node)| {
            let node = node.map_or_else(String::new, |node| format!(" {node}"));
            format!("{deed}{node} {:.0} ms before", at_ms - at)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// How often each disturbance happened.
    pub(super) fn done(&self) -> BTreeMap<&'static str, u64> {
        let mut done = BTreeMap::new();
        self.deeds.iter().for_each(|(_, deed, _)| *done.entry(*deed).or_insert(0) += 1);
        done
    }

    fn look(&self) -> Result<WorldStatus, String> {
        self.control.nodes().map_err(|refused| format!("the world has ended: {refused}"))
    }

    fn pick(&mut self, nodes: &[NodeId]) -> NodeId {
        nodes[self.chance.below(nodes.len() as u64) as usize]
    }

    fn act(
        &mut self,
        what: &'static str,
        node: Option<NodeId>,
        act: impl FnOnce(&Control) -> Result<(), Refused>,
    ) -> Result<(), String> {
        match act(&self.control) {
            Ok(()) => self.deeds.push((self.begun.elapsed().as_secs_f64() * 1_000.0, what, node)),
            Err(refused) if refused.code == "stopped" => {
                return Err(format!("the world has ended: {refused}"));
            }
            // The world may have changed since the check.
            Err(refused) => *self.refused.entry(refused.code.into_owned()).or_insert(0) += 1,
        }
        Ok(())
    }
}

fn in_state(world: &WorldStatus, state: NodeState) -> Vec<NodeId> {
    world.nodes.iter().filter(|node| node.state == state).map(|node| node.node).collect()
}
