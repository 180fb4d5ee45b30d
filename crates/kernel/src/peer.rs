//! What nodes say to each other. In one process these values travel as they are.

use std::sync::Arc;

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId, Epoch, NodeId, Term};
use gundo_wire::client::Frame;
use gundo_wire::journal::EventRecord;

use crate::game::{Actor, Refusal};

/// A message between nodes. Every message carries the sender's epoch where ownership hangs on it.
#[derive(Clone, Debug)]
pub enum Peer {
    /// Placeholder until the machines are in.
    Nothing(Epoch, EntityId, Term, NodeId, ChunkId, Body, Bytes, Arc<Frame>, EventRecord, Actor, Refusal),
}
