//! Who belongs, as a member sees it: heartbeats, suspicion, how long it may go on unconfirmed, and when to stop.
//!
//! Views come from the coordinator. Between two of them every member tells the others that it is alive and whom it cannot
//! reach; `suspects` has the rule by which they propose removals. The coordinator confirms once per second that this node
//! belongs, by renewing its lease; if it does not, the journal does, which has the node's row. What counts is when a
//! confirmation that came was asked for: a call that hangs is a call that failed. None of this is for safety: the journal
//! refuses a removed node. It bounds how long others wait, and how long a cut-off node shows stale pictures.

mod history;
mod suspects;

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{Epoch, NodeId, Planted, Time, WorldTime};

use crate::core::{Core, Timer};
use crate::io::{Output, Renewal, WorldSettings};
use crate::peer::{Alive, Peer};
use history::{BEAT_MS, History};
use suspects::Complaints;

/// Between two renewals of the lease, between two proposals to remove the same member, and between two answers to the same
/// stale sender, ms.
const EVERY_MS: u64 = 1_000;
/// How long a member that stood still itself may take to be confirmed before it judges others, ms.
const AWAKE_MS: u64 = 500;
/// Timers that come later than this show that this node itself stood still, µs.
const PAUSE_US: u64 = 125_000;
/// A new member has this many times as long to connect as a member may be silent.
const TO_CONNECT: u64 = 2;
/// A node that nobody confirms, and that reaches no other member or not all of them, ends after this many leases, whatever the
/// others say: the rest may have gone on without it.
const CUT_OFF_LEASES: u64 = 12;

/// A heartbeat that may be older than this when it comes says nothing about world time, µs.
const WAY_US: u64 = 500_000;
/// What heartbeats say of the same moment differs by less than this, µs: they say it in milliseconds.
const SAME_US: u64 = 2_000;
/// What a heartbeat said about world time counts for this long, µs.
const TIME_FRESH_US: u64 = 5_000_000;

#[derive(Default)]
pub(crate) struct Membership {
    /// The other members.
    peers: BTreeMap<NodeId, Seen>,
    /// The newest incarnation of any view: incarnations grow from view to view.
    newest: u64,
    last_beat: Time,
    renewal_sent: Option<Time>,
    /// When the first view came.
    joined: Time,
    /// When the newest successful confirmation was asked for: a renewal, or a look at the row.
    confirmed: Option<Time>,
    /// When a member last joined: it has not heard all others yet.
    newcomer: Time,
    /// When it last proposed its own removal.
    gives_up: Option<Time>,
    /// For how long this node has stood still in all, µs: what others sent meanwhile was not heard.
    slept_us: u64,
    /// This node stood still, and is given time until then to be confirmed.
    excused_until: Time,
    /// When this node last asked for a newer view.
    view_wanted: Option<Time>,
    /// Senders that are not members (any more), and when this node last told them so.
    told: BTreeMap<NodeId, Time>,
    /// It and all members of one view have heard each other.
    connected: bool,
    /// This node is no member any more: it does nothing more.
    fenced: bool,
}

/// Another member, as seen from here.
struct Seen {
    incarnation: u64,
    /// When its last message came; before the first one, when it joined.
    heard: Time,
    /// The same in time in which this node was awake, µs.
    heard_us: u64,
    /// How regularly its heartbeats come.
    history: History,
    /// It has said something.
    spoke: bool,
    /// It has heard this node.
    hears: bool,
    /// Since when its link is broken, in time in which this node was awake, µs.
    broken_us: Option<u64>,
    /// Since when it counts as unreachable.
    lost: Option<Time>,
    /// Whom it cannot reach in the present view, and since when it says so.
    unreachable: BTreeMap<NodeId, Time>,
    /// When it was last confirmed: by its own time, µs, and by this node's when it said so first, not later than it was.
    confirmed: Option<(u64, Time)>,
    /// What its last heartbeat said of its own time, µs, and when that came.
    sent: Option<(u64, Time)>,
    /// It says what world time it is.
    says_time: bool,
    /// By how much its world time was ahead of this node's, µs, when a heartbeat came that was not old.
    ahead_us: Option<(i64, Time)>,
    /// When its removal was last proposed.
    proposed: Option<Time>,
}

