//! The players, and the connections they use.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gundo_bots::{Behaviour, Chance, Wishes};
use gundo_client::{CommandId, Picture, Session};
use gundo_types::{Body, ConnId, EntityId, Point};
use gundo_wire::client::Command;

use crate::plan::Role;
use crate::world::Key;

/// Commands a client remembers, to resend one.
const SAID_MAX: usize = 40;
/// Commands a mind may have open; further ones are dropped.
pub(crate) const OPEN_MAX: usize = 40;

/// A player, over all its connections.
pub(crate) struct Person {
    /// The name in its hello.
    pub(crate) name: String,
    /// How many of its names were taken.
    pub(crate) names_tried: u32,
    pub(crate) role: Role,
    pub(crate) nonce: [u8; 16],
    pub(crate) id: Option<EntityId>,
    pub(crate) mind: Box<dyn Behaviour>,
    pub(crate) wishes: Wishes,
    /// Its current client; older ones may still exist.
    pub(crate) current: Option<usize>,
    /// Whether it wants to be in the world.
    pub(crate) wants_in: bool,
    /// Its keys, newest last.
    pub(crate) tokens: Vec<Bytes>,
    /// The newest place that its client has kept sealed.
    pub(crate) place: Bytes,
    pub(crate) last_step: u64,
    /// A traveller's goal.
    pub(crate) goal: Option<Point>,
    pub(crate) absence: Absence,
    /// It leaves for good, or has left.
    pub(crate) quits: bool,
}

/// Whether a player may have left the world. A player with a connection is in it; one that loses its connection stays for
/// its grace time.
#[derive(Default)]
pub(crate) struct Absence {
    /// When it last received something on a connection on which it had been welcomed.
    told_at: u64,
    /// The last moment at which it may have been away.
    until: u64,
}

/// For how long a member that others have removed may still serve its clients after these count as disconnected, µs.
const REMOVED_US: u64 = 7_000_000;
/// A departure is visible once the journal has it, at most this much later (or the check is skipped), µs.
const TOLD_LATE_US: u64 = 15_000_000;

impl Absence {
    /// It receives something.
    pub(crate) fn told(&mut self, now: u64, grace_us: u64) {
        if self.may_be_over(now, grace_us) {
            self.until = now;
        }
        self.told_at = now;
    }

    /// It logs out.
    pub(crate) fn leaves(&mut self, now: u64) {
        (self.told_at, self.until) = (0, now);
    }

    fn may_be_over(&self, now: u64, grace_us: u64) -> bool {
        now - self.told_at >= grace_us.saturating_sub(REMOVED_US)
    }

    /// Whether clients may hear now that it has left.
    pub(crate) fn is_possible(&self, now: u64, grace_us: u64) -> bool {
        self.may_be_over(now, grace_us) || now < self.until + TOLD_LATE_US
    }
}

/// One run of a client program: a session and its picture.
pub(crate) struct Client {
    pub(crate) person: usize,
    pub(crate) session: Session,
    pub(crate) picture: Picture,
    pub(crate) conn: Option<(Key, ConnId)>,
    /// The last private state it received.
    pub(crate) own: Bytes,
    /// What it was last shown of what it watches, since its last welcome.
    pub(crate) watched: BTreeMap<EntityId, Option<Bytes>>,
    /// What a cheat asked to watch on its connection without its program.
    pub(crate) sneaked: Vec<(ConnId, EntityId)>,
    pub(crate) tags: VecDeque<(CommandId, u64)>,
    pub(crate) said: VecDeque<Command>,
    /// Shortest time for a message to the server and back, µs.
    pub(crate) distance_us: u64,
    pub(crate) up_at: u64,
    pub(crate) down_at: u64,
    /// It reads nothing until it catches up.
    pub(crate) lagging: bool,
    /// When it last had caught up, or was welcome, µs.
    pub(crate) caught_up: u64,
    pub(crate) timer: Option<u64>,
    pub(crate) token_used: Bytes,
}

impl Client {
    pub(crate) fn remember(&mut self, command: &Command) {
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back(command.clone());
    }
}

impl Person {
    /// A step of its mind. `sight`: what its client sees. `crowd`: where the crowd gathers. `speed`: how fast it may walk, mm/s.
    pub(crate) fn think(
        &mut self,
        open: usize,
        sight: &Picture,
        crowd: Option<Point>,
        speed: u32,
    ) -> (Option<Body>, Vec<(u64, Bytes)>) {
        /// Within this distance of the crowd's place it plays.
        const CROWD_MM: u64 = 20_000;
        /// A traveller walks and plays alternately, each for this long, ms.
        const TURN_MS: u64 = 10_000;
        /// A traveller's next goal is at most this far away.
        const FAR_MM: i32 = 300_000;
        self.wishes.open = open;
        if self.mind.looks() {
            self.mind.handle_sight(sight);
        }
        self.mind.step(&mut self.wishes);
        let (mut walk, mut commands) = self.wishes.take();
        let at = self.wishes.body.at;
        let goal = match self.role {
            Role::Plays => None,
            Role::Crowd => crowd.filter(|crowd| at.distance(*crowd) > CROWD_MM),
            Role::Travels if (self.wishes.now.0 / 1_000 / TURN_MS).is_multiple_of(2) => None,
            Role::Travels => {
                let chance = &mut self.wishes.chance;
                let mut far = |v: i32| v.saturating_add(chance.below(2 * FAR_MM as u64) as i32 - FAR_MM);
                let goal =
                    self.goal.filter(|goal| *goal != at).unwrap_or_else(|| Point::new(far(at.x), far(at.y)));
                self.goal = Some(goal);
                Some(goal)
            }
        };
        if let Some(goal) = goal {
            self.wishes.walk_towards(goal, speed);
            walk = self.wishes.take().0;
        }
        commands.truncate(OPEN_MAX.saturating_sub(open));
        (walk, commands)
    }
}

/// Random numbers for one purpose: drawing for one purpose does not change another.
pub(crate) fn chance(seed: u64, purpose: u64) -> Chance {
    let mut chance = Chance::new(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Chance::new(chance.next_u64())
}
