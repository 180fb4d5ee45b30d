//! `failover`: what players notice when a node crashes, hangs, is drained or renewed under them.
//!
//! The world has three nodes in one process, the bots are in another, and this one does things to the world and asks every
//! bot how it felt. Each repetition begins with a whole world: all nodes up, all bots in it, and each bot's player real on
//! another node than the bot's edge, so that a node and an edge can be told apart. Start reading at [`failover`].

mod trial;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use gundo_bots::{BotWindow, Loss};

use crate::Failure;
use crate::sheet::Sheet;
use crate::stage::Stage;
use trial::{Seen, Tallied, Trial};

#[derive(Args)]
pub(crate) struct FailoverArgs {
    /// Bots in the world
    #[arg(long, default_value_t = 300)]
    bots: usize,
    /// Repetitions of each event; a rolling update counts for as many as it renews nodes
    #[arg(long, default_value_t = 50)]
    repetitions: usize,
    /// Players on the node that is lost in `loss`
    #[arg(long, default_value_t = 10_000)]
    reals: usize,
    /// Only these events
    #[arg(long, value_delimiter = ',')]
    only: Vec<Event>,
}

/// What happens to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Event {
    /// A node crashes that is world to some players and edge to others.
    Crash,
    /// A node crashes that is world only: no client is connected there.
    World,
    /// A node hangs.
    Hang,
    /// A node is drained.
    Drain,
    /// Nothing but players who walk, and become real elsewhere on their way.
    Walk,
    /// Every node is renewed, one after another.
    Rollout,
    /// A node with many players crashes.
    Loss,
    /// Nothing but players who walk: what a node without clients looks at, with players who become real where their
    /// surroundings live, and with players who stay where they were.
    View,
}

/// The code by which a server sends clients to other edges.
const KIND: &str = "moving";
/// Length of a tick, ms.
const TICK_MS: f64 = 100.0;

/// The table of what players notice.
pub(crate) fn failover(stage: &Stage, args: &FailoverArgs) -> Result<(), Failure> {
    let mut sheet = Sheet::new("failover", stage.quick);
    let bots = if stage.quick { args.bots.min(30) } else { args.bots };
    let repetitions = if stage.quick { args.repetitions.min(3) } else { args.repetitions };
    let wanted = |event: &Event| args.only.is_empty() || args.only.contains(event);
    for event in Event::value_variants().iter().copied().filter(wanted) {
        match event {
            Event::Loss => loss(stage, &mut sheet, if stage.quick { 300 } else { args.reals })?,
            Event::View => views(stage, &mut sheet, bots)?,
            _ => measure(stage, &mut sheet, event, bots, repetitions)?,
        }
    }
    sheet.finish(&stage.out)
}

