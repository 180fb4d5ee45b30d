//! The fabric between nodes in different processes: gRPC streams over HTTP/2, with mutual TLS.
//!
//! Two incarnations have one **link**: two connections, one for each lane. What must arrive and heartbeats go by one, frames and
//! reports of them by the other, so that neither waits for the other. On each connection both sides say hello: who they are, of which
//! world, in which version. After that they send parcels: the messages of one turn, each encoded as `peer.proto` has it.
//!
//! A process starts a [`GrpcFabric`], joins, and gives the [`GrpcHandle`] to its driver and each view to
//! [`set_peers`](GrpcFabric::set_peers). What comes goes to the [`Sink`](gundo_fabric::Sink) of the node. `docs/protocols-between-nodes.md`
//! has the handshake with its codes, and all limits.
//!
//! Inside: `fabric` is the start and the sending end, `links` which links there are, `accept` and `dial` the two sides of a handshake,
//! `hello` what is said in it, `lane` a connection at work, `queue` what waits, `codec` the bytes, `connection` sockets and HTTP/2,
//! `tls` and `certs` the certificates. Nothing here numbers or repeats messages: the kernel's room `link` does.

mod accept;
pub mod certs;
mod codec;
mod connection;
mod counters;
mod dial;
mod fabric;
mod fault;
mod figures;
mod hello;
mod lane;
mod links;
mod queue;
mod settings;
mod tls;

pub use counters::FabricCounts;
pub use fabric::{GrpcFabric, GrpcHandle};
pub use fault::{CertFault, DialFault, FabricFault, Whose};
pub use hello::Refused;
pub use links::{PeerAddress, PeerStatus};
pub use settings::{FabricLimits, Identity, PROTOCOL_NEWEST, PROTOCOL_OLDEST, Settings, settings_of};
pub use tls::{TlsFiles, name_of};
