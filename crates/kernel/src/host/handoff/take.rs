//! The new owner of a handoff: it unpacks the offer, claims the player at its home, and owns it once the home grants it.

use gundo_types::{EntityId, NodeId, Term, Time};

use crate::core::Timer;
use crate::game::{Role, Rule, Rules, guard};
use crate::host::arriving::{Arriving, not_here};
use crate::host::desk::Rooms;
use crate::host::entity::Entity;
use crate::host::phase::{Life, Phase};
use crate::host::room::Host;
use crate::peer::{HandoffMessage, Image, Peer, ToEdge};

/// No stream is that long.
const SEQ_MAX: u64 = 1 << 62;
/// More than any window of answers.
const UNRECORDED_MAX: usize = 1_024;
/// More than any grace time, ms: a week.
const GRACE_LEFT_MS_MAX: u64 = 7 * 24 * 3_600_000;

impl Host {
    pub(super) fn on_image(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        from: (NodeId, Term),
        image: Image,
    ) {
        let players = self.desk.players + self.arrivals.len();
        let waiting = self.arrivals.outdo(id, from.1);
        let full = self.arrivals.is_full() || players > image.players_max;
        let closes = rooms.core.stopping || rooms.core.is_draining() || rooms.core.is_off();
        let known = self.arrivals.has(id) || self.holds(id);
        let rules = rooms.core.settings.rules.clone();
        let is_player = id.kind == rules.player_kind();
        let takes = !full && !closes && !known && is_player && is_sound(&image);
        let entity = if takes { unpack(&rules, id, image, rooms.core.now.time) } else { None };
        let Some(entity) = entity else {
            not_here(rooms.core, id, waiting);
            let message = HandoffMessage::Refused;
            return rooms.core.send(from.0, Peer::Handoff { entity: id, term: from.1, message });
        };
        self.arrivals.insert(rooms.core, from, entity, waiting);
    }

    /// The home has granted it: it is real here. False: this node has no such claim (any more).
    pub(super) fn on_claimed(
        &mut self,
        rooms: &mut Rooms<'_>,
        id: EntityId,
        claimed: Term,
        term: Term,
    ) -> bool {
        if self.with(rooms, id, |entity, _| entity.term = entity.term.max(term)).is_some() {
            return true;
        }
        if !self.arrivals.is_claimed(id, claimed) {
            return false;
        }
        let Arriving { mut entity, waiting, .. } = self.arrivals.take(id).expect("just seen");
        assert!(entity.id == id && entity.life.is(Phase::Live), "{id}: an arrival is live");
        entity.term = term;
        // It counts as a new load, so that failed appends of an earlier load here do not bar its own.
        entity.load = rooms.core.next_load();
        self.insert(entity);
        self.with(rooms, id, |entity, cx| {
            let player = entity.player.as_ref().expect("only players arrive");
            let leave_at = player.leave_at;
            if let Some(center) = player.stands_around() {
                cx.crowd.interest.set_player(center, true);
            }
            if entity.is_outdated(cx) {
                entity.load_again(cx);
            }
            entity.refresh(cx);
            entity.forget_owed(cx);
            entity.forget_timers(cx.core);
            entity.list_alarm(cx);
            entity.send_mail(cx);
            cx.crowd.publisher.announce(cx.core, id);
            match (entity.line(), leave_at) {
                (Some(line), _) if cx.core.view.members.iter().any(|m| m.node == line.edge) => {
                    let holder = cx.core.me();
                    entity.tell_edge(cx, line, ToEdge::MovedTo { holder, term });
                }
                (Some(line), _) => entity.on_line_gone(cx, line, false),
                (None, Some(at)) => cx.core.at(at, Timer::Grace(id)),
                (None, None) => {}
            }
        });
        for (line, message) in waiting {
            self.handle_player(rooms, id, line, message);
        }
        true
    }

    /// Its owner does not have that term any more.
    pub(super) fn on_claim_refused(&mut self, rooms: &mut Rooms<'_>, id: EntityId, claimed: Term) {
        if self.arrivals.is_claimed(id, claimed) {
            self.arrivals.forget(rooms.core, id);
        } else {
            rooms.core.note_stale();
        }
    }
}

/// Whether an image is plausible: no number computed from it overflows.
fn is_sound(image: &Image) -> bool {
    image.snapshot_seq <= image.seq
        && image.seq <= SEQ_MAX
        && image.unrecorded.len() <= UNRECORDED_MAX
        && image.grace_left_ms.is_none_or(|ms| ms <= GRACE_LEFT_MS_MAX)
        && image.body.is_none_or(|b| b.heading < 128 && b.speed < 128)
}

/// The player as it was at its old owner. `None`: this node cannot read it.
fn unpack(rules: &Rules, id: EntityId, image: Image, now: Time) -> Option<Entity> {
    let ago = |us: u64| Time(now.0.saturating_sub(us));
    let mut entity = Entity::new(id, Role::Player, Term::default(), now);
    let kind = rules.kind_of(id.kind)?;
    let (durable, player) = (&mut entity.durable, &mut entity.player);
    guard(id, Rule::Restore, || durable.restore_snapshot(id, kind, player.as_deref_mut(), &image.snapshot))
        .ok()?
        .ok()?;
    entity.life = Life::arrived();
    (durable.seq, durable.snapshot_seq, durable.last_at) = (image.seq, image.snapshot_seq, image.last_at);
    durable.known = image.seq;
    entity.body = image.body;
    let player = player.as_mut()?;
    (player.line, player.present, player.center) = (image.line, image.present, image.center);
    player.leave_at = image.grace_left_ms.map(|ms| now.plus_ms(ms));
    player.last_seq = image.last_seq;
    player.unrecorded = image.unrecorded.into();
    player.paces = image.paces;
    player.credit_mm = image.credit_mm;
    (player.moved_at, player.placed_at) = (ago(image.rested_us), ago(image.placed_us));
    Some(entity)
}
