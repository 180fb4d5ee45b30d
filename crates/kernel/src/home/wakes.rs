//! Where a home is in the list of entities that have something to do. Plain values; who reads them is in `waking`.

use gundo_types::EntityId;
use gundo_wire::journal::Wake;

/// What this node has read of the wakes.
#[derive(Default)]
pub(crate) struct Wakes {
    /// A read that is not answered yet.
    pub(crate) asked: Option<u64>,
    /// The last wake of the page before; `None`: the next page is the first.
    pub(crate) after: Option<Wake>,
    /// Those of the last page that live here.
    pub(crate) woken: Vec<EntityId>,
}
