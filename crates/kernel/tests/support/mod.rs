//! A whole cluster in one thread for the kernel's tests: nodes, a journal, a network and clients, all on virtual time.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod bell;
pub mod board;
pub mod cluster;
pub mod game;
pub mod gift;
pub mod order;
pub mod script;
pub mod vault;
