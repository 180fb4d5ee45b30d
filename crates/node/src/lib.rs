//! The driver: what turns kernels into a running world.
//!
//! Each node is one logic thread that feeds one [`gundo_kernel::Node`] from one inbox and carries its outputs out: to
//! clients through its edge, to peers through the fabric, to the journal through its line. Clocks, threads, indicators
//! and the way from start to graceful stop are here; what a node *decides* is the kernel's alone.
//!
//! Start with [`RunningWorld::start`]. Inside: `driver` is the logic thread, `inbox` what it reads, `fabric` the way
//! between nodes of one process, `clock` the two clocks, `world` start and stop.

mod clock;
mod driver;
mod fabric;
mod inbox;
mod indicators;
mod machine;
mod settings;
mod world;

pub use settings::{SoloSettings, WorldInfo};
pub use world::{RunningWorld, Stopper, WorldFault};
