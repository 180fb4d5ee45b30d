//! A chunk as this node sees it: the sessions that look at it, the picture, and the frames that wait for the next flush.

use gundo_types::ChunkId;

use super::arrivals::{Arrivals, Chain};
use super::picture::Picture;
use super::slab::Handle;
use super::viewers::Viewers;
use crate::frame::ChunkFrame;
use crate::peer::PLACES;

pub(super) struct Subscription {
    pub(super) chunk: ChunkId,
    /// Sessions that look here, ordered by handle, which means nothing.
    looks: Vec<Look>,
    /// How many of them have each tier.
    tier_counts: [u32; 3],
    /// Real players around.
    pub(super) players: u32,
    /// Nearby chunks at home here that are open.
    pub(super) places: u32,
    /// Tiers that this node last told the home.
    pub(super) told: u8,
    /// Its wanted tiers may have changed.
    pub(super) changed: bool,
    pub(super) picture: Picture,
    /// Frames for the next flush.
    pub(super) arrived: Chain,
}

/// A session's look at the chunk. Small: a session has one for each chunk in sight.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) viewer: Handle,
    /// The tick in which its old tier runs out; 0: it has none. A later change of tier sets a new one.
    pub(super) fades: u32,
    /// Bits; two while the session changes tier.
    pub(super) tiers: u8,
    /// It is owed a keyframe, and gets no frames before.
    pub(super) owed: bool,
}

impl Subscription {
    pub(super) fn new(chunk: ChunkId) -> Self {
        Self {
            chunk,
            looks: Vec::new(),
            tier_counts: [0; 3],
            players: 0,
            places: 0,
            told: 0,
            changed: false,
            picture: Picture::default(),
            arrived: Chain::default(),
        }
    }

    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    fn find(&self, viewer: Handle) -> Result<usize, usize> {
        self.looks.binary_search_by_key(&viewer, |look| look.viewer)
    }

    pub(super) fn look_mut(&mut self, viewer: Handle) -> Option<&mut Look> {
        self.find(viewer).ok().map(|at| &mut self.looks[at])
    }

    /// A session begins to look here.
    pub(super) fn join(&mut self, look: Look) {
        let at = self.find(look.viewer).expect_err("a session looks once");
        self.count(0, look.tiers);
        self.looks.insert(at, look);
    }

    /// A session stops looking here.
    pub(super) fn leave(&mut self, viewer: Handle) -> Option<Look> {
        let look = self.find(viewer).ok().map(|at| self.looks.remove(at))?;
        self.count(look.tiers, 0);
        Some(look)
    }

    /// A session that looks here has these tiers from now on. `fades`: when the old one runs out.
    pub(super) fn set_tiers(&mut self, viewer: Handle, tiers: u8, fades: u32) {
        let at = self.find(viewer).expect("it looks here");
        assert!(tiers != 0, "a look without a tier");
        self.count(self.looks[at].tiers, tiers);
        (self.looks[at].tiers, self.looks[at].fades) = (tiers, fades);
    }

    fn count(&mut self, before: u8, tiers: u8) {
        for (tier, count) in self.tier_counts.iter_mut().enumerate() {
            let bit = |set: u8| u32::from(set >> tier & 1);
            *count = *count + bit(tiers) - bit(before);
        }
    }

    /// Tiers (bits) to tell the home.
    pub(super) fn wanted(&self) -> u8 {
        let tiers = (0..3).fold(0, |tiers, t| tiers | u8::from(self.tier_counts[t] > 0) << t);
        let places = if self.places > 0 { PLACES } else { 0 };
        tiers | u8::from(self.players > 0) | places
    }

    /// Passes the frames that have arrived to the sessions that look; returns how many entity updates that were.
    pub(super) fn hand_out(&mut self, arrivals: &Arrivals, viewers: &mut Viewers) -> u64 {
        const ALL: u8 = 0b111;
        let offered = |frame: &ChunkFrame| if frame.roster.is_some() { ALL } else { frame.tiers() };
        let offered = arrivals.iter(self.arrived).fold(0, |tiers, frame| tiers | offered(frame));
        let mut updates = 0;
        // A session that is owed a keyframe of the chunk gets that instead.
        for look in self.looks.iter().filter(|look| look.tiers & offered != 0 && !look.owed) {
            let Some(parts) = viewers.parts(look.viewer) else { continue };
            for frame in arrivals.iter(self.arrived) {
                if let Some(roster) = &frame.roster {
                    parts.push(roster.bytes.clone());
                }
                for (_, motion) in frame.motion_in(look.tiers) {
                    parts.push(motion.bytes.clone());
                    updates += motion.rows.len() as u64;
                }
            }
        }
        self.arrived = Chain::default();
        updates
    }

