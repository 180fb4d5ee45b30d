//! Limits on how often something may happen: checked every 100 ms of a run.

use super::World;
use crate::judge::{Guarantee, Verdict, violated};

/// The shortest wait before a retry, ms. Each entity and each open chunk can wait for one thing at a time.
const RETRY_MS: u64 = 10;
/// Retries that do not belong to an entity which is still there.
const OTHERS: u64 = 64;

impl World {
    /// No node tries again without a back-off. `passed_ms`: since the last check.
    pub(crate) fn check_retries(&mut self, passed_ms: u64) -> Verdict {
        let before = std::mem::take(&mut self.retries);
        for (key, node) in &self.nodes {
            let counters = node.kernel.counters();
            self.retries.insert(*key, counters.retries);
            let tried = counters.retries - before.get(key).copied().unwrap_or(0);
            let most = (counters.reals + counters.chunks + OTHERS) * passed_ms.div_ceil(RETRY_MS);
            if tried > most {
                let text =
                    format!("n{} has tried again {tried} times in {passed_ms} ms, {most} may be", key.node);
                return violated(Guarantee::G12, text);
            }
        }
        Ok(())
    }
}
