//! The stage for a client under test: a listener that plays all edges of a world, and the client's process.
//!
//! The contract. The kit starts `COMMAND ARG… URL NAME`. The client says hello at `URL` as a new player called `NAME`, with no
//! key from earlier runs, and stays as a client for people would. It reads wishes from standard input, one a line, and ends when
//! that ends. It prints events to standard output, one JSON object a line, in the order in which they happen.
//!
//! | wish | the client |
//! | --- | --- |
//! | `command HEX` | sends a command with this payload |
//! | `move X Y HEADING SPEED` | sends a move: whole numbers, as on the wire |
//! | `name NAME` | says hello as a new player called so, after a refusal |
//! | `invitation TEXT` | says the refused hello again, with this invitation |
//! | `watch KIND ID` | watches an entity: whole numbers |
//! | `picture` | prints what it sees |
//! | `leave` | logs out |
//!
//! | event | with |
//! | --- | --- |
//! | `welcome` | `own`: hex |
//! | `reply` | `nth`: which command of this process, from 1; `payload`: hex, or `refusal`: the code |
//! | `own`, `told` | `payload`: hex |
//! | `corrected` | `seq`, `x`, `y`, `code` |
//! | `notice` | `code`, `text` |
//! | `signal` | `id`: `KIND/ID`, `payload`: hex |
//! | `watched` | `id`: `KIND/ID`; `public`: hex, if there is one; `refusal`: the code, if there is one |
//! | `refused` | `code`: of a hello after which the client waits for a name or gives up |
//! | `ended` | `code`: why it does not reconnect by itself |
//! | `picture` | `entities`: objects with `id`: `KIND/ID`, `public`: hex and, with a body, `x`, `y`, `heading`, `speed` as on the wire |
//! | `cannot` | `wish`: one that this client does not know |

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gundo_wire::client::{ClientMessage, Edge, Edges, EntityId, Hello, ServerMessage, Told, Welcome};
use serde_json::Value;
use tungstenite::handshake::server::{Request, Response};

use crate::line::{GLANCE, Line, PATIENCE, WORLD_MS};
use crate::report::{Check, Fault, broken};

/// The world that the stage plays, unless a case plays another.
pub(crate) const WORLD: [u8; 16] = *b"the world of kit";
/// The name of the new player.
pub(crate) const NAME: &str = "Ada";
/// How long the kit looks for what must not happen.
pub(crate) const WATCH: Duration = Duration::from_millis(1_200);

/// A client on its stage. Dropping it ends the client.
pub(crate) struct Stage {
    listeners: Vec<TcpListener>,
    child: RefCell<Child>,
    stdin: ChildStdin,
    events: Receiver<String>,
    /// Events of other kinds that came while one was waited for.
    kept: RefCell<Vec<Value>>,
    marks: Cell<u8>,
}

impl Stage {
    /// Starts the client at the path `/ws`.
    pub(crate) fn start(command: &[String]) -> Check<Self> {
        Self::start_at(command, "/ws", 1)
    }

