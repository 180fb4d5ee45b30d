//! A session keeps the key of each world it has been in, and goes on with the one for the world that answers.

use bytes::Bytes;
use gundo_client::{Event, Output, Session, SessionSettings};
use gundo_types::Time;
use gundo_wire::client::{Hello, Refusal, ServerMessage, Welcome};

const ONE: &[u8] = b"the first world.";
const TWO: &[u8] = b"another world ..";

fn at(ms: u64) -> Time {
    Time(ms * 1_000)
}

fn welcome(world: &'static [u8], token: &'static [u8], next_seq: u64) -> ServerMessage {
    let welcome = Welcome { token: Bytes::from_static(token), next_seq, ..Default::default() };
    ServerMessage { welcome: Some(welcome), world_id: Bytes::from_static(world), ..Default::default() }
}

fn refused(world: &'static [u8], code: &str) -> ServerMessage {
    let refused = Some(Refusal { code: code.to_owned(), text: String::new(), ..Default::default() });
    ServerMessage { refused, world_id: Bytes::from_static(world), ..Default::default() }
}

fn drain(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// The hello that the session sends now, if it sends one.
fn hello(session: &mut Session) -> Option<Hello> {
    drain(session).into_iter().find_map(|output| match output {
        Output::Send(message) => message.hello,
        _ => None,
    })
}

/// Loses the connection and opens the next one. Returns its hello.
fn again(session: &mut Session, now: u64) -> Hello {
    session.handle_gone(at(now));
    session.handle_timeout(session.poll_timeout().expect("it tries again"));
    drain(session);
    session.handle_open(at(now + 500));
    hello(session).expect("a hello")
}

#[test]
fn the_key_for_the_world_that_answers_is_taken() {
    let edge = "ws://host:1/ws".parse().expect("an address");
    let mut session =
        Session::new(SessionSettings { nonce: Some([1; 16]), ..SessionSettings::new(vec![edge], "Ada") });
    session.start(at(0));
    session.handle_open(at(1));
    session.handle_message(at(2), welcome(ONE, b"t1", 1));
    drain(&mut session);

    assert_eq!(again(&mut session, 1_000).token, "t1");
    session.handle_message(at(1_600), refused(TWO, "unknown_world"));
    let asked = drain(&mut session);
    assert!(asked.iter().any(|output| matches!(output, Output::Event(Event::Refused(_)))), "{asked:?}");
    session.introduce(at(1_700), "Ben", [2; 16]);
    let ben = hello(&mut session).expect("on the same connection");
    assert_eq!((ben.name.as_str(), ben.token.len(), &ben.world_id[..]), ("Ben", 0, TWO));
    session.handle_message(at(1_800), welcome(TWO, b"u1", 9));
    session.command(at(1_900), Bytes::from_static(b"for the second world")).expect("there is room");
    drain(&mut session);

    assert_eq!(again(&mut session, 3_000).token, "u1");
    session.handle_message(at(3_600), refused(ONE, "unknown_world"));
    let outputs = drain(&mut session);
    let lost = |output: &Output| matches!(output, Output::Event(Event::Answered(a)) if a.result.is_err());
    assert!(outputs.iter().any(lost), "the command was for another player: {outputs:?}");
    let home = outputs.into_iter().find_map(|output| match output {
        Output::Send(message) => message.hello,
        _ => None,
    });
    let home = home.expect("at once");
    assert_eq!((&home.token[..], &home.world_id[..]), (&b"t1"[..], ONE));

    // A world that knows neither the key nor another one for it: a person must decide.
    session.handle_message(at(3_700), refused(ONE, "unknown_world"));
    assert!(hello(&mut session).is_none());
}

#[test]
fn a_refused_name_keeps_its_nonce_and_a_bad_token_does_not() {
    let edge = "ws://host:1/ws".parse().expect("an address");
    let mut session =
        Session::new(SessionSettings { nonce: Some([1; 16]), ..SessionSettings::new(vec![edge], "Ada") });
    session.start(at(0));
    session.handle_open(at(1));
    session.handle_message(at(2), refused(ONE, "name_taken"));
    assert_eq!(session.nonce(), Some([1; 16]));
    session.introduce(at(3), "Ben", [1; 16]);
    session.handle_message(at(4), welcome(ONE, b"t1", 1));
    assert_eq!(session.nonce(), None, "it has made its player");
    drain(&mut session);
    again(&mut session, 1_000);
    session.handle_message(at(1_600), refused(ONE, "bad_token"));
    assert_eq!(session.nonce(), None);
}

#[test]
fn a_recovery_code_is_said_alone_until_it_is_welcome_or_refused() {
    let edge = "ws://host:1/ws".parse().expect("an address");
    let settings = SessionSettings { recovery: "K7Q2M".into(), ..SessionSettings::new(vec![edge], "Ada") };
    let mut session = Session::new(settings);
    session.start(at(0));
    session.handle_open(at(1));
    let first = hello(&mut session).expect("a hello");
    assert_eq!((&*first.recovery, &*first.name, first.token.len(), first.nonce.len()), ("K7Q2M", "", 0, 0));
    session.handle_message(at(2), refused(ONE, "bad_code"));
    drain(&mut session);
    session.recover(at(3), "K7Q2N");
    assert_eq!(hello(&mut session).expect("a hello").recovery, "K7Q2N");
    session.handle_message(at(4), welcome(ONE, b"t1", 1));
    drain(&mut session);
    let resume = again(&mut session, 1_000);
    assert_eq!((&resume.token[..], &*resume.recovery), (&b"t1"[..], ""));
}
