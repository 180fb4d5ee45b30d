//! Finds out whether a group landed whose connection was lost while the server had it.
//!
//! 1. Connect again: to the same server, or to the one that took its place.
//! 2. Wait until the process that had the group is gone. It may still be at work; when it is gone, or its server was started since,
//!    the group can land no more. (Nobody ends it by force: a commit that waits for its standby would become visible without it.)
//! 3. Each group writes a random token into its streams' rows. If one of them has it, the group landed. If one of them is as it was
//!    before, it did not: it lands whole or not at all. If others have changed all of them since, nobody can tell.
//! 4. A group that landed is answered only after one more commit: a server that went down while it waited for its standby shows the
//!    group afterwards, wherever it is.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::link::{Live, Session, Trouble};
use crate::tables::Rows;
use crate::writer::{Writer, barrier, tokens};

/// Pause between two looks at a process that still works.
const AGAIN: Duration = Duration::from_millis(10);

impl Writer {
    /// Whether the group with this token landed.
    ///
    /// # Errors
    /// Why that is not known.
    pub(crate) fn settle(&mut self, rows: &Rows<'_>, token: i64) -> Result<bool, String> {
        let limit = self.link.settings().answer();
        let until = Instant::now() + Duration::from_millis(self.link.settings().settle_ms);
        let Some(lost) = self.link.last_session().cloned() else {
            return Err("nothing is known of the connection".to_owned());
        };
        loop {
            let found = self
                .link
                .repeat(until, Some(limit), async |live: &mut Live| look(live, &lost, rows, token).await);
            match found.map_err(|why| why.to_string())? {
                Found::Landed => {
                    self.counters.settled.fetch_add(1, Relaxed);
                    return Ok(true);
                }
                Found::Nothing => {
                    self.counters.settled.fetch_add(1, Relaxed);
                    return Ok(false);
                }
                Found::Changed => return Err("others have written to all its streams since".to_owned()),
                Found::AtWork if Instant::now() >= until => {
                    return Err("the server still works on it".to_owned());
                }
                // Nothing tells when a process of the server ends: this polls, up to a limit.
                Found::AtWork => std::thread::sleep(AGAIN),
            }
        }
    }
}

enum Found {
    AtWork,
    Landed,
    Nothing,
    Changed,
}

async fn look(live: &Live, lost: &Session, rows: &Rows<'_>, token: i64) -> Result<Found, Trouble> {
    if lost.server_start == live.session.server_start {
        let there =
            live.client.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", &[&lost.process]).await?;
        if !there.is_empty() {
            return Ok(Found::AtWork);
        }
    }
    let found = tokens(live, rows).await?;
    if found.iter().any(|row| row.token == token) {
        barrier(live).await?;
        return Ok(Found::Landed);
    }
    let priors = &rows.streams.priors;
    // A stream that is not there has no event.
    let is_as_before = found.len() < priors.len() || found.iter().any(|row| row.last == priors[row.index]);
    Ok(if is_as_before { Found::Nothing } else { Found::Changed })
}
