//! One event, repeated on one world.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gundo_bots::BotWindow;
use gundo_node::AdminWorld;

use super::Event;
use crate::Failure;
use crate::crew::{Crew, CrewPlan, Going};
use crate::load::Scene;
use crate::proc::machine_seconds;
use crate::stage::{Server, Stage, look_on};

/// Nodes of the world.
const NODES: u16 = 3;
/// How long the world may take to be complete again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often to ask another process about its progress: it cannot wake us.
const POLL: Duration = Duration::from_millis(50);

/// One bot's observation of one repetition.
pub(super) struct Seen {
    /// The node that the event hit; 0: none.
    pub(super) victim: u32,
    pub(super) window: BotWindow,
    /// Length of the observation, ms.
    pub(super) length_ms: f64,
}

/// What a node looks at.
pub(super) struct NodeView {
    /// Players real on it.
    pub(super) players: u64,
    pub(super) chunks: u64,
    pub(super) ghosts: u64,
}

/// The results of all commands, and the load of the machine.
pub(super) struct Tallied {
    pub(super) commands: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// CPU of everything else on the machine during the run, cores. If it is more than a little, the numbers mean little.
    pub(super) others: f64,
}

/// A world, its crew, and its event.
pub(super) struct Trial {
    event: Event,
    server: Server,
    crew: Crew,
    /// The URLs of all nodes, in order.
    urls: Vec<String>,
    begun: Instant,
    machine_before: f64,
    ours_before: f64,
}

impl Trial {
    pub(super) fn start(stage: &Stage, event: Event, bots: usize) -> Result<Self, Failure> {
        // Players who stand still on the node that will be lost must not have left it before.
        Self::start_with(stage, event, bots, event != Event::Loss)
    }

    /// `follows`: players become real where their surroundings are.
    pub(super) fn start_with(
        stage: &Stage,
        event: Event,
        bots: usize,
        follows: bool,
    ) -> Result<Self, Failure> {
        let words: &[&str] = if follows { &[] } else { &["--settled"] };
        Self::start_on(stage.server_with(NODES, words)?, event, bots)
    }

    /// On a cluster of processes.
    pub(super) fn start_cluster(stage: &Stage, event: Event, bots: usize) -> Result<Self, Failure> {
        Self::start_on(stage.cluster(NODES)?, event, bots)
    }

    fn start_on(mut server: Server, event: Event, bots: usize) -> Result<Self, Failure> {
        let urls: Vec<String> =
            nodes(&mut server)?.nodes.iter().map(|node| format!("ws://{}", node.address)).collect();
        let scene = if event == Event::Loss { Scene::Idle } else { Scene::Spread };
        let notes = event != Event::Loss;
        let crew = Crew::start(&CrewPlan { urls: urls.clone(), count: bots, scene, notes })?;
        let (machine_before, ours_before) =
            (machine_seconds()?, server.process.cpu_seconds()? + crew.cpu_seconds()?);
        Ok(Self { event, server, crew, urls, begun: Instant::now(), machine_before, ours_before })
    }

    pub(super) fn nodes(&self) -> usize {
        self.urls.len()
    }

    /// Causes the event once more in a complete world, and waits until the world is complete again.
    pub(super) fn repeat(&mut self, round: usize) -> Result<Vec<Seen>, Failure> {
        self.set_up(round)?;
        let last = self.urls.len() as u32;
        let victim = match self.event {
            Event::Crash | Event::Hang | Event::Drain => 1 + round as u32 % last,
            Event::World | Event::Loss => last,
            Event::Walk | Event::Rollout | Event::View => 0,
        };
        self.crew.mark()?;
        let marked = Instant::now();
        self.strike(victim)?;
        let windows = self.crew.mark()?;
        let length_ms = marked.elapsed().as_secs_f64() * 1e3;
        self.mend(victim)?;
        Ok(windows.into_iter().map(|window| Seen { victim, window, length_ms }).collect())
    }

    /// Puts all players on one node, and each player's edge on another.
    fn set_up(&mut self, round: usize) -> Result<(), Failure> {
        let walks = self.event != Event::Loss;
        match self.event {
            // After the first time, walking players are where walking took them.
            Event::Walk if round > 0 => return self.crew.wait_until_whole(walks),
            Event::Loss => self.gather()?,
            _ => {
                self.crew.go(&Going { bots: None, urls: self.urls.clone(), through_the_door: true })?;
                self.crew.wait_until_whole(walks)?;
            }
        }
        let mut edges = self.urls.clone();
        match self.event {
            Event::World | Event::Loss | Event::View => edges.truncate(2),
            _ => edges.rotate_left(1),
        }
        self.crew.go(&Going { bots: None, urls: edges, through_the_door: false })?;
        self.crew.wait_until_whole(walks)
    }

