//! Section 3 of the page: hello, resume, refusals, and keys by world.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gundo_wire::client::{Refusal, ServerMessage, Told};

use super::Command;
use crate::line::Line;
use crate::report::{Case, Check, must};
use crate::stage::{NAME, Stage, WATCH, WORLD, hello, welcome};

const OTHER_WORLD: [u8; 16] = *b"and another one ";

pub(super) fn cases() -> Vec<Case<Command>> {
    vec![
        Case::new("hello", "The first message is a hello alone: protocol, name, 16 bytes of nonce.", first),
        Case::new("wait-for-welcome", "It sends nothing but pings before the welcome.", waits),
        Case::new("hello-again", "If no welcome came, it says the same hello again.", again),
        Case::new("slow-hello", "An edge that answers pings has up to 10 s for the hello.", slow),
        Case::new("resume", "It resumes with the newest token, beside the world's id.", resumes),
        Case::new(
            "name-refused",
            "After a refused name it says another one with the same nonce.",
            name_refused,
        ),
        Case::new(
            "bad-token",
            "After `bad_token` or `no_player` it forgets the token: a new name, a new nonce.",
            bad_token,
        ),
        Case::new(
            "invitation",
            "After `invitation_needed` it says the same hello with the invitation, until the welcome.",
            invitation,
        ),
        Case::new("place", "It keeps the newest sealed place, and says it with its token.", keeps_place),
        Case::new("unknown-world", "It keeps keys by world, and goes on with the one it has.", unknown_world),
        Case::new("bad-protocol", "After `bad_protocol` it does not say the same again.", bad_protocol),
    ]
}

fn refused(line: &mut Line, code: &str, world: &[u8; 16]) {
    let refusal = Refusal { code: code.to_owned(), text: "A sentence.".to_owned(), ..Default::default() };
    let world_id = Bytes::copy_from_slice(world);
    line.say(&ServerMessage { refused: Some(refusal), world_id, ..Default::default() });
}

fn first(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (_line, hello) = stage.greeted()?;
    let is_new = hello.protocol == 1 && hello.name == NAME && hello.nonce.len() == 16;
    must(is_new && hello.token.is_empty() && hello.client.len() <= 64, || format!("the hello is {hello:?}"))
}

fn waits(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    stage.wish("command 01");
    stage.wish("move 15100 15000 0 10");
    if let Some(early) = line.hear_within(WATCH)? {
        return must(false, || format!("before the welcome: {early:?}"));
    }
    line.say(&welcome("t1", 1));
    let message = line.hear("command that has waited")?;
    must(message.commands.len() == 1, || format!("instead of the command that has waited: {message:?}"))
}

fn again(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (line, one) = stage.greeted()?;
    line.cut();
    let (mut line, two) = stage.greeted()?;
    must(one == two, || format!("first {one:?}, then {two:?}"))?;
    line.say(&welcome("t1", 1));
    stage.event("welcome").map(drop)
}

fn slow(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        line.hear_within(Duration::from_millis(200))?;
        must(line.path == "/ws", || "another path".to_owned())?;
    }
    line.say(&welcome("t1", 1));
    stage.event("welcome").map(drop)
}

fn resumes(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    stage.welcomed("t1", 1)?.cut();
    for (token, next) in [("t1", "t2"), ("t2", "t3"), ("t3", "t4")] {
        let (mut line, hello) = stage.greeted()?;
        let is_key = hello.token == token && hello.world_id == WORLD.as_slice() && hello.protocol == 1;
        must(is_key, || format!("with the token {token} of this world; the hello is {hello:?}"))?;
        line.say(&welcome(next, 1));
        stage.event("welcome")?;
        line.cut();
    }
    Ok(())
}

fn name_refused(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let (mut line, one) = stage.greeted()?;
    for (code, name) in [("name_taken", "Ben"), ("bad_name", "Cleo")] {
        refused(&mut line, code, &WORLD);
        let event = stage.event("refused")?;
        must(event["code"] == code, || format!("refused with {code}, and the client says {event}"))?;
        stage.wish(&format!("name {name}"));
        let two = hello(&mut line)?;
        must(two.name == name && two.nonce == one.nonce, || format!("first {one:?}, then {two:?}"))?;
    }
    line.say(&welcome("t1", 1));
    stage.event("welcome").map(drop)
}

