//! Pauses of random length, so that processes do not act in step.

use std::time::Duration;

/// A pause between half of `ms` and one and a half times as long.
pub(crate) fn jittered(ms: u64) -> Duration {
    let mut bytes = [0; 4];
    // Without chance from the system it is simply less random.
    let _ = getrandom::fill(&mut bytes);
    let share = u64::from(u32::from_le_bytes(bytes)) * ms / u64::from(u32::MAX);
    Duration::from_millis(ms / 2 + share)
}
