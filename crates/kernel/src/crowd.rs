//! The crowd: who sees what.
//!
//! * `publish`: the node as a publisher, what its own entities look like.
//! * `interest`: the node as a subscriber, which chunks its sessions and players look at.
//! * `picture`: what publishers have told of one chunk.
//!
//! It leaves to others who subscribes where (the homes) and where a session's sight is (the sessions). Start reading at
//! [`Publisher`](publish::Publisher) and [`Interest`](interest::Interest).

pub(crate) mod interest;
mod picture;
pub(crate) mod publish;
