//! Limits on how often something may happen, on lists, and on owners: checked every 100 ms of a run.

use gundo_kernel::Size;

use super::World;
use crate::judge::{Guarantee, Verdict, violated};

/// The shortest wait before a retry, ms. Each entity and each open chunk can wait for one thing at a time.
const RETRY_MS: u64 = 10;
/// An entity whose lock is void looks for the outcome after this time at the latest, µs.
const LOCKED_US: u64 = 1_000_000;
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

    /// No list of a node is fuller than it may be. Notes how full each was.
    pub(crate) fn check_sizes(&mut self) -> Verdict {
        for (key, node) in self.nodes.iter().filter(|(_, node)| !node.kernel.is_over()) {
            for Size { what, used, most } in node.kernel.inside().sizes() {
                let mark = self.counts.sizes.entry(what).or_default();
                if used > most {
                    let text = format!("bounded: n{} has {used} {what}, {most} may be", key.node);
                    return violated(Guarantee::G12, text);
                }
                *mark = (*mark).max((used, most));
            }
        }
        Ok(())
    }

    /// No transaction whose coordinator is lost keeps an entity locked.
    pub(crate) fn check_locks(&mut self) -> Verdict {
        let before = std::mem::take(&mut self.abandoned);
        for (key, node) in self.nodes.iter().filter(|(_, node)| !node.paused && !node.kernel.is_over()) {
            for real in node.kernel.reals().filter(|real| real.abandoned) {
                let since = before.get(&(*key, real.id)).copied().unwrap_or(self.now);
                if self.now > since + LOCKED_US {
                    let (name, since) = (self.judge.name(real.id), since / 1_000);
                    let text = format!(
                        "{name} is locked on n{} since {since} ms, and its coordinator is lost",
                        key.node
                    );
                    return violated(Guarantee::G10, text);
                }
                self.abandoned.insert((*key, real.id), since);
            }
        }
        Ok(())
    }

    /// A player obeys its client on the node that its home says, and nowhere else.
    pub(crate) fn check_owners(&self) -> Verdict {
        let player = self.rules.player_kind();
        let members = || self.nodes.iter().filter(|(_, node)| self.is_member(node) && !node.kernel.is_over());
        for (key, node) in members() {
            let epoch = node.kernel.inside().epoch();
            for real in node.kernel.reals().filter(|r| r.id.kind == player && !r.frozen) {
                let home = node.kernel.home(real.id);
                let home = members()
                    .find(|(k, n)| Some(k.node) == home.map(|h| h.0) && n.kernel.inside().epoch() == epoch);
                let word = home.and_then(|(_, home)| home.kernel.inside().owner(real.id));
                if let Some(owner) = word.filter(|owner| owner.map(|(node, _)| node.0) != Some(key.node)) {
                    let (name, owner) =
                        (self.judge.name(real.id), owner.map_or("nobody".to_owned(), |o| o.0.to_string()));
                    let text = format!("{name} obeys n{}, and by its home's word {owner} owns it", key.node);
                    return violated(Guarantee::G2, text);
                }
            }
        }
        Ok(())
    }
}
