//! What the coordinator keeps in its store (generated records).

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/gundo.coordinator.v1.rs"));
}

pub use generated::*;
