//! The conformance kit of the client protocol: two programs that know `docs/protocol.md` and nothing else.
//!
//! [`client::check`] plays server to a client of any language: scripted conversations over WebSocket. [`server::check`] plays
//! client to a server of any game. Each rule of the page is a [`Case`] with a name, a sentence and a verdict of its own.
//!
//! A client under test is a command that the kit starts as `COMMAND ARG… URL NAME`, once for each case. `stage` has the
//! contract. Both sides speak through a [`mod@line`].
//!
//! Not here: what a game means by its bytes.

pub mod client;
pub mod line;
pub mod report;
pub mod server;
mod stage;

pub use report::{Case, Check, Fault, Report};
