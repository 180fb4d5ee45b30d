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

    /// What all nodes of this run have had so far.
    pub(super) fn covered(&self) -> Coverage {
        #[cfg_attr(not(feature = "planted"), allow(unused_mut, reason = "with the feature there is more"))]
        let mut had = self.coverage.clone();
        #[cfg(feature = "planted")]
        self.nodes.values().for_each(|node| had.merge(&node.kernel.coverage));
        had
    }

    /// Whether a node would have, with this message, what none has `had` yet.
    #[cfg(feature = "planted")]
    pub(super) fn is_new(&self, had: &Coverage, to: Key, message: &Peer) -> bool {
        self.nodes.get(&to).is_some_and(|node| !had.has_all(&Coverage::of(&node.kernel, message)))
    }

    /// Without the feature nobody knows.
    #[cfg(not(feature = "planted"))]
    pub(super) fn is_new(&self, _: &Coverage, _: Key, _: &Peer) -> bool {
        true
    }

    /// What all have had.
    pub(crate) fn take_coverage(mut self) -> Coverage {
        self.keep_coverage(&|_| true);
        self.coverage
    }
}
