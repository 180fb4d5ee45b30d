//! Sections 4 and 5 of the page: commands, what is resent, suspects; moves.

use std::collections::BTreeMap;

use bytes::Bytes;
use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Command as Sent, Notice, Own, Refusal, Reply, ServerMessage};

use super::Command;
use crate::line::Line;
use crate::report::{Case, Check, broken, must};
use crate::stage::{Stage, WATCH, hello, hex, welcome};

/// `Limits::client_message_bytes_max` of the page.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

pub(super) fn cases() -> Vec<Case<Command>> {
    vec![
        Case::new("seq", "The first seq is that of the welcome; each next command takes the next.", seq),
        Case::new("unanswered", "At most 32 commands are unanswered; the others wait.", unanswered),
        Case::new("answered-once", "A second reply to the same seq is dropped.", answered_once),
        Case::new("refusal", "A reply with a refusal is a refusal, whatever its code.", refusal),
        Case::new("own", "A private state replaces the one before, in the welcome too.", own),
        Case::new(
            "resend",
            "After a resume it resends what is unanswered, in order, before anything new.",
            resend,
        ),
        Case::new("resend-sizes", "What it resends fits into messages of 16 KiB.", resend_sizes),
        Case::new(
            "next-seq",
            "It goes on with its own next seq or that of the welcome, whichever is larger.",
            next_seq,
        ),
        Case::new(
            "lost",
            "It counts lost connections: up to the first command that has a count already.",
            lost,
        ),
        Case::new("lost-not-closed", "A connection that the server closes is not counted.", not_lost),
        Case::new("suspects", "It counts what `notice.suspects` names.", suspects),
        Case::new("move", "A move says place, heading and speed; its seq grows by one.", moves),
    ]
}

/// The next `count` commands, from as many messages as it takes.
pub(super) fn commands(line: &mut Line, count: usize) -> Check<Vec<Sent>> {
    let mut all = Vec::new();
    while all.len() < count {
        let message = line.hear("command")?;
        if message.encoded_len() > MESSAGE_BYTES_MAX {
            return broken(format!(
                "{} commands in a message of {} bytes",
                message.commands.len(),
                message.encoded_len()
            ));
        }
        all.extend(message.commands);
    }
    Ok(all)
}

fn reply(line: &mut Line, seq: u64, payload: &'static [u8]) {
    let replies = vec![Reply { seq, payload: Bytes::from_static(payload), refusal: None }];
    line.say(&ServerMessage { replies, ..Default::default() });
}

fn seqs(commands: &[Sent]) -> Vec<u64> {
    commands.iter().map(|command| command.seq).collect()
}

fn expect(commands: &[Sent], seqs_wanted: &[u64]) -> Check {
    must(seqs(commands) == seqs_wanted, || format!("expected {seqs_wanted:?}, got {:?}", seqs(commands)))
}

fn seq(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 7)?;
    ["command 01", "command 0202", "command 030303"].iter().for_each(|wish| stage.wish(wish));
    let sent = commands(&mut line, 3)?;
    expect(&sent, &[7, 8, 9])?;
    let payloads: Vec<_> = sent.iter().map(|command| hex(&command.payload)).collect();
    must(payloads == ["01", "0202", "030303"], || format!("the payloads are {payloads:?}"))?;
    must(sent.iter().all(|command| command.lost == 0), || format!("nothing was lost: {sent:?}"))
}

fn unanswered(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    (0..40).for_each(|n| stage.wish(&format!("command {n:02x}")));
    let sent = commands(&mut line, 32)?;
    expect(&sent, &(1..=32).collect::<Vec<_>>())?;
    if let Some(more) = line.hear_within(WATCH)? {
        return broken(format!("while 32 are unanswered: {:?}", seqs(&more.commands)));
    }
    reply(&mut line, 5, b"");
    expect(&commands(&mut line, 1)?, &[33])
}

fn answered_once(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("command 01");
    commands(&mut line, 1)?;
    reply(&mut line, 1, b"first");
    reply(&mut line, 1, b"second");
    let events = stage.settle(&mut line)?;
    let replies: Vec<_> = events.iter().filter(|event| event["event"] == "reply").collect();
    let is_first = replies.len() == 1 && replies[0]["payload"] == hex(b"first");
    must(is_first, || format!("one reply; the client says {replies:?}"))
}

fn refusal(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("command 01");
    commands(&mut line, 1)?;
    let refusal =
        Refusal { code: "from_the_future".to_owned(), text: "A sentence.".to_owned(), ..Default::default() };
    let replies = vec![Reply { seq: 1, payload: Bytes::new(), refusal: Some(refusal) }];
    line.say(&ServerMessage { replies, ..Default::default() });
    let event = stage.event("reply")?;
    must(event["refusal"] == "from_the_future", || format!("a refusal became {event}"))
}

fn own(client: &Command) -> Check {
    let stage = Stage::start(client)?;
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t1", 1));
    let event = stage.event("welcome")?;
    must(event["own"] == hex(b"own"), || format!("the private state in the welcome became {event}"))?;
    let own = Own { payload: Bytes::from_static(b"newer") };
    line.say(&ServerMessage { own: Some(own), ..Default::default() });
    let events = stage.settle(&mut line)?;
    let last = events.iter().rev().find(|event| event["event"] == "own");
    must(last.is_some_and(|e| e["payload"] == hex(b"newer")), || format!("the newest is `newer`: {last:?}"))
}

