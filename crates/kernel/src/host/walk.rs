//! A body that moves: volatile, checked against time, speed and the game's own rule.

use bytes::Bytes;
use gundo_types::{Body, ChunkId, Planted, Point, WorldTime};

use super::desk::{Cx, context};
use super::entity::Entity;
use super::phase::Phase;
use super::queue::Resume;
use super::storage::Room;
use super::vicinity::Vicinity;
use crate::game::{Refusal, Rule, game_error, guard};
use crate::peer::{LATE_MS_MAX, Line, Placed, ToEdge};

/// How far outside its chunk a body must be before the sight moves along, mm: walking along a border changes nothing.
const CENTER_SLACK_MM: i32 = 3_000;
/// A player saves up the movement of so much time, µs, because packets come in bursts.
pub(super) const SAVED_US: u64 = 1_000_000;
/// A player may walk on for so long while no owner checks its client's moves, ms. After that it is corrected.
const UNCHECKED_MS_MAX: u64 = 60_000;
/// An event so shortly before the last owner was lost is newer than what that owner showed last, ms: the clocks of nodes differ.
const RECENT_MS: u64 = 1_000;

impl Entity {
    /// A client's move. Volatile: nothing is recorded.
    ///
    /// A move counts for the time at which it may have been made. The client was silent for `late_ms` before this one, or there was
    /// no connection: then its moves of that time come now, all at once.
    pub(super) fn walk(&mut self, cx: &mut Cx<'_>, line: Line, seq: u32, (wish, late_ms): (Body, u64)) {
        if cx.core.planted(Planted::MotionWaits) && cx.room() == Room::Busy {
            return;
        }
        let Some(player) = &self.player else { return cx.core.note_nonsense() };
        if player.line != Some(line) && !cx.core.planted(Planted::OldLineObeyed) {
            return self.turn_line_away(cx, line, None);
        }
        if self.life.is(Phase::Frozen) {
            return cx.desk.departures.walked(self.id, line, seq, wish);
        }
        let (now, world) = (cx.core.now.time, cx.core.now.world);
        let Some(player) = &mut self.player else { return };
        let quiet_ms = player.quiet_since.take().map_or(0, |since| world - since);
        if late_ms > 0 || quiet_ms > 0 {
            let silent_ms = late_ms.max(quiet_ms).min(LATE_MS_MAX);
            player.late_until = player.late_until.max(now.plus_ms(silent_ms));
        }
        let mut saved_us = SAVED_US + player.late_until.since(now);
        if cx.core.planted(Planted::LateForever) {
            saved_us = 60 * SAVED_US;
        }
        if let Err((body, refusal)) = self.step(cx, wish, saved_us) {
            let code = refusal.code.into_owned();
            self.tell_edge(cx, line, ToEdge::Correction { seq, body, code });
        }
    }

    /// Puts a player whose session goes on here where it was accepted last, unless it arrived with its body. Returns that place,
    /// and of how much time it may make up the movement to get where its client is by now, µs.
    ///
    /// Nobody has checked that client since the player's last owner. So the place is what that owner showed, or what the journal
    /// recorded if that is newer, and never what the client says.
    pub(super) fn stand_again(&mut self, cx: &mut Cx<'_>, resume: &Resume) -> Result<(Body, u64), Refusal> {
        let now = cx.core.now.world;
        let waited_ms = (now - resume.since).min(UNCHECKED_MS_MAX);
        let outdated = self.player.as_mut().is_some_and(|player| std::mem::take(&mut player.outdated));
        if let Some(body) = self.body.filter(|_| !outdated || resume.seen.is_none()) {
            return Ok((body, SAVED_US + waited_ms * 1_000));
        }
        let recorded = self.player.as_ref().and_then(|player| player.placed());
        let seen = resume.seen.filter(|_| self.durable.last_at + RECENT_MS < resume.since);
        let (body, walked_ms) = match (seen, recorded) {
            _ if cx.core.planted(Planted::ForgedPlace) => (resume.wish, waited_ms),
            (Some(seen), _) => (seen, waited_ms),
            // While it changes, a place is recorded at least so often.
            (None, Some(place)) => {
                let walked_ms = cx.core.world().place_every_ms.saturating_add(waited_ms);
                (place, walked_ms.min(now - self.durable.last_at))
            }
            (None, None) => (self.spawn(cx)?, 0),
        };
        self.body = Some(Body { speed: 0, ..body });
        if let Some(player) = &mut self.player {
            player.credit_mm = u64::MAX;
        }
        Ok((body, SAVED_US + walked_ms * 1_000))
    }

    /// Where the player of a new connection stands: where it is, or where its last owner saw it, if no event is newer than that.
    /// Since then no move has arrived.
    pub(super) fn stood_last(&mut self, cx: &Cx<'_>, kept: Option<Placed>) -> Option<Body> {
        let (now, world) = (cx.core.now.time, cx.core.now.world);
        let kept = kept.filter(|kept| kept.at > self.durable.last_at && kept.at <= world);
        let player = self.player.as_mut()?;
        match (self.body, kept) {
            (Some(body), _) => {
                let since_ms = now.since(player.moved_at) / 1_000;
                player.quiet_since = player.present.then_some(WorldTime(world.0.saturating_sub(since_ms)));
                Some(body)
            }
            (None, Some(kept)) => {
                // All the way that it may have gone since, and no more: `walk` bounds it by that time.
                (player.credit_mm, player.quiet_since) = (u64::MAX, Some(kept.at));
                Some(kept.body)
            }
            (None, None) => None,
        }
    }

