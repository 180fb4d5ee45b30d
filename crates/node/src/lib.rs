//! The driver: what turns kernels into a running world.
//!
//! Each node is one logic thread that feeds one [`gundo_kernel::Node`] from one inbox and carries its outputs out: to
//! clients through its edge, to peers through the fabric, to the journal through its line. Clocks, threads, indicators
//! and the way from start to graceful stop are here; what a node *decides* is the kernel's alone.
//!
//! Start with [`LocalNodes::start`]: this process' nodes of one world. They are ended, added and drained by [`Control`].
//! Inside: `driver` is the logic thread, `inbox` what it reads, `mesh` the way between nodes of one process, `member` a node's way
//! to the coordinator, `slot` one running node, `supervisor` who looks after them, `solo` the coordinator of a solo world and `rows` its
//! way to the journal, `watchdog` who finds the hung, `blackbox` and `ring` what is written down then, `admin` the operators' HTTP,
//! `clock` the two clocks, `upkeep` what is looked at once per second, `nodes` the start.

mod admin;
mod blackbox;
mod clock;
mod control;
mod driver;
mod inbox;
mod indicators;
mod machine;
mod member;
mod mesh;
mod nodes;
mod ring;
mod rows;
mod settings;
mod slot;
mod solo;
mod supervisor;
mod upkeep;
mod watchdog;

pub use admin::{AdminError, AdminNode, AdminWorld};
pub use control::{Control, NodeState, NodeStatus, Refused, WorldStatus};
pub use nodes::{LocalNodes, Stopper, WorldFault};
pub use settings::{SoloSettings, WorldInfo};
