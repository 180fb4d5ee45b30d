//! How many keyframes a publisher sends in one tick: a loss, a takeover or a crowd that arrives owes many at once.

/// Bytes of keyframes in one tick, to all subscribers together. The last one may exceed it, so each tick pays one at least. What is
/// owed beyond waits for the next tick; its subscriber gets nothing of that chunk before.
const KEYFRAME_BYTES_PER_TICK: usize = 1 << 20;

/// What of the budget is left in this tick, and whose turn is first.
#[derive(Default)]
pub(super) struct Pace {
    spent: usize,
    /// Chunks of a lower rank have been paid in earlier ticks of this round.
    turn: u64,
    /// The first chunk that has to wait for the next tick.
    waits: Option<u64>,
}

impl Pace {
    /// Whether the chunk of this rank may have its keyframe in this tick. Chunks come in the order of their ranks.
    pub(super) fn allows(&mut self, rank: u64) -> bool {
        let allows = rank >= self.turn && self.spent < KEYFRAME_BYTES_PER_TICK;
        if !allows && rank >= self.turn {
            self.waits.get_or_insert(rank);
        }
        allows
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.spent += bytes;
    }

    /// The tick is over. Chunks that had to wait come first in the next one; after the last of them the round begins again.
    pub(super) fn end_tick(&mut self) {
        *self = Self { spent: 0, turn: self.waits.unwrap_or(0), waits: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks that are paid in each of some ticks, if all of `ranks` are owed a keyframe of `bytes` again in each tick.
    fn paid(ranks: std::ops::Range<u64>, bytes: usize, ticks: usize) -> Vec<Vec<u64>> {
        let mut pace = Pace::default();
        let tick = |_| {
            let mut paid = Vec::new();
            for rank in ranks.clone() {
                if pace.allows(rank) {
                    pace.spend(bytes);
                    paid.push(rank);
                }
            }
            pace.end_tick();
            paid
        };
        (0..ticks).map(tick).collect()
    }

    #[test]
    fn a_tick_pays_its_budget_and_everybody_has_a_turn() {
        let half = KEYFRAME_BYTES_PER_TICK / 2;
        assert_eq!(paid(1..3, half, 2), [[1, 2], [1, 2]]);
        assert_eq!(paid(1..6, half, 4), [vec![1, 2], vec![3, 4], vec![5], vec![1, 2]]);
        assert_eq!(paid(1..3, 10 * half, 3), [[1], [2], [1]], "one is paid, however large");
    }
}
