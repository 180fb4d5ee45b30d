//! Whole runs against a small server that keeps the protocol, and against servers that do not: a report that cannot turn
//! red proves nothing.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gundo_bots::{
    Address, Behaviour, BotWindow, BotsConfig, BotsError, Circle, Fleet, Phase, Report, Wishes, play, run,
};
use gundo_types::{Body, ChunkId, Point};
use gundo_wire::Message as _;
use gundo_wire::client::{
    ClientMessage, Closing, Edge, Edges, Enter, EntityId, Frame, Refusal, Reply, ServerMessage, Welcome,
    motion_units,
};
use tungstenite::{Message, WebSocket};

/// How the server misbehaves.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    ForgetsAnAnswer,
    RefusesAsTheEngine,
    RefusesAsTheGame,
    ClosesOnce,
}

/// Edge and world in one: every client is alone in it.
struct Server {
    fault: Fault,
    edges: Vec<SocketAddr>,
    ids: AtomicU64,
    names: Mutex<BTreeSet<String>>,
    /// Edges that received a hello.
    used: Mutex<BTreeSet<u16>>,
}

fn serve(edges: usize, fault: Fault) -> (Vec<SocketAddr>, Arc<Server>) {
    let listeners: Vec<_> =
        (0..edges).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let edges: Vec<_> = listeners.iter().map(|l| l.local_addr().expect("bound")).collect();
    let server = Arc::new(Server {
        fault,
        edges: edges.clone(),
        ids: AtomicU64::new(1),
        names: Mutex::default(),
        used: Mutex::default(),
    });
    for listener in listeners {
        let server = Arc::clone(&server);
        let port = listener.local_addr().expect("bound").port();
        // The threads live as long as the test process, so nothing waits for them.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.client(stream, port));
            }
        });
    }
    (edges, server)
}

impl Server {
    fn client(&self, stream: TcpStream, port: u16) {
        stream.set_nodelay(true).expect("a TCP stream");
        let Ok(mut ws) = tungstenite::accept(stream) else { return };
        let (mut id, mut tick, mut commands) = (0, 0, 0u64);
        while let Ok(message) = ws.read() {
            let Message::Binary(bytes) = message else { continue };
            let message = ClientMessage::decode(bytes).expect("a client message");
            if let Some(hello) = message.hello {
                self.used.lock().expect("no panic").insert(port);
                if hello.token.is_empty() {
                    id = self.ids.fetch_add(1, Ordering::Relaxed);
                    assert!(self.names.lock().expect("no panic").insert(hello.name), "a name used twice");
                } else {
                    id = u64::from_be_bytes(hello.token[..8].try_into().expect("our token"));
                }
                say(&mut ws, self.welcome(id, port));
                say(&mut ws, own_frame(id, 1, None));
            }
            for command in message.commands {
                commands += 1;
                if self.fault == Fault::ClosesOnce && id == 1 && commands == 3 && command.seq == 3 {
                    let closing = Closing { code: "stopping".into(), text: String::new(), retry_ms: 1 };
                    say(&mut ws, ServerMessage { closing: Some(closing), ..Default::default() });
                    return;
                }
                if let Some(reply) = self.answer(id, command.seq) {
                    say(&mut ws, ServerMessage { replies: vec![reply], ..Default::default() });
                }
            }
            if let Some(wish) = message.r#move {
                tick += 1;
                let at = Point::new(wish.x, wish.y);
                say(&mut ws, own_frame(id, tick, Some(Body { at, ..Body::default() })));
            }
        }
    }

    fn welcome(&self, id: u64, port: u16) -> ServerMessage {
        let node =
            1 + self.edges.iter().position(|edge| edge.port() == port).expect("an edge of ours") as u32;
        let token = [id.to_be_bytes().as_slice(), &[7; 16]].concat();
        let edges = self.edges.iter().zip(1..).map(|(edge, node)| Edge {
            node,
            port: u32::from(edge.port()),
            ..Default::default()
        });
        let welcome = Welcome {
            player: Some(EntityId { kind: 1, id }),
            token: token.into(),
            next_seq: 1,
            tick_ms: 100,
            node,
            edges: Some(Edges { edges: edges.collect() }),
            x: 15_000,
            y: 15_000,
            ..Default::default()
        };
        ServerMessage { welcome: Some(welcome), ..Default::default() }
    }

    fn answer(&self, id: u64, seq: u64) -> Option<Reply> {
        let refused =
            |code: &str| Some(Refusal { code: code.into(), text: String::new(), ..Default::default() });
        let refusal = match self.fault {
            Fault::ForgetsAnAnswer if id == 2 && seq == 2 => return None,
            Fault::RefusesAsTheEngine if id == 2 => refused("too_old"),
            Fault::RefusesAsTheGame => refused("full_hands"),
            _ => None,
        };
        Some(Reply { seq, refusal, ..Default::default() })
    }
}

