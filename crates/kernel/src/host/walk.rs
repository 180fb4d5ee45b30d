//! A body that moves: volatile, checked against time, speed and the game's own rule.

use gundo_types::{Body, ChunkId, Planted, Point};

use super::desk::{Cx, context};
use super::entity::Entity;
use super::phase::Phase;
use super::queue::Resume;
use super::storage::Room;
use super::vicinity::Vicinity;
use crate::game::{Refusal, Rule, game_error, guard};
use crate::peer::{Line, ToEdge};

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
    pub(super) fn walk(&mut self, cx: &mut Cx<'_>, line: Line, seq: u32, wish: Body) {
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
        if let Err((body, refusal)) = self.step(cx, wish, SAVED_US) {
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
