//! A cluster without I/O: what every harness needs that drives kernels in one thread, on a virtual clock.
//!
//! * [`Queue`]: what is in flight, by time.
//!
//! Not here: what is sent to whom, how long it takes, what goes wrong, who plays. A harness has a loop of its own: it takes
//! the next thing out of the queue, lets it land, and puts in what follows from it.

mod queue;

pub use queue::Queue;