fn measure(
    stage: &Stage,
    sheet: &mut Sheet,
    event: Event,
    bots: usize,
    repetitions: usize,
) -> Result<(), Failure> {
    let mut trial = Trial::start(stage, event, bots)?;
    let mut seen = Vec::new();
    let rounds = if event == Event::Rollout { repetitions.div_ceil(trial.nodes()) } else { repetitions };
    for round in 0..rounds {
        seen.extend(trial.repeat(round)?);
    }
    let tallied = trial.finish()?;
    let report = |sheet: &mut Sheet, name: &str, of: &[&Seen]| row(sheet, name, rounds, of, &tallied);
    let elsewhere: Vec<_> = seen.iter().filter(|s| s.window.edge != s.victim).collect();
    let hit: Vec<_> = elsewhere.iter().copied().filter(|s| s.window.holder == s.victim).collect();
    let there: Vec<_> = seen.iter().filter(|s| s.window.edge == s.victim).collect();
    let all: Vec<_> = seen.iter().collect();
    match event {
        Event::Crash | Event::World => {
            let name = if event == Event::Crash {
                "world node crashed"
            } else {
                "world node crashed, separate roles"
            };
            let found = report(sheet, name, &elsewhere)?;
            let stricter = report(sheet, &format!("{name}: own player on it"), &hit)?;
            sheet.at_most(format!("{name}: gap p99, ms, other edges' clients"), found.gap.p99, 1_000.0);
            sheet.at_most(format!("{name}: gap p99, ms, own player on it"), stricter.gap.p99, 1_000.0);
            sheet.at_most(format!("{name}: disconnects of other edges' clients"), found.losses, 0.0);
            if event == Event::Crash {
                let found = report(sheet, "edge crashed", &there)?;
                sheet.at_most("edge crashed: play again p99, ms", found.play.p99, 2_000.0);
                sheet.at_most("edge crashed: players seen leaving by others", seen_leaving(&seen), 0.0);
            }
        }
        Event::Hang => {
            let found = report(sheet, "node hung", &elsewhere)?;
            let stricter = report(sheet, "node hung: own player on it", &hit)?;
            sheet.at_most("node hung: longest gap, ms, other edges' clients", found.gap.max, 3_000.0);
            sheet.at_most("node hung: longest gap, ms, own player on it", stricter.gap.max, 3_000.0);
            sheet.at_most("node hung: disconnects of other edges' clients", found.losses, 0.0);
            let found = report(sheet, "edge hung", &there)?;
            sheet.at_most("edge hung: play again p99, ms", found.play.p99, 3_000.0);
            sheet.at_most("node hung: players seen leaving by others", seen_leaving(&seen), 0.0);
        }
        Event::Drain => {
            let found = report(sheet, "node drained", &all)?;
            report(sheet, "node drained: own edge", &there)?;
            report(sheet, "node drained: own player on it", &hit)?;
            sheet.at_most("node drained: gap p99, ms", found.gap.p99, 250.0);
            sheet.at_most("node drained: disconnects other than to move edge", unkind_losses(&all), 0.0);
            sheet.at_most("node drained: disconnects of other edges' clients", found_losses(&elsewhere), 0.0);
            sheet.at_most("node drained: players seen leaving by others", seen_leaving(&seen), 0.0);
        }
        Event::Walk => {
            let crossed: Vec<_> = all.iter().copied().filter(|s| s.window.rehomed > 0).collect();
            let found = report(sheet, "player handed off by walking", &crossed)?;
            report(sheet, "nothing happens", &all)?;
            sheet.at_least("players handed off by walking", crossed.len() as f64, repetitions as f64);
            sheet.at_most("handed off: gap p99, ticks", found.gap.p99 / TICK_MS, 2.0);
            sheet.at_most("handed off: disconnects", found.losses, 0.0);
        }
        Event::Rollout => {
            let found = report(sheet, "rolling update of every node", &all)?;
            sheet.at_most("rolling update: disconnects other than to move edge", unkind_losses(&all), 0.0);
            sheet.at_most("rolling update: longest gap, ms", found.gap.max, 500.0);
            sheet.at_most("rolling update: players seen leaving by others", seen_leaving(&seen), 0.0);
        }
        Event::Loss | Event::View => unreachable!("measured elsewhere"),
    }
    sheet.at_most(format!("{}: commands lost", word(event)), tallied.lost as f64, 0.0);
    sheet.at_most(
        format!("{}: commands doubled, or acknowledged and gone", word(event)),
        tallied.doubled as f64,
        0.0,
    );
    Ok(())
}

/// What a row found that aims look at.
struct Found {
    gap: Spread,
    play: Spread,
    losses: f64,
}

fn row(
    sheet: &mut Sheet,
    event: &str,
    repetitions: usize,
    seen: &[&Seen],
    tallied: &Tallied,
) -> Result<Found, Failure> {
    let gap = Spread::of(seen.iter().map(|s| s.window.gap_ms).collect());
    let answer = Spread::of(seen.iter().map(|s| s.window.answer_ms_max).collect());
    // From the event; who was sent away, from then. Who was not back when the window ended counts with the whole of it.
    let since = |l: &Loss| if l.code == KIND { l.at_ms } else { 0.0 };
    let again = |s: &Seen, l: &Loss| l.play_ms.unwrap_or(s.length_ms) - since(l);
    let play = Spread::of(seen.iter().flat_map(|s| s.window.losses.iter().map(|l| again(s, l))).collect());
    sheet.row(&[
        ("event", event.into()),
        ("repetitions", repetitions.into()),
        ("pairs", seen.len().into()),
        ("gap_p50_ms", gap.p50.into()),
        ("gap_p99_ms", gap.p99.into()),
        ("gap_max_ms", gap.max.into()),
        ("answer_p99_ms", answer.p99.into()),
        ("answer_max_ms", answer.max.into()),
        ("disconnects", found_losses(seen).into()),
        ("disconnects_not_to_move", unkind_losses(seen).into()),
        ("disconnect_codes", codes(seen).into()),
        ("play_again_p50_ms", play.p50.into()),
        ("play_again_p99_ms", play.p99.into()),
        ("play_again_max_ms", play.max.into()),
        ("seen_leaving", seen.iter().map(|s| s.window.seen_leaving.len()).sum::<usize>().into()),
        ("corrections", seen.iter().map(|s| s.window.corrections).sum::<u64>().into()),
        ("commands", tallied.commands.into()),
        ("others_cores", tallied.others.into()),
    ])?;
    Ok(Found { gap, play, losses: found_losses(seen) })
}

