//! A session on lines that are slow or break: how long it waits, what it says of its losses, and what it does not begin any more.

use gundo_wire::client::Command;

use super::*;

/// A line whose every answer takes this long, and whose connections need two round trips to open: what happens until `until_ms`.
fn on_a_line(s: &mut Session, trip_ms: u64, until_ms: u64) -> Vec<Event> {
    let (mut due, mut events) = (Vec::<(u64, Option<ServerMessage>)>::new(), Vec::new());
    s.start(at(0));
    for ms in 0..until_ms {
        while let Some(i) = due.iter().position(|(then, _)| *then <= ms) {
            match due.remove(i).1 {
                None => s.handle_open(at(ms)),
                Some(message) => s.handle_message(at(ms), message),
            }
        }
        if s.poll_timeout().is_some_and(|then| then <= at(ms)) {
            s.handle_timeout(at(ms));
        }
        for output in drain(s) {
            match output {
                Output::Connect(_) => due = vec![(ms + 2 * trip_ms, None)],
                Output::Disconnect => due.clear(),
                Output::Send(said) => {
                    let welcome = said.hello.map(|_| welcome(b"t1", 1));
                    let pong = said.ping.map(|p| ServerMessage {
                        pong: Some(Pong { stamp: p.stamp, world_ms: 1 }),
                        ..Default::default()
                    });
                    due.extend(welcome.into_iter().chain(pong).map(|m| (ms + trip_ms, Some(m))));
                }
                Output::Event(event) => events.push(event),
            }
        }
    }
    events
}

#[test]
fn whoever_has_a_round_trip_below_four_seconds_plays() {
    for (ports, trip_ms, soon_ms) in [
        (&[1][..], 2_200, 8_000),
        (&[1], 3_900, 13_000),
        (&[1, 2, 3], 2_200, 15_000),
        (&[1, 2, 3], 3_900, 32_000),
    ] {
        let mut s = session(ports);
        on_a_line(&mut s, trip_ms, soon_ms);
        assert!(s.is_live(), "{ports:?}: not in with a round trip of {trip_ms} ms");
        let mut s = session(ports);
        let events = on_a_line(&mut s, trip_ms, soon_ms + 60_000);
        let welcomes = events.iter().filter(|e| matches!(e, Event::Welcomed(_))).count();
        assert_eq!(welcomes, 1, "it stays, although nothing but pongs arrives");
        assert!(events.contains(&Event::SlowLine(true)), "and hears that its line is slow");
    }
    let mut s = session(&[1, 2, 3]);
    let events = on_a_line(&mut s, 50, 60_000);
    assert!(s.is_live() && !events.iter().any(|e| matches!(e, Event::SlowLine(_) | Event::Lost { .. })));
}

#[test]
fn a_hanging_edge_is_left_quickly_if_the_line_is_quick() {
    let mut s = session(&[1, 2]);
    on_a_line(&mut s, 50, 20_000);
    let heard = s.last_heard;
    let asks = s.poll_timeout().expect("it asks").0.max(heard.0 + 1_000_000);
    s.handle_timeout(Time(asks));
    s.handle_timeout(Time(asks + 999_000));
    assert!(s.is_live());
    s.handle_timeout(Time(asks + 1_000_000));
    assert!(!s.is_live(), "a second to ask, a second to answer");
}

/// A welcome of the edge with this life.
fn welcome_at(life: u64) -> ServerMessage {
    let mut message = welcome(b"t", 1);
    message.welcome.as_mut().expect("it has one").life = life;
    message
}

/// Its connection breaks, and another edge welcomes it; returns what it sends then.
fn comes_back(s: &mut Session, ms: u64, life: u64) -> Vec<Command> {
    s.handle_gone(at(ms));
    s.handle_timeout(at(ms + 100));
    s.handle_open(at(ms + 101));
    drain(s);
    s.handle_message(at(ms + 102), welcome_at(life));
    sent(&drain(s)).into_iter().flat_map(|m| m.commands).collect()
}

#[test]
fn it_says_at_which_edges_connections_were_lost_over_a_command() {
    let mut s = session(&[1, 2, 3]);
    s.start(at(0));
    s.handle_open(at(1));
    s.handle_message(at(2), welcome_at(7));
    s.command(at(3), Bytes::from_static(b"chop")).expect("room");
    s.command(at(3), Bytes::from_static(b"dig")).expect("room");
    let told =
        |commands: &[Command]| -> Vec<_> { commands.iter().map(|c| (c.lost, c.lost_at.clone())).collect() };
    assert_eq!(told(&comes_back(&mut s, 2_000, 8)), [(0, vec![7]), (0, vec![7])]);
    assert_eq!(
        told(&comes_back(&mut s, 4_000, 7)),
        [(0, vec![7, 8]), (0, vec![7])],
        "only the first is suspect"
    );
    assert_eq!(told(&comes_back(&mut s, 6_000, 0)), [(0, vec![7, 8]), (0, vec![7])], "once is enough");
    assert_eq!(
        told(&comes_back(&mut s, 8_000, 9)),
        [(1, vec![7, 8]), (0, vec![7])],
        "an edge of an earlier version"
    );
    for (ms, life) in (10_000..).step_by(2_000).zip(20..60) {
        assert!(comes_back(&mut s, ms, life)[0].lost_at.len() <= 8);
    }
}

#[test]
fn what_was_asked_for_long_before_it_is_back_is_not_begun() {
    let mut s = live(&[1, 2]);
    s.command(at(10), Bytes::from_static(b"on its way")).expect("room");
    s.handle_gone(at(20));
    let typed = s.command(at(1_000), Bytes::from_static(b"offline")).expect("room");
    s.command(at(55_000), Bytes::from_static(b"just now")).expect("room");
    drain(&mut s);
    s.handle_timeout(at(60_000));
    s.handle_open(at(60_001));
    drain(&mut s);
    s.handle_message(at(60_002), welcome(b"t2", 1));
    let outputs = drain(&mut s);
    let expired: Vec<_> = outputs
        .iter()
        .filter_map(|o| match o {
            Output::Event(Event::Answered(answer)) => Some(answer.clone()),
            _ => None,
        })
        .collect();
    assert!(matches!(&expired[..], [a] if a.id == typed && a.sends == 0
        && a.result.as_ref().is_err_and(|r| r.code == "expired")));
    let sent: Vec<_> = sent(&outputs).into_iter().flat_map(|m| m.commands).collect();
    let said: Vec<_> = sent.iter().map(|c| (c.payload.as_ref(), c.asks)).collect();
    assert_eq!(said, [(&b"on its way"[..], true), (b"just now", false)]);
}
