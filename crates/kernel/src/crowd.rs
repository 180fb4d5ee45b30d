//! The crowd: who sees what.
//!
//! * [`publish`]: the node as a publisher. What its own entities look like, chunk by chunk (`publication`).
//! * [`frame`]: what a publisher tells of a chunk in one tick, encoded once.
//! * [`interest`]: the node as a subscriber. Which chunks its sessions and players look at (`subscription`), what comes back
//!   (`picture`), and what each session gets of it (`viewers`).
//!
//! Records lie in [slabs](slab::Slab) and know each other by handle; a chunk's is found by its [index](index::ChunkIndex). It
//! leaves to others who subscribes where (the homes) and where a session's sight is (the sessions). Start reading at
//! [`Publisher`](publish::Publisher) and [`Interest`](interest::Interest).

pub(crate) mod frame;
mod index;
pub(crate) mod interest;
mod picture;
mod publication;
pub(crate) mod publish;
mod slab;
mod subscription;
mod viewers;

use crate::Node;

/// The tiers of a set (bits), nearest first.
fn tiers_in(set: u8) -> impl Iterator<Item = usize> {
    (0..3).filter(move |tier| set >> tier & 1 == 1)
}

impl Node {
    /// What must hold of who sees what, whatever has happened. Expensive: for checkers.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn check_crowd(&self) {
        self.publisher.check();
        self.interest.check(&self.core);
    }
}
