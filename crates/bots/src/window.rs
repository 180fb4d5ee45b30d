//! What happened to one bot between two marks: for benchmarks that do something to the world and look at the effect on
//! every client.

use gundo_client::Left;
use gundo_types::Time;
use serde::{Deserialize, Serialize};

/// A connection that a bot lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Why: the server's code, or this client's own (`connection_closed`, `connection_reset`, `silent`, …).
    pub code: String,
    /// The node whose edge it was.
    pub edge: u32,
    /// Time since the mark, ms.
    pub at_ms: f64,
    /// From the mark to the next Welcome, ms; `None`: there was none before the window ended.
    pub welcome_ms: Option<f64>,
    /// From the mark to the first frame in which the own body walks again, ms.
    pub play_ms: Option<f64>,
}

/// A bot saw another player leave the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenLeaving {
    /// The player.
    pub player: u64,
    /// The node that published it.
    pub publisher: u32,
    /// Time since the mark, ms.
    pub at_ms: f64,
}

/// One bot between two marks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BotWindow {
    /// Its number.
    pub bot: usize,
    /// Its player; 0 before the first Welcome.
    pub player: u64,
    /// Whether it is in the world and connected at the end.
    pub live: bool,
    /// Node of the edge it had when the window began; 0: none.
    pub edge: u32,
    /// Node its player was real on then, as far as frames showed; 0: unknown.
    pub holder: u32,
    /// The same when the window ended.
    pub edge_after: u32,
    /// The same when the window ended.
    pub holder_after: u32,
    /// How often another node than before published its player, because it became real elsewhere.
    pub rehomed: u64,
    /// From the mark until another node than `holder` published its player, ms; `None`: that did not happen.
    pub real_again_ms: Option<f64>,
    /// Longest time between two frames in which the own body walked, while it wanted to walk, ms. It includes lost
    /// connections, and the gap that was open at the end.
    pub gap_ms: f64,
    /// Frames in which the own body walked.
    pub own_moves: u64,
    /// Connections lost.
    pub losses: Vec<Loss>,
    /// Commands sent.
    pub asked: u64,
    /// Commands answered.
    pub answered: u64,
    /// Longest time to an answer that arrived, ms.
    pub answer_ms_max: f64,
    /// Unanswered commands at the end.
    pub open: usize,
    /// Commands that will never be answered, because the session ended.
    pub lost: u64,
    /// Refusals other than the game's own.
    pub refused: Vec<String>,
    /// Moves the server did not accept.
    pub corrections: u64,
    /// Other players that the bot saw leave the world.
    pub seen_leaving: Vec<SeenLeaving>,
}

/// A window that is open.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) since: Time,
    pub(crate) window: BotWindow,
    /// The node that last published the own player.
    holder: u32,
    /// When a frame last showed the own body walking, or when it first wanted to walk after it had stood still.
    walked: Option<Time>,
}

impl Log {
    /// The mind wants to walk, or would if it had a connection.
    pub(crate) fn on_wish(&mut self, now: Time) {
        self.walked.get_or_insert(now);
    }

    /// It stands still on purpose: the time is no gap.
    pub(crate) fn on_rest(&mut self) {
        self.walked = None;
    }

    /// A frame shows the own body at a new place.
    pub(crate) fn on_walked(&mut self, now: Time) {
        self.window.own_moves += 1;
        self.take_gap(now);
        if self.walked.is_some() {
            self.walked = Some(now);
        }
        let since_ms = self.since_ms(now);
        for loss in self.window.losses.iter_mut().filter(|l| l.welcome_ms.is_some() && l.play_ms.is_none()) {
            loss.play_ms = Some(since_ms);
        }
    }

    /// `holder` published the own player.
    pub(crate) fn on_told_by(&mut self, now: Time, holder: u32) {
        let before = std::mem::replace(&mut self.holder, holder);
        if before != 0 && before != holder {
            self.window.rehomed += 1;
            if holder != self.window.holder && self.window.real_again_ms.is_none() {
                self.window.real_again_ms = Some(self.since_ms(now));
            }
        }
    }

