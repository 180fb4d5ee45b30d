//! What a client is told, for tests that wait for it.

use std::time::Duration;

use gundo_client::{Event, Events};

/// Nothing in these tests takes long: what takes longer than this never happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The first event that is meant.
pub(crate) async fn until(events: &mut Events, meant: impl Fn(&Event) -> bool) -> Event {
    let search = async {
        loop {
            let (event, _) = events.recv().await.expect("the client lives");
            if event.as_ref().is_some_and(&meant) {
                return event.expect("just looked at");
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("it happens")
}
