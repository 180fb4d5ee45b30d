//! Closes the books of a world of Pioneer: its journal, event by event, against the rules and against what every bot noted.

use std::collections::BTreeMap;

use gundo::sim::Audit;
use gundo::{EntityId, State};
use gundo_bots::Behaviour;
use gundo_wire::journal::EventRecord;
use pioneer::Player;
use pioneer::sim::Simulated;

use crate::Failure;

/// A stream with all of its events.
pub(crate) type Stream = (EntityId, Vec<(u64, EventRecord)>);

/// What was counted.
pub(crate) struct Books {
    /// Bots whose records prove something and were compared with the journal.
    pub(crate) books: usize,
    pub(crate) streams: usize,
    pub(crate) events: u64,
    pub(crate) effects: u64,
}

/// Replays every stream, which `next` gives one after another, and compares. Adds what does not hold to `violations`.
pub(crate) fn close(
    seed: u64,
    next: &mut dyn FnMut(Option<EntityId>) -> Result<Option<Stream>, Failure>,
    minds: &[(Option<EntityId>, Box<dyn Behaviour>)],
    violations: &mut Vec<String>,
) -> Result<Books, Failure> {
    let game = Simulated::default();
    let mut audit = Audit::new(seed, &game);
    let mut after = None;
    while let Some((entity, events)) = next(after)? {
        after = Some(entity);
        violations.extend(audit.take(entity, &events).err().map(|v| format!("{}: {}", v.guarantee, v.text)));
    }
    violations.extend(audit.close().err().map(|v| format!("{}: {}", v.guarantee, v.text)));
    let books = compare(&audit, minds, violations);
    let (streams, events, effects) = audit.counts();
    Ok(Books { books, streams, events, effects })
}

/// Compares every bot's record with its player's goods in the journal. Returns how many records proved something.
fn compare(
    audit: &Audit<'_>,
    minds: &[(Option<EntityId>, Box<dyn Behaviour>)],
    violations: &mut Vec<String>,
) -> usize {
    let mut compared = 0;
    for (player, mind) in minds {
        let (Some(player), Some(books)) = (player, mind.books()) else { continue };
        compared += 1;
        if player.kind != Player::KIND {
            violations.push(format!("{player} is not a player"));
        }
        let Some(holdings) = audit.holdings(*player) else {
            violations.push(format!("{player} has played and is not in the journal"));
            continue;
        };
        let holdings: BTreeMap<u32, i64> = holdings.map(|(goods, amount)| (goods.0, amount)).collect();
        if holdings != books {
            violations
                .push(format!("{player} has {holdings:?} by the journal, {books:?} by the bot's record"));
        }
    }
    if compared < minds.len() {
        violations.push(format!("{} bots have no record to compare", minds.len() - compared));
    }
    compared
}
