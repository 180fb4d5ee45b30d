//! The code that strangers' bytes reach, as functions that must hold for any input.
//!
//! Each target takes bytes and panics if a property is broken; [`TARGETS`] names them. Two programs drive them: the test
//! `bounded`, on stable Rust with a fixed seed (every test run), and libFuzzer with coverage (`fuzz_targets/`, nightly, for
//! as long as you like). Both start from `corpus/`, which [`seeds`] writes and long runs add to.

pub mod mutate;
mod peers;
pub mod seeds;
mod targets;
mod wire_tree;
mod world;

pub use peers::{peer_message, peers};
pub use targets::{client_message, journal_records, messages, picture, session};
pub use world::{TOKEN_BYTES, world};

/// A property that holds for any bytes.
pub struct Target {
    /// Name of its folder in `corpus/` and of its libFuzzer program.
    pub name: &'static str,
    /// Panics if the property is broken. Returns whether the input was understood.
    pub run: fn(&[u8]) -> bool,
    /// The structure of its inputs.
    pub form: Form,
    /// The cost of one input: it gets this many times fewer runs.
    pub cost: u64,
    /// Inputs written by hand.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// The structure of an input, for mutations that keep it well-formed.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// It is several messages in a row, as [`messages`] cuts them.
    pub framed: bool,
    /// Bytes before the protobuf part of each message.
    pub head: usize,
}

const PLAIN: Form = Form { framed: false, head: 0 };
const TYPED: Form = Form { framed: false, head: 1 };
const FRAMED: Form = Form { framed: true, head: 0 };
const ACTS: Form = Form { framed: true, head: 1 };

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "client_message",
        run: client_message,
        form: PLAIN,
        cost: 1,
        seeds: seeds::client_messages,
    },
    Target { name: "picture", run: picture, form: FRAMED, cost: 1, seeds: seeds::conversations },
    Target { name: "session", run: session, form: FRAMED, cost: 1, seeds: seeds::conversations },
    Target { name: "journal_records", run: journal_records, form: TYPED, cost: 1, seeds: seeds::records },
    Target { name: "world", run: world, form: ACTS, cost: 100, seeds: seeds::acts },
    Target { name: "peer_message", run: peer_message, form: PLAIN, cost: 1, seeds: seeds::peer_messages },
    Target { name: "peers", run: peers, form: ACTS, cost: 20, seeds: seeds::peer_acts },
];
