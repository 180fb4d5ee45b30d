//! What the coordinator keeps in its store (generated records).

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!("generated/coordinator.rs");
}

pub use generated::*;
