//! Scenarios of a session with a scripted edge, and one property: whatever the network does, each command is answered once
//! and takes effect at most once.

use gundo_wire::Message;
use gundo_wire::client::{
    Edge, Edges, EntityId as WireId, PROTOCOL, Pong, Refusal, Reply, ServerMessage, Told, Watched, Welcome,
};
use proptest::prelude::*;

use super::*;

#[path = "session_line_tests.rs"]
mod lines;

fn at(ms: u64) -> Time {
    Time(ms * 1_000)
}

fn edge(port: u16) -> Address {
    Address { host: "h".into(), port, path: "/ws".into(), tls: false }
}

fn session(ports: &[u16]) -> Session {
    let mut settings = SessionSettings::new(ports.iter().map(|p| edge(*p)).collect(), "ann");
    settings.nonce = Some([1; 16]);
    Session::new(settings)
}

fn drain(s: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| s.poll_output()).collect()
}

fn sent(outputs: &[Output]) -> Vec<ClientMessage> {
    outputs
        .iter()
        .filter_map(|o| match o {
            Output::Send(m) => Some(m.clone()),
            _ => None,
        })
        .collect()
}

fn seqs(outputs: &[Output]) -> Vec<u64> {
    sent(outputs).iter().flat_map(|m| m.commands.iter().map(|c| c.seq)).collect()
}

fn welcome(token: &'static [u8], next_seq: u64) -> ServerMessage {
    let welcome = Welcome {
        player: Some(WireId { kind: 1, id: 77 }),
        token: Bytes::from_static(token),
        next_seq,
        world_ms: 5_000,
        ..Default::default()
    };
    ServerMessage { welcome: Some(welcome), ..Default::default() }
}

fn reply(seq: u64, payload: &'static [u8]) -> ServerMessage {
    let reply = Reply { seq, payload: Bytes::from_static(payload), refusal: None };
    ServerMessage { replies: vec![reply], ..Default::default() }
}

#[test]
fn what_is_watched_is_asked_for_again_and_a_refusal_ends_it() {
    let of = |id| gundo_types::EntityId::new(gundo_types::Kind(3), id);
    let asked =
        |outputs: &[Output]| sent(outputs).iter().filter_map(|m| Some(m.watch?.id)).collect::<Vec<_>>();
    let mut s = live(&[1, 2]);
    drain(&mut s);
    for id in [5, 6, 6, 7] {
        s.watch(of(id));
    }
    s.unwatch(of(7));
    s.unwatch(of(7));
    let outputs = drain(&mut s);
    assert_eq!(asked(&outputs), [5, 6, 7]);
    assert_eq!(sent(&outputs).iter().filter_map(|m| Some(m.unwatch?.id)).collect::<Vec<_>>(), [7]);
    let shown = |id, public| Watched { entity: Some(of(id).into()), public, ..Default::default() };
    let refusal = Refusal { code: "not_allowed".into(), text: "No.".into(), ..Default::default() };
    let message = ServerMessage {
        watched: vec![
            shown(5, Some(Bytes::from_static(b"a"))),
            shown(7, Some(Bytes::from_static(b"late"))),
            Watched { refusal: Some(refusal.clone()), gone: true, ..shown(6, None) },
        ],
        told: vec![Told { payload: Bytes::from_static(b"psst") }],
        ..Default::default()
    };
    s.handle_message(at(10), message);
    let a = Some(Bytes::from_static(b"a"));
    let events: Vec<_> = drain(&mut s).into_iter().collect();
    let expected = [
        Event::Watched { entity: of(5), public: a, refusal: None, gone: false },
        Event::Watched { entity: of(6), public: None, refusal: Some(refusal), gone: true },
        Event::Told(Bytes::from_static(b"psst")),
    ];
    assert_eq!(events, expected.map(Output::Event));
    s.handle_gone(at(20));
    s.handle_timeout(at(20_000));
    s.handle_open(at(20_001));
    s.handle_message(at(20_002), welcome(b"next", 1));
    assert_eq!(asked(&drain(&mut s)), [5]);
}

fn live(ports: &[u16]) -> Session {
    let mut s = session(ports);
    s.start(at(0));
    s.handle_open(at(1));
    s.handle_message(at(2), welcome(b"t1", 1));
    drain(&mut s);
    s
}

