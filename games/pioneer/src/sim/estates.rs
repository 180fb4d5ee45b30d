//! What the simulator checks of estates: a chunk belongs to one estate at most, and estate, land and owner agree; and nobody has changed
//! land without the right to.

use std::collections::{BTreeMap, BTreeSet};

use gundo::sim::{EventType, Facts};
use gundo::{ChunkId, EntityId, Message, Payload, Point, State};

use crate::estate::{Act, DEEDS_MAX, ESTATE_CHUNKS_MAX, Estate};
use crate::geometry::Rect;
use crate::land::Land;
use crate::schema::{
    BuildingRaised, EstateState, LandState, Level, PlayerState, Right, Terms, estate_event, land_event::Event,
};

/// All that was ever an owner of an estate, as far as its events tell.
type Owners = BTreeMap<u64, Option<BTreeSet<u64>>>;

pub(super) fn check(facts: &Facts<'_>, players: &BTreeMap<u64, PlayerState>) -> Result<(), String> {
    let (mut plots, mut owners) = (BTreeMap::new(), Owners::new());
    for (id, state) in facts.states(Estate::KIND) {
        let estate = EstateState::decode(state).map_err(|e| e.to_string())?;
        if estate.plots.len() > ESTATE_CHUNKS_MAX {
            return Err(format!("{id} has {} chunks", estate.plots.len()));
        }
        for plot in &estate.plots {
            if let Some((other, _)) = plots.insert(plot.chunk, (id.id, plot.told)) {
                return Err(format!("chunk {:x} is in two estates, {other:x} and {:x}", plot.chunk, id.id));
            }
        }
        let owner = estate.owner.as_ref().map(|owner| owner.id);
        let has = |player: u64| players.get(&player).is_some_and(|player| player.deeds.contains(&id.id));
        if owner.is_some_and(|owner| !has(owner)) {
            return Err(format!("{id} belongs to {owner:x?}, which has no deed"));
        }
        if let Some(other) = players.keys().find(|player| Some(**player) != owner && has(**player)) {
            return Err(format!("{other:x} has the deed of {id}, which belongs to {owner:x?}"));
        }
        owners.insert(id.id, owners_of(id, facts));
    }
    for (id, player) in players {
        let deeds: BTreeSet<u64> = player.deeds.iter().copied().collect();
        if deeds.len() < player.deeds.len() || deeds.len() > DEEDS_MAX {
            return Err(format!("{id:x} has the deeds {:x?}", player.deeds));
        }
        if let Some(deed) = deeds.iter().find(|deed| !owners.contains_key(deed)) {
            return Err(format!("{id:x} has the deed {deed:x}, of which there is nothing"));
        }
    }
    for (id, state) in facts.states(Land::KIND) {
        let terms = LandState::decode(state).map_err(|e| e.to_string())?.terms;
        let (mine, listed) = (terms.map(|terms| (terms.estate, terms.version)), plots.remove(&id.id));
        if mine != listed {
            return Err(format!("{id} belongs to {mine:x?}, and is listed as {listed:x?}"));
        }
        changes_by_right(id, facts, &owners)?;
    }
    match plots.first_key_value() {
        Some((chunk, (estate, _))) => Err(format!("{estate:x} lists chunk {chunk:x}, which knows nothing")),
        None => Ok(()),
    }
}

/// `None`: some of its events were pruned.
fn owners_of(id: EntityId, facts: &Facts<'_>) -> Option<BTreeSet<u64>> {
    let events = facts.events(id);
    let is_whole = events.first().is_none_or(|(seq, _)| *seq == 1);
    let games = events.iter().filter(|(_, event)| event.event_type == EventType::Game);
    let owner = |payload: &[u8]| match estate_event::Event::from_bytes(payload).ok().flatten() {
        Some(estate_event::Event::Claimed(claimed)) => claimed.owner,
        Some(estate_event::Event::Sold(sold)) => sold.to,
        _ => None,
    };
    is_whole.then(|| games.filter_map(|(_, event)| owner(&event.payload)).map(|owner| owner.id).collect())
}

/// The events of land say by which right somebody did something, and on which terms.
fn changes_by_right(id: EntityId, facts: &Facts<'_>, owners: &Owners) -> Result<(), String> {
    let events = facts.events(id);
    // Of pruned events nothing is known: the terms are, from the next change on.
    let mut known = events.first().is_none_or(|(seq, _)| *seq == 1);
    let mut terms: Option<Terms> = None;
    let mut built: Vec<BuildingRaised> = Vec::new();
    for (seq, event) in events.iter().filter(|(_, event)| event.event_type == EventType::Game) {
        let Some(event) = Event::from_bytes(&event.payload).ok().flatten() else { continue };
        let (act, right, by, is_here) = match &event {
            Event::Terms(new) => {
                (known, terms) = (true, Some(new.clone()));
                continue;
            }
            Event::Freed(_) => {
                (known, terms) = (true, None);
                continue;
            }
            Event::Taken(taken) => (Act::Gather, taken.right(), taken.by, true),
            Event::Raised(raised) => {
                built.push(*raised);
                (Act::Build, raised.right(), raised.owner, covers(raised, id))
            }
            Event::Razed(razed) => {
                let Some(at) = built.iter().position(|b| (b.x, b.y) == (razed.x, razed.y)) else { continue };
                let raised = built.remove(at);
                let is_builder = raised.owner == razed.by;
                if is_builder != (razed.right() == Right::Builder) {
                    return Err(format!("{id}, event {seq}: taken down as its builder: {razed:?}"));
                }
                (Act::Demolish, razed.right(), razed.by, !is_builder && covers(&raised, id))
            }
        };
        if known && is_here && !allows(terms.as_ref(), act, right, by, owners) {
            return Err(format!("{id}, event {seq}: {terms:?} does not allow {event:?}"));
        }
    }
    Ok(())
}

fn covers(raised: &BuildingRaised, id: EntityId) -> bool {
    let plan = Rect::plan(raised.what(), Point::new(raised.x, raised.y), raised.rotation);
    plan.is_some_and(|plan| plan.overlaps(&Rect::chunk(ChunkId::from_u64(id.id))))
}

fn allows(terms: Option<&Terms>, act: Act, right: Right, by: u64, owners: &Owners) -> bool {
    let Some(terms) = terms else { return right == Right::None && act != Act::Demolish };
    let level = terms.rights.as_ref().map_or(Level::Owner, |rights| rights.level(act));
    match right {
        Right::Deed => {
            owners.get(&terms.estate).is_some_and(|all| all.as_ref().is_none_or(|all| all.contains(&by)))
        }
        Right::Friend => level >= Level::Friends,
        Right::Guild => level >= Level::Guild,
        Right::Everybody => level == Level::Everybody,
        Right::None | Right::Builder => false,
    }
}
