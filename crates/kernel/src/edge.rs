//! The room of a node as an edge: the sessions of the clients connected here.
//!
//! The edge holds nothing that cannot be rebuilt. It passes clients' words on to their players' reals (`play`), finds those
//! (`hello`, `moving`), and decides what each client sees (`sight`). What a session is doing is in `session`.
//!
//! Not here: who a player is and what it may do (`host`), and what there is to see (`crowd`).

mod hello;
mod moving;
mod play;
mod session;
mod sight;

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::{ChunkId, ConnId, EntityId, Planted};
use gundo_wire::client::{ClientMessage, Closing, Edge as Address, Edges, Home, Pong, ServerMessage, Stats};

use self::session::{Phase, Session};
use crate::core::Core;
use crate::crowd::Crowd;
use crate::host::to_player;
use crate::io::{Gauges, Member, Output, SendClass};
use crate::overload::Overload;
use crate::peer::{Line, ToPlayer};

/// How long clients shall wait before they come back by themselves, ms: each another time, for many lose the same at once.
const RETRY_MS: std::ops::RangeInclusive<u32> = 500..=1_500;
/// The same for clients of a node that is being emptied, which come back at another edge at once.
const RETRY_MOVING_MS: std::ops::RangeInclusive<u32> = 1..=20;
/// How long a Hello may take before it is refused with `not_ready`, ms.
const OPENING_MS: u64 = 5_000;
/// How long a session waits for the node that has its player now before it asks the home again, ms.
const MOVING_MS: u64 = 1_000;
/// Part of its clients that a node which is being emptied sends away per tick, and how many at least.
const SENT_AWAY: (usize, usize) = (32, 4);

/// All sessions at this edge.
#[derive(Default)]
pub(crate) struct Edge {
    sessions: BTreeMap<ConnId, Session>,
    /// Connections that were closed from here and are not gone yet: what still comes from them is too late.
    closed: BTreeSet<ConnId>,
    /// Sessions that wait to hear where their player is.
    locating: BTreeMap<EntityId, BTreeSet<ConnId>>,
    /// Sessions that are owed keyframes at the next flush.
    owed: BTreeSet<ConnId>,
    /// Old tiers that run out: (tick, session, chunk).
    fading: BTreeSet<(u32, ConnId, ChunkId)>,
    /// What the driver last said of itself.
    gauges: Gauges,
}

/// The rooms that an edge reaches: those below it.
pub(crate) struct Rooms<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) crowd: &'a mut Crowd,
    pub(crate) overload: &'a Overload,
}