    /// Makes all players real on the last node. All at once would overrun its edge, and clients that it delays go to
    /// another.
    fn gather(&mut self) -> Result<(), Failure> {
        const AT_ONCE: usize = 500;
        let (last, begun) = (self.urls.len() as u32, Instant::now());
        loop {
            let windows = self.crew.mark()?;
            let elsewhere = windows.iter().filter(|w| w.holder_after != last);
            let next: BTreeSet<usize> = elsewhere.map(|w| w.bot).take(AT_ONCE).collect();
            if next.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("after {PATIENCE:?} not all are real on node {last}").into());
            }
            let urls = self.urls[2..].to_vec();
            self.crew.go(&Going { bots: Some(next), urls, through_the_door: true })?;
            self.crew.wait_until_whole(false)?;
        }
    }

    /// Causes the event, and observes for as long as it may have effects.
    fn strike(&mut self, victim: u32) -> Result<(), Failure> {
        match self.event {
            Event::Crash | Event::World => {
                self.order(&format!("kill {victim}"))?;
                look_on(Duration::from_secs(3));
            }
            Event::Loss => {
                self.order(&format!("kill {victim}"))?;
                look_on(Duration::from_secs(10));
            }
            Event::Hang => {
                self.order(&format!("pause {victim}"))?;
                look_on(Duration::from_secs(6));
            }
            Event::Drain => {
                self.order(&format!("drain {victim}"))?;
                let runs = |world: &AdminWorld| {
                    world.nodes.iter().any(|n| u32::from(n.node) == victim && n.state != "down")
                };
                self.wait_for(|world| !runs(world))?;
                look_on(Duration::from_secs(1));
            }
            Event::Walk => look_on(Duration::from_secs(2)),
            Event::View => look_on(Duration::from_secs(30)),
            Event::Rollout => {
                self.order("rollout")?;
                self.wait_for(|world| world.rollout.is_empty())?;
                look_on(Duration::from_secs(1));
            }
        }
        Ok(())
    }

    /// Makes the world complete again.
    fn mend(&mut self, victim: u32) -> Result<(), Failure> {
        match self.event {
            Event::Crash | Event::World | Event::Loss | Event::Drain => self.order("add")?,
            Event::Hang => self.order(&format!("resume {victim}"))?,
            Event::Walk | Event::Rollout | Event::View => {}
        }
        let count = self.urls.len();
        self.wait_for(|world| {
            world.nodes.iter().filter(|node| node.state == "up" && node.member).count() == count
        })
    }

    /// What the last node, to which no client is connected, looks at now.
    pub(super) fn last_nodes_view(&mut self) -> Result<NodeView, Failure> {
        let last = self.urls.len() as u32;
        let windows = self.crew.mark()?;
        let world = nodes(&mut self.server)?;
        let node = world.nodes.iter().find(|n| u32::from(n.node) == last).ok_or("the last node is gone")?;
        let players = windows.iter().filter(|w| w.holder_after == last).count() as u64;
        Ok(NodeView { players, chunks: node.chunks, ghosts: node.ghosts })
    }

    fn order(&mut self, line: &str) -> Result<(), Failure> {
        self.server.process.tell(line)?;
        let answer = self.server.process.expect("")?;
        if answer == "done" { Ok(()) } else { Err(format!("`{line}` was answered with: {answer}").into()) }
    }

    fn wait_for(&mut self, there: impl Fn(&AdminWorld) -> bool) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let world = nodes(&mut self.server)?;
            if there(&world) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the world is not as it should be after {PATIENCE:?}: {world:?}").into());
            }
            look_on(POLL);
        }
    }

    pub(super) fn finish(self) -> Result<Tallied, Failure> {
        let Self { server, mut crew, begun, machine_before, ours_before, .. } = self;
        let ours = server.process.cpu_seconds()? + crew.cpu_seconds()? - ours_before;
        let others = (machine_seconds()? - machine_before - ours).max(0.0) / begun.elapsed().as_secs_f64();
        crew.wait_until_whole(false)?;
        let report = crew.finish()?;
        server.process.finish()?;
        Ok(Tallied {
            commands: report.commands,
            lost: report.lost + report.refused_otherwise,
            doubled: report.doubled,
            others,
        })
    }
}

fn nodes(server: &mut Server) -> Result<AdminWorld, Failure> {
    server.process.tell("nodes")?;
    Ok(serde_json::from_str(&server.process.expect("nodes ")?)?)
}
