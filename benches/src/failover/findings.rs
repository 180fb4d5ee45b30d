//! What players noticed of one kind of event: rows of results, and the aims for them.
//!
//! There is a method for each event; [`Findings::row`] makes a row for some of the players.

use std::collections::BTreeMap;

use gundo_bots::{BotWindow, Loss};

use super::trial::{Seen, Tallied};
use crate::Failure;
use crate::sheet::Sheet;

/// The code with which a server sends clients to other edges.
const KIND: &str = "moving";
/// Length of a tick, ms.
const TICK_MS: f64 = 100.0;

/// What players may notice at most, ms.
#[derive(Clone, Copy)]
pub(super) struct Aims {
    crash: f64,
    edge: f64,
    hang: f64,
    drain: f64,
    rollout: f64,
}

impl Aims {
    /// All nodes in one process.
    pub(super) const SOLO: Self =
        Self { crash: 350.0, edge: 400.0, hang: 1_800.0, drain: 100.0, rollout: 200.0 };
    /// One process per node, with etcd, PostgreSQL and gRPC.
    pub(super) const CLUSTER: Self =
        Self { crash: 600.0, edge: 1_000.0, hang: 2_500.0, drain: 200.0, rollout: 200.0 };
}

/// The observations of every bot in every repetition of an event.
pub(super) struct Findings<'a> {
    all: Vec<&'a Seen>,
    /// Clients of other edges than the victim's.
    elsewhere: Vec<&'a Seen>,
    /// Of those, the ones whose player was real on the victim.
    hit: Vec<&'a Seen>,
    /// Clients of the victim's edge.
    there: Vec<&'a Seen>,
    tallied: &'a Tallied,
    repetitions: usize,
    aims: Aims,
}

/// The values of a row that have aims.
struct Found {
    gap: Spread,
    play: Spread,
    losses: f64,
}

impl<'a> Findings<'a> {
    pub(super) fn new(seen: &'a [Seen], tallied: &'a Tallied, repetitions: usize, aims: Aims) -> Self {
        let elsewhere: Vec<_> = seen.iter().filter(|s| s.window.edge != s.victim).collect();
        let hit = elsewhere.iter().copied().filter(|s| s.window.holder == s.victim).collect();
        let there = seen.iter().filter(|s| s.window.edge == s.victim).collect();
        Self { all: seen.iter().collect(), elsewhere, hit, there, tallied, repetitions, aims }
    }

    /// A node crashed that owned some players and was the edge of others.
    pub(super) fn crash(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        self.world_crash(sheet, "world node crashed")?;
        let found = self.row(sheet, "edge crashed", &self.there)?;
        sheet.at_most("edge crashed: play again p99, ms", found.play.p99, self.aims.edge);
        sheet.at_most("edge crashed: players seen leaving by others", self.seen_leaving(), 0.0);
        Ok(())
    }

    /// A node crashed, as seen by clients of other edges.
    pub(super) fn world_crash(&self, sheet: &mut Sheet, name: &str) -> Result<(), Failure> {
        let found = self.row(sheet, name, &self.elsewhere)?;
        let stricter = self.row(sheet, &format!("{name}: own player on it"), &self.hit)?;
        sheet.at_most(format!("{name}: gap p99, ms, other edges' clients"), found.gap.p99, self.aims.crash);
        sheet.at_most(format!("{name}: gap p99, ms, own player on it"), stricter.gap.p99, self.aims.crash);
        sheet.at_most(format!("{name}: disconnects of other edges' clients"), found.losses, 0.0);
        Ok(())
    }

    /// A node hung.
    pub(super) fn hang(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let found = self.row(sheet, "node hung", &self.elsewhere)?;
        let stricter = self.row(sheet, "node hung: own player on it", &self.hit)?;
        sheet.at_most("node hung: gap p99, ms, other edges' clients", found.gap.p99, self.aims.hang);
        sheet.at_most("node hung: gap p99, ms, own player on it", stricter.gap.p99, self.aims.hang);
        sheet.at_most("node hung: disconnects of other edges' clients", found.losses, 0.0);
        let found = self.row(sheet, "edge hung", &self.there)?;
        sheet.at_most("edge hung: play again p99, ms", found.play.p99, self.aims.hang);
        sheet.at_most("node hung: players seen leaving by others", self.seen_leaving(), 0.0);
        Ok(())
    }

    /// A node was drained.
    pub(super) fn drain(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let found = self.row(sheet, "node drained", &self.all)?;
        self.row(sheet, "node drained: own edge", &self.there)?;
        self.row(sheet, "node drained: own player on it", &self.hit)?;
        sheet.at_most("node drained: gap p99, ms", found.gap.p99, self.aims.drain);
        sheet.at_most("node drained: disconnects other than to move edge", unkind_losses(&self.all), 0.0);
        sheet.at_most("node drained: disconnects of other edges' clients", losses(&self.elsewhere), 0.0);
        sheet.at_most("node drained: players seen leaving by others", self.seen_leaving(), 0.0);
        Ok(())
    }

