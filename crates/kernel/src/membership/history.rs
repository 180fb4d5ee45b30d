//! How regularly a member's heartbeats have come, and how long a silence that makes likely.
//!
//! After phi accrual (Hayashibara et al. 2004): a silence is judged by the link's own history, not by one constant. The estimate
//! is that of TCP's retransmission timer (Jacobson 1988): a mean and a mean deviation that forget slowly, beside the longest gap of
//! late. What counts is by how much a heartbeat is late: one that comes early was sent for another reason, and says nothing about the
//! link. Times are those in which this node itself was awake.

/// Between two heartbeats, ms.
pub(super) const BEAT_MS: u64 = 250;
/// Deviations beyond the mean at which a silence is no longer likely.
const DEVIATIONS: u64 = 8;
/// The mean and the deviation follow one part in so many of each new gap.
const FOLLOWS: u64 = 8;
/// The longest gap loses one part in so many with each heartbeat: half of it in three quarters of a minute.
const FADES: u64 = 256;
/// Before so many gaps a history says nothing.
const GAPS_MIN: u32 = 4;
/// A gap that counts, µs: a longer one counts as this.
const GAP_US_MAX: u64 = 8_000_000;

/// What a member's heartbeats were like. Plain values.
#[derive(Default)]
pub(super) struct History {
    last_us: Option<u64>,
    gaps: u32,
    /// By how much they are late: the mean, and how far from it they usually are.
    late_us: u64,
    deviation_us: u64,
    longest_us: u64,
}

impl History {
    /// A heartbeat came, at this time.
    pub(super) fn note(&mut self, at_us: u64) {
        let Some(last_us) = self.last_us.replace(at_us) else { return };
        let gap_us = at_us.saturating_sub(last_us).min(GAP_US_MAX);
        self.gaps = self.gaps.saturating_add(1);
        let late_us = gap_us.saturating_sub(BEAT_MS * 1_000);
        let error_us = self.late_us.abs_diff(late_us);
        self.late_us = (self.late_us * (FOLLOWS - 1) + late_us) / FOLLOWS;
        self.deviation_us = (self.deviation_us * (FOLLOWS - 1) + error_us) / FOLLOWS;
        self.longest_us = (self.longest_us - self.longest_us / FADES).max(gap_us);
    }

    fn is_known(&self) -> bool {
        self.gaps >= GAPS_MIN
    }

    /// How long it may be silent, if `usual_us` is what a link without a history gets: three quarters to twice as long.
    pub(super) fn silent_us(&self, usual_us: u64) -> u64 {
        if !self.is_known() {
            return usual_us;
        }
        let likely_us = (BEAT_MS * 1_000 + self.late_us + DEVIATIONS * self.deviation_us)
            .max(self.longest_us + self.longest_us / 2);
        likely_us.clamp(usual_us / 4 * 3, usual_us * 2)
    }

    /// How long it may be silent after its link broke, if `usual_us` is what a link without a history gets: two thirds of it, or up
    /// to as long. Never longer: a connection that breaks is itself a sign, and play stands still meanwhile.
    pub(super) fn broken_us(&self, usual_us: u64) -> u64 {
        if !self.is_known() {
            return usual_us;
        }
        let least_us = usual_us / 3 * 2;
        (least_us + DEVIATIONS / 2 * self.deviation_us).min(usual_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT_US: u64 = 2_000_000;
    const BROKEN_US: u64 = 300_000;

    fn after(gaps_ms: impl IntoIterator<Item = u64>) -> (u64, u64) {
        let (mut history, mut at_us) = (History::default(), 5_000_000);
        history.note(at_us);
        for gap_ms in gaps_ms {
            at_us += gap_ms * 1_000;
            history.note(at_us);
        }
        (history.silent_us(SILENT_US) / 1_000, history.broken_us(BROKEN_US) / 1_000)
    }

    #[test]
    fn regular_heartbeats_make_it_quick() {
        assert_eq!(after([250; 100]), (1_500, 200));
        let (silent, broken) = after([240, 260].repeat(50));
        assert!(silent == 1_500 && (220..260).contains(&broken), "{silent} {broken}");
    }

    #[test]
    fn heartbeats_for_another_reason_say_nothing_about_the_link() {
        // It joined just before its heartbeat was due, and views changed.
        let gaps = [vec![3, 250, 250, 7, 243], vec![250; 8], vec![90, 160, 20, 230]].concat();
        assert_eq!(after(gaps), (1_500, 200));
    }

    #[test]
    fn a_link_without_a_history_is_judged_by_the_usual() {
        assert_eq!(after([]), (2_000, 300));
        assert_eq!(after([250; 3]), (2_000, 300));
    }

    #[test]
    fn jitter_makes_it_patient() {
        let (silent, broken) = after([50, 700, 20, 400, 900, 30].repeat(20));
        assert!((2_400..=4_000).contains(&silent) && broken == 300, "{silent} {broken}");
        // One long gap is remembered for a while.
        let (silent, _) = after([vec![250; 50], vec![1_400], vec![250; 40]].concat());
        assert!((1_700..2_100).contains(&silent), "{silent}");
        let (silent, _) = after([vec![250; 50], vec![1_400], vec![250; 400]].concat());
        assert_eq!(silent, 1_500, "and forgotten");
        assert_eq!(after([60_000; 20]).0, 4_000, "there is an end to patience");
    }
}
