//! Whether all pictures are right, when all is quiet: owners show what the journal says, and every client nearby sees exactly that.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use gundo_types::{Body, ChunkId, EntityId};

use crate::judge::{Guarantee, Verdict, violated};
use crate::people::Client;
use crate::world::World;

/// What is shown of an entity, and where.
#[derive(Clone, Copy, Debug)]
struct Shown<'a> {
    chunk: ChunkId,
    public: &'a Bytes,
    body: Option<Body>,
}

/// Everything that anybody should see, by place: a client looks only at what is around it.
struct Sights<'a> {
    shown: BTreeMap<EntityId, Shown<'a>>,
    /// The same, by chunk.
    there: HashMap<ChunkId, Vec<EntityId>>,
    /// What stands somewhere by its events.
    standing: HashMap<ChunkId, Vec<(EntityId, Body)>>,
}

/// Everything that is seen is as its owner has it, near or watched.
pub(super) fn pictures_and_watches(world: &World) -> Verdict {
    let sights = sights(world)?;
    let clients = world.clients.iter().filter(|c| c.session.is_live());
    clients.into_iter().try_for_each(|client| picture(world, &sights, client))?;
    world.check_watched()
}

/// What the owners show. It must be what the journal says.
fn sights(world: &World) -> Result<Sights<'_>, crate::judge::Violation> {
    let now = world.world_time();
    let mut sights = Sights { shown: BTreeMap::new(), there: HashMap::new(), standing: HashMap::new() };
    for node in world.nodes.values() {
        for real in node.kernel.reals() {
            let name = || world.judge.name(real.id);
            let Some((chunk, public, body)) = real.shown else { continue };
            if sights.shown.insert(real.id, Shown { chunk, public, body }).is_some() {
                return violated(Guarantee::G8, format!("{} is shown by two nodes", name()));
            }
            sights.there.entry(chunk).or_default().push(real.id);
            if world.judge.knows(real.id) && world.judge.public(real.id, now).as_ref() != Some(public) {
                return violated(Guarantee::G8, format!("{} is not shown as its events make it", name()));
            }
        }
    }
    for (id, chunk, body) in world.judge.standing(now) {
        sights.standing.entry(chunk).or_default().push((id, body));
    }
    Ok(sights)
}

/// What a client sees is what is there.
fn picture(world: &World, sights: &Sights<'_>, client: &Client) -> Verdict {
    let Some(me) = client.session.player() else { return Ok(()) };
    let name = &world.people[client.person].name;
    let Some(here) = sights.shown.get(&me) else {
        return violated(Guarantee::G8, format!("{name} is in the world and not shown"));
    };
    let sure = world.plan.world.sight_chunks.into_iter().max().unwrap_or(0).saturating_sub(1);
    for chunk in around(here.chunk, sure) {
        let standing = sights.standing.get(&chunk).into_iter().flatten();
        for (id, body) in standing {
            let shown = sights.shown.get(id);
            if shown.is_none_or(|shown| shown.body.as_ref() != Some(body)) {
                let text = format!(
                    "{} stands in chunk {} {} by its events at {body:?}, where {name} looks, and is shown as {shown:?}",
                    world.judge.name(*id),
                    chunk.x,
                    chunk.y,
                );
                return violated(Guarantee::G8, text);
            }
        }
        for id in sights.there.get(&chunk).into_iter().flatten() {
            sees(world, client, *id, &sights.shown[id])?;
        }
    }
    let gone = |id: &EntityId| !sights.shown.contains_key(id) && !is_child(world, *id);
    if let Some((id, _)) = client.picture.entities().find(|(id, _)| gone(id)) {
        return violated(Guarantee::G8, format!("{name} sees {}, which is not there", world.judge.name(id)));
    }
    if world.judge.private(me).as_ref() != Some(&client.own) {
        let text = format!("{name} has a private state that differs from the journal's");
        return violated(Guarantee::G8, text);
    }
    Ok(())
}

/// A client sees an entity as it is shown.
fn sees(world: &World, client: &Client, id: EntityId, shown: &Shown<'_>) -> Verdict {
    let (name, Shown { chunk, public, body }) = (&world.people[client.person].name, shown);
    let Some(seen) = client.picture.entity(id) else {
        let (x, y) = (chunk.x, chunk.y);
        let text = format!("{name} does not see {} in chunk {x} {y}", world.judge.name(id));
        return violated(Guarantee::G8, text);
    };
    if seen.public != **public || seen.body != *body {
        let text = format!(
            "{name} sees {} at {:?}, it is at {body:?}{}",
            world.judge.name(id),
            seen.body,
            if seen.public == **public { "" } else { ", and it looks different" }
        );
        return violated(Guarantee::G8, text);
    }
    Ok(())
}

/// The chunks at most `steps` away from `center`, row by row.
fn around(center: ChunkId, steps: u32) -> impl Iterator<Item = ChunkId> {
    let steps = i16::try_from(steps).unwrap_or(i16::MAX);
    let along = move |at: i16| at.saturating_sub(steps)..=at.saturating_add(steps);
    along(center.y).flat_map(move |y| along(center.x).map(move |x| ChunkId { x, y, ..center }))
}

/// Creatures are not entities of their own: their parents show them.
fn is_child(world: &World, id: EntityId) -> bool {
    world.nodes.values().next().is_some_and(|n| !n.kernel.inside().has_kind(id.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_a_chunk_are_those_within_so_many_steps() {
        let center = ChunkId { island: 3, x: -1, y: i16::MAX };
        let near: Vec<_> = around(center, 1).collect();
        assert_eq!(near.len(), 6, "the world ends there");
        assert!(near.iter().all(|chunk| chunk.steps_to(center).is_some_and(|steps| steps <= 1)));
        assert_eq!(around(center, 0).collect::<Vec<_>>(), [center]);
    }
}
