//! TLS on a socket that never blocks. The caller reads and writes; nothing waits here.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConnection};

/// One end of a connection. What waits to be written is at most 64 KiB on top of what the caller keeps.
pub struct Channel(Connection);

impl From<ServerConnection> for Channel {
    fn from(connection: ServerConnection) -> Self {
        Self(connection.into())
    }
}

impl Channel {
    /// The end of a client that has not said anything yet.
    ///
    /// # Errors
    /// The settings do not fit together.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self(connection.into()))
    }

    /// These bytes have come from the peer, or none: appends what they say to `plain`. Returns whether the peer has said that it ends.
    /// Afterwards there may be something to [`flush`](Self::flush), also after an error: what the peer is told of it.
    ///
    /// # Errors
    /// The peer breaks the protocol, or its certificate is not trusted.
    pub fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            match self.0.reader().read_to_end(plain) {
                // The peer has said that nothing follows.
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if wire.is_empty() {
                return Ok(false);
            }
            self.0.read_tls(&mut wire)?;
            self.0.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }

    /// Takes bytes for the peer; returns how many there was room for.
    ///
    /// # Errors
    /// None that depends on the peer.
    pub fn seal(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.0.writer().write(plain)
    }

    /// Whether something waits to be written.
    pub fn is_pending(&self) -> bool {
        self.0.wants_write()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// `WouldBlock`: the socket takes no more now, and the rest still waits. Else what the socket says.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.0.wants_write() {
            match self.0.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the peer that nothing follows.
    pub fn close(&mut self) {
        self.0.send_close_notify();
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
