//! Audits of journals: sound ones, and ones with a missing or repeated entry.

use bytes::Bytes;
use gundo_sim::{Audit, Goods, Guarantee};
use gundo_types::{EntityId, Kind, WorldTime};
use gundo_wire::journal::{Cause, EventRecord, EventType};
use prost::Message;

use super::purses::{Coins, Purses, Wrong};

const PURSE: EntityId = EntityId::new(Kind(1), 7);
const CHEST: EntityId = EntityId::new(Kind(2), 9);

type Stream = Vec<(u64, EventRecord)>;

/// A game's event. `command`: the player's command that caused it; 0: none.
fn event(seq: u64, command: u64, n: u32) -> (u64, EventRecord) {
    let cause = Cause { seq: command, ..Cause::default() };
    let record = EventRecord {
        at: WorldTime(seq),
        event_type: EventType::Game,
        payload: Coins { n }.encode_to_vec().into(),
        cause: cause.encode_to_vec().into(),
    };
    (seq, record)
}

/// A purse that pays two coins and one into a chest.
fn sound() -> [(EntityId, Stream); 2] {
    let fence = EventRecord { event_type: EventType::Fenced, payload: Bytes::new(), ..event(3, 0, 0).1 };
    let purse = vec![event(1, 0, 0), event(2, 1, 2), (3, fence), event(4, 2, 1)];
    [(PURSE, purse), (CHEST, vec![event(1, 0, 2), event(2, 0, 1)])]
}

fn audit(wrong: Wrong, change: impl FnOnce(&mut [(EntityId, Stream); 2])) -> Result<(), Guarantee> {
    let game = Purses(wrong);
    let mut audit = Audit::new(1, &game);
    let mut streams = sound();
    change(&mut streams);
    for (entity, events) in &streams {
        audit.take(*entity, events).map_err(|violation| violation.guarantee)?;
    }
    audit.close().map_err(|violation| violation.guarantee)
}

#[test]
fn a_sound_journal_is_found_sound_and_says_who_holds_what() {
    let game = Purses(Wrong::Nothing);
    let mut audit = Audit::new(1, &game);
    for (entity, events) in sound() {
        audit.take(entity, &events).expect("sound");
    }
    audit.close().expect("sound");
    let held = |entity| audit.holdings(entity).map(Iterator::collect::<Vec<_>>);
    assert_eq!(held(PURSE), Some(vec![(Goods(7), 3)]));
    assert_eq!(held(CHEST), Some(vec![(Goods(7), 3)]));
    assert_eq!(held(EntityId::new(Kind(1), 8)), None);
    assert_eq!(audit.counts(), (2, 6, 2));
}

#[test]
fn what_is_missing_or_stands_twice_is_found() {
    assert_eq!(audit(Wrong::Nothing, |_| {}), Ok(()));
    let gap = audit(Wrong::Nothing, |[(_, purse), _]| drop(purse.remove(1)));
    assert_eq!(gap, Err(Guarantee::G2));
    let half = audit(Wrong::Nothing, |[_, (_, chest)]| drop(chest.pop()));
    assert_eq!(half, Err(Guarantee::G6), "one side of a payment is lost");
    let twice = audit(Wrong::Nothing, |[(_, purse), _]| purse.push(event(5, 2, 1)));
    assert_eq!(twice, Err(Guarantee::G5));
    let unnoticed = audit(Wrong::Nothing, |[_, (_, chest)]| chest.push(event(3, 0, 1)));
    assert_eq!(unnoticed, Err(Guarantee::G6), "somebody was paid by nobody");
    let overdrawn = audit(Wrong::Nothing, |[(_, purse), _]| purse.push(event(5, 3, 9)));
    assert_eq!(overdrawn, Err(Guarantee::G4), "the purse has not so much");
    let garbage = audit(Wrong::Nothing, |[(_, purse), _]| purse[1].1.payload = Bytes::from_static(&[255]));
    assert_eq!(garbage, Err(Guarantee::G3));
    assert_eq!(audit(Wrong::Doubles, |[_, (_, chest)]| chest[0] = event(1, 0, 5)), Err(Guarantee::G4));
}