    pub(crate) fn on_lost(&mut self, now: Time, code: String, edge: u32) {
        let at_ms = self.since_ms(now);
        self.window.losses.push(Loss { code, edge, at_ms, welcome_ms: None, play_ms: None });
    }

    pub(crate) fn on_welcome(&mut self, now: Time) {
        let since_ms = self.since_ms(now);
        for loss in self.window.losses.iter_mut().filter(|l| l.welcome_ms.is_none()) {
            loss.welcome_ms = Some(since_ms);
        }
    }

    pub(crate) fn on_left(&mut self, now: Time, left: &[Left]) {
        let at_ms = self.since_ms(now);
        let seen = left.iter().map(|left| SeenLeaving { player: left.id, publisher: left.publisher, at_ms });
        self.window.seen_leaving.extend(seen);
    }

    pub(crate) fn on_answer(&mut self, waited_us: u64) {
        self.window.answered += 1;
        self.window.answer_ms_max = self.window.answer_ms_max.max(waited_us as f64 / 1_000.0);
    }

    /// Ends the window and starts the next, in which lost connections are still lost. `fill` adds what only the bot knows.
    pub(crate) fn mark(&mut self, now: Time, fill: impl Fn(&mut BotWindow)) -> BotWindow {
        self.take_gap(now);
        // Gaps of the next window begin with it.
        self.walked = self.walked.map(|_| now);
        let mut done = std::mem::take(&mut self.window);
        fill(&mut done);
        done.holder_after = self.holder;
        let edge = if done.live { done.edge_after } else { 0 };
        self.window = BotWindow { edge, holder: self.holder, ..BotWindow::default() };
        self.since = now;
        done
    }

    fn take_gap(&mut self, now: Time) {
        if let Some(walked) = self.walked {
            self.window.gap_ms = self.window.gap_ms.max(now.since(walked) as f64 / 1_000.0);
        }
    }

    fn since_ms(&self, now: Time) -> f64 {
        now.since(self.since) as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(ms * 1_000)
    }

    #[test]
    fn gaps_count_while_it_wants_to_walk() {
        let mut log = Log::default();
        log.on_wish(at(100));
        for ms in [150, 250, 900, 1_000] {
            log.on_walked(at(ms));
            log.on_wish(at(ms));
        }
        log.on_rest();
        let window = log.mark(at(5_000), |_| {});
        assert_eq!((window.gap_ms, window.own_moves), (650.0, 4));
        log.on_wish(at(6_000));
        let window = log.mark(at(6_300), |_| {});
        assert_eq!(window.gap_ms, 300.0, "one that is still open counts");
        log.on_walked(at(6_400));
        assert_eq!(log.mark(at(6_450), |_| {}).gap_ms, 100.0, "since the window began");
    }

    #[test]
    fn a_loss_ends_with_the_first_step_after_the_welcome() {
        let mut log = Log::default();
        log.on_told_by(at(900), 3);
        drop(log.mark(at(1_000), |w| (w.live, w.edge_after) = (true, 2)));
        log.on_wish(at(1_000));
        log.on_lost(at(1_010), "connection_reset".into(), 2);
        log.on_walked(at(1_015));
        log.on_welcome(at(1_050));
        log.on_walked(at(1_200));
        log.on_told_by(at(1_300), 3);
        log.on_walked(at(1_300));
        log.on_told_by(at(1_305), 4);
        let window = log.mark(at(1_310), |w| w.edge_after = 1);
        assert_eq!((window.edge, window.holder, window.edge_after, window.holder_after), (2, 3, 1, 4));
        assert_eq!((window.rehomed, window.real_again_ms), (1, Some(305.0)));
        let loss = Loss {
            code: "connection_reset".into(),
            edge: 2,
            at_ms: 10.0,
            welcome_ms: Some(50.0),
            play_ms: Some(200.0),
        };
        assert_eq!((window.losses, window.gap_ms), (vec![loss], 185.0));
        assert_eq!(log.mark(at(1_400), |_| {}).edge, 0, "it was not connected when this window began");
    }
}