impl Seen {
    fn new(incarnation: u64, now: Time, awake_us: u64) -> Self {
        Self {
            incarnation,
            heard: now,
            heard_us: awake_us,
            history: History::default(),
            spoke: false,
            hears: false,
            broken_us: None,
            lost: None,
            unreachable: BTreeMap::new(),
            confirmed: None,
            sent: None,
            says_time: false,
            ahead_us: None,
            proposed: None,
        }
    }

    /// In how long it will count as unreachable if it says nothing, µs; 0: it does. `few`: nobody else could contradict.
    fn patience_us(&self, awake_us: u64, world: &WorldSettings, few: bool) -> u64 {
        let (silent_us, usual_us) = (world.confirm_silent_ms * 1_000, world.confirm_broken_ms * 1_000);
        let silent_us = if self.spoke { self.history.silent_us(silent_us) } else { TO_CONNECT * silent_us };
        let left = (self.heard_us + silent_us).saturating_sub(awake_us);
        let Some(since_us) = self.broken_us else { return left };
        let least_us = if few { usual_us } else { 0 };
        let broken_us = self.history.broken_us(usual_us).max(least_us);
        left.min((since_us + broken_us).saturating_sub(awake_us))
    }
}

impl Seen {
    /// It says how long ago it was confirmed. `age_us`: how old that word may be. If nobody knows, it says nothing: it may have
    /// waited for long.
    fn note_confirmed(&mut self, alive: &Alive, now: Time, age_us: Option<u64>, believes: bool) {
        let Some(late_us) = (if believes { Some(0) } else { age_us }) else { return };
        let ago_us = u64::from(alive.confirmed_ms) * 1_000;
        let at_its = alive.sent_us.saturating_sub(ago_us);
        // What it says again is older by its own clock, which may run slower than this one.
        let again = self.confirmed.is_some_and(|(its, _)| its.abs_diff(at_its) < SAME_US);
        if again && !believes {
            return;
        }
        // It may have been under way, or have waited here, for as long as that.
        self.confirmed = now.0.checked_sub(ago_us.saturating_add(late_us)).map(|at| (at_its, Time(at)));
    }
}

impl Membership {
    /// Whether this node is no member any more, and does nothing more.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Whether it and all members have heard each other since it joined, and it knows their world time. Members that join later
    /// change nothing.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// A new view. New members hear from this node at once, before anything else.
    pub(crate) fn set(&mut self, core: &mut Core, first: bool) {
        let (now, me, awake_us) = (core.now.time, core.me(), self.awake_us(core));
        self.view_wanted = None;
        self.told.clear();
        let members: Vec<_> = core.view.members.iter().map(|m| (m.node, m.incarnation)).collect();
        self.newest = members.iter().map(|(_, incarnation)| *incarnation).max().unwrap_or(0).max(self.newest);
        if first {
            (self.joined, self.last_beat) = (now, now);
        }
        let mut before = std::mem::take(&mut self.peers);
        let mut new = Vec::new();
        for (node, incarnation) in members.into_iter().filter(|(node, _)| *node != me) {
            let stays = before.remove(&node).filter(|seen| seen.incarnation == incarnation);
            if stays.is_none() {
                new.push(node);
            }
            let fresh = || Seen::new(incarnation, now, awake_us);
            self.peers.insert(node, stays.unwrap_or_else(fresh));
        }
        if first || !new.is_empty() {
            self.newcomer = now;
        }
        let old = self.peers.keys().copied().filter(|node| !new.contains(node));
        let stay: BTreeSet<_> = old.chain([me]).collect();
        for seen in self.peers.values_mut() {
            seen.unreachable.retain(|node, _| stay.contains(node));
        }
        assert!(!self.peers.contains_key(&me), "a node is no peer of its own");
        assert!(self.peers.values().all(|seen| seen.incarnation <= self.newest), "incarnations grow");
        self.connect();
        new.into_iter().for_each(|node| self.tell_alive(core, node));
    }

    fn connect(&mut self) {
        let agrees = |seen: &Seen| seen.spoke && seen.hears && (!seen.says_time || seen.ahead_us.is_some());
        self.connected |= self.peers.values().all(agrees);
    }

    /// When this node last heard from each of these members.
    pub(crate) fn heard(&self, members: &[NodeId]) -> BTreeMap<NodeId, Time> {
        members.iter().filter_map(|node| Some((*node, self.peers.get(node)?.heard))).collect()
    }

