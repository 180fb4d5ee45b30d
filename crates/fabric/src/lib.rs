//! The seam between a node and its peers: what carries their messages, whichever way.
//!
//! A driver has a [`Fabric`]: one node's access to its peers. It pushes each message that the kernel has for a peer, and flushes once
//! per turn. What comes from peers reaches the driver through its [`Sink`]. There are two fabrics: the mesh inside a process (in the
//! crate `node`), and gRPC between processes (`fabric-grpc`). Both pass [`suite`].
//!
//! What every fabric promises:
//!
//! * **Order.** What must arrive ([`Peer::must_arrive`]), and heartbeats, arrive in the order in which one node sent them to another.
//!   So do frames and their reports ([`Peer::Frames`], [`Peer::Sent`]). Of these two kinds either may overtake the other.
//! * **Loss.** Frames, reports and heartbeats may be lost at any time. What must arrive is lost only with a connection, and then the
//!   sink hears of it: [`Sink::broken`], once, and with the incarnation that was at the other end. A node that ends breaks all its
//!   connections. A message to a node that is not there is lost.
//! * **One life.** After the sink has heard that a connection to an incarnation broke, nothing comes by that connection.
//! * **Bounds.** What waits for a peer is bounded in bytes. Beyond that the oldest frames are dropped, or else the connection breaks.
//!   One peer that does not keep up delays no other. Neither `push` nor `flush` ever waits.
//!
//! A fabric does not number, acknowledge or repeat anything: the kernel's room `link` does.

pub mod suite;

use gundo_kernel::{Label, Peer};
use gundo_types::NodeId;

/// A message and its label.
pub type Labelled = (Label, Peer);

/// One node's access to its peers. It ends with its value: then the node's connections break.
pub trait Fabric: Send {
    /// Queues a message for a peer: it leaves with the next flush. Messages to a node that is not there are lost.
    fn push(&mut self, to: NodeId, label: Label, message: Peer);

    /// Sends everything queued.
    fn flush(&mut self);

    /// Frames dropped so far because a peer did not keep up.
    fn dropped(&self) -> u64;
}

/// Where a node takes what comes from its peers. Called from threads of the fabric: nothing here may block.
pub trait Sink: Send + Sync + 'static {
    /// A peer's messages, in order. Leaves the list empty. Returns how many frames it dropped because too many wait.
    fn give_peer(&self, from: NodeId, messages: &mut Vec<Labelled>) -> usize;

    /// The connection to a peer broke: [`Input::LinkBroken`](gundo_kernel::Input::LinkBroken).
    fn broken(&self, peer: NodeId, incarnation: u64);

    /// Messages to a peer that must arrive are lost for good: [`Input::LinkLost`](gundo_kernel::Input::LinkLost).
    fn lost(&self, peer: NodeId);

    /// Whether so much waits that a fabric should read no more from its connections for now.
    fn is_full(&self) -> bool;
}
