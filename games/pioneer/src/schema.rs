//! The messages of `proto/`, as Rust types. Their documentation is in the schemas.

#![allow(missing_docs, unreachable_pub, clippy::all)]

include!("generated/pioneer.rs");
