//! The room of who sees what.
//!
//! * [`publish`]: the node as a publisher. What its own entities look like, chunk by chunk (`publication`).
//! * [`interest`]: the node as a subscriber. Which chunks its sessions and players look at (`subscription`), the frames that
//!   arrive (`picture`), and what each session gets of them (`viewers`).
//!
//! Records lie in [slabs](slab::Slab) and refer to each other by handle; an [index](index::ChunkIndex) finds a chunk's record.
//! The room sees only how entities look. What they are is in `host`, the homes record which nodes subscribe where, and `edge`
//! decides where a session's sight is centred. Start reading at [`Publisher`] and [`Interest`].

mod arrivals;
mod index;
mod interest;
mod pace;
mod picture;
mod publication;
mod publish;
mod slab;
mod subscription;
mod viewers;

pub(crate) use interest::Interest;
pub(crate) use publish::Publisher;

use crate::core::Core;

/// What this node publishes, and what it sees.
#[derive(Default)]
pub(crate) struct Crowd {
    pub(crate) publisher: Publisher,
    pub(crate) interest: Interest,
}

impl Crowd {
    /// Asserts the invariants between two inputs. Costs a walk over everything: for checkers.
    pub(crate) fn check(&self, core: &Core) {
        self.publisher.check();
        self.interest.check(core);
    }
}
