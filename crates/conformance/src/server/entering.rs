//! Sections 1 to 3 of the page: messages, hello and resume, refusals.

use bytes::Bytes;
use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Command, Hello, Move, PROTOCOL, Ping, ServerMessage};

use super::World;
use super::visit::{
    come_back, connect, connect_as, enter, enter_on, greet, newcomer, refused, returner, say_hello,
};
use crate::report::{Case, Check, Fault, broken, must};

pub(super) fn cases() -> Vec<Case<World>> {
    vec![
        Case::new("welcome", "A welcome has token, seq, times, units, edges, and the world's id.", welcome),
        Case::new("hello-again", "The same hello again is the same player.", again),
        Case::new(
            "resume",
            "A token brings the player back; the old one yields the same new one until that is used.",
            resume,
        ),
        Case::new(
            "recovery",
            "A recovery code brings the player back once, without a token, and earlier tokens are void then.",
            recovery,
        ),
        Case::new(
            "superseded",
            "A second connection takes the session over; the first is closed with `superseded`.",
            superseded,
        ),
        Case::new("place", "A place that no server has sealed for this player changes nothing.", place),
        Case::new("bye", "A bye ends the connection without a closing; the token stays valid.", bye),
        Case::new(
            "refusals",
            "Refusals of a hello have their codes and the world's id; another hello may follow.",
            refusals,
        ),
        Case::new("names", "A taken name is refused with `name_taken`, none at all with `bad_name`.", names),
        Case::new(
            "names-told",
            "A hello without name, nonce and token is told what names must be.",
            names_told,
        ),
        Case::new("other-world", "Another world's id or token is refused with `unknown_world`.", other_world),
        Case::new(
            "ping-and-hello",
            "Of a message with a hello only the ping is answered besides.",
            ping_and_hello,
        ),
        Case::new(
            "ping-first",
            "A first message without hello, even a ping alone, is closed with `bad_message`.",
            ping_first,
        ),
        Case::new(
            "ping-after-refusal",
            "After a refused hello pings are answered; a command is closed with `bad_message`.",
            ping_after_refusal,
        ),
        Case::new("hello-twice", "A second hello is closed with `bad_message`.", hello_twice),
        Case::new(
            "bad-bytes",
            "Text, an empty message and bytes that are no message are closed with `bad_message`.",
            bad_bytes,
        ),
        Case::new("unknown-fields", "Fields that the server does not know change nothing.", unknown_fields),
        Case::new("pieces", "A message may come in pieces, with pings between them.", pieces),
        Case::new("pong", "WebSocket pings are answered with their bytes.", pong),
        Case::new("origin", "The page of a stranger's site may not connect.", origin),
    ]
}

fn welcome(world: &World) -> Check {
    let guest = enter(world)?;
    let w = &guest.welcome;
    let edges = w.edges.as_ref().map_or(0, |edges| edges.edges.len());
    let has_all = w.player.is_some() && !w.token.is_empty() && w.next_seq > 0 && edges > 0 && w.node > 0;
    let has_units = w.tick_ms > 0 && w.chunk_mm > 0 && w.motion_unit_mm > 0;
    must(has_all && has_units && guest.world_id.len() == 16, || format!("the welcome is {w:?}"))
}

fn again(world: &World) -> Check {
    let hello = newcomer(world);
    let mut line = connect(world)?;
    say_hello(&mut line, &hello);
    // Its welcome, if it was sent, is never read.
    line.cut();
    let one = enter_on(connect(world)?, hello.clone())?;
    let two = enter_on(connect(world)?, Hello { name: format!("{}x", hello.name), ..hello })?;
    must(one.welcome.player == two.welcome.player, || "two players for one nonce".to_owned())
}

fn place(world: &World) -> Check {
    let one = enter(world)?;
    for invented in [&b"somewhere"[..], &[0; 64], &[0xff; 200]] {
        let place = Bytes::copy_from_slice(invented);
        let hello = Hello { place, ..returner(&one.welcome.token, &one.world_id) };
        let back = enter_on(connect(world)?, hello)?;
        let (w, was) = (&back.welcome, &one.welcome);
        must((w.player, w.x, w.y) == (was.player, was.x, was.y), || {
            format!("with an invented place it stands at {}, {}, not at {}, {}", w.x, w.y, was.x, was.y)
        })?;
    }
    Ok(())
}

fn resume(world: &World) -> Check {
    let one = enter(world)?;
    let two = come_back(world, &one)?;
    let same = two.welcome.player == one.welcome.player && two.welcome.token != one.welcome.token;
    must(same, || "not the same player with a new token".to_owned())?;
    // As if the second welcome had been lost.
    let three = come_back(world, &one)?;
    must(three.welcome.token == two.welcome.token, || "the old token yields another new one".to_owned())?;
    let four = come_back(world, &three)?;
    must(four.welcome.player == one.welcome.player, || "another player".to_owned())?;
    must(four.welcome.adoption > one.welcome.adoption, || "`adoption` does not count".to_owned())?;
    let (code, _) = refused(&mut connect(world)?, &returner(&one.welcome.token, &one.world_id))?;
    must(code == "bad_token", || format!("a token whose successor was used is refused with {code}"))
}

