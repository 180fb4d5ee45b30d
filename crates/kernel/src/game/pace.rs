//! How often a player may do what: a token bucket for each kind of command.

use gundo_types::WorldTime;

use super::refusal::Refusal;

/// Kinds of commands of one player that are counted at a time. Another one takes the place of that which was used up least.
const PACES_MAX: usize = 16;

/// How often a player may give commands of one kind: so many at once, and so many per time on average. What comes beyond is refused
/// with `too_often`, and with the time after which the next one is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    name: &'static str,
    count: u32,
    per_ms: u32,
}

impl Pace {
    /// All commands that the game gives no pace of their own: 64 at once and 32 per second. So a client may always send again what
    /// may be unanswered, and people do not come near it.
    pub const USUAL: Self = Self::new("", 64, 2_000);

    /// `count` commands at once and per `per_ms` ms. Commands whose paces have one name are counted together.
    ///
    /// # Panics
    /// A number is 0: nobody could ever give such a command.
    pub const fn new(name: &'static str, count: u32, per_ms: u32) -> Self {
        assert!(count > 0 && per_ms > 0, "a pace of 0 takes no command at all");
        Self { name, count, per_ms }
    }

    /// Time of one command, µs.
    fn step_us(self) -> u64 {
        (u64::from(self.per_ms) * 1_000).div_ceil(self.count.into())
    }
}

/// What a player has used up of each pace. It goes along to another node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paces {
    /// Of each pace that is not at rest: a fingerprint of its name, and when it will be, µs of world time.
    used: Vec<(u64, u64)>,
}

impl Paces {
    /// What another node has counted.
    pub fn of(used: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self { used: used.into_iter().take(PACES_MAX).collect() }
    }

    /// What was counted.
    pub fn used(&self) -> &[(u64, u64)] {
        &self.used
    }

    /// Counts a command.
    ///
    /// # Errors
    /// It comes too soon, and is not counted.
    pub(crate) fn take(&mut self, pace: Pace, now: WorldTime) -> Result<(), Refusal> {
        let now_us = now.0.saturating_mul(1_000);
        let name = gundo_wire::fingerprint(pace.name.as_bytes());
        let (step, all) = (pace.step_us(), u64::from(pace.per_ms) * 1_000);
        let at = self.used.iter().position(|(used, _)| *used == name);
        // World time may be a little behind where the player was counted before: it never owes more than all of its pace.
        let rests = at.map_or(now_us, |at| self.used[at].1.clamp(now_us, now_us.saturating_add(all)));
        let then = rests.saturating_add(step);
        // A step that was rounded up must not cost the last of the commands.
        let over_us =
            then.saturating_sub(now_us).saturating_sub(all.max(step.saturating_mul(pace.count.into())));
        if let Some(at) = at {
            self.used[at].1 = rests;
        }
        if over_us > 0 {
            return Err(too_often(over_us.div_ceil(1_000)));
        }
        match at {
            Some(at) => self.used[at].1 = then,
            None => {
                if self.used.len() >= PACES_MAX {
                    let least = self.used.iter().enumerate().min_by_key(|(_, (_, rests))| *rests);
                    let least = least.map_or(0, |(at, _)| at);
                    self.used.swap_remove(least);
                }
                self.used.push((name, then));
            }
        }
        assert!(self.used.len() <= PACES_MAX, "the paces of a player are bounded");
        Ok(())
    }
}

fn too_often(wait_ms: u64) -> Refusal {
    let text = "Not so fast. Try again in a moment.";
    Refusal::new("too_often", text).retry_ms(u32::try_from(wait_ms).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: Pace = Pace::new("talk", 3, 2_000);

    /// How many of `tries` commands are taken at this time.
    fn taken(paces: &mut Paces, pace: Pace, at_ms: u64, tries: usize) -> usize {
        (0..tries).filter(|_| paces.take(pace, WorldTime(at_ms)).is_ok()).count()
    }

    #[test]
    fn so_many_at_once_and_then_one_per_step() {
        let mut paces = Paces::default();
        assert_eq!(taken(&mut paces, TALK, 5_000, 9), 3);
        assert_eq!(paces.take(TALK, WorldTime(5_000)), Err(too_often(667)));
        assert_eq!((taken(&mut paces, TALK, 5_600, 9), taken(&mut paces, TALK, 5_667, 9)), (0, 1));
        let flood: usize = (5_668..15_668).map(|ms| taken(&mut paces, TALK, ms, 2)).sum();
        assert_eq!(flood, 15, "asking more often does not cost more time");
        assert_eq!(taken(&mut paces, TALK, 60_000, 9), 3);
        assert_eq!(taken(&mut paces, Pace::USUAL, 60_000, 99), 64, "another kind is counted by itself");
    }

    #[test]
    fn a_clock_that_is_behind_costs_no_more_than_all() {
        let mut paces = Paces::default();
        assert_eq!(taken(&mut paces, TALK, 90_000, 9), 3);
        assert_eq!((taken(&mut paces, TALK, 1_000, 9), taken(&mut paces, TALK, 1_667, 9)), (0, 1));
        let Err(wait) = paces.take(TALK, WorldTime(1_667)) else { panic!("too soon") };
        assert!(wait.retry_ms <= 667, "{wait:?}");
    }

    #[test]
    fn only_so_many_kinds_are_counted() {
        let mut paces = Paces::default();
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"];
        for (at, name) in names.iter().enumerate() {
            assert!(paces.take(Pace::new(name, 1, 60_000), WorldTime(at as u64)).is_ok());
        }
        assert_eq!(paces.used().len(), PACES_MAX);
        assert!(paces.take(Pace::new("q", 1, 60_000), WorldTime(99)).is_err());
        assert!(paces.take(Pace::new("a", 1, 60_000), WorldTime(99)).is_ok(), "it was used up least");
        assert_eq!(Paces::of(paces.used().to_vec()), paces);
    }
}
