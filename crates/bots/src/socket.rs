//! A WebSocket client that costs no more than a load generator needs: one read buffer shared by all sockets, no task, no
//! allocation per message.
//!
//! RFC 6455, client side: binary messages, fragments, ping and close. No extensions; TLS if the caller has set it up. Programs that play use
//! [`gundo_client::Client`] instead. With thousands of sockets on the cores of the server, this one leaves the measurement
//! to the server.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use gundo_tls::Channel;
use mio::net::TcpStream;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use crate::behaviour::Chance;

/// Longest message accepted; a server that sends a longer one is broken.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Longest answer to the upgrade request that is accepted.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Why a socket is no longer usable.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The peer closed it.
    #[error("closed")]
    Closed,
    /// The operating system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refused the upgrade; this is the first line of its answer.
    #[error("no WebSocket there: {0}")]
    Upgrade(String),
    /// The server broke the protocol.
    #[error("protocol: {0}")]
    Protocol(&'static str),
}

/// What the socket received.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// The upgrade is done: messages may be sent now.
    Open,
    /// A binary message.
    Message(&'a [u8]),
}

/// A non-blocking connection. Register [`stream`](Self::stream) with a `mio::Poll` for reading and writing.
pub struct Socket {
    stream: TcpStream,
    /// TLS, if the server has it.
    secure: Option<Secure>,
    /// The accept key expected in the answer to the upgrade; `None` once it arrived.
    accept: Option<String>,
    /// Bytes of an incomplete frame.
    partial: Vec<u8>,
    /// Payload of the fragments before the last.
    fragments: Vec<u8>,
    out: Vec<u8>,
    chance: Chance,
    bytes_in: u64,
    connected: bool,
}

/// TLS, and what was decrypted and not read yet.
struct Secure {
    channel: Channel,
    plain: Vec<u8>,
}

impl Socket {
    /// Puts TLS below. Call it first.
    pub fn secure(&mut self, channel: Channel) {
        self.secure = Some(Secure { channel, plain: Vec::new() });
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// The operating system refuses at once.
    pub fn connect(to: SocketAddr, authority: &str, path: &str, chance: Chance) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        let key = generate_key();
        let out = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        Ok(Self {
            stream,
            secure: None,
            accept: Some(derive_accept_key(key.as_bytes())),
            partial: Vec::new(),
            fragments: Vec::new(),
            out: out.into_bytes(),
            chance,
            bytes_in: 0,
            connected: false,
        })
    }

