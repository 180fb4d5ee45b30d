//! One WebSocket connection, as either side has it: whole messages, each waited for within a stated time.
//!
//! It answers pings, so that a conversation only deals with what its rule is about.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use gundo_wire::Message as _;
use gundo_wire::client::{ClientMessage, Closing, Ping, Pong, ServerMessage};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Error, Message, WebSocket};

use crate::report::{Check, broken};

/// How long the other side may take for anything. Machines that run tests are slow.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a socket blocks before the deadline is looked at.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);
/// World time of all pongs, ms.
pub(crate) const WORLD_MS: u64 = 1_000_000;

/// Something that arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard<M> {
    /// A message of the protocol.
    Message(Box<M>),
    /// The answer to a WebSocket ping.
    Pong(Vec<u8>),
    /// A WebSocket ping: the socket has answered it.
    Ping,
    /// The connection has ended: status and reason of the close frame, if there was one.
    End(Option<(u16, String)>),
}

/// A connection.
pub struct Line {
    socket: WebSocket<TcpStream>,
    /// The path that the client came by.
    pub path: String,
    /// The port that it came by.
    pub port: u16,
    /// Pings of the protocol that were heard.
    pub pings: usize,
    /// Whether it answers no pings: an edge that hangs.
    pub is_mute: bool,
}

impl Line {
    pub(crate) fn new(socket: WebSocket<TcpStream>, path: String, port: u16) -> Self {
        Self { socket, path, port, pings: 0, is_mute: false }
    }

