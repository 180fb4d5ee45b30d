//! What operators ask of a node in a cluster that concerns nodes in other processes.
//!
//! The process that they ask passes it on to the process of that node. Passing on takes time, so threads do it; the loop goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use gundo_kernel::Member;
use gundo_types::NodeId;

use super::{Signal, Supervisor};
use crate::base::{Colleagues, Deed};
use crate::control::{Answer, Asker, NodeState, NodeStatus, Refused, Request, WorldStatus};

/// Between two looks at a node that is to restart.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a node may take to restart beyond the time it has to hand everything over.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);

/// Nodes that a rollout of the cluster, led by this process, has yet to restart.
pub(super) type Rolling = Arc<Mutex<Vec<NodeId>>>;

impl Supervisor {
    /// Handles a request if it is about other processes. Gives it back if it is not.
    pub(super) fn ask_elsewhere(&self, request: Request, asker: Asker) -> Option<Asker> {
        let Some(cluster) = self.base.as_cluster() else { return Some(asker) };
        let (me, colleagues) = (cluster.node, Arc::clone(&cluster.colleagues));
        let (node, deed) = match request {
            Request::Nodes => {
                let (mine, members) = (self.status(), self.view.members.clone());
                let rolling = Arc::clone(&self.rolling);
                spawn(asker, move || {
                    let mut status = gather(&*colleagues, me, mine, &members);
                    status.rollout = locked(&rolling).clone();
                    Ok(Answer::World(status))
                });
                return None;
            }
            Request::Add => {
                let text =
                    "a node of a cluster is a process: start another one with a node number of its own";
                asker.refuse(Refused::new("elsewhere", text));
                return None;
            }
            Request::Rollout => {
                self.roll_out_cluster(asker);
                return None;
            }
            Request::Kill(node) if node != me => (node, Deed::Kill),
            Request::Pause(node) if node != me => (node, Deed::Pause),
            Request::Resume(node) if node != me => (node, Deed::Resume),
            Request::Drain(node) if node != me => (node, Deed::Drain),
            Request::Renew(node) if node != me => (node, Deed::Renew),
            _ => return Some(asker),
        };
        let Some(member) = self.view.members.iter().find(|m| m.node == node).cloned() else {
            asker.refuse(Refused::new("unknown_node", format!("there is no node {} in the cluster", node.0)));
            return None;
        };
        spawn(asker, move || colleagues.act(&member, deed).map(|()| Answer::Node(node)));
        None
    }

    /// Restarts every process of the cluster, one after another, this one last.
    fn roll_out_cluster(&self, asker: Asker) {
        let Some(cluster) = self.base.as_cluster() else { return };
        let (me, members) = (cluster.node, self.view.members.clone());
        let refused = match () {
            () if !locked(&self.rolling).is_empty() => Some(Refused::rollout()),
            () if members.len() < 2 => {
                let text = "a cluster of one node cannot restart without a pause: start another one first";
                Some(Refused::new("last_node", text))
            }
            () => members.iter().find(|m| m.draining).map(|m| {
                let text = format!("node {} is draining: a rollout needs every node up", m.node.0);
                Refused::new("not_whole", text)
            }),
        };
        if let Some(refused) = refused {
            return asker.refuse(refused);
        }
        let mut others: Vec<Member> = members.into_iter().filter(|m| m.node != me).collect();
        others.sort_by_key(|m| m.node);
        *locked(&self.rolling) = others.iter().map(|m| m.node).chain([me]).collect();
        let (rolling, tx) = (Arc::clone(&self.rolling), self.ground.tx.clone());
        let colleagues = Arc::clone(&cluster.colleagues);
        let patience = Duration::from_millis(cluster.drain_ms) + RESTART_PATIENCE;
        let roll = move || {
            for member in &others {
                tracing::info!(node = member.node.0, "the rollout restarts the node");
                if let Err(why) = restart(&*colleagues, member, patience) {
                    tracing::error!(
                        node = member.node.0,
                        why,
                        "the rollout ends here: the node did not restart"
                    );
                    locked(&rolling).clear();
                    return;
                }
                locked(&rolling).retain(|node| *node != member.node);
            }
            // This process goes with it.
            let (answer, _) = std::sync::mpsc::channel();
            let _ = tx.send(Signal::Control(Request::Renew(me), Asker::new(answer)));
        };
        let first = locked(&self.rolling)[0];
        match Builder::new().name("gundo-rollout".into()).spawn(roll) {
            Ok(_) => asker.answer(Answer::Node(first)),
            Err(error) => {
                locked(&self.rolling).clear();
                asker.refuse(Refused::new("system", format!("cannot start a thread: {error}")));
            }
        }
    }
}

/// Does something that takes time, and tells the asker.
fn spawn(asker: Asker, what: impl FnOnce() -> Result<Answer, Refused> + Send + 'static) {
    let run = move || match what() {
        Ok(answer) => asker.answer(answer),
        Err(refused) => asker.refuse(refused),
    };
    if let Err(error) = Builder::new().name("gundo-operator".into()).spawn(run) {
        // The asker is told that the world has ended, because the closure is gone with it.
        tracing::warn!(%error, "cannot start a thread for an operator");
    }
}

/// The status of all nodes: that of this process, and what the others say of themselves.
fn gather(colleagues: &dyn Colleagues, me: NodeId, mine: WorldStatus, members: &[Member]) -> WorldStatus {
    let others = members.iter().filter(|member| member.node != me);
    let asked: Vec<NodeStatus> = std::thread::scope(|scope| {
        let asks: Vec<_> =
            others.map(|member| (member, scope.spawn(move || colleagues.status(member)))).collect();
        let answers = asks.into_iter().map(|(member, ask)| {
            let status = ask.join().ok().and_then(Result::ok);
            status.unwrap_or_else(|| silent(member))
        });
        answers.collect()
    });
    let mut nodes: Vec<NodeStatus> = mine.nodes.into_iter().chain(asked).collect();
    nodes.sort_by_key(|status| status.node);
    WorldStatus { nodes, ..mine }
}

/// A member whose process does not answer.
fn silent(member: &Member) -> NodeStatus {
    NodeStatus {
        node: member.node,
        incarnation: member.incarnation,
        address: member.site.admin.clone(),
        state: if member.draining { NodeState::Draining } else { NodeState::Silent },
        member: true,
        sessions: 0,
        reals: 0,
        ghosts: 0,
        chunks: 0,
    }
}

/// Has a member restart, and waits until it is up again.
fn restart(colleagues: &dyn Colleagues, member: &Member, patience: Duration) -> Result<(), String> {
    colleagues.act(member, Deed::Renew).map_err(|refused| refused.text)?;
    let give_up = Instant::now() + patience;
    while Instant::now() < give_up {
        // Another process: only asking tells.
        sleep(LOOK_EVERY);
        let status = colleagues.status(member);
        if status.is_ok_and(|s| s.incarnation > member.incarnation && s.state == NodeState::Up && s.member) {
            return Ok(());
        }
    }
    Err(format!("it was not up again after {} s", patience.as_secs()))
}

fn locked(rolling: &Rolling) -> std::sync::MutexGuard<'_, Vec<NodeId>> {
    rolling.lock().unwrap_or_else(PoisonError::into_inner)
}
