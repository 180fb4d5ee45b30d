//! What nodes in different processes say on a connection beside their messages: generated messages. Start with [`Parcel`].

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!("generated/fabric.rs");
}

pub use generated::*;