impl Edge {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no client is connected any more, and those that were sent away have read so and hung up.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.closed.is_empty()
    }

    /// Whether a session waits to hear where this player is.
    pub(crate) fn looks_for(&self, player: EntityId) -> bool {
        self.locating.contains_key(&player)
    }

    pub(crate) fn set_gauges(&mut self, gauges: Gauges) {
        self.gauges = gauges;
    }

    /// Asserts what must hold between two inputs. Costs a walk over everything: for the simulator and tests.
    pub(crate) fn check(&self, core: &Core) {
        let limits = &core.world().limits;
        for (conn, session) in &self.sessions {
            assert!(!self.closed.contains(conn), "{conn:?}: a closed connection has no session");
            let waits = self.locating.get(&session.player).is_some_and(|waiting| waiting.contains(conn));
            assert!(
                !session.is(Phase::Locating) || waits,
                "{conn:?}: who looks for its player is on the list"
            );
            let bounded = session.unanswered.len() <= limits.commands_unanswered_max;
            assert!(bounded || core.planted(Planted::UnboundedCommands), "{conn:?}: commands are bounded");
            assert!(session.joins.is_empty() || session.lagging || self.owed.contains(conn));
        }
        let known = |conn: &ConnId| self.sessions.contains_key(conn);
        assert!(self.locating.values().flatten().all(known), "only sessions look for players");
        assert!(self.locating.values().all(|waiting| !waiting.is_empty()), "somebody waits for each");
        assert!(self.owed.iter().all(known), "only sessions are owed keyframes");
    }

    // ---- clients ---------------------------------------------------------------------------------------

    pub(crate) fn handle_client(&mut self, cx: &mut Rooms<'_>, conn: ConnId, mut message: ClientMessage) {
        if cx.core.stopping || self.closed.contains(&conn) {
            return cx.core.note_stale();
        }
        let since = cx.core.now.time;
        let session = self.sessions.entry(conn).or_insert_with(|| Session::new(since));
        if let Some(ping) = message.ping {
            let pong = Pong { stamp: ping.stamp, world_ms: cx.core.now.world.0 };
            let reply = ServerMessage { pong: Some(pong), ..Default::default() };
            cx.core.send_client(conn, &reply, SendClass::Kept);
        }
        let greeting = session.is(Phase::Greeting);
        match message.hello.take() {
            Some(hello) if greeting => return self.greet(cx, conn, hello),
            Some(_) => return self.close(cx, conn, "bad_message", "Hello may be said only once.", 0),
            None if greeting && (message.r#move.is_some() || !message.commands.is_empty()) => {
                return self.close(cx, conn, "bad_message", "Say hello first.", 0);
            }
            None => {}
        }
        if let Some(watch) = message.watch {
            session.watches = watch.stats;
        }
        if session.plays() {
            for command in message.commands {
                self.pass_command(cx, conn, command);
            }
            if let Some(wish) = message.r#move {
                self.pass_move(cx, conn, wish);
            }
        }
        if message.bye.is_some() {
            self.end_session(cx, conn, true);
            self.closed.insert(conn);
            cx.core.outputs.push_back(Output::Close { conn });
        }
    }

    pub(crate) fn handle_gone(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        self.closed.remove(&conn);
        self.end_session(cx, conn, false);
    }

    // ---- closing ---------------------------------------------------------------------------------------

    fn close(&mut self, cx: &mut Rooms<'_>, conn: ConnId, code: &str, text: &str, retry_ms: u32) {
        let closing = Closing { code: code.into(), text: text.into(), retry_ms };
        let message = ServerMessage { closing: Some(closing), ..Default::default() };
        cx.core.send_client(conn, &message, SendClass::Kept);
        self.end_session(cx, conn, false);
        self.closed.insert(conn);
        cx.core.outputs.push_back(Output::Close { conn });
    }

    /// Closes a connection for something that passes: the client comes back by itself.
    fn close_for_now(&mut self, cx: &mut Rooms<'_>, conn: ConnId, code: &str, text: &str) {
        let retry_ms = cx.core.spread(RETRY_MS);
        self.close(cx, conn, code, text, retry_ms);
    }

    /// The client is to play on by another edge: nothing else changes for it.
    fn send_away(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        let retry_ms = cx.core.spread(RETRY_MOVING_MS);
        let text = "This server is being renewed. You are taken to another one.";
        self.close(cx, conn, "moving", text, retry_ms);
    }

    /// A node that is being emptied sends some clients to other edges.
    pub(crate) fn send_some_away(&mut self, cx: &mut Rooms<'_>) {
        let (part, least) = SENT_AWAY;
        let count = (self.sessions.len() / part).max(least);
        let conns: Vec<_> = self.sessions.keys().copied().take(count).collect();
        conns.into_iter().for_each(|conn| self.send_away(cx, conn));
    }

    /// The node stops: every client is told, and when to come back.
    pub(crate) fn close_all(&mut self, cx: &mut Rooms<'_>) {
        let conns: Vec<_> = self.sessions.keys().copied().collect();
        for conn in conns {
            let text = "The server restarts. You will be back in a moment.";
            self.close_for_now(cx, conn, "stopping", text);
        }
    }

    fn end_session(&mut self, cx: &mut Rooms<'_>, conn: ConnId, leave: bool) {
        let Some(session) = self.sessions.remove(&conn) else { return };
        self.look_no_more(session.player, conn);
        if session.has_holder() {
            let line = Line { edge: cx.core.me(), conn };
            let gone = to_player(session.player, line, ToPlayer::Gone { leave });
            cx.core.send(session.holder, gone);
        }
        self.owed.remove(&conn);
        leave_chunks(cx, conn, session.center);
    }

    /// A session does not wait to hear where this player is any more.
    fn look_no_more(&mut self, player: EntityId, conn: ConnId) {
        if let Some(waiting) = self.locating.get_mut(&player) {
            waiting.remove(&conn);
            if waiting.is_empty() {
                self.locating.remove(&player);
            }
        }
    }

    // ---- views -----------------------------------------------------------------------------------------

    /// A new view: clients learn where else they may come.
    pub(crate) fn tell_edges(&self, core: &mut Core) {
        let message = ServerMessage { edges: Some(edges(core)), ..Default::default() };
        let conns = self.sessions.iter().filter(|(_, s)| s.plays()).map(|(conn, _)| *conn);
        for conn in conns.collect::<Vec<_>>() {
            core.send_client(conn, &message, SendClass::Kept);
        }
    }

    // ---- housekeeping ----------------------------------------------------------------------------------

    /// Once per second: Hellos that take too long, players that are still looked for, and what watching clients are told.
    /// `reals`: entities real on this node.
    pub(crate) fn rest(&mut self, cx: &mut Rooms<'_>, reals: usize) {
        let now = cx.core.now.time;
        let slow = self.those(|s| s.opens() && now.since(s.since) > OPENING_MS * 1_000);
        for conn in slow {
            let text = "The world is not ready to let you in. Try again in a moment.";
            self.close_for_now(cx, conn, "not_ready", text);
        }
        let lost = self.those(|s| s.is(Phase::Moving) && now.since(s.since) >= MOVING_MS * 1_000);
        for conn in lost {
            self.ask_home_again(cx, conn);
        }
        let watching: Vec<_> =
            self.sessions.iter().filter(|(_, s)| s.watches).map(|(c, s)| (*c, s.center)).collect();
        if watching.is_empty() {
            return;
        }
        let (chunks, ghosts) = cx.crowd.interest.size(cx.core.me());
        let stats = Stats {
            node: u32::from(cx.core.me().0),
            tick_us: self.gauges.tick_us,
            inbox: self.gauges.inbox,
            reals: reals as u32,
            ghosts: ghosts as u32,
            sessions: self.sessions.len() as u32,
            chunks: chunks as u32,
            overload: u32::from(cx.overload.level()),
            homes: Vec::new(),
        };
        for (conn, center) in watching {
            let stats = Stats { homes: homes_around(cx.core, center), ..stats.clone() };
            let message = ServerMessage { stats: Some(stats), ..Default::default() };
            cx.core.send_client(conn, &message, SendClass::Frames);
        }
    }

    /// The connections of sessions for which `is` holds, in order.
    fn those(&self, is: impl Fn(&Session) -> bool) -> Vec<ConnId> {
        self.sessions.iter().filter(|(_, s)| is(s)).map(|(conn, _)| *conn).collect()
    }
}

