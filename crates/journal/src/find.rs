//! Looking for bytes in what is stored: for tools that follow a thing through a whole journal. A journal has no index of what events
//! mention, so all of it is read, in slices.

use gundo_types::EntityId;

/// In what to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// The payloads of events.
    Events,
    /// Snapshots.
    Snapshots,
}

/// What was found in a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The entities and seqs of those that have the bytes.
    pub found: Vec<(EntityId, u64)>,
    /// The last that was looked at: go on after it. `None`: there is nothing more.
    pub next: Option<(EntityId, u64)>,
}