/// Enters the own entity, or moves it.
fn own_frame(id: u64, tick: u32, body: Option<Body>) -> ServerMessage {
    let chunk = body.map_or(ChunkId::default(), |b| b.chunk());
    let mut frame =
        Frame { publisher: 1, cx: i32::from(chunk.x), cy: i32::from(chunk.y), tick, ..Default::default() };
    match body {
        None => {
            frame.roster = 1;
            frame.enter =
                vec![Enter { slot: 1, kind: 1, id, count: 1, has_body: true, ..Default::default() }];
        }
        Some(body) => {
            let (x, y) = motion_units(&body);
            (frame.slot, frame.x, frame.y) = (vec![1], vec![x], vec![y]);
            (frame.heading, frame.speed) = (vec![1], vec![1]);
        }
    }
    ServerMessage { frames: vec![frame], ..Default::default() }
}

fn say(ws: &mut WebSocket<TcpStream>, message: ServerMessage) {
    // The bot may have left; then reading ends.
    let _ = ws.send(Message::Binary(message.encode_to_vec().into()));
}

/// Walks in a circle and asks for something every third step.
struct Busy(Circle, u32);

impl Behaviour for Busy {
    fn step(&mut self, wishes: &mut Wishes) {
        self.0.step(wishes);
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            wishes.command(0, vec![1]);
        }
    }

    fn is_own_refusal(&self, code: &str) -> bool {
        code == "full_hands"
    }
}

fn bots(
    edges: &[SocketAddr],
    count: usize,
    change: impl FnOnce(&mut BotsConfig),
) -> Result<Report, BotsError> {
    let mut config = BotsConfig::new(count, vec![format!("ws://{}", edges[0]).parse().expect("an address")]);
    (config.seconds, config.settle_seconds, config.drain_seconds) = (1.0, 0.1, 0.5);
    change(&mut config);
    run(&config, &|_| Box::new(Busy(Circle::new(2_000, 2_000), 0)), &mut |_| {})
}

#[test]
fn a_good_server_gets_a_clean_report() {
    for threads in [1, 2] {
        let (edges, server) = serve(3, Fault::None);
        let mut phases = Vec::new();
        let mut config = BotsConfig::new(12, vec![format!("ws://{}", edges[0]).parse().expect("an address")]);
        (config.seconds, config.settle_seconds, config.threads) = (1.0, 0.1, threads);
        let mind = |_| Box::new(Busy(Circle::new(2_000, 2_000), 0)) as Box<dyn Behaviour>;
        let report =
            run(&config, &mind, &mut |p| phases.extend(p.begun.then_some(p.phase))).expect("it runs");
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.live, report.errors.len(), report.lost), (12, 0, 0), "{report}");
        assert_eq!(report.commands, report.answered);
        // 12 bots, 10 steps per second, one second; a busy machine may skip some.
        assert!((12..=130).contains(&report.moves), "{report}");
        assert!(report.own_move.count > 5 && report.own_move.p50_ms > 0.0, "{report}");
        assert!(report.updates >= report.own_move.count && report.bytes > report.updates * 8, "{report}");
        assert_eq!(
            phases,
            [Phase::Connecting, Phase::Settling, Phase::Measuring, Phase::Draining, Phase::Leaving]
        );
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(json["live"], 12);
        assert_eq!(server.used.lock().expect("no panic").len(), 3, "bots spread over the edges they learn");
    }
}

#[test]
fn a_lost_answer_and_a_strange_refusal_fail_the_run() {
    let report = bots(&serve(1, Fault::ForgetsAnAnswer).0, 3, |_| {}).expect("it runs");
    assert_eq!((report.lost, report.is_clean()), (1, false), "{report}");

    let report = bots(&serve(1, Fault::RefusesAsTheEngine).0, 3, |_| {}).expect("it runs");
    assert!(report.refused_otherwise > 0 && !report.is_clean(), "{report}");
    assert!(report.errors.contains_key("refused_too_old"));

    let report = bots(&serve(1, Fault::RefusesAsTheGame).0, 3, |_| {}).expect("it runs");
    assert!(report.refused_by_game > 0 && report.is_clean(), "{report}");
}

