//! The room of a node as an edge: the sessions of the clients connected here.
//!
//! The edge keeps nothing that cannot be rebuilt. It passes clients' messages to their players' reals (`play`), locates those
//! (`hello`, `invited`, `moving`), and decides what each client sees (`sight`, `watch`). A session's phase is in `session`.
//!
//! Not here: who a player is and what it may do (`host`), and what there is to see (`crowd`).

mod doubt;
mod hello;
mod invited;
mod moving;
mod newcomers;
mod oldtokens;
mod play;
mod room;
mod seats;
mod session;
mod sight;
mod watch;
mod watches;

pub(crate) use room::{Edge, Rooms};

use gundo_types::{ChunkId, ConnId, EntityId, Origin, Planted};
use gundo_wire::client::{ClientMessage, Home, Pong, ServerMessage, Stats};

use self::newcomers::Newcomers;
use self::room::edges;
use self::session::{Phase, Session};
use crate::core::Core;
use crate::io::{Gauges, Output, SendClass, Size};

/// How long a Hello may take before the connection is closed with `not_ready`, ms.
const OPENING_MS: u64 = 5_000;
/// How long a session waits for its player's new node before it asks the home again, ms.
const MOVING_MS: u64 = 1_000;
/// How many clients a draining node sends away per tick: one in the first number, and at least the second.
const SENT_AWAY: (usize, usize) = (32, 4);

impl Edge {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How full its lists are.
    pub(crate) fn sizes(&self, core: &Core, sizes: &mut Vec<Size>) {
        let limits = &core.world().limits;
        let used = self.sessions.values().map(|s| s.unanswered.len()).max().unwrap_or(0);
        let most = limits.commands_unanswered_max;
        sizes.push(Size { what: "unanswered commands of one session", used, most });
        let used = self.sessions.values().map(|s| s.watched.len()).max().unwrap_or(0);
        sizes.push(Size { what: "watched by one session", used, most: limits.watches_max });
        let (used, most) = (self.newcomers.len(), Newcomers::most());
        sizes.push(Size { what: "prefixes of newcomers", used, most });
        sizes.push(Size { what: "places", used: self.seats.used(), most: limits.connections_max });
    }

