//! The facade a game is written against.

pub use bytes::Bytes;
pub use gundo_bots as bots;
pub use gundo_kernel::game::*;
pub use gundo_types::*;
pub use gundo_wire::{DecodeError, Message};
pub use prost;
