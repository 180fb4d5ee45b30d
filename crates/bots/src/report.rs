//! The result of a run, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::BotsConfig;
use crate::tally::Tally;

/// Durations in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half are shorter.
    pub p50_ms: f64,
    /// 99 of 100 are shorter.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    fn of(h: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1_000.0;
        Self {
            count: h.len(),
            p50_ms: ms(h.value_at_quantile(0.5)),
            p99_ms: ms(h.value_at_quantile(0.99)),
            max_ms: ms(h.max()),
        }
    }
}

/// The numbers of a run. "In the window" means the measured seconds; the rest is the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Bots asked for.
    pub count: usize,
    /// Bots that got into the world.
    pub live: usize,
    /// From the first connection to the last Welcome, seconds.
    pub connecting_seconds: f64,
    /// Bots that got in, per second of that time.
    pub connects_per_second: f64,
    /// From the start of connecting to the Welcome.
    pub playable: Latency,
    /// Length of the window, seconds.
    pub window_seconds: f64,
    /// Commands sent.
    pub commands: u64,
    /// Commands answered, refusals included.
    pub answered: u64,
    /// Commands answered per second in the window.
    pub commands_per_second: f64,
    /// From the wish to the answer, in the window.
    pub command: Latency,
    /// Refusals of the game itself.
    pub refused_by_game: u64,
    /// All other refusals.
    pub refused_otherwise: u64,
    /// Commands that were never answered.
    pub lost: u64,
    /// Commands that took effect twice, as far as behaviours can tell.
    pub doubled: u64,
    /// Answers to commands that had been answered before; legitimate after a resume.
    pub repeats: u64,
    /// Moves sent in the window.
    pub moves: u64,
    /// Moves the server did not accept.
    pub corrections: u64,
    /// From sending a move to a frame that shows it or a newer one, in the window.
    pub own_move: Latency,
    /// Between frames that show the own body at a new place while it walks, in the window.
    pub own_gap: Latency,
    /// Those longer than two ticks, each rounded to whole ticks.
    pub own_gaps_over_two_ticks: u64,
    /// Bytes received in the window, WebSocket headers included.
    pub bytes: u64,
    /// Messages received in the window.
    pub messages: u64,
    /// Frames received in the window.
    pub frames: u64,
    /// Entity updates received in the window.
    pub updates: u64,
    /// Bytes per client and second.
    pub bytes_per_client: f64,
    /// Entity updates per client and second.
    pub updates_per_client: f64,
    /// Connections lost and restored.
    pub reconnects: u64,
    /// What the bots did, as far as their behaviours count it.
    pub deeds: BTreeMap<&'static str, u64>,
    /// Everything that went wrong, by code.
    pub errors: BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn new(
        config: &BotsConfig,
        t: &Tally,
        live: usize,
        connecting: Duration,
        window: Duration,
    ) -> Self {
        let seconds = window.as_secs_f64().max(1e-9);
        let client_seconds = seconds * live.max(1) as f64;
        Self {
            count: config.count,
            live,
            connecting_seconds: connecting.as_secs_f64(),
            connects_per_second: live as f64 / connecting.as_secs_f64().max(1e-9),
            playable: Latency::of(&t.playable),
            window_seconds: seconds,
            commands: t.asked,
            answered: t.answered,
            commands_per_second: t.window_answered as f64 / seconds,
            command: Latency::of(&t.command),
            refused_by_game: t.refused_by_game,
            refused_otherwise: t.refused_otherwise,
            lost: t.lost,
            doubled: t.doubled,
            repeats: t.repeats,
            moves: t.moves,
            corrections: t.corrections,
            own_move: Latency::of(&t.shown),
            own_gap: Latency::of(&t.gap),
            own_gaps_over_two_ticks: t.gaps_long,
            bytes: t.bytes,
            messages: t.messages,
            frames: t.frames,
            updates: t.updates,
            bytes_per_client: t.bytes as f64 / client_seconds,
            updates_per_client: t.updates as f64 / client_seconds,
            reconnects: t.reconnects,
            deeds: t.deeds.clone(),
            errors: t.errors.clone(),
        }
    }

    /// Whether all bots got in and no command was lost, doubled, or refused with a code outside the game's own.
    pub fn is_clean(&self) -> bool {
        self.live == self.count && self.lost == 0 && self.doubled == 0 && self.refused_otherwise == 0
    }

    /// As indented JSON with a newline at the end.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("numbers and texts are always JSON");
        json + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency =
            |l: &Latency| format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", l.p50_ms, l.p99_ms, l.max_ms);
        writeln!(
            f,
            "bots        {} of {} in the world after {:.2} s: {:.0} connects/s ({})",
            self.live,
            self.count,
            self.connecting_seconds,
            self.connects_per_second,
            latency(&self.playable)
        )?;
        writeln!(
            f,
            "commands    {} sent, {} answered, {:.1}/s in {:.1} s ({})",
            self.commands,
            self.answered,
            self.commands_per_second,
            self.window_seconds,
            latency(&self.command)
        )?;
        writeln!(
            f,
            "            {} lost, {} doubled, {} refused by the game, {} refused otherwise",
            self.lost, self.doubled, self.refused_by_game, self.refused_otherwise
        )?;
        writeln!(
            f,
            "moves       {} sent, {} corrected; own move to frame {}",
            self.moves,
            self.corrections,
            latency(&self.own_move)
        )?;
        writeln!(
            f,
            "            longest own-move gap {:.0} ms, {} over two ticks",
            self.own_gap.max_ms, self.own_gaps_over_two_ticks
        )?;
        writeln!(
            f,
            "traffic     {:.0} bytes and {:.1} updates per client and second",
            self.bytes_per_client, self.updates_per_client
        )?;
        if !self.deeds.is_empty() {
            let deeds: Vec<_> = self.deeds.iter().map(|(deed, n)| format!("{deed} {n}")).collect();
            writeln!(f, "deeds       {}", deeds.join(", "))?;
        }
        write!(f, "connection  {} lost and restored", self.reconnects)?;
        for (code, n) in &self.errors {
            write!(f, "\n  {code}: {n}")?;
        }
        Ok(())
    }
}