#[test]
fn a_connection_that_was_left_on_purpose_has_held_too() {
    let mut s = live(&[1, 2, 3]);
    let mut now = 10;
    for _ in 0..20 {
        now += 5_000;
        s.go_to(at(now), &edge(2), false);
        s.handle_open(at(now));
        s.handle_message(at(now), welcome(b"t1", 1));
        // This one has not lasted: it is lost at once.
        s.handle_gone(at(now + 10));
        let lost = drain(&mut s).into_iter().find_map(|o| match o {
            Output::Event(Event::Lost { again_in_ms, .. }) => Some(again_in_ms),
            _ => None,
        });
        assert!(lost.expect("it is lost") <= 50, "{lost:?} ms");
        s.handle_timeout(at(now + 100));
        s.handle_open(at(now + 100));
        s.handle_message(at(now + 100), welcome(b"t1", 1));
        drain(&mut s);
    }
}

#[test]
fn hello_brings_a_welcome_and_commands_wait_for_it() {
    let mut s = session(&[1]);
    s.start(at(0));
    assert_eq!(drain(&mut s), [Output::Connect(edge(1))]);
    let early = s.command(at(0), Bytes::from_static(b"a")).expect("room");
    s.handle_open(at(10));
    let out = drain(&mut s);
    let hello = sent(&out)[0].hello.clone().expect("hello first");
    assert_eq!((hello.name.as_str(), hello.token.len(), hello.protocol), ("ann", 0, PROTOCOL));
    assert_eq!(seqs(&out), [0u64; 0], "no seq is known before the welcome");
    s.handle_message(at(20), welcome(b"t1", 41));
    let out = drain(&mut s);
    assert!(matches!(&out[0], Output::Event(Event::Welcomed(_))));
    assert_eq!(seqs(&out), [41]);
    s.handle_message(at(30), reply(41, b"yes"));
    let expected = Answer { id: early, result: Ok(Bytes::from_static(b"yes")), waited_us: 30_000, sends: 1 };
    assert_eq!(drain(&mut s), [Output::Event(Event::Answered(expected))]);
    assert_eq!(s.world_ms(at(1_020)), 6_000);
}

#[test]
fn the_first_hello_is_the_same_until_it_is_heard() {
    let hello = |s: &mut Session| sent(&drain(s))[0].hello.clone().expect("hello");
    let mut s = session(&[1, 2]);
    s.start(at(0));
    s.handle_open(at(1));
    let first = hello(&mut s);
    assert_eq!(first.nonce, &[1; 16][..]);
    // The welcome is lost with the connection.
    s.handle_gone(at(2));
    s.handle_timeout(at(300));
    s.handle_open(at(301));
    assert_eq!(hello(&mut s), first);
    s.handle_message(at(302), welcome(b"t1", 1));
    s.handle_gone(at(303));
    s.handle_timeout(at(600));
    s.handle_open(at(601));
    let resume = hello(&mut s);
    assert_eq!((&resume.token[..], resume.nonce.len()), (&b"t1"[..], 0));
    // The old player is gone: the next name makes another one.
    let refusal = Refusal { code: "bad_token".into(), text: String::new(), ..Default::default() };
    s.handle_message(at(602), ServerMessage { refused: Some(refusal), ..Default::default() });
    drain(&mut s);
    s.introduce(at(603), "bob", [2; 16]);
    let other = hello(&mut s);
    assert_eq!((other.token.len(), &other.nonce[..]), (0, &[2; 16][..]));
}

#[test]
#[should_panic(expected = "a new player needs a nonce")]
fn a_new_player_without_a_nonce_is_a_bug() {
    drop(Session::new(SessionSettings::new(vec![edge(1)], "ann")));
}