#[test]
fn a_broken_connection_is_resumed_and_nothing_is_lost() {
    let report = bots(&serve(2, Fault::ClosesOnce).0, 2, |c| c.seconds = 2.5).expect("it runs");
    assert_eq!((report.lost, report.is_clean()), (0, true), "{report}");
    assert!(report.reconnects >= 1 && report.errors.contains_key("closed_stopping"), "{report}");
    assert_eq!(report.commands, report.answered);
}

/// Marks until something has happened to every bot, and returns the windows in which it did.
fn marked(fleet: &Fleet<'_>, what: impl Fn(&BotWindow) -> bool) -> Vec<BotWindow> {
    let mut found: Vec<Option<BotWindow>> = Vec::new();
    loop {
        let windows = fleet.mark();
        found.resize(windows.len(), None);
        for (found, window) in found.iter_mut().zip(windows) {
            if found.is_none() && what(&window) {
                *found = Some(window);
            }
        }
        if found.iter().all(Option::is_some) {
            return found.into_iter().flatten().collect();
        }
    }
}

#[test]
fn a_caller_asks_every_bot_how_it_fared_and_sends_it_elsewhere() {
    let (edges, _) = serve(2, Fault::None);
    let edges: Vec<Address> =
        edges.iter().map(|edge| format!("ws://{edge}").parse().expect("an address")).collect();
    let mut config = BotsConfig::new(6, edges.clone());
    (config.settle_seconds, config.threads, config.spread) = (0.0, 2, false);
    let mind = |_| Box::new(Busy(Circle::new(2_000, 2_000), 0)) as Box<dyn Behaviour>;
    let played = play(&config, &mind, |fleet| {
        let windows = marked(fleet, |w| w.own_moves > 0);
        assert_eq!(windows.iter().map(|w| w.bot).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert!(windows.iter().all(|w| w.live && w.holder_after == 1 && w.gap_ms > 0.0));
        assert_eq!(windows.iter().map(|w| w.edge_after).collect::<Vec<_>>(), [1, 2, 1, 2, 1, 2]);
        fleet.spread(Some([0, 5].into()), &edges[1..], false);
        let windows = marked(fleet, |w| w.live && (w.edge_after == 2 || [2, 4].contains(&w.bot)));
        assert_eq!(windows.iter().map(|w| w.edge_after).collect::<Vec<_>>(), [2, 2, 1, 2, 1, 2]);
        fleet.spread(None, &edges[1..], false);
        let windows = marked(fleet, |w| w.live && w.edge_after == 2 && w.own_moves > 0);
        assert!(windows.iter().all(|w| w.losses.is_empty()), "who goes on purpose loses nothing");
    });
    let played = played.expect("it runs");
    assert!(played.report.is_clean(), "{}", played.report);
    assert_eq!(played.minds.iter().filter(|(player, _)| player.is_some()).count(), 6);
}

#[test]
fn a_lost_connection_is_in_the_window() {
    let (edges, _) = serve(1, Fault::ClosesOnce);
    let config = BotsConfig {
        settle_seconds: 0.0,
        ..BotsConfig::new(1, vec![format!("ws://{}", edges[0]).parse().expect("an address")])
    };
    let mind = |_| Box::new(Busy(Circle::new(2_000, 2_000), 0)) as Box<dyn Behaviour>;
    let played = play(&config, &mind, |fleet| {
        // The mark that finds the loss may come before the bot is back.
        let mut losses = Vec::new();
        while losses.is_empty() {
            losses = fleet.mark().remove(0).losses;
        }
        assert_eq!((losses[0].code.as_str(), losses[0].edge, losses.len()), ("stopping", 1, 1));
    });
    assert_eq!(played.expect("it runs").report.reconnects, 1);
}

#[test]
fn where_nobody_listens_the_error_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = listener.local_addr().expect("bound");
    drop(listener);
    let error = bots(&[closed], 2, |c| c.connect_seconds = 0.5).expect_err("nobody there");
    let text = error.to_string();
    assert!(text.contains("is a server running") && text.contains("connection_refused"), "{text}");
}