    /// For registering with the poll.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Bytes read so far, headers included.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    fn flush(&mut self) -> Result<(), Broken> {
        let later =
            |e: &io::Error| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected);
        let mut sent = 0;
        loop {
            let rest = &self.out[sent..];
            let wrote = match &mut self.secure {
                None if rest.is_empty() => break,
                None => self.stream.write(rest),
                Some(secure) => {
                    let taken = if rest.is_empty() { 0 } else { secure.channel.seal(rest)? };
                    // What waits in the channel must not be offered again.
                    sent += taken;
                    match secure.channel.flush(&mut self.stream) {
                        Ok(()) if sent == self.out.len() => break,
                        done => done.map(|()| 0),
                    }
                }
            };
            match wrote {
                Ok(0) if self.secure.is_none() => return Err(Broken::Closed),
                Ok(n) => sent += n,
                Err(e) if later(&e) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.out.drain(..sent);
        Ok(())
    }

    /// The poll says that the socket is writable, and repeats it with every message that arrives: sends what is queued.
    ///
    /// # Errors
    /// The connection failed to open, or is broken.
    pub fn handle_writable(&mut self) -> Result<(), Broken> {
        if !self.connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error.into());
            }
            // Otherwise a small move would wait for the acknowledgement of the one before (Nagle).
            self.stream.set_nodelay(true)?;
            self.connected = true;
        }
        let waits = self.secure.as_ref().is_some_and(|secure| secure.channel.is_pending());
        if self.out.is_empty() && !waits { Ok(()) } else { self.flush() }
    }

    /// Sends one binary message.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Broken> {
        self.queue(2, payload);
        self.flush()
    }

    fn queue(&mut self, opcode: u8, payload: &[u8]) {
        self.out.push(0x80 | opcode);
        match payload.len() {
            n @ 0..126 => self.out.push(0x80 | n as u8),
            n @ 126..65_536 => {
                self.out.push(0x80 | 126);
                self.out.extend((n as u16).to_be_bytes());
            }
            n => {
                self.out.push(0x80 | 127);
                self.out.extend((n as u64).to_be_bytes());
            }
        }
        let mask = (self.chance.next_u64() as u32).to_be_bytes();
        self.out.extend(mask);
        self.out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    }

    /// The socket became readable: reads until it is empty and passes on what it received. `scratch` is only borrowed; 64
    /// KiB are a good size. `to_the_end` says that the peer has closed its side, so that a short read does not count as an
    /// empty socket.
    ///
    /// # Errors
    /// The connection is broken; everything received before was passed on.
    pub fn read(
        &mut self,
        scratch: &mut [u8],
        to_the_end: bool,
        take: &mut dyn FnMut(Incoming<'_>),
    ) -> Result<(), Broken> {
        loop {
            let n = match self.stream.read(scratch) {
                Ok(0) => return Err(Broken::Closed),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            self.bytes_in += n as u64;
            match self.secure.take() {
                None => self.take_in(&scratch[..n], take)?,
                Some(mut secure) => {
                    secure.plain.clear();
                    let opened = secure.channel.open(&scratch[..n], &mut secure.plain);
                    let plain = std::mem::take(&mut secure.plain);
                    let answers = secure.channel.is_pending();
                    self.secure = Some(secure);
                    let taken = self.take_in(&plain, take);
                    if let Some(secure) = &mut self.secure {
                        secure.plain = plain;
                    }
                    // The server gets to know what is wrong with its certificate.
                    let flushed = if answers { self.flush() } else { Ok(()) };
                    let ended = opened?;
                    taken?;
                    flushed?;
                    if ended {
                        return Err(Broken::Closed);
                    }
                }
            }
            // epoll(7): a stream socket that returns fewer bytes than asked for is empty. Relying on that saves a system
            // call per message.
            if n < scratch.len() && !to_the_end {
                return Ok(());
            }
        }
    }

    /// Passes on what is complete, and keeps the rest.
    fn take_in(&mut self, new: &[u8], take: &mut dyn FnMut(Incoming<'_>)) -> Result<(), Broken> {
        if self.partial.is_empty() {
            let used = self.parse(new, take)?;
            self.partial.extend_from_slice(&new[used..]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(new);
            let used = self.parse(&bytes, take)?;
            bytes.drain(..used);
            self.partial = bytes;
        }
        Ok(())
    }

    /// Passes on every complete frame; returns how many bytes they took.
    fn parse(&mut self, bytes: &[u8], take: &mut dyn FnMut(Incoming<'_>)) -> Result<usize, Broken> {
        let mut used = 0;
        if let Some(accept) = &self.accept {
            let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
                return if bytes.len() > HEAD_BYTES_MAX {
                    Err(Broken::Protocol("endless header"))
                } else {
                    Ok(0)
                };
            };
            check_upgrade(&bytes[..end], accept)?;
            self.accept = None;
            used = end + 4;
            take(Incoming::Open);
        }
        while let Some(frame) = Frame::parse(&bytes[used..])? {
            used += frame.size;
            self.on_frame(&frame, take)?;
        }
        Ok(used)
    }

    fn on_frame(&mut self, frame: &Frame<'_>, take: &mut dyn FnMut(Incoming<'_>)) -> Result<(), Broken> {
        match (frame.opcode, frame.last) {
            (2, true) => take(Incoming::Message(frame.payload)),
            (2, false) => self.fragments = frame.payload.to_vec(),
            (0, last) => {
                self.fragments.extend_from_slice(frame.payload);
                if self.fragments.len() > MESSAGE_BYTES_MAX {
                    return Err(Broken::Protocol("message too large"));
                }
                if last {
                    let whole = std::mem::take(&mut self.fragments);
                    take(Incoming::Message(&whole));
                }
            }
            (8, _) => {
                // The echo may no longer get out; the connection ends either way.
                self.queue(8, frame.payload.get(..2).unwrap_or(&[]));
                let _ = self.flush();
                return Err(Broken::Closed);
            }
            (9, _) => {
                self.queue(10, frame.payload);
                self.flush()?;
            }
            (10, _) => {}
            _ => return Err(Broken::Protocol("unexpected kind of frame")),
        }
        Ok(())
    }
}

fn check_upgrade(head: &[u8], accept: &str) -> Result<(), Broken> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(Broken::Upgrade(status.chars().take(80).collect()));
    }
    let matches = lines
        .filter_map(|l| l.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == accept);
    if matches { Ok(()) } else { Err(Broken::Protocol("the accept key of the upgrade is wrong")) }
}

struct Frame<'a> {
    opcode: u8,
    last: bool,
    payload: &'a [u8],
    size: usize,
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes` (RFC 6455, section 5.2), or `None` if it is incomplete.
    fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Broken> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 || second & 0x80 != 0 {
            return Err(Broken::Protocol("reserved bit or masked frame"));
        }
        let (len, head) = match second & 0x7f {
            126 => match rest.first_chunk::<2>() {
                Some(len) => (u64::from(u16::from_be_bytes(*len)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if len > MESSAGE_BYTES_MAX as u64 {
            return Err(Broken::Protocol("message too large"));
        }
        let size = head + len as usize;
        let frame = bytes.get(head..size);
        Ok(frame.map(|payload| Self { opcode: first & 0x0f, last: first & 0x80 != 0, payload, size }))
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