#[test]
fn a_resume_sends_the_new_token_and_the_unanswered_with_their_old_seqs() {
    let mut s = live(&[1, 2]);
    for _ in 0..3 {
        s.command(at(5), Bytes::from_static(b"c")).expect("room");
    }
    assert_eq!(seqs(&drain(&mut s)), [1, 2, 3]);
    s.handle_message(at(6), reply(2, b""));
    s.handle_gone(at(7));
    let late = s.command(at(8), Bytes::from_static(b"d")).expect("room");
    drain(&mut s);
    s.handle_timeout(at(7 + 50));
    assert_eq!(drain(&mut s), [Output::Connect(edge(2))], "another edge is tried at once");
    s.handle_open(at(300));
    assert_eq!(sent(&drain(&mut s))[0].hello.as_ref().expect("hello").token, &b"t1"[..]);
    s.handle_message(at(310), welcome(b"t2", 3));
    let out = drain(&mut s);
    assert_eq!(seqs(&out), [1, 3, 4], "3 is used already, so the next new one is 4");
    assert_eq!(s.token(), &&b"t2"[..]);
    s.handle_message(at(320), reply(4, b"x"));
    let out = drain(&mut s);
    assert!(matches!(&out[0], Output::Event(Event::Answered(a)) if a.id == late && a.sends == 1));
}

#[test]
fn the_first_answer_counts() {
    let mut s = live(&[1]);
    s.command(at(5), Bytes::from_static(b"c")).expect("room");
    drain(&mut s);
    s.handle_message(at(6), reply(1, b"first"));
    s.handle_message(at(7), reply(1, b"second"));
    let out = drain(&mut s);
    assert_eq!(out.len(), 1);
    assert!(
        matches!(&out[0], Output::Event(Event::Answered(a)) if a.result == Ok(Bytes::from_static(b"first")))
    );
    assert_eq!(s.repeats(), 1);
}

#[test]
fn at_most_32_are_under_way_and_what_waits_is_bounded() {
    let mut s = live(&[1]);
    let accepted = (0..2_000).filter(|_| s.command(at(5), Bytes::new()).is_ok()).count();
    assert_eq!(accepted, 32 + 1_024);
    assert_eq!(seqs(&drain(&mut s)).len(), 32);
    s.handle_message(at(6), reply(7, b""));
    assert_eq!(seqs(&drain(&mut s)), [33]);
}

#[test]
fn large_commands_are_split_over_messages_the_server_accepts() {
    let mut s = live(&[1]);
    for _ in 0..32 {
        s.command(at(5), Bytes::from(vec![0; 4_096])).expect("room");
    }
    drain(&mut s);
    s.handle_gone(at(6));
    s.handle_timeout(at(1_000));
    s.handle_open(at(1_001));
    s.handle_message(at(1_002), welcome(b"t2", 1));
    let out = drain(&mut s);
    assert_eq!(seqs(&out), (1..=32).collect::<Vec<_>>());
    assert!(sent(&out).iter().all(|m| m.encoded_len() <= 16 * 1024));
}

#[test]
fn closing_says_whether_to_come_back() {
    let closing = |code: &str, retry_ms| ServerMessage {
        closing: Some(Closing { code: code.into(), text: String::new(), retry_ms }),
        ..Default::default()
    };
    let mut s = live(&[1]);
    s.handle_message(at(10), closing("stopping", 2_000));
    let out = drain(&mut s);
    assert_eq!(out[0], Output::Disconnect);
    let Output::Event(Event::Lost { again_in_ms, closing: Some(c) }) = &out[1] else { panic!("{out:?}") };
    assert_eq!((c.code.as_str(), *again_in_ms), ("stopping", 2_000));
    assert_eq!(s.poll_timeout(), Some(at(2_010)));

    let mut s = live(&[1]);
    let open = s.command(at(9), Bytes::new()).expect("room");
    drain(&mut s);
    s.handle_message(at(10), closing("superseded", 0));
    let out = drain(&mut s);
    assert!(
        matches!(&out[1], Output::Event(Event::Answered(a)) if a.id == open && a.result.as_ref().is_err_and(|r| r.code == "session_lost"))
    );
    assert!(matches!(&out[2], Output::Event(Event::Ended(Some(c))) if c.code == "superseded"));
    assert!(s.is_ended() && s.poll_timeout().is_none());
}

