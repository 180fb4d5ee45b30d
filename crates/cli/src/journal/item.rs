//! `journal item`: the life of a unique thing, from one owner to the next.
//!
//! The journal has no index of what its events mention, so all of it is searched for the thing's id ([`Lives::trace`]), in slices of
//! [`SLICE`] rows. It finds every holder, also if there are two. Following owners from event to event would read less, and would miss just
//! what an operator looks for: a copy, or an owner whose events were pruned.

use std::collections::{BTreeMap, BTreeSet};

use gundo_journal::find::Among;
use gundo_kernel::game::Rules;
use gundo_types::{EntityId, WorldTime};
use gundo_wire::journal::EventType;

use super::place::Reading;
use super::{name_of, past, time};
use crate::app::{Failure, say};
use crate::lives::{Lives, Mention, Step};

/// Rows searched at a time.
const SLICE: usize = 20_000;
/// Most events of one thing that are told; those that the search finds after them are not.
const MENTIONS_MAX: usize = 100_000;

/// When, which step, whose event, and its seq: in this order events are told.
type Moment = (WorldTime, Step, EntityId, u64);

/// What a search has found.
#[derive(Default)]
struct Searched {
    /// What events say of the thing.
    told: BTreeMap<Moment, Mention>,
    /// All of which an event or a snapshot has its trace.
    seen: BTreeSet<EntityId>,
    /// There are more events.
    is_cut: bool,
}

/// Tells the life of the thing `id`. `Ok(false)`: two have it.
pub(super) fn item(
    id: u64,
    reading: &mut Reading,
    rules: &Rules,
    lives: &dyn Lives,
    created_ms: u64,
) -> Result<bool, Failure> {
    let mut life = Life { reading, rules, lives, names: BTreeMap::new() };
    let Searched { told, seen: mut holders, is_cut } = life.search(id)?;
    holders.extend(told.values().filter_map(|mention| mention.other));
    let mut now = Vec::new();
    for holder in holders {
        if let Some(past) = past::now(life.reading, rules, holder)? {
            let things = lives.things(holder, &past.state).into_iter().filter(|thing| thing.id == id);
            now.extend(things.map(|thing| (holder, thing)));
        }
    }
    if told.is_empty() && now.is_empty() {
        return Err(format!("nothing with the id {id:016x} is in this journal").into());
    }
    if !told.keys().any(|(_, step, ..)| *step == Step::Made) {
        say("(its first events are not in the journal any more, or it was made when such things had no ids)");
    }
    for ((at, _, entity, seq), mention) in &told {
        let mut line = format!("{}  {}  ", time::world(at.0), time::wall(created_ms.saturating_add(at.0)));
        line += &format!("{}: {}", life.called(*entity)?, mention.words);
        if let Some(other) = mention.other {
            line += &format!(" {}", life.called(other)?);
        }
        if !say(&format!("{line}  [event {seq}]")) {
            return Ok(true);
        }
    }
    if is_cut {
        say(&format!("... and more: the first {MENTIONS_MAX} events that were found are told"));
    }
    for (holder, thing) in &now {
        say(&format!("now: the {} is {} of {}", thing.what, thing.place, life.called(*holder)?));
    }
    if now.is_empty() {
        let gone = told.keys().any(|(_, step, ..)| *step == Step::Ends);
        say(if gone {
            "now: it is gone"
        } else {
            "now: nobody seen here has it; it may have moved meanwhile: try again"
        });
    }
    if now.len() > 1 {
        say(&format!("PROBLEM: {} have it; a unique thing is in one place", now.len()));
    }
    Ok(now.len() <= 1)
}

struct Life<'a> {
    reading: &'a mut Reading,
    rules: &'a Rules,
    lives: &'a dyn Lives,
    names: BTreeMap<EntityId, String>,
}

impl Life<'_> {
    fn search(&mut self, id: u64) -> Result<Searched, Failure> {
        let trace = self.lives.trace(id);
        let mut searched = Searched::default();
        for among in [Among::Events, Among::Snapshots] {
            let mut after = None;
            loop {
                let slice = self.reading.find(among, &trace, after, SLICE)?;
                for (entity, seq) in slice.found {
                    searched.seen.insert(entity);
                    if among == Among::Events {
                        self.read(id, entity, seq, &mut searched.told)?;
                    }
                    if searched.told.len() >= MENTIONS_MAX {
                        searched.is_cut = true;
                        return Ok(searched);
                    }
                }
                after = slice.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(searched)
    }

    fn read(
        &mut self,
        id: u64,
        entity: EntityId,
        seq: u64,
        told: &mut BTreeMap<Moment, Mention>,
    ) -> Result<(), Failure> {
        for (at, event) in self.reading.stream(entity, seq - 1, 1)? {
            if at != seq || event.event_type != EventType::Game {
                continue;
            }
            let mentions = self.lives.mentions(entity, &event.payload);
            for mention in mentions.into_iter().filter(|mention| mention.id == id) {
                told.insert((event.at, mention.step, entity, seq), mention);
            }
        }
        Ok(())
    }

    /// Its kind, its name if it has one, and its id.
    fn called(&mut self, entity: EntityId) -> Result<String, Failure> {
        if let Some(name) = self.names.get(&entity) {
            return Ok(name.clone());
        }
        let past = past::now(self.reading, self.rules, entity)?;
        let name = past.and_then(|past| self.lives.name(entity, &past.state));
        let kind = name_of(self.rules, entity.kind);
        let name = match name {
            Some(name) => format!("{kind} {name} ({:x})", entity.id),
            None => format!("{kind} {:x}", entity.id),
        };
        self.names.insert(entity, name.clone());
        Ok(name)
    }
}