fn invitation(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let (mut line, one) = stage.greeted()?;
    must(one.invitation.is_empty(), || format!("it has none yet; the hello is {one:?}"))?;
    for (code, text) in [("invitation_needed", "K7Q2M"), ("bad_invitation", "K7Q2N")] {
        refused(&mut line, code, &WORLD);
        let event = stage.event("refused")?;
        must(event["code"] == code, || format!("refused with {code}, and the client says {event}"))?;
        stage.wish(&format!("invitation {text}"));
        let two = hello(&mut line)?;
        let is_same = two.name == one.name && two.nonce == one.nonce;
        must(is_same && two.invitation == text, || format!("first {one:?}, then {two:?}"))?;
    }
    line.cut();
    let (mut line, again) = stage.greeted()?;
    must(again.nonce == one.nonce && again.invitation == "K7Q2N", || format!("and again; it is {again:?}"))?;
    line.say(&welcome("t1", 1));
    stage.event("welcome")?;
    line.cut();
    let (_line, back) = stage.greeted()?;
    must(back.token == "t1" && back.invitation.is_empty(), || format!("with its token; it is {back:?}"))
}

fn keeps_place(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, first) = stage.greeted()?;
    must(first.place.is_empty(), || format!("a new player has no place; the hello is {first:?}"))?;
    let sealed = |place| ServerMessage { place: Bytes::from_static(place), ..Default::default() };
    line.say(&welcome("t1", 1));
    stage.event("welcome")?;
    line.say(&sealed(b"first"));
    line.say(&sealed(b"second"));
    line.say(&ServerMessage { told: vec![Told { payload: Bytes::from_static(b"x") }], ..Default::default() });
    stage.event("told")?;
    line.cut();
    let (line, two) = stage.greeted()?;
    must(two.token == "t1" && two.place == "second", || {
        format!("with its token and the newest place; the hello is {two:?}")
    })?;
    // The edge breaks before its welcome: the place is still the newest.
    line.cut();
    let (_line, three) = stage.greeted()?;
    must(three.place == "second", || format!("and again; the hello is {three:?}"))
}

fn bad_token(client: &Command) -> Check {
    ["bad_token", "no_player"].into_iter().try_for_each(|code| forgets_after(client, code))
}

fn forgets_after(client: &Command, code: &'static str) -> Check {
    let mut stage = Stage::start(client)?;
    let (mut line, one) = stage.greeted()?;
    line.say(&welcome("t1", 1));
    stage.event("welcome")?;
    line.cut();
    let (mut line, two) = stage.greeted()?;
    must(two.token == "t1", || format!("with its token; the hello is {two:?}"))?;
    refused(&mut line, code, &WORLD);
    stage.event("refused")?;
    stage.wish("name Ben");
    let three = hello(&mut line)?;
    let is_new = three.token.is_empty() && three.name == "Ben" && three.nonce.len() == 16;
    must(is_new && three.nonce != one.nonce, || format!("as a new player; the hello is {three:?}"))
}

fn unknown_world(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    stage.welcomed("t1", 1)?.cut();
    let (mut line, hello_one) = stage.greeted()?;
    must(hello_one.token == "t1", || format!("with its token; the hello is {hello_one:?}"))?;
    refused(&mut line, "unknown_world", &OTHER_WORLD);
    stage.event("refused")?;
    stage.wish("name Ben");
    let ben = hello(&mut line)?;
    let is_new = ben.token.is_empty() && ben.name == "Ben" && ben.nonce.len() == 16;
    let names_it = ben.world_id.is_empty() || ben.world_id == OTHER_WORLD.as_slice();
    must(is_new && names_it, || format!("as a new player of the other world; the hello is {ben:?}"))?;
    line.say(&ServerMessage { world_id: Bytes::from_static(&OTHER_WORLD), ..welcome("u1", 1) });
    stage.event("welcome")?;
    line.cut();
    let (mut line, back) = stage.greeted()?;
    let is_ben = back.token == "u1" && back.world_id == OTHER_WORLD.as_slice();
    must(is_ben, || format!("with the token of the other world; the hello is {back:?}"))?;
    // The first world is back.
    refused(&mut line, "unknown_world", &WORLD);
    let home = hello(&mut line)?;
    let is_ada = home.token == "t1" && home.world_id == WORLD.as_slice();
    must(is_ada, || {
        format!("with the kept token of the first world, on the same connection; the hello is {home:?}")
    })?;
    line.say(&welcome("t2", 1));
    stage.event("welcome").map(drop)
}

fn bad_protocol(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    refused(&mut line, "bad_protocol", &WORLD);
    // It may end the connection, or wait on it; it may tell either as `refused` or as `ended`.
    match line.hear_within(WATCH) {
        Ok(Some(message)) => must(false, || format!("after `bad_protocol`: {message:?}")),
        Ok(None) | Err(_) => stage.nobody(),
    }
}