fn resend(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    ["command 01", "command 02", "command 03"].iter().for_each(|wish| stage.wish(wish));
    commands(&mut line, 3)?;
    reply(&mut line, 2, b"");
    stage.event("reply")?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    stage.wish("command 04");
    line.say(&welcome("t2", 2));
    let sent = commands(&mut line, 3)?;
    expect(&sent, &[1, 3, 4])?;
    let payloads: Vec<_> = sent.iter().map(|command| hex(&command.payload)).collect();
    must(payloads == ["01", "03", "04"], || format!("the payloads are {payloads:?}"))?;
    reply(&mut line, 3, b"three");
    let event = stage.event("reply")?;
    must(event["nth"] == 3, || format!("an answer after a resume became {event}"))
}

fn resend_sizes(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    (0..32).for_each(|n| stage.wish(&format!("command {}", hex(&[n; 4_000]))));
    let first = commands(&mut line, 32)?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    let second = commands(&mut line, 32)?;
    let bytes = |sent: &[Sent]| sent.iter().map(|c| (c.seq, c.payload.clone())).collect::<Vec<_>>();
    must(bytes(&first) == bytes(&second), || format!("{:?}, then {:?}", seqs(&first), seqs(&second)))
}

fn next_seq(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("command 01");
    expect(&commands(&mut line, 1)?, &[1])?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 50));
    expect(&commands(&mut line, 1)?, &[1])?;
    stage.wish("command 02");
    expect(&commands(&mut line, 1)?, &[50])?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t3", 2));
    expect(&commands(&mut line, 2)?, &[1, 50])?;
    stage.wish("command 03");
    expect(&commands(&mut line, 1)?, &[51])
}

fn counts(line: &mut Line, wanted: &[(u64, u32)]) -> Check {
    let sent = commands(line, wanted.len())?;
    let counts: BTreeMap<u64, u32> = sent.iter().map(|command| (command.seq, command.lost)).collect();
    let wanted: BTreeMap<u64, u32> = wanted.iter().copied().collect();
    must(counts == wanted, || format!("expected these counts by seq: {wanted:?}; got {counts:?}"))
}

fn lost(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    ["command 01", "command 02"].iter().for_each(|wish| stage.wish(wish));
    counts(&mut line, &[(1, 0), (2, 0)])?;
    line.cut();
    // All of them were with the edge that was lost.
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    counts(&mut line, &[(1, 1), (2, 1)])?;
    stage.wish("command 03");
    counts(&mut line, &[(3, 0)])?;
    line.cut();
    // The edge passes suspects on one at a time: only the first was with a node.
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t3", 1));
    counts(&mut line, &[(1, 2), (2, 1), (3, 0)])?;
    reply(&mut line, 1, b"");
    reply(&mut line, 2, b"");
    stage.event("reply")?;
    stage.event("reply")?;
    stage.wish("command 04");
    counts(&mut line, &[(4, 0)])?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t4", 3));
    counts(&mut line, &[(3, 1), (4, 1)])
}

fn not_lost(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    stage.wish("command 01");
    counts(&mut line, &[(1, 0)])?;
    line.close("stopping", 50);
    let (line, _) = stage.greeted()?;
    // A connection that ends before its welcome had no command.
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    counts(&mut line, &[(1, 0)])
}

fn suspects(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    ["command 01", "command 02", "command 03"].iter().for_each(|wish| stage.wish(wish));
    counts(&mut line, &[(1, 0), (2, 0), (3, 0)])?;
    let notice = Notice { code: "taken_over".to_owned(), text: String::new(), suspects: vec![2, 9] };
    line.say(&ServerMessage { notice: Some(notice), ..Default::default() });
    let events = stage.settle(&mut line)?;
    must(events.iter().all(|e| e["event"] != "notice"), || "an empty text is not for people".to_owned())?;
    line.cut();
    let (mut line, _) = stage.greeted()?;
    line.say(&welcome("t2", 1));
    counts(&mut line, &[(1, 1), (2, 1), (3, 0)])
}

fn moves(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.welcomed("t1", 1)?;
    let mut seen = Vec::new();
    for (x, y, heading, speed) in [(15_100, -7, 127, 14), (15_200, 8, 0, 127), (-15_300, 9, 64, 0)] {
        stage.wish(&format!("move {x} {y} {heading} {speed}"));
        let message = line.hear("move")?;
        let Some(wish) = &message.r#move else { return broken(format!("no move: {message:?}")) };
        let got = (wish.x, wish.y, wish.heading, wish.speed);
        must(got == (x, y, heading, speed), || format!("{:?} became {got:?}", (x, y, heading, speed)))?;
        seen.push(wish.seq);
    }
    let grows = seen.windows(2).all(|pair| pair[1] == pair[0] + 1);
    must(grows && seen[0] > 0, || format!("the numbers of moves are {seen:?}"))
}

/// A message that is nothing but a hello is waited for elsewhere; here for the conversation about leaving.
pub(super) fn leaves(client: &Command) -> Check {
    let mut stage = Stage::start(client)?;
    let mut line = stage.accept()?;
    hello(&mut line)?;
    line.say(&welcome("t1", 1));
    stage.event("welcome")?;
    stage.wish("leave");
    let message: ClientMessage = line.hear("bye")?;
    must(message.bye.is_some(), || format!("no bye: {message:?}"))?;
    line.cut();
    stage.nobody()
}
