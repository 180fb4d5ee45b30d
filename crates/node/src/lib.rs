//! The driver: runs kernels as a world.
//!
//! Each node is one logic thread that feeds one [`gundo_kernel::Node`] from one inbox and executes its outputs: to clients
//! through its edge, to peers through the fabric, to the journal through its [`Handle`](gundo_journal::Handle). Clocks,
//! threads, metrics, the start and the graceful stop are here; only the kernel *decides* anything.
//!
//! Start with [`LocalNodes::start`]: this process' nodes of one world. [`Control`] ends, adds and drains them.
//! Inside: `base` is what the nodes of a process stand on, in solo and in a cluster; `driver` is the logic thread, `inbox` its inbox, `mesh` the fabric between nodes of one process, `member` a
//! node's access to the coordinator, `slot` one running node, `supervisor` runs them all, `solo` is the coordinator of a
//! solo world and `rows` its access to the journal, `watchdog` finds threads that hang, `blackbox` and `ring` record what
//! happened, `admin` is the operators' HTTP API, `orders` what they order entities, `advertise` what clients are told of the nodes' addresses,
//! `entrance` the way in, `clock` has the two clocks, `upkeep` the checks of every second, `end` waits
//! for threads that may hang, `nodes` is the start.

mod admin;
mod advertise;
mod base;
mod blackbox;
mod blame;
mod bound;
mod clock;
mod control;
mod driver;
mod end;
mod entrance;
mod figures;
mod inbox;
mod indicators;
mod machine;
mod marks;
mod member;
mod mesh;
mod nodes;
mod orders;
mod ring;
mod rows;
mod settings;
mod slot;
mod solo;
mod storage;
mod supervisor;
mod unplayed;
mod unsaved;
mod upkeep;
mod views;
mod watchdog;

pub use admin::{AdminBlamed, AdminError, AdminNode, AdminWorld, BadState};
pub use advertise::{Advertise, BadAdvertise};
pub use base::{Colleagues, Deed, Links, MakeCoordinator, Place};
pub use blame::parse_entity;
pub use clock::Wall;
pub use control::{Control, NodeState, NodeStatus, Refused, WorldStatus};
pub use gundo_edge::{Access, BadNetwork, KeyFiles, Listen, Network, OperatorFiles, Page};
pub use nodes::{After, LocalNodes, Stopper, WorldFault, settle_world_id};
pub use orders::{AdminOrdered, AdminRequest, OrderAsked, OrderEnded};
pub use settings::{SoloSettings, WorldInfo};
pub use unsaved::{Unsaved, Why};