/// Gives back what a session looked at.
fn leave_chunks(cx: &mut Rooms<'_>, conn: ConnId, center: Option<ChunkId>) {
    let Some(center) = center.filter(|_| !cx.core.planted(Planted::SightLeaked)) else { return };
    let reach = cx.core.world().sight_chunks.into_iter().max().unwrap_or(0);
    for chunk in center.around(reach) {
        cx.crowd.interest.set_session(conn, chunk, 0);
    }
}

fn homes_around(core: &Core, center: Option<ChunkId>) -> Vec<Home> {
    let reach = core.world().sight_chunks.into_iter().max().unwrap_or(0);
    let home = |chunk: ChunkId| {
        let node = core.home_of_chunk(chunk)?;
        Some(Home { chunk: Some(chunk.into()), node: u32::from(node.0) })
    };
    center.into_iter().flat_map(|c| c.around(reach)).filter_map(home).collect()
}

/// Where clients may come: not to members that are being emptied, unless all are.
fn edges(core: &Core) -> Edges {
    let members = &core.view.members;
    let stays = members.iter().any(|m| !m.draining);
    let edge =
        |m: &Member| Address { node: u32::from(m.node.0), host: m.host.clone(), port: u32::from(m.port) };
    Edges { edges: members.iter().filter(|m| !(stays && m.draining)).map(edge).collect() }
}