    /// Once per second: seals the place of a player that has walked, for its client to keep.
    pub(super) fn seal_place(&mut self, cx: &mut Cx<'_>) {
        let (id, at) = (self.id, cx.core.world_time_from(self.durable.last_at));
        let (Some(player), Some(body)) = (&mut self.player, self.body) else { return };
        let Some(line) = player.line.filter(|_| player.present && player.sealed != Some(body.at)) else {
            return;
        };
        player.sealed = Some(body.at);
        let sealed = Placed { at, body }.seal(&cx.core.settings.secret, id);
        self.tell_edge(cx, line, ToEdge::Seal(Bytes::copy_from_slice(&sealed)));
    }

    /// Moves the body to the wish, or returns where it stays and why. Does nothing before the player has entered the world.
    /// `saved_us`: of how much time the player may use up the movement that it has not made.
    pub(super) fn step(&mut self, cx: &mut Cx<'_>, wish: Body, saved_us: u64) -> Result<(), (Body, Refusal)> {
        let (Some(player), Some(state)) = (&mut self.player, self.durable.loaded()) else { return Ok(()) };
        let Some(from) = self.body.filter(|_| player.present && !self.life.is(Phase::Loading)) else {
            return Ok(());
        };
        if self.life.is(Phase::Suspended) {
            return Err((from, Refusal::new("suspended", "Your player rests.")));
        }
        let now = cx.core.now.time;
        let wish =
            Body { island: from.island, heading: wish.heading & 127, speed: wish.speed.min(127), ..wish };
        let mut failed = None;
        let speed_max =
            guard(self.id, Rule::SpeedMax, || state.speed_max()).map_err(|_| failed = Some("speed_max"));
        let speed_max = u64::from(speed_max.unwrap_or(0));
        let way_mm = |us: u64| us.saturating_mul(speed_max) / 1_000_000;
        let gained = way_mm(now.since(player.moved_at));
        player.credit_mm = player.credit_mm.saturating_add(gained).min(way_mm(saved_us));
        player.moved_at = now;
        let distance = from.at.distance(wish.at);
        let fast = distance > player.credit_mm && !cx.core.planted(Planted::SpeedUnchecked);
        let verdict = if fast {
            Err(Refusal::new("too_fast", "Nobody runs that fast."))
        } else if cx.core.planted(Planted::WallsIgnored) {
            Ok(())
        } else {
            let place = (self.id, Some(from), self.durable.last_at);
            let eyes = Vicinity::of(&cx.crowd.interest, self.id, player.stands_around());
            let mut rules = context(cx.core, &eyes, place, None);
            guard(self.id, Rule::Walk, || state.walk(&from, &wish, &mut rules)).unwrap_or_else(|_| {
                failed = Some("walk");
                Err(game_error())
            })
        };
        if verdict.is_ok() {
            let walked = distance <= player.credit_mm || cx.core.planted(Planted::SpeedUnchecked);
            assert!(walked, "no move exceeds the credit");
            player.credit_mm = player.credit_mm.saturating_sub(distance);
            self.body = Some(wish);
            cx.core.counters.moves += 1;
            cx.crowd.publisher.move_to(self.id, Some(wish));
            if from.chunk() != wish.chunk() {
                cx.crowd.publisher.announce(cx.core, self.id);
            }
            self.follow(cx, wish);
        } else {
            cx.core.counters.corrections += 1;
        }
        if let Some(doing) = failed {
            self.on_game_panic(cx, doing);
        }
        verdict.map_err(|refusal| (from, refusal))
    }

    /// Puts the body elsewhere, as a durable event says.
    pub(super) fn put_body(&mut self, cx: &mut Cx<'_>, body: Body) {
        self.body = Some(body);
        let line = self.line();
        self.show(cx);
        self.follow(cx, body);
        if let Some(line) = line {
            let code = "moved".to_owned();
            self.tell_edge(cx, line, ToEdge::Correction { seq: 0, body, code });
        }
    }

    /// Lets the sight follow a body that has left its chunk.
    fn follow(&mut self, cx: &mut Cx<'_>, body: Body) {
        let Some(player) = &mut self.player else { return };
        let Some(center) = player.stands_around() else { return };
        if center.island == body.island && is_about(center, body.at) {
            return;
        }
        let next = body.chunk();
        assert!(is_about(next, body.at), "the sight is centred on the player");
        player.center = Some(next);
        cx.crowd.interest.set_player(center, false);
        cx.crowd.interest.set_player(next, true);
        if let Some(line) = self.line() {
            self.tell_edge(cx, line, ToEdge::Center(next));
        }
    }
}

/// Whether `at` is in `center` or hardly outside it.
fn is_about(center: ChunkId, at: Point) -> bool {
    let corner = center.corner();
    let range = -CENTER_SLACK_MM..gundo_types::CHUNK_MM + CENTER_SLACK_MM;
    range.contains(&at.x.saturating_sub(corner.x)) && range.contains(&at.y.saturating_sub(corner.y))
}
