//! What the machines of all nodes have had.

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

    /// What all have had.
    pub(crate) fn take_coverage(mut self) -> Coverage {
        self.keep_coverage(&|_| true);
        self.coverage
    }
}
