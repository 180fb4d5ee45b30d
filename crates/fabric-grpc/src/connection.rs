//! Sockets, TLS and HTTP/2 of one connection, on both sides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::fault::words_of;
use crate::links::Closer;
use crate::settings::FabricLimits;

/// The call that a connection is.
pub(crate) const PATH: &str = "/gundo.fabric.v1.Fabric/Lane";
/// The authority that HTTP/2 wants in a call. Nobody looks at it.
pub(crate) const ORIGIN: &str = "http://gundo";
/// Why a connection is over that this side closes.
pub(crate) const CLOSED: &str = "this side closed the connection";
/// Bytes of one frame of HTTP/2: a parcel of usual size is one.
const FRAME_BYTES_MAX: u32 = 512 << 10;
/// Bytes that HTTP/2 may have taken from a queue and not written yet.
const SEND_BYTES_MAX: usize = 512 << 10;

/// The window of the connection for each byte of its one stream's window. The stream's bounds the bytes. By the connection's the h2
/// library judges how many small frames may wait unread: half of it, where a frame of n < 256 bytes counts as 256 - n. A parcel has
/// 20 bytes at least, so a full window of such parcels stays below it. A connection that is full waits then, and does not break.
const CONNECTION_WINDOW: u32 = 32;
/// The largest window that HTTP/2 knows.
const WINDOW_MAX: u32 = (1 << 31) - 1;

fn connection_window(limits: &FabricLimits) -> u32 {
    limits.window_bytes.saturating_mul(CONNECTION_WINDOW).min(WINDOW_MAX)
}

/// A stream of bytes, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connected socket, set up: whatever is written leaves at once.
pub(crate) fn set_up(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)
}

/// Runs the tasks of a connection until it is closed.
#[derive(Clone)]
struct Tasks(Arc<Closer>);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let closer = Arc::clone(&self.0);
        tokio::spawn(async move {
            tokio::select! {
                _ = task => {}
                () = closer.closed() => {}
            }
        });
    }
}

/// HTTP/2 as the side that dials. Tasks own the connection until it ends or is closed. It also ends with the last caller.
pub(crate) async fn speak(
    stream: Box<dyn Stream>,
    limits: &FabricLimits,
    closer: Arc<Closer>,
) -> Result<Caller, String> {
    let mut builder = hyper::client::conn::http2::Builder::new(Tasks(Arc::clone(&closer)));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits.window_bytes)
        .initial_connection_window_size(connection_window(limits))
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(limits.keep_alive_every)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .keep_alive_while_idle(true);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| words_of(&error))?;
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => closer.end(words_of_end(ended)),
            () = closer.closed() => closer.end(CLOSED.to_owned()),
        }
    });
    Ok(Caller(sender))
}

fn words_of_end(ended: hyper::Result<()>) -> String {
    ended.map_or_else(|error| words_of(&error), |()| "the peer closed the connection".to_owned())
}

/// HTTP/2 as the side that was dialled. Returns why the connection has ended.
pub(crate) async fn serve<S>(stream: Box<dyn Stream>, limits: &FabricLimits, service: S) -> String
where
    S: hyper::service::HttpService<Incoming, ResBody = tonic::body::Body> + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits.window_bytes)
        .initial_connection_window_size(connection_window(limits))
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_concurrent_streams(1)
        .keep_alive_interval(limits.keep_alive_every)
        .keep_alive_timeout(limits.keep_alive_timeout);
    words_of_end(builder.serve_connection(TokioIo::new(stream), service).await)
}

/// The one caller of a connection, as tonic wants it.
#[derive(Clone)]
pub(crate) struct Caller(SendRequest<tonic::body::Body>);

impl Service<http::Request<tonic::body::Body>> for Caller {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Runs `future` for this long at most.
pub(crate) async fn within<T, E: From<String>>(
    time: Duration,
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(time, future).await.unwrap_or_else(|_| Err(format!("{what} took too long").into()))
}
