//! The players: who they are, and the connections they come by.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gundo_bots::{Behaviour, Chance, Wishes};
use gundo_client::{CommandId, Picture, Session};
use gundo_types::{Body, ConnId, EntityId, Point};
use gundo_wire::client::Command;

use crate::plan::Role;
use crate::world::Key;

/// Commands a client remembers having said, to say one again.
const SAID_MAX: usize = 40;
/// Commands a mind may have open: what it wishes beyond is not asked.
pub(crate) const OPEN_MAX: usize = 40;

/// A player, over all the connections it ever has.
pub(crate) struct Person {
    /// The name it says.
    pub(crate) name: String,
    /// Names it said before, which somebody had.
    pub(crate) names_tried: u32,
    pub(crate) role: Role,
    pub(crate) nonce: [u8; 16],
    pub(crate) id: Option<EntityId>,
    pub(crate) mind: Box<dyn Behaviour>,
    pub(crate) wishes: Wishes,
    /// The client it plays by; older ones may still be there.
    pub(crate) current: Option<usize>,
    /// Whether it wants to be in the world.
    pub(crate) wants_in: bool,
    /// Its keys, newest last.
    pub(crate) tokens: Vec<Bytes>,
    pub(crate) last_step: u64,
    /// Where a traveller goes.
    pub(crate) goal: Option<Point>,
    pub(crate) absence: Absence,
}

/// Whether a player may have left the world: whoever has a connection is in it, and whoever loses it stays for its grace time.
#[derive(Default)]
pub(crate) struct Absence {
    /// When a node told it something on a connection in which it had been welcomed.
    told_at: u64,
    /// The last moment at which it may have been away.
    until: u64,
}

/// A member that others have removed may tell its clients so much longer that all is well than these count as connected, µs.
const REMOVED_US: u64 = 7_000_000;
/// That somebody leaves is told when the journal has it, so much later at most (or it is not looked at), µs.
const TOLD_LATE_US: u64 = 15_000_000;

impl Absence {
    /// It is told something.
    pub(crate) fn told(&mut self, now: u64, grace_us: u64) {
        if self.may_be_over(now, grace_us) {
            self.until = now;
        }
        self.told_at = now;
    }

    /// It says goodbye.
    pub(crate) fn leaves(&mut self, now: u64) {
        (self.told_at, self.until) = (0, now);
    }

    fn may_be_over(&self, now: u64, grace_us: u64) -> bool {
        now - self.told_at >= grace_us.saturating_sub(REMOVED_US)
    }

    /// Whether somebody may be told now that it has left.
    pub(crate) fn is_possible(&self, now: u64, grace_us: u64) -> bool {
        self.may_be_over(now, grace_us) || now < self.until + TOLD_LATE_US
    }
}

/// One run of a client program: a session and what it sees.
pub(crate) struct Client {
    pub(crate) person: usize,
    pub(crate) session: Session,
    pub(crate) picture: Picture,
    pub(crate) conn: Option<(Key, ConnId)>,
    /// The private state it was last told.
    pub(crate) own: Bytes,
    /// What it was last shown of what it watches, since its last welcome.
    pub(crate) watched: BTreeMap<EntityId, Option<Bytes>>,
    pub(crate) tags: VecDeque<(CommandId, u64)>,
    pub(crate) said: VecDeque<Command>,
    /// Time a message to the server and back takes at least, µs.
    pub(crate) distance_us: u64,
    pub(crate) up_at: u64,
    pub(crate) down_at: u64,
    /// It reads nothing before.
    pub(crate) lagging: bool,
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
    /// A step of its mind, for `step_ms`. `crowd`: where the crowd comes together. `speed`: how fast it may walk, mm/s.
    pub(crate) fn think(
        &mut self,
        open: usize,
        crowd: Option<Point>,
        speed: u32,
    ) -> (Option<Body>, Vec<(u64, Bytes)>) {
        /// So near to where the crowd is, it plays.
        const CROWD_MM: u64 = 20_000;
        /// A traveller walks and plays in turn, for this long each, ms.
        const TURN_MS: u64 = 10_000;
        /// A traveller's next goal lies this far away at most.
        const FAR_MM: i32 = 300_000;
        self.wishes.open = open;
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

/// Chance of one kind of choice: what is drawn for one purpose does not change what is drawn for another.
pub(crate) fn chance(seed: u64, purpose: u64) -> Chance {
    let mut chance = Chance::new(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Chance::new(chance.next_u64())
}
