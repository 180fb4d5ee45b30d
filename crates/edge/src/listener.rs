//! What accepts connections: a TCP port, or a Unix socket for a proxy on the same machine.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::EdgeFault;

/// At a launch thousands connect at once: let the system's own limit be the bound.
const BACKLOG: u32 = 4_096;
/// Who may connect to a Unix socket: its user and its group.
const MODE: u32 = 0o660;

/// Where a front listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Address(SocketAddr),
    /// A Unix socket, by its path.
    Socket(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listening socket.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A connection that was accepted.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Listens there. Returns where that is: port 0 picks a free one.
    pub(crate) fn bind(place: &Listen) -> Result<(Self, Listen), EdgeFault> {
        match place {
            Listen::Address(address) => {
                let (listener, bound) = bind_tcp(*address).map_err(|source| match source.kind() {
                    ErrorKind::AddrInUse => EdgeFault::InUse { address: *address },
                    _ => EdgeFault::Listen { address: *address, source },
                })?;
                Ok((Self::Tcp(listener), Listen::Address(bound)))
            }
            Listen::Socket(path) => {
                let bound = bind_unix(path);
                let (listener, _file) =
                    bound.map_err(|source| EdgeFault::Socket { path: path.clone(), source })?;
                Ok((Self::Unix { listener, _file }, place.clone()))
            }
        }
    }

    /// The next connection, and whom it is with; `None`: a program that reaches the Unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, address) = listener.accept().await?;
                // Frames and replies are complete messages: Nagle's algorithm would only delay them.
                let _ = socket.set_nodelay(true);
                Ok((Accepted::Tcp(socket), Some(address)))
            }
            Self::Unix { listener, .. } => Ok((Accepted::Unix(listener.accept().await?.0), None)),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier process in TIME_WAIT must not block the port after a restart.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::other("something else is there: remove it, or choose another path"));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                return Err(io::Error::other(
                    "another program listens there: stop it, or choose another path",
                ));
            }
            // A process that was killed has left it.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile { identity: identity(path)?, path: path.to_owned() };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    Ok((listener, file))
}

/// The file of a Unix socket. Dropping it removes the file, if it is still the same.
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // What is left is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
