//! Who sees what: the room that tells others about the entities real here, and keeps the pictures that others tell.
//!
//! [`Publisher`] tells: one frame for each chunk, tier and tick. [`Interest`] hears: which chunks sessions and players of
//! this node look at, and a picture of each. The room knows entities only as they look; what they are is `host`'s, and
//! who the clients are is `edge`'s.

pub(crate) mod interest;
pub(crate) mod picture;
pub(crate) mod publish;

pub(crate) use interest::Interest;
pub(crate) use publish::Publisher;

/// What this node shows, and what it sees.
#[derive(Default)]
pub(crate) struct Crowd {
    pub(crate) publisher: Publisher,
    pub(crate) interest: Interest,
}