fn recovery(world: &World) -> Check {
    let one = enter(world)?;
    let code = one.welcome.recovery.clone();
    if code.is_empty() {
        return Err(Fault::Skipped("the server gives no recovery codes".to_owned()));
    }
    let with = |code: &str| Hello { protocol: PROTOCOL, recovery: code.to_owned(), ..Default::default() };
    let two = enter_on(connect(world)?, with(&code))?;
    must(two.welcome.player == one.welcome.player, || "another player".to_owned())?;
    // As if its welcome had been lost; and as a person types it.
    let three = enter_on(connect(world)?, with(&code.to_lowercase().replace('-', " ")))?;
    must(three.welcome.token == two.welcome.token, || "the code yields another token".to_owned())?;
    let next = &three.welcome.recovery;
    must(*next != code && !next.is_empty(), || format!("the next code is `{next}`"))?;
    let (said, _) = refused(&mut connect(world)?, &returner(&one.welcome.token, &one.world_id))?;
    must(said == "bad_token", || format!("an earlier token is refused with {said}"))?;
    let four = come_back(world, &three)?;
    must(four.welcome.player == one.welcome.player, || "another player".to_owned())?;
    for code in [&*code, "hello", &code.replacen(|c: char| c != '7', "7", 1)] {
        let (said, _) = refused(&mut connect(world)?, &with(code))?;
        must(said == "bad_code", || format!("`{code}` is refused with {said}"))?;
    }
    Ok(())
}

fn superseded(world: &World) -> Check {
    let mut one = enter(world)?;
    let two = come_back(world, &one)?;
    must(two.welcome.player == one.welcome.player, || "another player".to_owned())?;
    let closing = one.line.closing()?;
    must(closing.code == "superseded" && closing.retry_ms == 0, || format!("the closing is {closing:?}"))
}

fn bye(world: &World) -> Check {
    let mut guest = enter(world)?;
    guest.line.ask(&ClientMessage { bye: Some(gundo_wire::client::Bye {}), ..Default::default() });
    let (said, _) = guest.line.end()?;
    must(!said, || "a closing after a bye".to_owned())?;
    let back = come_back(world, &guest)?;
    must(back.welcome.player == guest.welcome.player, || "another player".to_owned())
}

fn refusals(world: &World) -> Check {
    let guest = enter(world)?;
    let mut line = connect(world)?;
    let new = newcomer(world);
    let nonce = |bytes: &'static [u8]| Hello { nonce: Bytes::from_static(bytes), ..new.clone() };
    let table = [
        ("bad_protocol", Hello { protocol: 999, ..new.clone() }),
        ("bad_nonce", nonce(b"")),
        ("bad_nonce", nonce(b"fifteen of them")),
        ("bad_nonce", nonce(b"seventeen of them")),
        ("bad_token", Hello { token: Bytes::from_static(b"short"), ..new.clone() }),
    ];
    for (wanted, hello) in table {
        let (code, world_id) = refused(&mut line, &hello)?;
        must(code == wanted, || format!("{code} instead of {wanted}"))?;
        must(world_id == guest.world_id, || format!("{wanted} comes without the world's id"))?;
    }
    enter_on(line, new).map(drop)
}

fn names(world: &World) -> Check {
    let guest = enter(world)?;
    let mut line = connect(world)?;
    let new = newcomer(world);
    for (wanted, name) in
        [("name_taken", guest.hello.name.as_str()), ("bad_name", ""), ("bad_name", "\u{200b}\u{7}")]
    {
        let (code, _) = refused(&mut line, &Hello { name: name.to_owned(), ..new.clone() })?;
        must(code == wanted, || format!("the name {name:?} is refused with {code} instead of {wanted}"))?;
    }
    // No player was made: the nonce is good for another name.
    enter_on(line, new).map(drop)
}

fn names_told(world: &World) -> Check {
    let mut line = connect(world)?;
    say_hello(&mut line, &Hello { protocol: PROTOCOL, ..Default::default() });
    let told = line.find("refusal", |m| m.refused.clone().map(|refusal| (refusal.code, m.names.clone())))?;
    let (code, names) = told;
    must(code == "name_wanted", || format!("{code} instead of name_wanted"))?;
    let Some(names) = names else {
        return Err(Fault::Skipped("this game does not say what names must be".to_owned()));
    };
    let is_full = names.characters_min <= names.characters_max && !names.text.is_empty();
    must(is_full, || format!("the rules are {names:?}"))?;
    enter_on(line, newcomer(world)).map(drop)
}

