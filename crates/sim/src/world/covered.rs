//! What the machines of all nodes have had.

use gundo_kernel::Peer;

use super::{Key, World};
use crate::coverage::Coverage;

impl World {
    #[cfg_attr(
        not(feature = "planted"),
        allow(clippy::needless_pass_by_ref_mut, reason = "with the feature it keeps something")
    )]
    /// Nodes end: keeps what theirs have had.
    pub(super) fn keep_coverage(&mut self, ends: &dyn Fn(&Key) -> bool) {
        #[cfg(feature = "planted")]
        for (_, node) in self.nodes.iter().filter(|(key, _)| ends(key)) {
            self.coverage.merge(&node.kernel.coverage);
        }
        #[cfg(not(feature = "planted"))]
        let _ = ends;
    }

    /// Whether a node would have, with this message, what no node of this run has had yet.
    #[cfg(feature = "planted")]
    pub(super) fn is_new(&self, to: Key, message: &Peer) -> bool {
        let Some(node) = self.nodes.get(&to) else { return false };
        let would = Coverage::of(&node.kernel, message);
        let mut had = self.coverage.clone();
        self.nodes.values().for_each(|node| had.merge(&node.kernel.coverage));
        !had.has_all(&would)
    }

    /// Without the feature nobody knows.
    #[cfg(not(feature = "planted"))]
    pub(super) fn is_new(&self, _: Key, _: &Peer) -> bool {
        true
    }

    /// What all have had.
    pub(crate) fn take_coverage(mut self) -> Coverage {
        self.keep_coverage(&|_| true);
        self.coverage
    }
}