    /// Whether no client is connected any more, and those that were sent away have closed their connections.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.closed.is_empty()
    }

    /// Whether a session is locating this player.
    pub(crate) fn looks_for(&self, player: EntityId) -> bool {
        self.locating.contains_key(&player)
    }

    pub(crate) fn set_gauges(&mut self, gauges: Gauges) {
        self.gauges = gauges;
    }

    /// Asserts the invariants between two inputs. Costs a walk over everything: for the simulator and tests.
    pub(crate) fn check(&self, core: &Core) {
        let limits = &core.world().limits;
        for (conn, session) in &self.sessions {
            assert!(!self.closed.contains(conn), "{conn:?}: a closed connection has no session");
            let waits = self.locating.get(&session.player).is_some_and(|waiting| waiting.contains(conn));
            assert!(
                !session.is(Phase::Locating) || waits,
                "{conn:?}: a session that locates its player is listed"
            );
            let bounded = session.unanswered.len() <= limits.commands_unanswered_max;
            assert!(bounded || core.planted(Planted::UnboundedCommands), "{conn:?}: commands are bounded");
            assert!(session.watched.len() <= limits.watches_max, "{conn:?}: what it watches is bounded");
            let known = session.watched.iter().all(|entity| self.watches.has(*conn, *entity));
            assert!(known, "{conn:?}: what it watches is on the list");
        }
        let seated = self.sessions.values().filter(|session| session.is_seated).count();
        assert_eq!(self.seats.connections(), seated, "a place for each session that was let in");
        assert!(self.seats.used() <= limits.connections_max, "places are bounded");
        let watches = |conn: ConnId, entity: EntityId| {
            self.sessions.get(&conn).is_some_and(|session| session.watched.contains(&entity))
        };
        self.watches.check(core, watches);
        let known = |conn: &ConnId| self.sessions.contains_key(conn);
        assert!(self.locating.values().flatten().all(known), "only sessions locate players");
        assert!(self.locating.values().all(|waiting| !waiting.is_empty()), "a session waits for each");
    }

    // ---- clients ---------------------------------------------------------------------------------------

    pub(crate) fn handle_client(&mut self, cx: &mut Rooms<'_>, conn: ConnId, mut message: ClientMessage) {
        if cx.core.stopping || self.closed.contains(&conn) {
            return cx.core.note_stale();
        }
        let since = cx.core.now.time;
        let session = self.sessions.entry(conn).or_insert_with(|| Session::new(since));
        session.on_heard(since);
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
        if let Some(wanted) = message.stats_wanted {
            session.wants_stats = wanted.on;
        }
        if session.plays() {
            if let Some(entity) = message.unwatch {
                self.unwatch(cx, conn, entity);
            }
            if let Some(entity) = message.watch {
                self.watch(cx, conn, entity);
            }
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
            cx.core.outputs.push_back(Output::Close { conn, closing: None });
        }
    }

    /// A client has come from there.
    pub(crate) fn handle_from(&mut self, cx: &mut Rooms<'_>, conn: ConnId, from: Origin) {
        if cx.core.stopping || self.closed.contains(&conn) {
            return cx.core.note_stale();
        }
        let since = cx.core.now.time;
        self.sessions.entry(conn).or_insert_with(|| Session::new(since)).from = Some(from);
    }

    pub(crate) fn handle_gone(&mut self, cx: &mut Rooms<'_>, conn: ConnId) {
        self.closed.remove(&conn);
        let lost = self.sessions.get(&conn).filter(|session| session.plays()).map(|session| session.player);
        self.end_session(cx, conn, false);
        if let Some(player) = lost {
            self.seats.hold(player, cx.core.now.time.plus_ms(cx.core.world().grace_ms));
        }
    }

    /// A draining node sends some clients to other edges.
    pub(crate) fn send_some_away(&mut self, cx: &mut Rooms<'_>) {
        let (part, least) = SENT_AWAY;
        let count = (self.sessions.len() / part).max(least);
        let conns: Vec<_> = self.sessions.keys().copied().take(count).collect();
        conns.into_iter().for_each(|conn| self.send_away(cx, conn));
    }

    /// The node stops: closes all connections, and says when to come back.
    pub(crate) fn close_all(&mut self, cx: &mut Rooms<'_>) {
        let conns: Vec<_> = self.sessions.keys().copied().collect();
        for conn in conns {
            let text = "The server restarts. You will be back in a moment.";
            self.close_for_now(cx, conn, "stopping", text);
        }
    }

    // ---- views -----------------------------------------------------------------------------------------

    /// A new view: tells clients which edges they may use.
    pub(crate) fn tell_edges(&self, core: &mut Core) {
        let message = ServerMessage { edges: Some(edges(core)), ..Default::default() };
        let conns = self.sessions.iter().filter(|(_, s)| s.plays()).map(|(conn, _)| *conn);
        for conn in conns.collect::<Vec<_>>() {
            core.send_client(conn, &message, SendClass::Kept);
        }
    }

    // ---- housekeeping ----------------------------------------------------------------------------------

    /// Once per second: ends connections whose Hello takes too long, asks again for players that are not located yet, and sends statistics
    /// to the clients that want them. `reals`: entities real on this node.
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
        self.newcomers.rest(now);
        self.settle_doubts(cx);
        self.repeat_registrations(cx.core);
        let curious: Vec<_> =
            self.sessions.iter().filter(|(_, s)| s.wants_stats).map(|(c, s)| (*c, s.center)).collect();
        if curious.is_empty() {
            return;
        }
        let (chunks, ghosts) = cx.crowd.interest.size();
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
        for (conn, center) in curious {
            let stats = Stats { homes: homes_around(cx.core, center), ..stats.clone() };
            let message = ServerMessage { stats: Some(stats), ..Default::default() };
            cx.core.send_client(conn, &message, SendClass::Frames);
        }
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
