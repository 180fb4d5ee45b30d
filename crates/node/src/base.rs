//! What the nodes of a process stand on: who decides on membership, and what carries messages between nodes.
//!
//! In solo all nodes of the world are in the process, and so is its coordinator. In a cluster the process has one node; coordinator
//! and fabric reach the other processes, and the caller brings them.

use std::sync::Arc;

use gundo_coordinator::{Coordinator, Rows};
use gundo_fabric::{Fabric, Sink};
use gundo_journal::Journal;
use gundo_kernel::{Member, View};
use gundo_types::{Figure, NodeId, Site};

use crate::control::{NodeStatus, Refused};
use crate::inbox::Inbox;
use crate::mesh::{Mesh, MeshFabric};
use crate::nodes::{WorldFault, system};
use crate::rows::RowThreads;
use crate::solo::SoloCoordinator;

/// Connects the node of this process to the nodes in other processes.
pub trait Links: Send + Sync {
    /// The node has joined as this incarnation: what its peers send goes to `sink`. An earlier incarnation's connections end.
    fn join(&self, incarnation: u64, sink: Arc<dyn Sink>) -> Box<dyn Fabric>;

    /// A view: the peers are those in it. Views may come late, and more than once.
    fn set_view(&self, view: &View);

    /// Asks a member whether it would take this node: it compares world, game, settings and versions. Waits for the answer, a few
    /// seconds at most. `None`: it does not answer. Else what it says against it.
    fn ask(&self, member: &Member) -> Option<Result<(), String>>;

    /// What it counts, for operators. Cheap; asked about once per second.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

/// What one process can ask of another for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// See [`Control::kill`](crate::Control::kill).
    Kill,
    /// See [`Control::pause`](crate::Control::pause).
    Pause,
    /// See [`Control::resume`](crate::Control::resume).
    Resume,
    /// See [`Control::drain`](crate::Control::drain).
    Drain,
    /// See [`Control::renew`](crate::Control::renew).
    Renew,
}

/// Reaches the operators' API of other processes. Calls wait for the answer, a few seconds at most.
pub trait Colleagues: Send + Sync {
    /// The status of a member, as its process says.
    ///
    /// # Errors
    /// `elsewhere`: it cannot be reached.
    fn status(&self, member: &Member) -> Result<NodeStatus, Refused>;

    /// Does something to a member.
    ///
    /// # Errors
    /// What its process says, or `elsewhere`: it cannot be reached.
    fn act(&self, member: &Member, deed: Deed) -> Result<(), Refused>;
}

/// Makes a coordinator that asks the journal for rows through the given access.
pub type MakeCoordinator = Box<dyn FnOnce(Arc<dyn Rows>) -> Result<Arc<dyn Coordinator>, String>>;

/// One node of a world that runs in many processes.
pub struct Place {
    /// The node. No other process has it.
    pub node: NodeId,
    /// Where it runs, as its peers are told.
    pub site: Site,
    /// Makes the coordinator.
    pub coordinator: MakeCoordinator,
    /// Connects it to the other processes.
    pub links: Arc<dyn Links>,
    /// Passes operators' requests on to other processes.
    pub colleagues: Arc<dyn Colleagues>,
    /// How long a stop may take to hand everything over to the others, ms. Beyond that the node saves what is left and ends.
    pub drain_ms: u64,
}

/// What the nodes of a process stand on.
pub(crate) enum Base {
    Solo(SoloCoordinator),
    Cluster(Cluster),
}

/// The base of a node in a cluster.
pub(crate) struct Cluster {
    pub(crate) node: NodeId,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) colleagues: Arc<dyn Colleagues>,
    pub(crate) drain_ms: u64,
    coordinator: Arc<dyn Coordinator>,
    rows: RowThreads,
}

impl Base {
    pub(crate) fn solo(journal: &Arc<dyn Journal>, lease_ms: u64) -> Result<Self, WorldFault> {
        SoloCoordinator::start(journal, lease_ms).map(Self::Solo).map_err(system)
    }

    pub(crate) fn cluster(journal: &Arc<dyn Journal>, place: Place) -> Result<Self, WorldFault> {
        let Place { node, coordinator, links, colleagues, drain_ms, .. } = place;
        let rows = RowThreads::start(journal).map_err(system)?;
        let coordinator = coordinator(rows.rows()).map_err(WorldFault::Coordinator)?;
        Ok(Self::Cluster(Cluster { node, links, colleagues, drain_ms, coordinator, rows }))
    }

    /// A handle for a node, or for the supervisor.
    pub(crate) fn coordinator(&self) -> Arc<dyn Coordinator> {
        match self {
            Self::Solo(solo) => solo.handle(),
            Self::Cluster(cluster) => Arc::clone(&cluster.coordinator),
        }
    }

    /// The journal's rows, which answer although the coordinator does not.
    pub(crate) fn rows(&self) -> Arc<dyn Rows> {
        match self {
            Self::Solo(solo) => solo.rows(),
            Self::Cluster(cluster) => cluster.rows.rows(),
        }
    }

    /// The access of a node that has joined to its peers.
    pub(crate) fn fabric(&self, mesh: &Arc<Mesh>, member: &Member, inbox: &Arc<Inbox>) -> Box<dyn Fabric> {
        match self {
            Self::Solo(_) => Box::new(MeshFabric::new(member.node, Arc::clone(mesh))),
            Self::Cluster(cluster) => {
                cluster.links.join(member.incarnation, Arc::clone(inbox) as Arc<dyn Sink>)
            }
        }
    }

    /// What it counts, for operators.
    pub(crate) fn figures(&self) -> Box<dyn Fn() -> Vec<Figure> + Send> {
        let coordinator = self.coordinator();
        let links = self.as_cluster().map(|cluster| Arc::clone(&cluster.links));
        Box::new(move || {
            let mut figures = coordinator.figures();
            figures.extend(links.iter().flat_map(|links| links.figures()));
            figures
        })
    }

    pub(crate) fn as_cluster(&self) -> Option<&Cluster> {
        match self {
            Self::Solo(_) => None,
            Self::Cluster(cluster) => Some(cluster),
        }
    }
}
