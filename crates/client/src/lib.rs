//! The Rust client of a Gundo world.
//!
//! Two state machines without I/O, and thin shells around them:
//!
//! * [`Session`] talks to an edge: hello, resume, commands with their answers, reconnecting.
//! * [`Picture`] is what the client sees: every entity in sight, built from frames. [`Light`] is its cheap stand-in for
//!   load generators: it follows only the own entity and counts the rest.
//! * [`Client`] drives both over a WebSocket on tokio. Programs that play should use it.
//!
//! Not here: prediction and interpolation (they belong to the program that draws).

mod address;
mod driver;
mod light;
mod others;
mod picture;
mod ring;
mod session;

pub use address::{Address, BadAddress};
pub use driver::{Client, CommandError, Events, draw_nonce};
pub use gundo_tls::Trust;
pub use light::{Garbled, Left, Light, Scanned};
pub use picture::{Picture, PictureEvent, Seen};
pub use session::{Answer, CommandId, Event, Full, Output, Session, SessionSettings};
