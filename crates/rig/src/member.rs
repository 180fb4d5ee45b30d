//! Nodes as a harness makes them: their entry in a view, and their settings.

use std::sync::Arc;

use gundo_kernel::game::Rules;
use gundo_kernel::{Member, NodeSettings, WorldSecret, WorldSettings};
use gundo_types::{EdgeAddress, NodeId};

/// The view entry of an ordinary node: node 1 is at host `n1`, and so on; it is not draining.
pub fn member(node: u16, incarnation: u64) -> Member {
    let address = EdgeAddress { host: format!("n{node}"), port: 1, ..EdgeAddress::default() };
    Member { node: NodeId(node), incarnation, address, site: Default::default(), weight: 1, draining: false }
}

/// The settings of this member's kernel, without a planted bug.
pub fn settings(
    member: &Member,
    seed: [u8; 32],
    world: &Arc<WorldSettings>,
    rules: &Arc<Rules>,
) -> NodeSettings {
    NodeSettings {
        node: member.node,
        incarnation: member.incarnation,
        seed,
        secret: WorldSecret::new([7; 32]),
        world: Arc::clone(world),
        rules: Arc::clone(rules),
        explains: true,
        planted: None,
    }
}

/// Makes a kernel's seed from a number.
pub fn seed_of(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}