    /// A member sent something.
    pub(crate) fn hear(&mut self, core: &Core, from: NodeId) {
        let awake_us = self.awake_us(core);
        if let Some(seen) = self.peers.get_mut(&from) {
            (seen.heard, seen.broken_us, seen.lost, seen.spoke) = (core.now.time, None, None, true);
            seen.heard_us = awake_us;
        }
    }

    /// Whether this incarnation is a member; `Err(true)`: it will be, but the view that says so has not arrived yet.
    pub(crate) fn admits(&self, core: &Core, from: NodeId, incarnation: u64) -> Result<(), bool> {
        if from == core.me() {
            return Ok(());
        }
        match self.peers.get(&from) {
            Some(seen) if seen.incarnation == incarnation => Ok(()),
            Some(seen) => Err(incarnation > seen.incarnation),
            None => Err(incarnation > self.newest),
        }
    }

    /// Notes which members are unreachable now.
    fn look_around(&mut self, core: &Core) {
        let (now, awake_us, few) = (core.now.time, self.awake_us(core), self.peers.len() < 2);
        for seen in self.peers.values_mut() {
            if seen.patience_us(awake_us, core.world(), few) == 0 {
                seen.lost.get_or_insert(now);
            } else {
                seen.lost = None;
            }
        }
    }

    /// Looks at a member when its patience ends, if that is before the next heartbeat.
    fn look_in_time(&self, core: &mut Core, peer: NodeId) {
        let few = self.peers.len() < 2;
        let Some(seen) = self.peers.get(&peer) else { return };
        let left_us = seen.patience_us(self.awake_us(core), core.world(), few);
        if (1..BEAT_MS * 1_000).contains(&left_us) {
            core.at(Time(core.now.time.0 + left_us), Timer::Confirm(peer));
        }
    }

    /// An input has come later than this node's own timers wanted: it stood still, and others are not to blame for what it has not
    /// heard meanwhile.
    pub(crate) fn note_pause(&mut self, core: &Core) {
        let late_us = core.timers.first().map_or(0, |(due, _)| core.now.time.since(*due));
        if late_us > PAUSE_US && !core.planted(Planted::OwnPauseBlamed) {
            self.slept_us += late_us;
        }
    }

    /// Node time without the pauses of this node, µs.
    fn awake_us(&self, core: &Core) -> u64 {
        core.now.time.0.saturating_sub(self.slept_us)
    }

    /// Asks the coordinator for the newer view that others mention, at most once per second.
    fn want_view(&mut self, core: &mut Core) {
        let now = core.now.time;
        if self.view_wanted.is_none_or(|at| now.since(at) >= EVERY_MS * 1_000) {
            self.view_wanted = Some(now);
            core.outputs.push_back(Output::ViewWanted);
        }
    }
}

#[cfg(feature = "planted")]
impl Membership {
    /// What it is doing, as the table of coverage names it.
    pub(crate) fn doing(&self, core: &Core) -> &'static str {
        let late_us = 2 * core.world().lease_ms * 1_000 / 5;
        match () {
            () if core.view.members.is_empty() => "no view",
            () if core.now.time.since(self.belongs_since()) >= late_us => "unconfirmed",
            () if self.connected => "connected",
            () => "connecting",
        }
    }
}

// Whether this node belongs.
impl Membership {
    /// Asks for a confirmation, once per second.
    fn ask_whether_it_belongs(&mut self, core: &mut Core) {
        let now = core.now.time;
        if self.renewal_sent.is_some_and(|at| now.since(at) < EVERY_MS * 1_000) {
            return;
        }
        self.renewal_sent = Some(now);
        core.outputs.push_back(Output::Renew { sent: now });
        let late = now.since(self.belongs_since()) >= 2 * core.world().lease_ms * 1_000 / 5;
        if late && !core.planted(Planted::RowNotAsked) {
            core.outputs.push_back(Output::AskRow { sent: now });
        }
    }

    /// How long ago it was confirmed, as it tells others, ms.
    fn confirmed_ms(&self, core: &Core) -> u32 {
        if core.planted(Planted::HangIsNoFailure) {
            return 0;
        }
        let ago = self.confirmed.map(|at| core.now.time.since(at) / 1_000);
        ago.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(u32::MAX)
    }

    /// The time from which its lease counts.
    fn belongs_since(&self) -> Time {
        self.confirmed.unwrap_or(self.joined)
    }