fn other_world(world: &World) -> Check {
    let guest = enter(world)?;
    let mut line = connect(world)?;
    let other = Bytes::from_static(b"another world ..");
    let new = newcomer(world);
    let mut forged = guest.welcome.token.to_vec();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    for hello in [
        Hello { world_id: other.clone(), ..new.clone() },
        returner(&guest.welcome.token, &other),
        returner(&forged.into(), &Bytes::new()),
    ] {
        let (code, world_id) = refused(&mut line, &hello)?;
        must(code == "unknown_world", || format!("{hello:?} is refused with {code}"))?;
        must(world_id == guest.world_id, || "the refusal does not say which world this is".to_owned())?;
    }
    enter_on(line, Hello { world_id: guest.world_id.clone(), ..new }).map(drop)
}

fn ping_and_hello(world: &World) -> Check {
    let mut line = connect(world)?;
    let message = ClientMessage {
        hello: Some(newcomer(world)),
        ping: Some(Ping { stamp: 77 }),
        commands: vec![Command { seq: 1, ..Default::default() }],
        ..Default::default()
    };
    line.ask(&message);
    let stamp = line.find("pong", |m| m.pong.as_ref().map(|pong| pong.stamp))?;
    must(stamp == 77, || format!("the pong says {stamp}"))?;
    line.find("welcome", |m| m.welcome.is_some().then_some(()))?;
    match line.find_within(crate::stage::WATCH, |m| m.replies.first().cloned())? {
        Ok(reply) => broken(format!("the command beside the hello was answered: {reply:?}")),
        Err(_) => Ok(()),
    }
}

/// The server closes this connection with `bad_message`, for good.
fn closes(mut line: crate::line::Line, after: &str) -> Check {
    let closing = line.closing()?;
    let is_it = closing.code == "bad_message" && closing.retry_ms == 0 && !closing.text.is_empty();
    must(is_it, || format!("after {after} the closing is {closing:?}"))
}

fn ping_first(world: &World) -> Check {
    let ping = ClientMessage { ping: Some(Ping { stamp: 1 }), ..Default::default() };
    let command =
        ClientMessage { commands: vec![Command { seq: 1, ..Default::default() }], ..Default::default() };
    let walk = ClientMessage { r#move: Some(Move { seq: 1, ..Default::default() }), ..Default::default() };
    for (message, what) in [(ping, "a ping"), (command, "a command"), (walk, "a move")] {
        let mut line = connect(world)?;
        line.ask(&message);
        closes(line, what)?;
    }
    Ok(())
}

fn ping_after_refusal(world: &World) -> Check {
    let mut line = connect(world)?;
    refused(&mut line, &Hello { protocol: 999, ..newcomer(world) })?;
    line.ping(5);
    let stamp = line.find("pong", |m| m.pong.as_ref().map(|pong| pong.stamp))?;
    must(stamp == 5, || format!("the pong says {stamp}"))?;
    line.ask(&ClientMessage {
        commands: vec![Command { seq: 1, ..Default::default() }],
        ..Default::default()
    });
    closes(line, "a command after a refused hello")
}

fn hello_twice(world: &World) -> Check {
    let mut guest = enter(world)?;
    say_hello(&mut guest.line, &guest.hello);
    closes(guest.line, "a second hello")
}

fn bad_bytes(world: &World) -> Check {
    let mut line = connect(world)?;
    line.text("hello");
    closes(line, "a text message")?;
    let mut line = connect(world)?;
    line.bytes(Vec::new());
    closes(line, "an empty message")?;
    let mut line = connect(world)?;
    line.bytes(vec![0xff; 40]);
    closes(line, "bytes that are no message")?;
    let mut guest = enter(world)?;
    guest.line.bytes(vec![0x0a, 0x7f, 1]);
    closes(guest.line, "half a message of a player")
}

fn unknown_fields(world: &World) -> Check {
    let mut line = connect(world)?;
    let hello = ClientMessage { hello: Some(newcomer(world)), ..Default::default() }.encode_to_vec();
    // Field 1,000, a number.
    line.bytes([&[0xc0, 0x3e, 0x07][..], &hello].concat());
    line.find("welcome", |m| m.welcome.is_some().then_some(()))?;
    line.bytes(vec![0xc0, 0x3e, 0x07, 0x22, 0x02, 0x08, 0x09]);
    let stamp = line.find("pong", |m| m.pong.as_ref().map(|pong| pong.stamp))?;
    must(stamp == 9, || format!("the pong says {stamp}"))
}

fn pieces(world: &World) -> Check {
    let mut line = connect(world)?;
    line.pieces(&ClientMessage { hello: Some(newcomer(world)), ..Default::default() }.encode_to_vec(), 4);
    line.find("welcome", |m| m.welcome.is_some().then_some(()))
}

fn pong(world: &World) -> Check {
    let mut line = connect(world)?;
    greet(&mut line, &newcomer(world))?;
    line.ping_socket::<ServerMessage>(&[3; 125])
}

fn origin(world: &World) -> Check {
    match connect_as(world, Some("https://stranger.example")) {
        Ok(_) => broken("a stranger's page comes in"),
        Err(crate::Fault::Broken(why)) => must(why.contains("403"), || why.clone()),
        Err(other) => Err(other),
    }
}
