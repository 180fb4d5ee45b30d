//! The room of who sees what.
//!
//! * [`publish`]: the node as a publisher. What its own entities look like, chunk by chunk (`publication`).
//! * [`interest`]: the node as a subscriber. Which chunks its sessions and players look at (`subscription`), what comes back
//!   (`picture`), and what each session gets of it (`viewers`).
//!
//! Records lie in [slabs](slab::Slab) and know each other by handle; a chunk's is found by its [index](index::ChunkIndex). The
//! room knows entities only as they look; what they are is `host`'s, who subscribes where is the homes', and where a session's
//! sight is centred is `edge`'s. Start reading at [`Publisher`] and [`Interest`].

mod arrivals;
mod index;
mod interest;
mod picture;
mod publication;
mod publish;
mod slab;
mod subscription;
mod viewers;

pub(crate) use interest::Interest;
pub(crate) use publish::Publisher;

use crate::core::Core;

/// What this node shows, and what it sees.
#[derive(Default)]
pub(crate) struct Crowd {
    pub(crate) publisher: Publisher,
    pub(crate) interest: Interest,
}

impl Crowd {
    /// Asserts what must hold between two inputs. Costs a walk over everything: for checkers.
    pub(crate) fn check(&self, core: &Core) {
        self.publisher.check();
        self.interest.check(core);
    }
}