fn found_losses(seen: &[&Seen]) -> f64 {
    seen.iter().map(|s| s.window.losses.len()).sum::<usize>() as f64
}

/// Connections that were not lost to go to another edge of the server's choice.
fn unkind_losses(seen: &[&Seen]) -> f64 {
    let unkind = |w: &BotWindow| w.losses.iter().filter(|l| l.code != KIND).count();
    seen.iter().map(|s| unkind(&s.window)).sum::<usize>() as f64
}

/// Why connections were lost, as the clients were told, and how many for each reason.
fn codes(seen: &[&Seen]) -> String {
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    seen.iter().flat_map(|s| &s.window.losses).for_each(|loss| *codes.entry(&loss.code).or_default() += 1);
    codes.iter().map(|(code, n)| format!("{code} {n}")).collect::<Vec<_>>().join(", ")
}

fn seen_leaving(seen: &[Seen]) -> f64 {
    seen.iter().map(|s| s.window.seen_leaving.len()).sum::<usize>() as f64
}

fn word(event: Event) -> String {
    event.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A node with many players crashes: how long until each of them is real again?
fn loss(stage: &Stage, sheet: &mut Sheet, players: usize) -> Result<(), Failure> {
    let repetitions = if stage.quick { 1 } else { 5 };
    let mut trial = Trial::start(stage, Event::Loss, players)?;
    let mut seen = Vec::new();
    for round in 0..repetitions {
        seen.extend(trial.repeat(round)?);
    }
    let tallied = trial.finish()?;
    let hit: Vec<_> = seen.iter().filter(|s| s.window.holder == s.victim).collect();
    // Whom the others' doors kept waiting for too long came in by the node itself.
    let elsewhere: Vec<_> = hit.iter().filter(|s| s.window.edge != s.victim).copied().collect();
    let again = Spread::of(hit.iter().map(|s| s.window.real_again_ms.unwrap_or(f64::INFINITY)).collect());
    let reals = hit.len() as f64 / repetitions as f64;
    sheet.row(&[
        ("event", "a node with many players lost".into()),
        ("repetitions", repetitions.into()),
        ("reals", reals.into()),
        ("real_again_p50_ms", again.p50.into()),
        ("real_again_p99_ms", again.p99.into()),
        ("real_again_max_ms", again.max.into()),
        ("at_its_own_edge", (hit.len() - elsewhere.len()).into()),
        ("disconnects", found_losses(&elsewhere).into()),
        ("disconnect_codes", codes(&elsewhere).into()),
        ("others_cores", tallied.others.into()),
    ])?;
    sheet.at_least("players real on the node that was lost", reals, players as f64);
    sheet.at_most("many lost: disconnects of other edges' clients", found_losses(&elsewhere), 0.0);
    sheet.at_most(format!("all of {players} real again, ms, longest"), again.max, 3_000.0);
    Ok(())
}

/// How much a node looks at for the players who are real on it, with following and without.
fn views(stage: &Stage, sheet: &mut Sheet, bots: usize) -> Result<(), Failure> {
    let mut per_player = Vec::new();
    for (name, follows) in [("players stay where they were", false), ("players follow", true)] {
        let mut trial = Trial::start_with(stage, Event::View, bots, follows)?;
        trial.repeat(0)?;
        let view = trial.last_nodes_view()?;
        let tallied = trial.finish()?;
        let per = |count: u64| count as f64 / view.players.max(1) as f64;
        let chunks = per(view.chunks);
        sheet.row(&[
            ("event", name.into()),
            ("players", view.players.into()),
            ("chunks", view.chunks.into()),
            ("chunks_per_player", chunks.into()),
            ("ghosts_per_player", per(view.ghosts).into()),
            ("others_cores", tallied.others.into()),
        ])?;
        per_player.push(chunks);
    }
    sheet.at_most(
        "chunks subscribed per player, following, of those without",
        per_player[1] / per_player[0],
        1.0,
    );
    Ok(())
}

/// Of many values: the middle, what 99 of 100 do not exceed, and the largest. Zeros if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
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
