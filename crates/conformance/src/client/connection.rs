//! Section 8 of the page, and addresses of edges: how a connection ends, and where the client goes then.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gundo_wire::client::{Edge, Edges, EntityId, Refusal, ServerMessage, Watched, Welcome};

use super::{Command, commands};
use crate::report::{Case, Check, broken, must};
use crate::stage::{Stage, WATCH, welcome};

pub(super) fn cases() -> Vec<Case<Command>> {
    vec![
        Case {
            name: "leave",
            rule: "It says bye to log out, and does not come back.",
            run: commands::leaves,
        },
        Case::new("superseded", "After `superseded` it does not reconnect by itself.", superseded),
        Case::new("retry-0", "Nor after any other closing with `retry_ms` 0.", retry_0),
        Case::new(
            "retry",
            "Otherwise it waits `retry_ms`, then resumes, also after a code it does not know.",
            retry,
        ),
        Case::new("closing-first", "A closing may be the first thing that an edge says.", closing_first),
        Case::new("not-ready", "A hello may be answered by a closing: the same hello follows.", not_ready),
        Case::new("elsewhere", "It goes to another edge than the one that was lost or closed.", elsewhere),
        Case::new("edges", "A newer list of edges replaces the older one.", edges_replaced),
        Case::new(
            "addresses",
            "What an edge leaves out is as in the address the client came by, which stays listed.",
            addresses,
        ),
        Case::new(
            "silence",
            "If nothing arrives it sends a ping, and then takes the edge for lost.",
            silence,
        ),
        Case::new("hung-hello", "An edge that answers neither hello nor pings is given up.", hung_hello),
        Case::new("ping", "It sends a ping every 5 s or more often.", pings),
        Case::new("watch", "After every welcome it asks again for what it watches.", watch),
    ]
}

fn superseded(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    stage.welcomed("t1", 1)?.close("superseded", 0);
    let ended = stage.event("ended")?;
    must(ended["code"] == "superseded", || format!("the client says {ended}"))?;
    stage.nobody()
}

fn retry_0(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    stage.welcomed("t1", 1)?.close("from_the_future", 0);
    stage.event("ended")?;
    stage.nobody()
}

fn retry(client: &Command) -> Check {
    const RETRY_MS: u32 = 900;
    let stage = Stage::start(client)?;
    let line = stage.welcomed("t1", 1)?;
    let closed = Instant::now();
    line.close("from_the_future", RETRY_MS);
    let (mut line, hello) = stage.greeted()?;
    let waited = closed.elapsed();
    must(waited >= Duration::from_millis(RETRY_MS.into()), || {
        format!("it waited {waited:?} of {RETRY_MS} ms")
    })?;
    must(hello.token == "t1", || format!("with its token; the hello is {hello:?}"))?;
    line.say(&welcome("t2", 1));
    stage.event("welcome").map(drop)
}

fn closing_first(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    stage.accept()?.close("full", 100);
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t1", 1));
    stage.event("welcome").map(drop)
}

fn not_ready(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (line, one) = stage.greeted()?;
    line.close("not_ready", 100);
    let (mut line, two) = stage.greeted()?;
    must(one == two, || format!("first {one:?}, then {two:?}"))?;
    line.say(&welcome("t1", 1));
    stage.event("welcome").map(drop)
}

fn edge(node: u32, path: &str) -> Edge {
    Edge { node, path: path.to_owned(), ..Default::default() }
}

fn listed(edges: Vec<Edge>) -> Option<Edges> {
    Some(Edges { edges })
}

/// A welcome by node 1, with these edges.
fn welcome_to(token: &'static str, edges: Vec<Edge>) -> ServerMessage {
    let message = welcome(token, 1);
    let welcome = message.welcome.map(|w| Welcome { edges: listed(edges), ..w });
    ServerMessage { welcome, ..message }
}

fn elsewhere(client: &Command) -> Check {
    // Several times: where it goes is chance.
    for nth in 0..3 {
        let stage = Stage::start(client)?;
        let (mut line, _) = stage.greeted()?;
        line.say(&welcome_to("t1", vec![edge(1, "1"), edge(2, "2"), edge(3, "3")]));
        stage.event("welcome")?;
        if nth == 0 {
            line.close("moving", 5)
        } else {
            line.cut()
        }
        let (line, hello) = stage.greeted()?;
        must(line.path != "/ws/1", || "it comes back to the edge of node 1".to_owned())?;
        must(hello.token == "t1", || format!("with its token; the hello is {hello:?}"))?;
    }
    Ok(())
}