    /// Whether it has gone on for long enough without a confirmation.
    fn must_stop(&self, core: &Core) -> bool {
        let (now, lease_us) = (core.now.time, core.world().lease_ms * 1_000);
        let since = self.belongs_since();
        if now.since(since) <= lease_us || now < self.excused_until {
            return false;
        }
        let reached = || self.peers.values().filter(|seen| seen.lost.is_none());
        let (reaches, all) = (reached().count() + 1, self.peers.len() + 1);
        // Others were confirmed long after this node was: it is only this node that is cut off.
        let slack_us = 3 * lease_us / 5;
        let later = |seen: &Seen| seen.confirmed.is_some_and(|(_, at)| at.since(since) > slack_us);
        let for_all = 2 * reaches > all && !reached().any(later);
        let knows_all = reaches == all && all > 1;
        !for_all || !knows_all && now.since(since) > CUT_OFF_LEASES * lease_us
    }

    pub(crate) fn on_renewed(&mut self, core: &mut Core, sent: Time, renewal: Renewal) {
        match renewal {
            Renewal::Renewed => self.confirmed = self.confirmed.max(Some(sent)),
            Renewal::Removed => self.fence_off(core),
            Renewal::Failed => {}
        }
    }

    /// The journal's word about this node's row.
    pub(crate) fn on_row(&mut self, core: &mut Core, sent: Time, stands: bool) {
        match stands {
            true => self.confirmed = self.confirmed.max(Some(sent)),
            false => self.fence_off(core),
        }
    }

    /// This node is no member any more: all its waiting output is stale.
    pub(crate) fn fence_off(&mut self, core: &mut Core) {
        if core.planted(Planted::RemovedGoesOn) {
            return;
        }
        self.fenced = true;
        core.outputs.clear();
        core.local.clear();
        core.timers.clear();
        core.outputs.push_back(Output::Fenced);
        assert_eq!(core.outputs.len(), 1, "a fenced node says nothing more");
    }
}

// World time, which members compare.
impl Membership {
    /// Whether others may follow this node's world time: it has compared it with theirs, or it is the oldest.
    fn knows_time(&self, core: &Core) -> bool {
        let mine = core.settings.incarnation;
        self.connected || self.peers.values().all(|seen| seen.incarnation > mine)
    }

    /// By how much this node's world time is behind the median of the members that know the time, µs. Of two in the middle the
    /// older counts.
    fn behind_us(&self, core: &Core) -> i64 {
        let reached = self.peers.values().filter(|seen| seen.lost.is_none());
        let now = core.now.time;
        let fresh = |seen: &Seen| seen.ahead_us.filter(|(_, at)| now.since(*at) <= TIME_FRESH_US);
        let others = reached.filter_map(|seen| Some((fresh(seen)?.0, seen.incarnation)));
        let mine = self.knows_time(core).then_some((0, core.settings.incarnation));
        let mut clocks: Vec<_> = others.chain(mine).collect();
        clocks.sort_unstable();
        let Some(last) = clocks.len().checked_sub(1) else { return 0 };
        let (low, high) = (clocks[last / 2], clocks[last.div_ceil(2)]);
        if low.1 <= high.1 { low.0 } else { high.0 }
    }

    /// A node that joins takes over the time of the others, if its own is more than a second off. Its homes are closed, so
    /// nothing has happened in its world yet.
    fn adopt_time(&mut self, core: &mut Core) {
        if core.planted(Planted::OffClockUnnoticed) {
            return;
        }
        let by_us = self.behind_us(core);
        if let Some(world) = core.clock.adopt(by_us) {
            core.now.world = world;
            // What the others are ahead of the time before.
            let others = self.peers.values_mut().filter_map(|seen| seen.ahead_us.as_mut());
            others.for_each(|(ahead_us, _)| *ahead_us = ahead_us.saturating_sub(by_us));
        }
    }
}