#[test]
fn a_refused_hello_is_asked_again_on_the_same_connection() {
    let refused = |code: &str| ServerMessage {
        refused: Some(Refusal { code: code.into(), text: String::new(), ..Default::default() }),
        ..Default::default()
    };
    let mut s = session(&[1]);
    s.start(at(0));
    s.handle_open(at(1));
    drain(&mut s);
    s.handle_message(at(2), refused("name_taken"));
    assert!(matches!(&drain(&mut s)[..], [Output::Event(Event::Refused(r))] if r.code == "name_taken"));
    s.introduce(at(3), "bob", [2; 16]);
    assert_eq!(sent(&drain(&mut s))[0].hello.as_ref().expect("hello").name, "bob");
    s.handle_message(at(4), refused("not_ready"));
    assert_eq!(drain(&mut s), []);
    let due = s.poll_timeout().expect("tries again by itself");
    s.handle_timeout(due);
    assert_eq!(sent(&drain(&mut s))[0].hello.as_ref().expect("hello").name, "bob");
}

fn pong(stamp: u64) -> ServerMessage {
    ServerMessage { pong: Some(Pong { stamp, world_ms: 9 }), ..Default::default() }
}

#[test]
fn a_silent_edge_is_asked_and_then_given_up() {
    let mut s = live(&[1, 2]);
    assert_eq!(s.poll_timeout(), Some(at(1_002)));
    s.handle_timeout(at(1_002));
    assert_eq!(sent(&drain(&mut s))[0].ping.expect("ping").stamp, 1_002_000);
    assert_eq!(s.poll_timeout(), Some(at(2_002)));
    s.handle_message(at(2_000), pong(1_980_000));
    assert_eq!(drain(&mut s), [Output::Event(Event::RoundTrip(20_000))]);
    assert_eq!(s.poll_timeout(), Some(at(3_000)), "it is alive: the silence starts again");
    s.handle_timeout(at(3_000));
    drain(&mut s);
    s.handle_timeout(at(4_000));
    let out = drain(&mut s);
    assert_eq!(out[0], Output::Disconnect);
    assert!(matches!(&out[1], Output::Event(Event::Lost { again_in_ms: 0..=50, closing: None })), "{out:?}");
    s.handle_timeout(at(4_050));
    assert_eq!(drain(&mut s), [Output::Connect(edge(2))]);
}

#[test]
fn whoever_slept_asks_before_it_gives_up() {
    let mut s = live(&[1, 2]);
    s.handle_timeout(at(60_000));
    assert!(sent(&drain(&mut s))[0].ping.is_some(), "its own silence is not the edge's");
    assert_eq!(s.poll_timeout(), Some(at(61_000)));
}

#[test]
fn a_busy_connection_is_pinged_for_the_time_only() {
    let mut s = live(&[1]);
    let mut pings = 0;
    for ms in (100..=10_100).step_by(100) {
        s.handle_message(at(ms), ServerMessage::default());
        while s.poll_timeout().is_some_and(|due| due <= at(ms)) {
            s.handle_timeout(at(ms));
        }
        pings += sent(&drain(&mut s)).iter().filter(|m| m.ping.is_some()).count();
    }
    assert_eq!(pings, 2);
}

#[test]
fn deaf_edges_are_left_and_slow_ones_waited_for() {
    // The edge accepts connections and sends nothing.
    let mut s = session(&[1, 2]);
    s.start(at(0));
    s.handle_open(at(1));
    drain(&mut s);
    s.handle_timeout(at(1_001));
    assert!(sent(&drain(&mut s))[0].ping.is_some());
    s.handle_timeout(at(2_001));
    assert_eq!(drain(&mut s)[0], Output::Disconnect);
    // The edge does not even accept them.
    s.handle_timeout(at(2_100));
    assert_eq!(drain(&mut s), [Output::Connect(edge(2))]);
    assert_eq!(s.poll_timeout(), Some(at(4_100)));
    s.handle_timeout(at(4_100));
    assert_eq!(drain(&mut s)[0], Output::Disconnect);
    s.handle_timeout(s.poll_timeout().expect("a wait"));
    drain(&mut s);
    // After a whole round of failures, opening may take longer.
    let since = at(4_400);
    assert!(s.poll_timeout().expect("a wait") > since.plus_ms(3_000));
    // The edge answers pings: it only needs time for the hello.
    s.handle_open(since);
    drain(&mut s);
    for second in 1..10 {
        let due = s.poll_timeout().expect("doubt");
        assert_eq!(due, since.plus_ms(1_000 * second));
        s.handle_timeout(due);
        assert!(sent(&drain(&mut s))[0].ping.is_some());
        s.handle_message(due, pong(due.0));
        drain(&mut s);
    }
    s.handle_timeout(since.plus_ms(10_000));
    assert_eq!(drain(&mut s)[0], Output::Disconnect);
}