    /// What arrives until the deadline; `None`: nothing. What is no message of the protocol breaks every rule.
    fn heard<M: gundo_wire::Message + Default>(&mut self, until: Instant) -> Check<Option<Heard<M>>> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => {
                    let message = M::decode(bytes.clone());
                    return match message {
                        Ok(message) => Ok(Some(Heard::Message(Box::new(message)))),
                        Err(error) => broken(format!("{} bytes that are no message: {error}", bytes.len())),
                    };
                }
                Ok(Message::Text(text)) => return broken(format!("a text message: {text}")),
                Ok(Message::Pong(bytes)) => return Ok(Some(Heard::Pong(bytes.to_vec()))),
                Ok(Message::Ping(_)) => {
                    let _ = self.socket.flush();
                    return Ok(Some(Heard::Ping));
                }
                Ok(Message::Close(frame)) => {
                    let _ = self.socket.flush();
                    let frame = frame.map(|f| (u16::from(f.code), f.reason.to_string()));
                    return Ok(Some(Heard::End(frame)));
                }
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                }
                Err(_) => return Ok(Some(Heard::End(None))),
            }
        }
    }

    // ---- as a server -----------------------------------------------------------------------------------

    /// The client's next message that says more than a ping.
    ///
    /// # Errors
    /// There is none in time, or the connection ends.
    pub fn hear(&mut self, what: &str) -> Check<ClientMessage> {
        match self.hear_within(PATIENCE)? {
            Some(message) => Ok(message),
            None => broken(format!("no {what} within {PATIENCE:?}")),
        }
    }

    /// The same within `time`; `None`: nothing but pings.
    ///
    /// # Errors
    /// The connection ends.
    pub fn hear_within(&mut self, time: Duration) -> Check<Option<ClientMessage>> {
        let until = Instant::now() + time;
        loop {
            let message = match self.heard::<ClientMessage>(until)? {
                None => return Ok(None),
                Some(Heard::Message(message)) => *message,
                Some(Heard::Ping | Heard::Pong(_)) => continue,
                Some(Heard::End(_)) => return broken("the client ended the connection"),
            };
            if let Some(ping) = message.ping {
                self.pings += 1;
                if !self.is_mute {
                    let pong = Pong { stamp: ping.stamp, world_ms: WORLD_MS };
                    self.say(&ServerMessage { pong: Some(pong), ..Default::default() });
                }
            }
            if (ClientMessage { ping: None, ..message.clone() }) != ClientMessage::default() {
                return Ok(Some(message));
            }
        }
    }

    /// Waits until the client has ended the connection.
    ///
    /// # Errors
    /// It does not.
    pub fn until_end(&mut self) -> Check {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.heard::<ClientMessage>(until)? {
                None => return broken(format!("the client keeps the connection for {PATIENCE:?}")),
                Some(Heard::End(_)) => return Ok(()),
                Some(_) => {}
            }
            // Pings keep arriving: look at the clock here too.
            if Instant::now() >= until {
                return broken(format!("the client keeps the connection for {PATIENCE:?}"));
            }
        }
    }

    /// Sends a message to the client.
    pub fn say(&mut self, message: &ServerMessage) {
        self.bytes(message.encode_to_vec());
    }

    /// Says why, and closes the connection.
    pub fn close(mut self, code: &str, retry_ms: u32) {
        let closing = Closing { code: code.to_owned(), text: "A sentence.".to_owned(), retry_ms };
        self.say(&ServerMessage { closing: Some(closing), ..Default::default() });
        let _ = self.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: code.into() }));
        // Read until the client has closed too, or the system would throw away what it has not read yet.
        let until = Instant::now() + Duration::from_secs(2);
        while let Ok(Some(heard)) = self.heard::<ClientMessage>(until) {
            if matches!(heard, Heard::End(_)) || Instant::now() >= until {
                return;
            }
        }
    }

    // ---- as a client -----------------------------------------------------------------------------------

    /// Sends a message to the server.
    pub fn ask(&mut self, message: &ClientMessage) {
        self.bytes(message.encode_to_vec());
    }

    /// Sends a ping to the server.
    pub fn ping(&mut self, stamp: u64) {
        self.ask(&ClientMessage { ping: Some(Ping { stamp }), ..Default::default() });
    }

    /// The next message of the server for which `find` has something.
    ///
    /// # Errors
    /// There is none in time, or the connection ends.
    pub fn find<T>(&mut self, what: &str, find: impl FnMut(&ServerMessage) -> Option<T>) -> Check<T> {
        match self.find_within(PATIENCE, find)? {
            Ok(found) => Ok(found),
            Err(end) => broken(format!("no {what}: {end}")),
        }
    }

    /// The same within `time`. Inside: what was found, or what happened instead.
    ///
    /// # Errors
    /// The server sends what is no message.
    pub fn find_within<T>(
        &mut self,
        time: Duration,
        mut find: impl FnMut(&ServerMessage) -> Option<T>,
    ) -> Check<Result<T, String>> {
        let until = Instant::now() + time;
        loop {
            match self.heard::<ServerMessage>(until)? {
                None => return Ok(Err(format!("nothing within {time:?}"))),
                Some(Heard::End(frame)) => return Ok(Err(format!("the connection ended: {frame:?}"))),
                Some(Heard::Message(message)) => {
                    if let Some(found) = find(&message) {
                        return Ok(Ok(found));
                    }
                    if let Some(closing) = &message.closing {
                        return Ok(Err(format!("the server closes: {}", closing.code)));
                    }
                }
                Some(_) => {}
            }
            if Instant::now() >= until {
                return Ok(Err(format!("nothing within {time:?}")));
            }
        }
    }

    /// The server's closing, and the reason in the close frame behind it.
    ///
    /// # Errors
    /// It does not close, or the two differ.
    pub fn closing(&mut self) -> Check<Closing> {
        let closing = self.find("closing", |message| message.closing.clone())?;
        let until = Instant::now() + PATIENCE;
        loop {
            match self.heard::<ServerMessage>(until)? {
                Some(Heard::End(Some((_, reason)))) if reason == closing.code => return Ok(closing),
                Some(Heard::End(frame)) => {
                    return broken(format!("closing `{}`, but the close frame is {frame:?}", closing.code));
                }
                Some(Heard::Ping | Heard::Pong(_)) if Instant::now() < until => {}
                Some(Heard::Message(_)) => return broken("a message after the closing"),
                _ => return broken("no close frame after the closing"),
            }
        }
    }

    /// Waits until the server has ended the connection; returns what its close frame says, and whether a closing came first.
    ///
    /// # Errors
    /// It does not.
    pub fn end(&mut self) -> Check<(bool, Option<(u16, String)>)> {
        let until = Instant::now() + PATIENCE;
        let mut said = false;
        loop {
            match self.heard::<ServerMessage>(until)? {
                Some(Heard::End(frame)) => return Ok((said, frame)),
                Some(Heard::Message(message)) => said |= message.closing.is_some(),
                _ => {}
            }
            if Instant::now() >= until {
                return broken("the server keeps the connection");
            }
        }
    }

    // ---- bytes -----------------------------------------------------------------------------------------

    /// Sends a binary message. That the other side has gone shows when something is heard.
    pub fn bytes(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::Binary(bytes.into()));
    }

    /// Sends a WebSocket ping and waits for its pong. `M` is what the other side sends besides.
    ///
    /// # Errors
    /// None comes, or one with other bytes.
    pub fn ping_socket<M: gundo_wire::Message + Default>(&mut self, payload: &[u8]) -> Check {
        let _ = self.socket.send(Message::Ping(payload.to_vec().into()));
        let until = Instant::now() + PATIENCE;
        loop {
            match self.heard::<M>(until)? {
                Some(Heard::Pong(echo)) if echo == payload => return Ok(()),
                Some(Heard::Pong(echo)) => return broken(format!("a pong with other bytes: {echo:?}")),
                Some(Heard::End(_)) => return broken("the connection ended"),
                Some(_) if Instant::now() < until => {}
                _ => return broken("no pong"),
            }
        }
    }

    /// Sends a text message.
    pub fn text(&mut self, text: &str) {
        let _ = self.socket.send(Message::Text(text.into()));
    }

    /// Sends a binary message in pieces, with a WebSocket ping between them.
    pub fn pieces(&mut self, bytes: &[u8], pieces: usize) {
        let size = bytes.len().div_ceil(pieces).max(1);
        let last = bytes.len().div_ceil(size) - 1;
        for (nth, piece) in bytes.chunks(size).enumerate() {
            let code = if nth == 0 { OpCode::Data(Data::Binary) } else { OpCode::Data(Data::Continue) };
            let frame = Frame::message(piece.to_vec(), code, nth == last);
            let _ = self.socket.send(Message::Frame(frame));
            if nth == 0 {
                let _ = self.socket.send(Message::Ping(vec![7; 125].into()));
            }
        }
    }

    /// Ends the connection as a cut cable would: without a word.
    pub fn cut(self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
    }
}