// Heartbeats and suspicion.
impl Membership {
    /// Sends heartbeats, and looks for members that have been silent.
    pub(crate) fn on_beat(&mut self, core: &mut Core) {
        core.after_ms(BEAT_MS, Timer::Beat);
        let now = core.now.time;
        // This node itself stood still: what others sent meanwhile is still in flight.
        if now.since(self.last_beat) > 2 * BEAT_MS * 1_000 {
            if !core.planted(Planted::OwnPauseBlamed) {
                let awake_us = self.awake_us(core);
                let forgive =
                    |seen: &mut Seen| (seen.heard, seen.heard_us, seen.lost) = (now, awake_us, None);
                self.peers.values_mut().for_each(forgive);
            }
            self.excused_until = now.plus_ms(AWAKE_MS);
            self.renewal_sent = None;
        }
        self.last_beat = now;
        let error_us = self.behind_us(core);
        core.clock.compare(error_us);
        self.ask_whether_it_belongs(core);
        self.look_around(core);
        if self.must_stop(core) {
            return self.fence_off(core);
        }
        self.tell_all_alive(core);
        self.propose_removals(core);
        self.peers.keys().for_each(|peer| self.look_in_time(core, *peer));
    }

    fn tell_all_alive(&self, core: &mut Core) {
        if core.acts_newer {
            self.peers.keys().for_each(|peer| core.send(*peer, Peer::Later));
        }
        self.peers.keys().for_each(|peer| self.tell_alive(core, *peer));
    }

    fn tell_alive(&self, core: &mut Core, peer: NodeId) {
        let lost = self.peers.iter().filter(|(_, seen)| seen.lost.is_some());
        let (now, sent) = (core.now.time, self.peers.get(&peer).and_then(|seen| seen.sent));
        let alive = Alive {
            confirmed_ms: self.confirmed_ms(core),
            unreachable: lost.map(|(node, _)| *node).collect(),
            unheard: self.peers.get(&peer).is_none_or(|seen| !seen.spoke),
            world: self.knows_time(core).then_some(core.now.world),
            sent_us: now.0,
            echo_us: sent.map(|(sent_us, at)| sent_us.saturating_add(now.since(at))),
        };
        let epoch = core.view.epoch;
        core.send(peer, Peer::Alive { epoch, alive });
    }

    /// Proposes removals, each at most once per second.
    fn propose_removals(&mut self, core: &mut Core) {
        let complains = |seen: &Seen| seen.lost.is_some() || !seen.unreachable.is_empty();
        if !self.peers.values().any(complains) {
            return;
        }
        let (now, epoch) = (core.now.time, core.view.epoch);
        let to_remove = self.complaints(core).to_remove();
        for node in to_remove {
            let (proposed, incarnation) = match self.peers.get_mut(&node) {
                Some(seen) => (&mut seen.proposed, seen.incarnation),
                // Of a cut it is this node that goes.
                None => (&mut self.gives_up, core.settings.incarnation),
            };
            if proposed.is_none_or(|at| now.since(at) >= EVERY_MS * 1_000) {
                *proposed = Some(now);
                core.outputs.push_back(Output::Remove { epoch, node, incarnation });
            }
        }
    }

