//! The messages of `proto/`, as Rust types. Their documentation is in the schemas.

#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/gundo.pioneer.v1.rs"));
