//! A whole cluster, its players, its journal, its network and its faults, in one thread, from one seed.
//!
//! The simulator runs real kernels, the real rules of the journal and real client sessions on a virtual clock and injects
//! faults. It checks the guarantees G1 to G12 during the faults and after everything has healed. The same seed gives the
//! same run, byte for byte.
//!
//! * [`Game`]: what it needs to know about a game. [`Plan`]: everything a seed chooses. [`run`]: one run, and its
//!   [`Report`].
//! * [`shrink()`]: finds a smaller run that fails in the same way. [`main`]: the command that every game gets.
//!
//! Start reading at [`run`]; `world` has the clock, the nodes and the network, `judge` the checkers. [`Audit`] is separate
//! from all that: it checks the journal of a world that ran for real.

mod audit;
mod cli;
mod coverage;
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
pub use coverage::Coverage;
pub use game::{Errand, Facts, Flows, Game, Goods, Holdings, Letter};
/// What [`Facts::events`] returns.
pub use gundo_wire::journal::{EventRecord, EventType};
pub use judge::{Guarantee, Violation};
pub use plan::{
    CLIENTS_MAX, Dial, Dials, FAULT_MS, HEAL_MS, INPUTS_MAX, NODES_MAX, Overrides, Plan, Profile, Role,
};
pub use run::{Failure, FailureKind, Report, run};
pub use shrink::shrink;
pub use story::{Filter, Listener};
pub use world::Counts;
