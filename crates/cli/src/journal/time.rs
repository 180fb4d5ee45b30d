//! Times for people: world time as days and the time of day since the world began, and the wall clock in UTC.

use gundo_types::WorldTime;

const DAY_MS: u64 = 86_400_000;

/// World time: days and the time of day since the world began.
pub(super) fn world(ms: u64) -> String {
    format!("day {} {}", ms / DAY_MS, of_day(ms))
}

/// The wall clock, in UTC: `2026-11-30 13:05:07.250Z`.
pub(super) fn wall(ms: u64) -> String {
    let (year, month, day) = date(ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02} {}Z", of_day(ms))
}

fn of_day(ms: u64) -> String {
    let s = ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}", s / 3_600, s / 60 % 60, s % 60, ms % 1_000)
}

/// A time that somebody typed: world time as it is printed (`day 3 04:05:06`), or the wall clock in UTC (`2026-11-30 13:05`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Since the world began, ms.
    World(u64),
    /// Since 1970, ms.
    Wall(u64),
}

impl Typed {
    /// As world time, in a world that began at `created_ms` of the wall clock.
    pub(super) fn in_world(self, created_ms: u64) -> WorldTime {
        WorldTime(match self {
            Self::World(ms) => ms,
            Self::Wall(ms) => ms.saturating_sub(created_ms),
        })
    }
}

/// Reads what somebody typed. Seconds and their fraction may be left out; a time without them is the end of that minute or second, so
/// that what is printed can be typed again with less.
pub(crate) fn parse(text: &str) -> Result<Typed, String> {
    let why = || {
        "a time is world time, as the tools print it (`day 3 04:05:06`), or the wall clock in UTC (`2026-11-30 13:05`)".to_owned()
    };
    let typed = match text.trim().strip_prefix("day ") {
        Some(rest) => rest.split_once(' ').and_then(|(days, clock)| {
            let days: u64 = days.parse().ok()?;
            Some(Typed::World(days.checked_mul(DAY_MS)?.checked_add(clock_ms(clock)?)?))
        }),
        None => text.trim().trim_end_matches('Z').split_once([' ', 'T']).and_then(|(date, clock)| {
            let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
            let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
            let days = days(year, month, day).filter(|_| parts.next().is_none())?;
            Some(Typed::Wall(days * DAY_MS + clock_ms(clock)?))
        }),
    };
    typed.ok_or_else(why)
}

/// `04:05`, `04:05:06` or `04:05:06.789`; the last ms of it.
fn clock_ms(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let mut below = |max: u64| parts.next().map(|part| part.parse().ok().filter(|n: &u64| *n < max));
    let (hour, minute) = (below(24)??, below(60)??);
    let minutes = (hour * 60 + minute) * 60_000;
    let Some(seconds) = parts.next() else { return Some(minutes + 59_999) };
    if parts.next().is_some() {
        return None;
    }
    let (seconds, fraction) = seconds.split_once('.').map_or((seconds, None), |(s, f)| (s, Some(f)));
    let seconds: u64 = seconds.parse().ok().filter(|s| *s < 60)?;
    let ms = match fraction {
        None => 999,
        Some(digits) if digits.len() == 3 => digits.parse().ok()?,
        Some(_) => return None,
    };
    Some(minutes + seconds * 1_000 + ms)
}

/// Days since 1970 of a date; `None`: there is no such day, or it is before 1970 or after 9999.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // Years that begin in March: the day that some years have more is their last.
    let shifted = is_date.then(|| if month > 2 { (year, month - 3) } else { (year - 1, month + 9) });
    let days = shifted.map(|(year, month)| {
        let of_years = 365 * year + year / 4 - year / 100 + year / 400;
        of_years + (153 * month + 2) / 5 + day - 1 - EPOCH_DAYS
    })?;
    (date(days) == (year, month, day)).then_some(days)
}

/// Days from March 1 of year 0 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;

/// The date of a day since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(world(0), "day 0 00:00:00.000");
        assert_eq!(world(2 * DAY_MS + 3_600_000 + 62_003), "day 2 01:01:02.003");
        assert_eq!(wall(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(wall(1_709_251_199_999), "2024-02-29 23:59:59.999Z");
        assert_eq!(wall(1_796_045_107_250), "2026-11-30 13:25:07.250Z");
    }

    #[test]
    fn what_is_printed_can_be_typed() {
        for ms in [0, 1, 86_399_999, 951_782_400_000, 1_709_251_199_999, 1_796_045_107_250, 4_102_444_800_000]
        {
            assert_eq!(parse(&wall(ms)), Ok(Typed::Wall(ms)));
            assert_eq!(parse(&world(ms)), Ok(Typed::World(ms)));
        }
        assert_eq!(parse("day 1 00:00"), Ok(Typed::World(DAY_MS + 59_999)), "all of the minute");
        assert_eq!(parse("2026-11-30T13:25:07Z"), Ok(Typed::Wall(1_796_045_107_999)), "all of the second");
        assert_eq!(Typed::Wall(5_000).in_world(3_000), WorldTime(2_000));
        assert_eq!(Typed::Wall(5_000).in_world(9_000), WorldTime(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let far = format!("day {} 00:00", u64::MAX);
        for text in [
            "",
            "now",
            "day 1",
            "day x 00:00",
            "day 1 24:00",
            "day 1 00:60",
            "day 1 00:00:60",
            "day 1 0:0:0:0",
            "day 1 00:00:00.5",
            "2026-02-29 10:00",
            "2026-13-01 10:00",
            "2026-11-31 10:00",
            "1969-12-31 10:00",
            "2026-11-30",
            "2026-11-30-1 10:00",
            "99999-01-01 10:00",
            &far,
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
