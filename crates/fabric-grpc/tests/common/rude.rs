//! A peer by hand: HTTP/2 is sound, and the bytes in it are what a test wants.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use gundo_wire::fabric::{Hello, Parcel};
use hyper::body::{Body, Frame};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Process, until};

/// The peer.
pub(crate) struct Rude {
    pub(crate) runtime: Runtime,
    pub(crate) lanes: Vec<UnboundedSender<Vec<u8>>>,
}

pub(crate) fn hello(lane: u32) -> Hello {
    let me = super::identity(2);
    Hello {
        oldest: 1,
        newest: 1,
        world: me.world,
        game: me.game,
        settings: me.settings,
        node: 2,
        incarnation: 12,
        to_node: 1,
        to_incarnation: 11,
        link: 77,
        lane,
        ..Hello::default()
    }
}

/// As gRPC frames it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

pub(crate) fn parcel_of(hello: Hello) -> Vec<u8> {
    framed(&Parcel { hello: Some(hello), ..Parcel::default() }.encode_to_vec())
}

pub(crate) fn messages(all: Vec<Vec<u8>>) -> Vec<u8> {
    let messages = all.into_iter().map(Into::into).collect();
    framed(&Parcel { messages, ..Parcel::default() }.encode_to_vec())
}

/// The body of a call: what a test sends.
struct Sent(UnboundedReceiver<Vec<u8>>);

impl Body for Sent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

impl Rude {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        Self { runtime, lanes: Vec::new() }
    }

    /// Opens a connection, and sends these bytes as the body of a call.
    pub(crate) fn call(&mut self, to: SocketAddr, path: &'static str, first: Vec<u8>) {
        let (sender, bytes) = unbounded_channel();
        sender.send(first).expect("it is open");
        self.lanes.push(sender);
        self.runtime.spawn(async move {
            let socket = TcpStream::connect(to).await.expect("it listens");
            say(socket, path, bytes).await;
        });
    }

    /// Both lanes of a sound link.
    pub(crate) fn link(&mut self, one: &Process) {
        for lane in [1, 2] {
            self.call(one.fabric.address(), PATH, parcel_of(hello(lane)));
        }
        until("the link is up", || one.is_up(2));
    }
}

pub(crate) const PATH: &str = "http://gundo/gundo.fabric.v1.Fabric/Lane";

/// Makes a call by a connection, and returns all that comes.
pub(crate) async fn say(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &'static str,
    bytes: UnboundedReceiver<Vec<u8>>,
) -> Vec<u8> {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut calls, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Sent(bytes)))
        .expect("a request");
    let Ok(answer) = calls.send_request(request).await else { return Vec::new() };
    let (mut body, mut came) = (answer.into_body(), Vec::new());
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        came.extend(frame.into_data().unwrap_or_default());
    }
    came
}