    /// Who cannot reach whom, as far as this node knows.
    fn complaints<'a>(&self, core: &'a Core) -> Complaints<'a> {
        let (now, me) = (core.now.time, core.me());
        let long_us = core.world().confirm_silent_ms * 1_000 / 4 * 5;
        let long = |since: &Time| now.since(*since) >= long_us;
        let lost = self.peers.iter().filter_map(|(node, seen)| Some((*node, long(seen.lost.as_ref()?))));
        let reached = self.peers.iter().filter(|(_, seen)| seen.lost.is_none());
        let others = reached.map(|(node, seen)| {
            (*node, seen.unreachable.iter().map(|(node, since)| (*node, long(since))).collect())
        });
        let mut members: BTreeMap<_, _> = self.peers.iter().map(|(n, seen)| (*n, seen.incarnation)).collect();
        members.insert(me, core.settings.incarnation);
        // Somebody who has just joined does not complain yet about those that are dead.
        let all_know_ms = TO_CONNECT * core.world().confirm_silent_ms + 2 * BEAT_MS;
        let all_know = now.since(self.newcomer) >= all_know_ms * 1_000;
        let resolves_cuts = all_know && !core.planted(Planted::CutUnresolved);
        let labelled = core.view.members.iter().filter(|m| !m.site.machine.is_empty());
        let machines = labelled.map(|m| (m.node, m.site.machine.as_str())).collect();
        let of = others.chain([(me, lost.collect())]).collect();
        Complaints { me, members, machines, of, resolves_cuts }
    }

    /// The link to a peer was reset: the peer has the confirm time to send something again. Both sides do so at once, so that a peer
    /// that lives is heard long before.
    pub(crate) fn on_link_broken(&mut self, core: &mut Core, peer: NodeId, incarnation: u64) {
        let (awake_us, few) = (self.awake_us(core), self.peers.len() < 2);
        let believes = core.planted(Planted::OldBreakBelieved);
        let is_meant = |seen: &&mut Seen| seen.incarnation == incarnation || believes;
        let Some(seen) = self.peers.get_mut(&peer).filter(is_meant) else { return };
        if seen.broken_us.is_none() {
            seen.broken_us = Some(awake_us);
            let left_us = seen.patience_us(awake_us, core.world(), few);
            core.at(Time(core.now.time.0 + left_us), Timer::Confirm(peer));
            self.tell_alive(core, peer);
        }
    }

    /// The confirm time of a broken link is over.
    pub(crate) fn on_confirm(&mut self, core: &mut Core, peer: NodeId) {
        self.look_around(core);
        if self.peers.get(&peer).is_some_and(|seen| seen.lost.is_some()) {
            // The others wait for a second member that cannot reach it.
            self.tell_all_alive(core);
            self.propose_removals(core);
        } else {
            self.look_in_time(core, peer);
        }
    }

    /// A heartbeat. True: this node was not connected, so its world time may have stepped, and it may be connected now.
    pub(crate) fn on_alive(&mut self, core: &mut Core, from: NodeId, epoch: Epoch, alive: Alive) -> bool {
        let joins = !self.connected;
        self.note_alive(core, from, epoch, alive);
        if joins {
            self.adopt_time(core);
        }
        joins
    }

    fn note_alive(&mut self, core: &mut Core, from: NodeId, epoch: Epoch, alive: Alive) {
        let (now, mine, me) = (core.now.time, core.view.epoch, core.me());
        if epoch < mine {
            core.send(from, Peer::Stale { epoch: mine });
        } else if epoch > mine {
            self.want_view(core);
        }
        let awake_us = self.awake_us(core);
        let Some(seen) = self.peers.get_mut(&from) else { return };
        seen.history.note(awake_us);
        // In another view the echo may be that of an earlier incarnation of this node.
        // The other clock may run faster than this one: then the echo seems to come from the future, and is fresh.
        let age_us = alive.echo_us.filter(|_| epoch == mine).map(|echo_us| now.0.saturating_sub(echo_us));
        seen.note_confirmed(&alive, now, age_us, core.planted(Planted::OldWordBelieved));
        seen.hears |= !alive.unheard;
        let is_first = seen.sent.replace((alive.sent_us, now)).is_none();
        seen.says_time = alive.world.is_some();
        if let Some(world) = alive.world
            && age_us.is_some_and(|us| us <= WAY_US)
        {
            let ahead_ms = world.0.min(WorldTime::MAX.0) as i64 - core.now.world.0 as i64;
            seen.ahead_us = Some((ahead_ms * 1_000, now));
        }
        // Numbers of nodes mean other incarnations in another view.
        let told = alive.unreachable.into_iter().filter(|node| epoch == mine && *node != from);
        let mut before = std::mem::take(&mut seen.unreachable);
        seen.unreachable = told.map(|node| (node, before.remove(&node).unwrap_or(now))).collect();
        let complains = !seen.unreachable.is_empty();
        self.connect();
        if is_first {
            // It learns at once that this node hears it, and how old this is at most.
            self.tell_alive(core, from);
        }
        let known = |node: &NodeId| *node == me || self.peers.contains_key(node);
        let strangers = self.peers.get(&from).is_some_and(|seen| !seen.unreachable.keys().all(known));
        if strangers {
            core.note_nonsense();
            self.peers.get_mut(&from).into_iter().for_each(|seen| seen.unreachable.clear());
        } else if complains {
            self.look_around(core);
            self.propose_removals(core);
        }
    }

    /// Others have a newer view.
    pub(crate) fn on_stale(&mut self, core: &mut Core, epoch: Epoch) {
        if epoch > core.view.epoch {
            self.want_view(core);
        }
    }

    /// A node that is not a member (any more) sent something: tells it so, at most once per second.
    pub(crate) fn tell_stale(&mut self, core: &mut Core, to: NodeId) {
        core.counters.stale += 1;
        let now = core.now.time;
        let epoch = core.view.epoch;
        let told = self.told.get(&to).is_some_and(|at| now.since(*at) < EVERY_MS * 1_000);
        if !told {
            self.told.insert(to, now);
            core.send(to, Peer::Stale { epoch });
        }
    }
}
