//! The checker of places: nobody is ever anywhere that speed, walls and time do not allow.
//!
//! It looks at the bodies that owners show, at every step of the run. While one node owns a player without a break, it may go as far
//! as its speed allows in the time since, plus what it may have saved up. After a takeover, a resume or a crash it may stand where it
//! was shown before, or as far from there as its speed allows in the time for which no owner was there, plus [`FORGIVEN_US`]; or as far
//! from the place that the journal has as its speed allows in the time since that was recorded. It never stands where the
//! game says that nobody can. See "Places" in docs/protocols-between-nodes.md.

use std::collections::BTreeMap;

use gundo_kernel::RealState;
use gundo_types::{EntityId, Point, Time, WorldTime};

use super::{Key, World};
use crate::judge::{Guarantee, Verdict, violated};
use crate::plan::Dial;

/// A player saves up the movement of one second, and that of 4 s for which its line was silent; its node measures time in steps, µs.
const SAVED_US: u64 = 5_200_000;
/// What nobody can know after a takeover, µs: the second saved up, and by how much the world clocks of two nodes may differ.
const FORGIVEN_US: u64 = 5_000_000;
/// The clock of a node runs up to a tenth faster, %.
const FASTEST_PERCENT: u64 = 110;
/// A place closer to the last one noted is not noted.
const NOTED_MM: u64 = 300;

/// Where players were.
#[derive(Default)]
pub(super) struct Places {
    tracks: BTreeMap<EntityId, Track>,
    look: u64,
    /// Bodies looked at.
    pub(super) looked: u64,
}

/// The way of one player.
struct Track {
    holder: Key,
    /// The last look at which it was there.
    look: u64,
    at_us: u64,
    /// When it last moved.
    moved_us: u64,
    at: Point,
    /// How far it may go at once.
    credit_mm: u64,
    /// When its session last went on at its node, by that node's time: its place was judged then as after a takeover.
    resumed_at: Time,
    /// What the journal had of it then.
    recorded: Option<(WorldTime, Point)>,
    /// Where it was.
    been: Vec<Point>,
}

impl World {
    /// Whether owners that live may be out of reach of edges.
    fn links_fail(&self) -> bool {
        use Dial::{Apart, Cut, Delay, Forget, Hang, OneWay, Partition, Pause, Reset, Scatter, Zombie};
        let dials = [Apart, Cut, Delay, Forget, Hang, OneWay, Partition, Pause, Reset, Scatter, Zombie];
        dials.iter().any(|dial| self.plan.dials.contains_key(dial))
    }

    /// Looks at everybody.
    pub(crate) fn check_places(&mut self) -> Verdict {
        let (player, now) = (self.rules.player_kind(), self.now);
        let mut places = std::mem::take(&mut self.places);
        places.look += 1;
        let mut verdict = Ok(());
        for (key, node) in self.nodes.iter().filter(|(_, node)| self.is_member(node)) {
            let obeys = |r: &RealState<'_>| r.id.kind == player && !r.frozen && !r.loading;
            for real in node.kernel.reals().filter(obeys) {
                let Some((.., Some(body))) = real.shown else { continue };
                if let Err(why) = places.see(self, *key, &real, body.at, now)
                    && verdict.is_ok()
                {
                    let name = self.judge.name(real.id);
                    let text = format!("{name} on n{} {why}", key.node);
                    verdict = violated(Guarantee::G8, text);
                }
            }
        }
        self.places = places;
        verdict
    }
}

impl Places {
    /// A player is seen.
    fn see(
        &mut self,
        world: &World,
        holder: Key,
        real: &RealState<'_>,
        at: Point,
        now: u64,
    ) -> Result<(), String> {
        let (id, resumed_at) = (real.id, real.resumed_at);
        self.looked += 1;
        let way_mm = |us: u64| us.saturating_mul(u64::from(world.speed)) / 1_000_000 * FASTEST_PERCENT / 100;
        let look = self.look;
        let stands = || match world.game.may_stand(world.plan.seed, at) {
            true => Ok(()),
            false => Err(format!("stands at {} {}, where nobody can", at.x, at.y)),
        };
        let Some(track) = self.tracks.get_mut(&id) else {
            let track = Track {
                holder,
                look,
                at_us: now,
                moved_us: now,
                at,
                credit_mm: way_mm(SAVED_US),
                resumed_at,
                recorded: world.judge.placed(id),
                been: vec![at],
            };
            self.tracks.insert(id, track);
            return stands();
        };
        let kept = track.holder == holder && track.look + 1 == look;
        let stays = kept && track.resumed_at == resumed_at;
        let moved_mm = track.at.distance(at);
        let may_mm = track.credit_mm.saturating_add(way_mm(now - track.at_us));
        if stays && moved_mm > may_mm {
            return Err(format!(
                "went {moved_mm} mm from {} {} to {} {} in {} ms, and may go {may_mm}",
                track.at.x,
                track.at.y,
                at.x,
                at.y,
                (now - track.at_us) / 1_000
            ));
        }
        // For so long nobody may have checked its client's moves: since its owner was last there, or, if that could not be reached or
        // its edge did not know that it could, since it last moved.
        let since = if kept || world.links_fail() { track.moved_us } else { track.at_us };
        let near = |been: &Point| been.distance(at) <= way_mm(now - since + FORGIVEN_US);
        // What was recorded since then may be a lie already.
        let recorded = track.recorded.is_some_and(|(then, place)| {
            let ago_us = world.world_time().0.saturating_sub(then.0) * 1_000;
            place.distance(at) <= way_mm(ago_us + FORGIVEN_US)
        });
        if !stays && !recorded && !track.been.iter().rev().any(near) {
            return Err(format!(
                "is at {} {} after a takeover, and was at {} {} before, {} ms ago",
                at.x,
                at.y,
                track.at.x,
                track.at.y,
                (now - track.at_us) / 1_000
            ));
        }
        let credit_mm = if stays { may_mm - moved_mm } else { u64::MAX };
        track.credit_mm = credit_mm.min(way_mm(SAVED_US));
        (track.holder, track.look, track.at_us, track.at) = (holder, look, now, at);
        track.resumed_at = resumed_at;
        track.recorded = world.judge.placed(id);
        if moved_mm > 0 {
            track.moved_us = now;
        }
        if track.been.last().is_none_or(|been| been.distance(at) >= NOTED_MM) {
            track.been.push(at);
        }
        if moved_mm > 0 { stands() } else { Ok(()) }
    }
}