#[test]
fn who_is_moved_goes_elsewhere_when_told_however_often() {
    let mut s = live(&[1, 2]);
    let mut now = 2;
    for nth in 0..6 {
        let command = s.command(at(now), Bytes::from_static(b"c")).expect("room");
        let here = s.edge().clone();
        drain(&mut s);
        // Each stay is long enough to count.
        now += 1_000;
        let text = String::new();
        let closing = Some(Closing { code: "moving".into(), text, retry_ms: 3 });
        s.handle_message(at(now), ServerMessage { closing, ..Default::default() });
        let out = drain(&mut s);
        assert!(matches!(&out[1], Output::Event(Event::Lost { again_in_ms: 3, .. })), "{out:?}");
        s.handle_timeout(at(now + 3));
        assert_eq!(drain(&mut s), [Output::Connect(edge(if here.port == 1 { 2 } else { 1 }))]);
        s.handle_open(at(now + 4));
        s.handle_message(at(now + 5), welcome(b"t", 1));
        now += 5;
        assert_eq!(seqs(&drain(&mut s)), [nth + 1], "what is unanswered goes with it");
        s.handle_message(at(now), reply(nth + 1, b""));
        assert!(
            drain(&mut s).iter().any(|o| matches!(o, Output::Event(Event::Answered(a)) if a.id == command))
        );
    }
}

#[test]
fn edges_that_let_in_and_drop_again_are_not_tried_without_end() {
    let mut s = live(&[1, 2]);
    let mut now = 2;
    let mut attempts = 0;
    while now < 10_000 {
        s.handle_gone(at(now));
        drain(&mut s);
        now = s.poll_timeout().expect("a wait").0 / 1_000;
        s.handle_timeout(at(now));
        s.handle_open(at(now));
        s.handle_message(at(now), welcome(b"t", 1));
        drain(&mut s);
        attempts += 1;
    }
    assert!(attempts < 20, "{attempts} attempts in 10 s");
}

#[test]
fn the_list_of_edges_is_learned() {
    let mut s = live(&[7600]);
    let edges = [(1, "", 7600), (2, "", 7601), (3, "other", 7602), (5, "", 70_000)]
        .map(|(node, host, port)| Edge { node, host: host.into(), port, ..Default::default() });
    let edges = Edges { edges: edges.to_vec() };
    s.handle_message(at(5), ServerMessage { edges: Some(edges), ..Default::default() });
    let shown: Vec<_> = s.edges().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["ws://h:7600/ws", "ws://h:7601/ws", "ws://other:7602/ws"]);
    s.handle_message(at(6), ServerMessage { edges: Some(Edges::default()), ..Default::default() });
    assert_eq!(s.edges().len(), 3, "an empty list would leave nowhere to go");
}

#[test]
fn a_list_without_the_edge_in_use_leads_away_from_it() {
    let list = |ports: &[u32]| {
        let edges =
            ports.iter().map(|port| Edge { node: *port, port: *port, ..Default::default() }).collect();
        ServerMessage { edges: Some(Edges { edges }), ..Default::default() }
    };
    let mut s = live(&[1]);
    s.handle_message(at(5), list(&[1, 2, 3]));
    // Edge 1 is being drained.
    s.handle_message(at(6), list(&[2, 3]));
    assert_eq!(*s.edge(), edge(1));
    s.handle_gone(at(7));
    s.handle_timeout(at(57));
    let went = s.edge().clone();
    assert!(went == edge(2) || went == edge(3));
    s.handle_open(at(58));
    s.handle_message(at(59), welcome(b"t2", 1));
    s.handle_message(at(60), list(&[2, 3]));
    assert_eq!(
        (s.edges(), s.edge()),
        (&[edge(2), edge(3), edge(1)][..], &went),
        "where it came by stays the last resort"
    );
}