    /// Asserts the invariants between two inputs.
    pub(super) fn check(&self, viewers: &Viewers) {
        assert!(self.looks.is_sorted_by(|a, b| a.viewer < b.viewer), "looks out of order");
        for tier in 0..3 {
            let count = self.looks.iter().filter(|look| look.tiers >> tier & 1 == 1).count();
            assert_eq!(count, self.tier_counts[tier] as usize, "looks of tier {tier} are miscounted");
        }
        assert!(self.changed || self.wanted() != 0, "nobody wants {:?}", self.chunk);
        for look in &self.looks {
            let viewer = viewers.get(look.viewer);
            assert!(look.tiers != 0, "a look without a tier at {:?}", self.chunk);
            assert_eq!(look.owed, viewer.joins().contains(&self.chunk), "owed keyframes are miscounted");
            assert!(look.fades == 0 || look.tiers.count_ones() > 1, "a missing tier fades");
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo_types::{ConnId, NodeId};
    use gundo_wire::client::Row;

    use super::*;
    use crate::frame::{Pen, blank_frame};

    const CHUNK: ChunkId = ChunkId { island: 0, x: 5, y: 6 };

    fn look(viewers: &mut Viewers, conn: u64, tiers: u8) -> Look {
        Look { viewer: viewers.find_or_add(ConnId(conn)), fades: 0, tiers, owed: false }
    }

    /// A node has a subscription for every chunk in sight, often several per session, and dozens of looks per session.
    #[test]
    fn what_there_are_many_of_is_small() {
        assert!(size_of::<Look>() <= 12, "{} bytes for a look", size_of::<Look>());
        let subscription = size_of::<Option<Subscription>>();
        assert!(subscription <= 88, "{subscription} bytes for a subscription");
    }

    #[test]
    fn the_home_hears_the_union() {
        let (mut viewers, mut sub) = (Viewers::default(), Subscription::new(CHUNK));
        let (far, near) = (look(&mut viewers, 2, 0b100), look(&mut viewers, 1, 0b010));
        sub.join(near);
        sub.join(far);
        assert_eq!(sub.wanted(), 0b110);
        sub.set_tiers(near.viewer, 0b011, 40);
        sub.check(&viewers);
        assert_eq!(sub.wanted(), 0b111);
        assert!(sub.leave(near.viewer).is_some() && sub.leave(near.viewer).is_none());
        assert_eq!(sub.wanted(), 0b100);
        sub.players = 1;
        assert_eq!(sub.wanted(), 0b101, "a real player sees its surroundings in the nearest tier");
        sub.places = 1;
        assert_eq!(sub.wanted(), 0b101 | PLACES, "a place nearby is no look");
    }

    #[test]
    fn each_gets_its_tiers_unless_it_lags_or_waits_for_a_keyframe() {
        let (mut viewers, mut sub, mut pen) = (Viewers::default(), Subscription::new(CHUNK), Pen::default());
        let mut arrivals = Arrivals::default();
        for (conn, tiers) in [(1, 0b001), (2, 0b010), (3, 0b110), (4, 0b001), (5, 0b111)] {
            sub.join(look(&mut viewers, conn, tiers));
        }
        let lagging = viewers.find_or_add(ConnId(4));
        viewers.get_mut(lagging).lagging = true;
        let owed = viewers.find_or_add(ConnId(5));
        sub.look_mut(owed).expect("it looks here").owed = true;
        let mut motion = |rows: &[Row]| Some(pen.motion(NodeId(1), CHUNK, 7, rows));
        let motion = [motion(&[Row::default(); 1]), None, motion(&[Row::default(); 3])];
        arrivals.push(&mut sub.arrived, ChunkFrame::new(CHUNK, 7, None, motion));
        assert_eq!(sub.hand_out(&arrivals, &mut viewers), 1 + 3);
        let got = |viewers: &Viewers| {
            let all = viewers.iter().filter(|(_, viewer)| !viewer.is_idle());
            all.map(|(_, viewer)| viewer.conn.0).collect::<Vec<_>>()
        };
        assert_eq!(got(&viewers), [1, 3]);
        assert!(sub.arrived.is_empty());
        let roster = pen.roster(blank_frame(NodeId(1), CHUNK, 8));
        arrivals.push(&mut sub.arrived, ChunkFrame::new(CHUNK, 8, Some(roster), Default::default()));
        assert_eq!(sub.hand_out(&arrivals, &mut viewers), 0);
        assert_eq!(got(&viewers), [1, 2, 3], "the roster is for every tier");
    }
}
