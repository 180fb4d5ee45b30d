//! A cluster without I/O: the parts that every harness needs to drive kernels in one thread, on a virtual clock.
//!
//! * [`Queue`]: everything in flight, by time.
//! * [`Seat`]: a kernel with its clock and its timer. One input, one [`Step`].
//! * [`Disk`]: a journal, the batches that wait for it, and how a group ends.
//! * [`member`], [`settings`], [`seed_of`]: how to make a node.
//!
//! Not here: message routing, delays, faults, players. A harness has its own loop: it takes the next item out of the queue,
//! delivers it, and queues what follows.

mod disk;
mod member;
mod queue;
mod seat;

pub use disk::{Disk, Ended, GroupFault};
pub use member::{member, seed_of, settings};
pub use queue::Queue;
pub use seat::{Clock, Seat, Step};
