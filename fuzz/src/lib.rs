//! What strangers' bytes may reach, as functions that must hold for any input.
//!
//! Each target takes bytes and panics if a property is broken; [`TARGETS`] names them. Two programs drive them: the
//! test `bounded`, on stable Rust with a fixed seed (every test run), and libFuzzer with coverage (`fuzz_targets/`,
//! nightly, as long as one likes). Both start from `corpus/`, which [`seeds`] writes and long runs add to.

pub mod mutate;
pub mod seeds;
mod targets;
mod wire_tree;

pub use targets::{client_message, journal_records, messages, picture, session};

/// A property that holds for any bytes.
pub struct Target {
    /// Name of its folder in `corpus/` and of its libFuzzer program.
    pub name: &'static str,
    /// Panics if the property is broken. Whether the input was understood.
    pub run: fn(&[u8]) -> bool,
    /// Whether an input is several messages in a row.
    pub framed: bool,
    /// Inputs written by hand.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "client_message", run: client_message, framed: false, seeds: seeds::client_messages },
    Target { name: "picture", run: picture, framed: true, seeds: seeds::conversations },
    Target { name: "session", run: session, framed: true, seeds: seeds::conversations },
    Target { name: "journal_records", run: journal_records, framed: false, seeds: seeds::records },
];