    /// Starts the client at a path of the first of some listeners.
    pub(crate) fn start_at(command: &[String], path: &str, listeners: usize) -> Check<Self> {
        let listen = |_| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            listener.set_nonblocking(true).expect("sockets can be made not to block");
            listener
        };
        let listeners: Vec<_> = (0..listeners).map(listen).collect();
        let url = format!("ws://127.0.0.1:{}{path}", port_of(&listeners[0]));
        let (program, args) = command.split_first().expect("the client's command has a program");
        let spawned = Command::new(program)
            .args(args)
            .args([&url, NAME])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| {
            Fault::Broken(format!("the client's command {program} does not start: {error}"))
        })?;
        let (told, events) = channel();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // It ends with the client's output.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        let stdin = child.stdin.take().expect("piped");
        let child = RefCell::new(child);
        Ok(Self { listeners, child, stdin, events, kept: RefCell::default(), marks: Cell::new(0) })
    }

    /// The ports, in order.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.listeners.iter().map(port_of).collect()
    }

    // ---- connections -----------------------------------------------------------------------------------

    /// The client's next connection.
    pub(crate) fn accept(&self) -> Check<Line> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(line) = self.accept_within(WATCH)? {
                return Ok(line);
            }
            if !matches!(self.child.borrow_mut().try_wait(), Ok(None)) {
                return broken("the client has ended, and there is no connection");
            }
        }
        broken(format!("no connection within {PATIENCE:?}"))
    }

    /// The same within `time`.
    pub(crate) fn accept_within(&self, time: Duration) -> Check<Option<Line>> {
        let until = Instant::now() + time;
        loop {
            for listener in &self.listeners {
                match listener.accept() {
                    Ok((stream, _)) => return shake(stream, port_of(listener)).map(Some),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return broken(format!("cannot accept: {error}")),
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            // The listeners do not wake us.
            std::thread::sleep(GLANCE / 4);
        }
    }

    /// Nobody connects for a while.
    pub(crate) fn nobody(&self) -> Check {
        match self.accept_within(WATCH)? {
            None => Ok(()),
            Some(_) => broken("the client connects again"),
        }
    }

    /// The client's next connection, and its hello.
    pub(crate) fn greeted(&self) -> Check<(Line, Hello)> {
        let mut line = self.accept()?;
        let hello = hello(&mut line)?;
        Ok((line, hello))
    }

    /// The client's next connection, welcomed.
    pub(crate) fn welcomed(&self, token: &'static str, next_seq: u64) -> Check<Line> {
        let (mut line, _) = self.greeted()?;
        line.say(&welcome(token, next_seq));
        self.event("welcome")?;
        Ok(line)
    }

    // ---- the client's process --------------------------------------------------------------------------

    /// Tells the client what to do.
    pub(crate) fn wish(&mut self, wish: &str) {
        // A client that has ended shows by what it does not do.
        let _ = writeln!(self.stdin, "{wish}");
        let _ = self.stdin.flush();
    }

    /// The client's next event of this kind. Those of other kinds stay.
    pub(crate) fn event(&self, kind: &str) -> Check<Value> {
        let is_it = |event: &Value| event["event"] == kind;
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(is_it) {
            return Ok(kept.remove(at));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let event = self.next_event(until, kind)?;
            if event["event"] == "cannot" {
                return Err(Fault::Skipped(format!("the client does not know the wish {}", event["wish"])));
            }
            if is_it(&event) {
                return Ok(event);
            }
            kept.push(event);
        }
    }

    fn next_event(&self, until: Instant, kind: &str) -> Check<Value> {
        let left = until.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(event) => Ok(event),
                Err(_) => broken(format!("a line on standard output that is no JSON: {line}")),
            },
            Err(RecvTimeoutError::Timeout) => broken(format!("no event `{kind}` within {PATIENCE:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                broken(format!("the client ended before its event `{kind}`"))
            }
        }
    }

    /// All events of what the client has been sent so far: what it is told last comes back last.
    pub(crate) fn settle(&self, line: &mut Line) -> Check<Vec<Value>> {
        self.marks.set(self.marks.get().wrapping_add(1));
        let mark = [0x6d, 0x61, 0x72, 0x6b, self.marks.get()];
        let told = Told { payload: Bytes::copy_from_slice(&mark) };
        line.say(&ServerMessage { told: vec![told], ..Default::default() });
        let mut events = std::mem::take(&mut *self.kept.borrow_mut());
        let until = Instant::now() + PATIENCE;
        loop {
            let event = self.next_event(until, "told")?;
            if event["event"] == "told" && event["payload"] == hex(&mark) {
                return Ok(events);
            }
            events.push(event);
        }
    }

    /// What the client sees after all that it has been sent: the entities by id.
    pub(crate) fn picture(&mut self, line: &mut Line) -> Check<Vec<Value>> {
        let events = self.settle(line)?;
        self.kept.borrow_mut().extend(events);
        self.wish("picture");
        let mut entities = self.event("picture")?["entities"].as_array().cloned().unwrap_or_default();
        entities.sort_by_key(|entity| entity["id"].to_string());
        Ok(entities)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let mut child = self.child.borrow_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("it is bound").port()
}

fn shake(stream: TcpStream, port: u16) -> Check<Line> {
    let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
    ready.and_then(|()| stream.set_nodelay(true)).expect("sockets can be set up");
    let mut path = String::new();
    #[allow(clippy::result_large_err, reason = "the library's own type")]
    let note = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let socket = match tungstenite::accept_hdr(stream, note) {
        Ok(socket) => socket,
        Err(error) => return broken(format!("no WebSocket handshake: {error}")),
    };
    socket.get_ref().set_read_timeout(Some(GLANCE)).expect("sockets can be set up");
    Ok(Line::new(socket, path, port))
}

/// The hello that must be the first message of a connection, alone.
pub(crate) fn hello(line: &mut Line) -> Check<Hello> {
    let mut message = line.hear("hello")?;
    let Some(hello) = message.hello.take() else {
        return broken(format!("the first message is no hello: {message:?}"));
    };
    if message != ClientMessage::default() {
        return broken(format!("something travels beside the hello: {message:?}"));
    }
    Ok(hello)
}

/// A welcome to the world of the stage, whose only edge is the address that the client came by.
pub(crate) fn welcome(token: &'static str, next_seq: u64) -> ServerMessage {
    let welcome = Welcome {
        player: Some(EntityId { kind: 1, id: 0xada }),
        token: Bytes::from_static(token.as_bytes()),
        next_seq,
        tick_ms: 100,
        world_ms: WORLD_MS,
        node: 1,
        edges: Some(Edges { edges: vec![Edge { node: 1, ..Default::default() }] }),
        world: Bytes::from_static(b"a description"),
        x: 15_000,
        y: 15_000,
        own: Bytes::from_static(b"own"),
        chunk_mm: 30_000,
        motion_unit_mm: 10,
        adoption: 1,
        ..Default::default()
    };
    ServerMessage { welcome: Some(welcome), world_id: Bytes::from_static(&WORLD), ..Default::default() }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
