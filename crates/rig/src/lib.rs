//! A cluster without I/O: what every harness needs that drives kernels in one thread, on a virtual clock.
//!
//! * [`Queue`]: what is in flight, by time.
//! * [`Seat`]: a kernel with its clock and its timer. One input, one [`Step`].
//! * [`Disk`]: a journal, what waits for it, and how a group ends.
//! * [`member`], [`settings`], [`seed_of`]: what a node is made of.
//!
//! Not here: what is sent to whom, how long it takes, what goes wrong, who plays. A harness has a loop of its own: it takes
//! the next thing out of the queue, lets it land, and puts in what follows from it.

mod disk;
mod member;
mod queue;
mod seat;

pub use disk::{Disk, Ended, GroupFault};
pub use member::{member, seed_of, settings};
pub use queue::Queue;
pub use seat::{Clock, Seat, Step};