    /// Players walked; at least `wanted` of them became real elsewhere.
    pub(super) fn walk(&self, sheet: &mut Sheet, wanted: usize) -> Result<(), Failure> {
        let crossed: Vec<_> = self.all.iter().copied().filter(|s| s.window.rehomed > 0).collect();
        let found = self.row(sheet, "player handed off by walking", &crossed)?;
        self.row(sheet, "nothing happens", &self.all)?;
        sheet.at_least("players handed off by walking", crossed.len() as f64, wanted as f64);
        sheet.at_most("handed off: gap p99, ticks", found.gap.p99 / TICK_MS, 2.0);
        sheet.at_most("handed off: disconnects", found.losses, 0.0);
        Ok(())
    }

    /// Every node was restarted, one after another.
    pub(super) fn rollout(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let found = self.row(sheet, "rolling update of every node", &self.all)?;
        sheet.at_most("rolling update: disconnects other than to move edge", unkind_losses(&self.all), 0.0);
        sheet.at_most("rolling update: gap p99, ms", found.gap.p99, self.aims.rollout);
        sheet.at_most("rolling update: players seen leaving by others", self.seen_leaving(), 0.0);
        Ok(())
    }

    /// A row over the players `seen`.
    fn row(&self, sheet: &mut Sheet, event: &str, seen: &[&Seen]) -> Result<Found, Failure> {
        let gap = Spread::of(seen.iter().map(|s| s.window.gap_ms).collect());
        let answer = Spread::of(seen.iter().map(|s| s.window.answer_ms_max).collect());
        // Counted from the event; for a client that was sent away, from then. A client that was not back when the window
        // ended counts with the whole window.
        let since = |l: &Loss| if l.code == KIND { l.at_ms } else { 0.0 };
        let again = |s: &Seen, l: &Loss| l.play_ms.unwrap_or(s.length_ms) - since(l);
        let play =
            Spread::of(seen.iter().flat_map(|s| s.window.losses.iter().map(|l| again(s, l))).collect());
        sheet.row(&[
            ("event", event.into()),
            ("repetitions", self.repetitions.into()),
            ("pairs", seen.len().into()),
            ("gap_p50_ms", gap.p50.into()),
            ("gap_p99_ms", gap.p99.into()),
            ("gap_max_ms", gap.max.into()),
            ("answer_p99_ms", answer.p99.into()),
            ("answer_max_ms", answer.max.into()),
            ("disconnects", losses(seen).into()),
            ("disconnects_not_to_move", unkind_losses(seen).into()),
            ("disconnect_codes", codes(seen).into()),
            ("play_again_p50_ms", play.p50.into()),
            ("play_again_p99_ms", play.p99.into()),
            ("play_again_max_ms", play.max.into()),
            ("seen_leaving", seen_leaving(seen).into()),
            ("corrections", seen.iter().map(|s| s.window.corrections).sum::<u64>().into()),
            ("commands", self.tallied.commands.into()),
            ("others_cores", self.tallied.others.into()),
        ])?;
        Ok(Found { gap, play, losses: losses(seen) })
    }

    fn seen_leaving(&self) -> f64 {
        seen_leaving(&self.all) as f64
    }
}

/// The number of lost connections.
pub(super) fn losses(seen: &[&Seen]) -> f64 {
    seen.iter().map(|s| s.window.losses.len()).sum::<usize>() as f64
}

/// The number of lost connections other than those that the server sent to another edge.
fn unkind_losses(seen: &[&Seen]) -> f64 {
    let unkind = |w: &BotWindow| w.losses.iter().filter(|l| l.code != KIND).count();
    seen.iter().map(|s| unkind(&s.window)).sum::<usize>() as f64
}

/// The codes of lost connections, and how many there are of each.
pub(super) fn codes(seen: &[&Seen]) -> String {
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    seen.iter().flat_map(|s| &s.window.losses).for_each(|loss| *codes.entry(&loss.code).or_default() += 1);
    codes.iter().map(|(code, n)| format!("{code} {n}")).collect::<Vec<_>>().join(", ")
}

fn seen_leaving(seen: &[&Seen]) -> usize {
    seen.iter().map(|s| s.window.seen_leaving.len()).sum()
}

/// Of many values: the median, the 99th percentile, and the maximum. Zeros if there are no values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let Some(max) = values.last().copied() else { return Self::default() };
        // Nearest rank.
        let at = |share: f64| values[((values.len() as f64 * share).ceil() as usize).max(1) - 1];
        Self { p50: at(0.5), p99: at(0.99), max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values = (1..=200).map(f64::from).rev().collect();
        assert_eq!(Spread::of(values), Spread { p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::of(vec![7.0]), Spread { p50: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(Spread::of(vec![]), Spread::default());
    }
}
