//! A whole cluster, its players, its journal, its network and its faults, in one thread, from one seed.
//!
//! The simulator runs real kernels, the real rules of the journal and real client sessions on a virtual clock, lets things go
//! wrong, and checks the guarantees G1 to G12 while they do and when everything has healed. The same seed gives the same run,
//! byte for byte.
//!
//! * [`Game`]: what it must know of a game. [`Plan`]: what a seed chooses. [`run`]: one run, and its [`Report`].
//! * [`shrink()`]: a smaller run that fails alike. [`main`]: the command every game gets.
//!
//! Start reading at [`run`]; `world` holds the clock, the nodes and the network, `judge` the checkers' books.
//! [`Audit`] stands beside all that: it looks through the journal of a world that ran for real.

mod audit;
mod cli;
mod game;
mod judge;
mod people;
mod plan;
mod run;
mod shrink;
mod storage;
mod story;
mod world;

pub use audit::Audit;
pub use cli::{main, main_from, main_told};
pub use game::{Facts, Flows, Game, Goods, Holdings};
pub use judge::{Guarantee, Violation};
pub use plan::{CLIENTS_MAX, Dial, Dials, FAULT_MS, HEAL_MS, INPUTS_MAX, NODES_MAX, Overrides, Plan, Role};
pub use run::{Failure, FailureKind, Report, run};
pub use shrink::shrink;
pub use story::{Filter, Listener};
pub use world::Counts;
