//! One running node of a process: its logic thread, inbox, edge, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

use gundo_coordinator::Watch;
use gundo_edge::{Edge, EdgeSettings, Front, NodeLink, Urgency};
use gundo_journal::Journal;
use gundo_kernel::game::{self, Rules};
use gundo_kernel::{Input, Member, Node, NodeSettings, View, WorldSecret, WorldSettings};
use gundo_types::Site;
use tokio::runtime::Runtime;

use crate::advertise::Advertise;
use crate::base::Base;
use crate::blackbox::{self, BlackBox};
use crate::blame::Blames;
use crate::clock::Clock;
use crate::driver::{Driver, Ending, Link};
use crate::inbox::Inbox;
use crate::indicators::Recorders;
use crate::marks::{Marker, Marks};
use crate::member::Membership;
use crate::mesh::Mesh;
use crate::nodes::{WorldFault, system};
use crate::storage::DiskGauge;
use crate::supervisor::Signal;
use crate::views;
use crate::watchdog::Watchdog;

/// What all nodes of a process share.
pub(crate) struct Ground {
    pub(crate) world: Arc<WorldSettings>,
    pub(crate) secret: WorldSecret,
    pub(crate) io_threads: usize,
    pub(crate) rules: Arc<Rules>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) runtime: Runtime,
    pub(crate) clock: Arc<Clock>,
    pub(crate) recorders: Recorders,
    pub(crate) disk: Arc<DiskGauge>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) tx: Sender<Signal>,
    pub(crate) black_box: Arc<BlackBox>,
    /// What each logic thread runs.
    pub(crate) marks: Arc<Marks>,
    /// The entities that nodes were lost over.
    pub(crate) blames: Arc<Blames>,
    /// Whether players hear why a rule could not do what it wanted.
    pub(crate) explains: bool,
    pub(crate) watchdog: Watchdog,
    /// Where clients come in.
    pub(crate) front: Front,
    /// Where the front listens, for people.
    pub(crate) address: String,
    /// Where the process runs.
    pub(crate) site: Site,
    /// What clients are told of the nodes' addresses.
    pub(crate) advertise: Advertise,
}

/// The stage of a running node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It runs; its link says whether it already takes clients.
    Running,
    /// Its logic thread is frozen.
    Paused,
    /// It hands over what it has.
    Draining,
    /// It has nothing left, and is leaving the view.
    Leaving,
}

/// A running node.
pub(crate) struct Slot {
    pub(crate) member: Member,
    pub(crate) link: Arc<Link>,
    pub(crate) edge: Edge,
    pub(crate) thread: JoinHandle<()>,
    stage: Stage,
    _watch: Watch,
}

impl Slot {
    /// Starts the node `member`. Its peers already reach it through `inbox`.
    pub(crate) fn start(
        ground: &Ground,
        base: &Base,
        member: Member,
        inbox: Arc<Inbox>,
    ) -> Result<Self, WorldFault> {
        let (me, incarnation) = (member.node, member.incarnation);
        inbox.belongs_to(incarnation);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(system)?;
        let settings = NodeSettings {
            node: me,
            incarnation,
            seed,
            secret: ground.secret.clone(),
            world: Arc::clone(&ground.world),
            rules: Arc::clone(&ground.rules),
            explains: ground.explains,
            planted: None,
        };
        let (recorders, clock) = (ground.recorders.clone(), Arc::clone(&ground.clock));
        let low = ground.disk.found();
        let link = Arc::new(Link::new((me, incarnation), Arc::clone(&inbox), recorders, clock, low));
        let edge = {
            let mut settings = EdgeSettings::new(me, incarnation, ground.world.limits);
            settings.io_threads = ground.io_threads;
            let node = Arc::clone(&link) as Arc<dyn NodeLink>;
            Edge::start(&ground.front, settings, node, ground.recorders.recorder())?
        };
        let fabric = base.fabric(&ground.mesh, &member, &inbox);
        let views = views(ground, base, &inbox)?;
        let membership = Membership {
            coordinator: base.coordinator(),
            rows: base.rows(),
            supervisor: ground.tx.clone(),
            inbox,
            links: base.as_cluster().map(|cluster| Arc::clone(&cluster.links)),
            views,
            me: (me, incarnation),
        };
        let (journal, sink) = (Arc::clone(&ground.journal), link.sink());
        let (its_link, its_edge, its_membership) = (Arc::clone(&link), edge.clone(), membership.clone());
        let black_box = Arc::clone(&ground.black_box);
        for (entity, points) in ground.blames.list() {
            link.inbox.give(Input::Blamed { entity, points }, Urgency::Now);
        }
        let marks = Arc::clone(&ground.marks);
        let driver = move || {
            game::set_witness(Some(Rc::new(Marker::new(marks, incarnation))));
            let node = Node::new(settings);
            let handle = journal.handle(me, incarnation, sink);
            Driver::new(node, its_link, its_edge, fabric, handle, its_membership, black_box)
        };
        ground.watchdog.watch(&link);
        let thread = spawn(&link, &ground.black_box, driver, ground.tx.clone())?;
        let _watch = membership.watch();
        Ok(Self { member, link, edge, thread, stage: Stage::Running, _watch })
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// It is in another stage from now on. Clients that name no node are sent to nodes that run.
    pub(crate) fn turn_to(&mut self, stage: Stage) {
        self.stage = stage;
        self.edge.offer(stage == Stage::Running);
    }

    /// Puts an input in the node's inbox, to be handled at once.
    pub(crate) fn give(&self, input: Input) {
        self.link.inbox.give(input, Urgency::Now);
    }

    /// Ends the node as a crash would. When this returns, its peers receive nothing more from it, and know that it is gone.
    pub(crate) fn kill(self, mesh: &Mesh) -> JoinHandle<()> {
        self.link.end();
        self.link.inbox.close();
        self.edge.kill();
        mesh.leave(self.member.node, &self.link.inbox);
        self.thread
    }
}

/// What a node of a cluster gets its views through.
fn views(ground: &Ground, base: &Base, inbox: &Arc<Inbox>) -> Result<Option<Sender<View>>, WorldFault> {
    if base.as_cluster().is_none() {
        return Ok(None);
    }
    let (blames, journal) = (Arc::clone(&ground.blames), Arc::clone(&ground.journal));
    views::start(blames, journal, Arc::clone(inbox)).map(Some).map_err(system)
}

/// Starts a logic thread. The supervisor receives how it ended.
fn spawn(
    link: &Arc<Link>,
    black_box: &Arc<BlackBox>,
    driver: impl FnOnce() -> Driver + Send + 'static,
    tx: Sender<Signal>,
) -> Result<JoinHandle<()>, WorldFault> {
    let (link, black_box) = (Arc::clone(link), Arc::clone(black_box));
    let (me, incarnation) = link.me;
    let run = move || {
        blackbox::watch_this_thread();
        // The driver lives and dies inside the closure, so nobody sees its state after a panic.
        let ending = catch_unwind(AssertUnwindSafe(|| driver().run())).unwrap_or_else(|panic| {
            blackbox::report_end(&black_box, &link);
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Ending::Panicked(what.unwrap_or("a panic without a message").to_owned())
        });
        // A world that has ended drops the news.
        let _ = tx.send(Signal::Ended { node: me, incarnation, ending });
    };
    Builder::new().name(format!("gundo-{me}")).spawn(run).map_err(system)
}
