//! A client's connection once it speaks WebSocket: a socket of an I/O thread, with TLS or without.

use std::io::{self, ErrorKind, Read, Write};

use gundo_tls::Channel;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

/// Buffers that all connections of a thread share.
pub(crate) struct Scratch {
    wire: Vec<u8>,
    /// Bytes that were decrypted. It stays empty if there is no TLS.
    plain: Vec<u8>,
}

impl Scratch {
    /// Room for so many bytes from one socket.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { wire: vec![0; bytes], plain: Vec::new() }
    }
}

/// What one read has brought.
pub(crate) struct Got<'a> {
    /// Bytes that the client means.
    pub(crate) bytes: &'a [u8],
    /// Bytes that came for them.
    pub(crate) wire: usize,
    pub(crate) next: Next,
}

/// What follows a read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The buffer was filled: there may be more.
    More,
    /// The socket is empty; the poll reports later bytes as a new event.
    Nothing,
    /// The client sends nothing more, or broke the connection.
    End,
}

/// A socket of either kind.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buf),
            Self::Unix(socket) => socket.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn write_vectored(&mut self, all: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write_vectored(all),
            Self::Unix(socket) => socket.write_vectored(all),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection.
pub(crate) struct Line {
    socket: Socket,
    secure: Option<Box<Channel>>,
}

impl Line {
    pub(crate) fn tcp(socket: std::net::TcpStream, secure: Option<Channel>) -> Self {
        Self { socket: Socket::Tcp(TcpStream::from_std(socket)), secure: secure.map(Box::new) }
    }

    pub(crate) fn unix(socket: std::os::unix::net::UnixStream) -> Self {
        Self { socket: Socket::Unix(UnixStream::from_std(socket)), secure: None }
    }

    /// Has the poll report it by this token.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Tcp(socket) => registry.register(socket, token, both),
            Socket::Unix(socket) => registry.register(socket, token, both),
        }
    }

    /// Reads once, at most as much as `scratch` holds.
    pub(crate) fn read<'s>(&mut self, scratch: &'s mut Scratch) -> Got<'s> {
        let (wire, next) = match self.socket.read(&mut scratch.wire) {
            Ok(0) => (0, Next::End),
            // A read that does not fill the buffer leaves the socket empty.
            Ok(n) if n == scratch.wire.len() => (n, Next::More),
            Ok(n) => (n, Next::Nothing),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (0, Next::Nothing),
            Err(error) if error.kind() == ErrorKind::Interrupted => (0, Next::More),
            Err(_) => (0, Next::End),
        };
        let Some(secure) = &mut self.secure else {
            return Got { bytes: &scratch.wire[..wire], wire, next };
        };
        scratch.plain.clear();
        let next = match secure.open(&scratch.wire[..wire], &mut scratch.plain) {
            Ok(false) => next,
            Ok(true) => Next::End,
            Err(_) => {
                // It gets to know why, if its socket takes that.
                let _ = secure.flush(&mut self.socket);
                Next::End
            }
        };
        Got { bytes: &scratch.plain, wire, next }
    }

    /// Writes some of `bytes`, and what waits here. Returns how many of them are taken care of.
    ///
    /// # Errors
    /// `WouldBlock`: none of them is, for the socket takes no more now. Else what the socket says.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(secure) = &mut self.secure else { return self.socket.write(bytes) };
        let taken = if bytes.is_empty() { 0 } else { secure.seal(bytes)? };
        match secure.flush(&mut self.socket) {
            // The next call meets the full socket, with nothing taken.
            Err(error) if error.kind() == ErrorKind::WouldBlock && taken > 0 => Ok(taken),
            done => done.map(|()| taken),
        }
    }

    /// Whether something waits here to be written.
    pub(crate) fn is_pending(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.is_pending())
    }

    /// Tells the client that nothing follows, if its socket takes that now.
    pub(crate) fn close(&mut self) {
        if let Some(secure) = &mut self.secure {
            secure.close();
            let _ = secure.flush(&mut self.socket);
        }
    }
}