fn edges_replaced(client: &Command) -> Check {
    let stage = Stage::start_at(client, "/ws/1", 1)?;
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome_to("t1", vec![edge(1, "1"), edge(2, "2"), edge(3, "3")]));
    stage.event("welcome")?;
    line.say(&ServerMessage { edges: listed(vec![edge(4, "4")]), ..Default::default() });
    stage.settle(&mut line)?;
    line.cut();
    let line = stage.accept()?;
    must(line.path == "/ws/4", || format!("the only other edge is /ws/4; it goes to {}", line.path))
}

fn addresses(client: &Command) -> Check {
    let stage = Stage::start_at(client, "/game/ws/7", 2)?;
    let (first, second) = (stage.ports()[0], stage.ports()[1]);
    let (mut line, _) = stage.greeted()?;
    let edges = vec![
        edge(1, "1"),
        edge(2, "/other/place"),
        Edge { port: second.into(), ..edge(3, "") },
        Edge { host: "127.0.0.1".to_owned(), port: second.into(), scheme: "ws".to_owned(), ..edge(4, "4") },
        Edge { scheme: "from-the-future".to_owned(), ..edge(5, "5") },
    ];
    line.say(&welcome_to("t1", edges));
    stage.event("welcome")?;
    line.cut();
    let wanted: BTreeSet<(u16, &str)> = [
        (first, "/game/ws/1"),
        (first, "/other/place"),
        (first, "/game/ws/7"),
        (second, "/game/ws/7"),
        (second, "/game/ws/4"),
    ]
    .into();
    let mut seen = BTreeSet::new();
    // Two rounds: whatever is in its list is tried.
    for _ in 0..2 * wanted.len() + 1 {
        let line = stage.accept()?;
        let place = (line.port, line.path.clone());
        must(wanted.contains(&(place.0, &place.1)), || format!("{place:?} is none of {wanted:?}"))?;
        seen.insert(place);
        line.cut();
    }
    must(seen.len() == wanted.len(), || format!("it went to {seen:?} of {wanted:?}"))
}

fn silence(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    line.is_mute = true;
    let mut other = None;
    let until = Instant::now() + crate::line::PATIENCE;
    while other.is_none() && Instant::now() < until {
        // It may close the silent connection, or leave it be.
        let _ = line.hear_within(Duration::from_millis(50));
        other = stage.accept_within(Duration::from_millis(50))?;
    }
    must(line.pings > 0, || "it does not ask whether the edge is alive".to_owned())?;
    let Some(mut other) = other else { return broken("it stays with an edge that hangs") };
    let hello = crate::stage::hello(&mut other)?;
    must(hello.token == "t1", || format!("with its token; the hello is {hello:?}"))
}

fn hung_hello(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    line.is_mute = true;
    let until = Instant::now() + crate::line::PATIENCE;
    while Instant::now() < until {
        let _ = line.hear_within(Duration::from_millis(50));
        if stage.accept_within(Duration::from_millis(50))?.is_some() {
            return Ok(());
        }
    }
    broken("it stays with an edge that hangs")
}

fn pings(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(12) {
        // It is not silent, so there is no other reason to ask.
        stage.settle(&mut line)?;
        line.hear_within(Duration::from_millis(200))?;
        if line.pings >= 2 {
            return Ok(());
        }
    }
    broken(format!("{} pings within 12 s", line.pings))
}

fn watch(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("watch 9 77");
    let wanted = EntityId { kind: 9, id: 77 };
    // A client that cannot says so instead.
    let message = match line.hear_within(WATCH)? {
        Some(message) => message,
        None => return stage.event("watched").map(drop),
    };
    must(message.watch == Some(wanted), || format!("no watch: {message:?}"))?;
    let watched =
        Watched { entity: Some(wanted), public: Some(Bytes::from_static(b"look")), ..Default::default() };
    line.say(&ServerMessage { watched: vec![watched], ..Default::default() });
    let event = stage.event("watched")?;
    must(event["public"] == "6c6f6f6b", || format!("how it looks became {event}"))?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    let message = line.hear("watch")?;
    must(message.watch == Some(wanted), || format!("no watch after the welcome: {message:?}"))?;
    let refusal = Refusal { code: "not_allowed".to_owned(), text: String::new(), ..Default::default() };
    let watched = Watched { entity: Some(wanted), refusal: Some(refusal), gone: true, ..Default::default() };
    line.say(&ServerMessage { watched: vec![watched], ..Default::default() });
    stage.event("watched")?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t3", 1));
    match line.hear_within(WATCH)? {
        None => Ok(()),
        Some(message) => broken(format!("it was refused, and is asked for again: {message:?}")),
    }
}