#[test]
fn it_goes_where_it_is_sent() {
    let mut s = live(&[1, 2, 3]);
    s.command(at(5), Bytes::from_static(b"c")).expect("room");
    drain(&mut s);
    s.go_to(at(6), &edge(3), false);
    assert_eq!(drain(&mut s), [Output::Disconnect, Output::Connect(edge(3))]);
    s.handle_open(at(7));
    s.handle_message(at(8), welcome(b"t2", 1));
    assert_eq!(seqs(&drain(&mut s)), [1]);
    s.go_to(at(9), &edge(7), true);
    let out = drain(&mut s);
    assert!(sent(&out)[0].bye.is_some());
    assert_eq!(out[1..], [Output::Disconnect, Output::Connect(edge(7))]);
}

#[test]
fn leaving_says_bye() {
    let mut s = live(&[1]);
    s.leave(at(5));
    let out = drain(&mut s);
    assert!(sent(&out)[0].bye.is_some());
    assert_eq!(out[1], Output::Disconnect);
    assert_eq!(out[2], Output::Event(Event::Ended(None)));
    s.leave(at(6));
    assert_eq!(drain(&mut s), []);
}

/// An edge and a player that keep G5: they decide in order and at most once, and keep the last answers.
#[derive(Default)]
struct Server {
    done: Vec<(u64, Bytes)>,
    tokens: u8,
}

impl Server {
    fn handle(&mut self, message: &ClientMessage) -> Vec<ServerMessage> {
        let mut out = Vec::new();
        if message.hello.is_some() {
            self.tokens += 1;
            let mut hello = welcome(b"", self.done.last().map_or(1, |(s, _)| s + 1));
            hello.welcome.as_mut().expect("built so").token = vec![self.tokens].into();
            out.push(hello);
        }
        for c in &message.commands {
            match self.done.iter().find(|(s, _)| *s == c.seq) {
                Some((_, payload)) => assert_eq!(*payload, c.payload, "seq {} was used twice", c.seq),
                None => {
                    let last = self.done.last().map_or(0, |(s, _)| *s);
                    assert_eq!(c.seq, last + 1, "commands come in order and without gaps");
                    self.done.push((c.seq, c.payload.clone()));
                }
            }
            let reply = Reply { seq: c.seq, payload: c.payload.clone(), refusal: None };
            out.push(ServerMessage { replies: vec![reply], ..Default::default() });
        }
        out
    }
}

proptest! {
    #[test]
    fn every_command_takes_effect_once_and_is_answered_once(steps in prop::collection::vec(0u8..6, 1..200)) {
        let mut s = session(&[1, 2]);
        // However long it takes.
        s.settings.command_age_ms_max = u64::MAX;
        let mut server = Server::default();
        let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let (mut now, mut open) = (0, false);
        s.start(at(0));
        // After the random part the network is reliable until everything is answered.
        let healed = std::iter::repeat_n([3u8, 1, 2], 200).flatten();
        for step in steps.into_iter().chain(healed) {
            now += 50;
            match step {
                0 => {
                    let payload = Bytes::from(asked.len().to_string());
                    asked.push(s.command(at(now), payload).expect("room"));
                }
                1 => if let Some(message) = up.pop_front() {
                    down.extend(server.handle(&message));
                },
                2 => if let Some(message) = down.pop_front() {
                    s.handle_message(at(now), message);
                },
                3 => s.handle_timeout(at(now)),
                4 | 5 if open && step == 4 => {
                    // The connection breaks; everything in flight in either direction is lost.
                    (open, up, down) = (false, VecDeque::new(), VecDeque::new());
                    s.handle_gone(at(now));
                }
                _ => {}
            }
            while let Some(output) = s.poll_output() {
                match output {
                    Output::Connect(_) => {
                        open = true;
                        s.handle_open(at(now));
                    }
                    Output::Send(message) => up.push_back(message),
                    Output::Disconnect => (open, up, down) = (false, VecDeque::new(), VecDeque::new()),
                    Output::Event(Event::Answered(a)) => {
                        let nth = asked.iter().position(|id| *id == a.id).expect("asked for");
                        prop_assert_eq!(a.result, Ok(Bytes::from(nth.to_string())));
                        answered.push(a.id);
                    }
                    Output::Event(_) => {}
                }
            }
        }
        answered.sort();
        prop_assert_eq!(&answered, &asked);
        prop_assert_eq!(server.done.len(), asked.len());
    }
}
