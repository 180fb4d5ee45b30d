//! A client's connection while it speaks HTTP: with TLS or without, or by a Unix socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use gundo_tls::{Channel, Role, role_of};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::line::Line;

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Unix(UnixStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The same connection for an I/O thread, without losing a byte.
    pub(crate) fn into_line(self) -> io::Result<Line> {
        match self {
            Self::Plain(socket) => Ok(Line::tcp(socket.into_std()?, None)),
            Self::Unix(socket) => Ok(Line::unix(socket.into_std()?)),
            Self::Secure(stream) => {
                let (socket, connection) = stream.into_inner();
                Ok(Line::tcp(socket.into_std()?, Some(Channel::from(connection))))
            }
        }
    }
}

impl Stream {
    /// Who the client is by its certificate, if it has shown one.
    pub(crate) fn role(&self) -> Option<Role> {
        let Self::Secure(stream) = self else { return None };
        stream.get_ref().1.peer_certificates()?.first().map(role_of)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Unix(socket) => Pin::new(socket).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, all),
            Self::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, all),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(cx, all),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Unix(socket) => socket.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }
}
