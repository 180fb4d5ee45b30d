//! Connections, new players and hellos for the conversations with a server.

use std::net::{TcpStream, ToSocketAddrs};

use bytes::Bytes;
use gundo_wire::client::{ClientMessage, Command, Hello, PROTOCOL, Refusal, Reply, ServerMessage, Welcome};
use tungstenite::http::Request;

use super::World;
use crate::line::{GLANCE, Line, PATIENCE};
use crate::report::{Check, Fault, broken};

/// A player in the world.
pub(super) struct Guest {
    pub(super) line: Line,
    pub(super) welcome: Welcome,
    pub(super) world_id: Bytes,
    pub(super) hello: Hello,
}

/// What a server answers to a hello.
pub(super) enum Answer {
    Welcome(Box<Welcome>, Bytes),
    Refused(Refusal, Bytes),
}

/// A new connection.
pub(super) fn connect(world: &World) -> Check<Line> {
    connect_as(world, None)
}

/// A new connection of a page of this origin.
pub(super) fn connect_as(world: &World, origin: Option<&str>) -> Check<Line> {
    let rest = world.url.strip_prefix("ws://").unwrap_or(&world.url);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/ws" } else { path };
    let addresses = authority.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let stream = addresses.and_then(|addresses| TcpStream::connect(addresses.as_slice()));
    let stream = match stream.and_then(|s| s.set_read_timeout(Some(PATIENCE)).map(|()| s)) {
        Ok(stream) => stream,
        Err(error) => return broken(format!("cannot connect to {}: {error}", world.url)),
    };
    stream.set_nodelay(true).expect("sockets can be set up");
    let port = stream.peer_addr().map_or(0, |address| address.port());
    let mut request = Request::builder()
        .uri(format!("ws://{authority}{path}"))
        .header("Host", authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key());
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    let request = request.body(()).expect("a plain request");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => {
            socket.get_ref().set_read_timeout(Some(GLANCE)).expect("sockets can be set up");
            Ok(Line::new(socket, path.to_owned(), port))
        }
        Err(error) => broken(format!("no WebSocket handshake: {error}")),
    }
}

/// A hello of a new player, with a name that nobody has.
pub(super) fn newcomer(world: &World) -> Hello {
    let mut random = [0; 24];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    let (nonce, rest) = random.split_at(16);
    let letters: String = rest.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    Hello {
        protocol: PROTOCOL,
        name: format!("{}{letters}", world.names),
        nonce: Bytes::copy_from_slice(nonce),
        client: "gundo-conformance".to_owned(),
        ..Default::default()
    }
}

/// A hello with a token, for this world.
pub(super) fn returner(token: &Bytes, world_id: &Bytes) -> Hello {
    Hello { protocol: PROTOCOL, token: token.clone(), world_id: world_id.clone(), ..Default::default() }
}

pub(super) fn say_hello(line: &mut Line, hello: &Hello) {
    line.ask(&ClientMessage { hello: Some(hello.clone()), ..Default::default() });
}

/// Says hello and waits for the answer.
pub(super) fn greet(line: &mut Line, hello: &Hello) -> Check<Answer> {
    say_hello(line, hello);
    line.find("answer to the hello", answer)
}

fn answer(message: &ServerMessage) -> Option<Answer> {
    let world_id = message.world_id.clone();
    if let Some(refusal) = &message.refused {
        return Some(Answer::Refused(refusal.clone(), world_id));
    }
    message.welcome.clone().map(|welcome| Answer::Welcome(Box::new(welcome), world_id))
}

/// The refusal of a hello.
pub(super) fn refused(line: &mut Line, hello: &Hello) -> Check<(String, Bytes)> {
    match greet(line, hello)? {
        Answer::Refused(refusal, world_id) => Ok((refusal.code, world_id)),
        Answer::Welcome(..) => broken(format!("welcome instead of a refusal of {hello:?}")),
    }
}

/// Comes in on this connection.
pub(super) fn enter_on(mut line: Line, hello: Hello) -> Check<Guest> {
    match greet(&mut line, &hello)? {
        Answer::Welcome(welcome, world_id) => Ok(Guest { line, welcome: *welcome, world_id, hello }),
        Answer::Refused(refusal, _) => broken(format!("{hello:?} is refused: {}", refusal.code)),
    }
}

/// A new player in the world.
pub(super) fn enter(world: &World) -> Check<Guest> {
    enter_on(connect(world)?, newcomer(world))
}

/// The same player again, on a new connection.
pub(super) fn come_back(world: &World, guest: &Guest) -> Check<Guest> {
    enter_on(connect(world)?, returner(&guest.welcome.token, &guest.world_id))
}

/// The command of the world under test.
pub(super) fn payload(world: &World) -> Check<Bytes> {
    match &world.command {
        Some(payload) => Ok(Bytes::copy_from_slice(payload)),
        None => Err(Fault::Skipped("no command was given (--command)".to_owned())),
    }
}

impl Guest {
    /// Sends a command.
    pub(super) fn command(&mut self, seq: u64, payload: &Bytes) {
        let commands = vec![Command { seq, payload: payload.clone(), ..Command::default() }];
        self.line.ask(&ClientMessage { commands, ..Default::default() });
    }

    /// The reply to `seq`.
    pub(super) fn reply(&mut self, seq: u64) -> Check<Reply> {
        self.line.find("reply", |message| message.replies.iter().find(|reply| reply.seq == seq).cloned())
    }

    /// The code with which the command is refused.
    pub(super) fn refusal(&mut self, seq: u64) -> Check<String> {
        match self.reply(seq)?.refusal {
            Some(refusal) => Ok(refusal.code),
            None => broken(format!("command {seq} is not refused")),
        }
    }
}
