//! The door of a front: accepting, HTTP, and the upgrade to a WebSocket of a node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use gundo_types::{NodeId, Origin};
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tungstenite::handshake::server::create_response_with_body;

use crate::files::{OPERATORS_MAX, Seldom, Slot};
use crate::front::{Caller, Certified, Hall};
use crate::listener::{Accepted, Listener};
use crate::mailbox::Arrival;
use crate::reason::Reason;
use crate::secure::{self, Certificates, Entered, Handshakes};
use crate::stream::Stream;
use crate::{Shared, page};

/// How many connections beyond those that may say hello may receive `full` at the same time. The edge drops the ones after that
/// without a message.
const TOLD_FULL_MAX: usize = 1_000;
/// How long a client may take to send the header of a request.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Whom a request's connection is with, as an extension of the request.
#[derive(Clone, Copy)]
struct Peer {
    /// `None`: it came by a Unix socket.
    address: Option<SocketAddr>,
    /// It came by the address for operators only.
    is_private: bool,
}

/// What one address serves.
pub(crate) struct Porch {
    pub(crate) listener: Listener,
    pub(crate) routes: Router,
    /// Routes for operators on this machine who come without TLS, where there is TLS.
    pub(crate) bare: Router,
    /// If it has TLS.
    pub(crate) handshakes: Option<Arc<Handshakes>>,
    /// It is for operators only.
    pub(crate) is_private: bool,
}

/// Accepts clients until the front stops.
pub(crate) async fn run(porch: Porch, hall: Arc<Hall>, mut stopped: watch::Receiver<bool>) {
    let Porch { listener, routes, bare, handshakes, is_private } = porch;
    let settings = &hall.settings;
    let most = match is_private {
        true => OPERATORS_MAX,
        false => settings.files.http_max(settings.http_max),
    };
    let permits = Arc::new(Semaphore::new(most));
    let admitted = |routes: Router| routes.layer(middleware::from_fn_with_state(Arc::clone(&hall), admit));
    let brief = middleware::from_fn_with_state((Arc::clone(&permits), most / 2), let_go);
    let secure_routes = admitted(routes).merge(health(&hall)).layer(brief.clone());
    let bare_routes = admitted(secure::bare(bare)).merge(health(&hall)).layer(brief);
    let mut complaints = Seldom::default();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(16 * 1024);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let (socket, address, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely the machine is out of file descriptors: others must leave before anyone can come in.
                if let Some(times) = complaints.happened(Instant::now()) {
                    tracing::warn!(%error, times, "cannot accept connections; trying again");
                }
                // Nothing tells when a file is free again.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (secure_routes, bare_routes) = (secure_routes.clone(), bare_routes.clone());
        let (http, handshakes) = (http.clone(), handshakes.clone());
        let serving = async move {
            let entered = match (socket, handshakes) {
                (Accepted::Tcp(socket), Some(handshakes)) => handshakes.enter(socket).await,
                (Accepted::Tcp(socket), None) => Some(Entered::Secure(Stream::Plain(socket))),
                (Accepted::Unix(socket), _) => Some(Entered::Secure(Stream::Unix(socket))),
            };
            let (stream, routes) = match entered {
                Some(Entered::Secure(stream)) => (stream, secure_routes),
                Some(Entered::Bare(stream)) => (stream, bare_routes),
                None => return,
            };
            let role = Certified(stream.role());
            let peer = Peer { address, is_private };
            let service = TowerToHyperService::new(routes.layer(Extension(peer)).layer(Extension(role)));
            // The errors of a stranger's HTTP are of no interest here.
            let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        };
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
            drop(permit);
        });
    }
}

/// While many are in, nobody keeps a connection that it does not use.
async fn let_go(
    State((permits, few)): State<(Arc<Semaphore>, usize)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if permits.available_permits() < few && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads the certificate again when its files change, until the front stops.
pub(crate) async fn watch_files(tls: Certificates, every: Duration, mut stopped: watch::Receiver<bool>) {
    // Files tell nobody that they have changed.
    while tokio::time::timeout(every, stopped.wait_for(|stop| *stop)).await.is_err() {
        let tls = tls.clone();
        // A disk that hangs must keep nobody out. A look that panicked is a bug, and the next one may succeed.
        let _ = tokio::task::spawn_blocking(move || tls.look()).await;
    }
}

fn health(hall: &Arc<Hall>) -> Router {
    Router::new()
        .route("/healthz", get(ready))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/livez", get(async || "alive\n"))
        .with_state(Arc::clone(hall))
}

async fn accept(
    listener: &Listener,
    permits: &Arc<Semaphore>,
) -> io::Result<(Accepted, Option<SocketAddr>, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

/// Routes for players.
pub(crate) fn players(hall: &Arc<Hall>) -> Router {
    let sockets = Router::new().route("/ws", get(any)).route("/ws/", get(any)).route("/ws/{node}", get(one));
    let sockets = sockets.layer(middleware::from_fn_with_state(Arc::clone(hall), admit_page));
    sockets.merge(page::router()).with_state(Arc::clone(hall))
}

/// Routes for operators, `routes` among them.
pub(crate) fn operators(hall: &Arc<Hall>, routes: Router) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(hall)).merge(routes)
}

/// Lets requests in that call the world by one of its names, and says where they come from. Health is told to all: balancers
/// ask by address.
async fn admit(
    State(hall): State<Arc<Hall>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = &hall.settings.access;
    // Operators may call their own address as they like: its names are not those of the world.
    if !peer.is_private
        && let Err(why) = access.admits_host(peer.address, request.headers())
    {
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let caller = access.caller(peer.address, request.headers(), peer.is_private);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Lets pages connect that may.
async fn admit_page(
    State(hall): State<Arc<Hall>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match hall.settings.access.admits_origin(peer.address, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// Whether clients can play now.
async fn ready(State(hall): State<Arc<Hall>>) -> Response {
    match hall.doors.health() {
        Ok(()) => {
            hall.started.store(true, Ordering::Relaxed);
            "ready\n".into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

/// Whether clients could ever play.
async fn started(hall: State<Arc<Hall>>) -> Response {
    if hall.started.load(Ordering::Relaxed) { "started\n".into_response() } else { ready(hall).await }
}

async fn metrics(State(hall): State<Arc<Hall>>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], (hall.metrics)()).into_response()
}

/// The WebSocket of any node.
async fn any(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let absent = || "no node of this world runs now; try again soon\n".to_owned();
    hall.doors.any().map_or_else(|| unavailable(absent()), |edge| upgrade(&hall, edge, request))
}

/// The WebSocket of one node.
async fn one(State(hall): State<Arc<Hall>>, Path(node): Path<String>, request: Request) -> Response {
    let Ok(node) = node.parse::<u16>() else {
        return (StatusCode::NOT_FOUND, "a node is a number from 1: /ws/1, /ws/2\n").into_response();
    };
    match hall.doors.of(NodeId(node)) {
        Some(edge) => upgrade(&hall, edge, request),
        None => unavailable(format!("node {node} does not run here; /ws is any node that does\n")),
    }
}

fn unavailable(why: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], why).into_response()
}

/// Nothing can be told by a WebSocket: each is an open file, and there are too many.
fn full() -> Response {
    let headers = [(header::RETRY_AFTER, "5"), (header::CONNECTION, "close")];
    let why = "this process has no room for another connection; try again in a moment\n";
    (StatusCode::SERVICE_UNAVAILABLE, headers, why).into_response()
}

fn upgrade(hall: &Hall, edge: Arc<Shared>, mut request: Request) -> Response {
    match create_response_with_body(&request, Body::empty) {
        Ok(response) => {
            let Some(slot) = hall.places.take() else {
                edge.indicators.closed(Reason::Full.code());
                return full();
            };
            let from = request.extensions().get::<Caller>().and_then(Caller::origin);
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(serve(edge, upgrade, from, slot));
            response
        }
        Err(error) => {
            let text = format!("this address speaks WebSocket only: {error}\n");
            (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "websocket")], text).into_response()
        }
    }
}

/// Takes the bare stream over and hands it to an I/O thread.
async fn serve(shared: Arc<Shared>, upgrade: OnUpgrade, from: Option<Origin>, slot: Slot) {
    let Ok(upgraded) = upgrade.await else { return };
    let parts = upgraded.downcast::<TokioIo<Stream>>().expect("the door serves these streams only");
    let (id, open) = shared.enter();
    // The node says who has a place once it knows who it is.
    let max = shared.settings.limits.connections_max + shared.settings.greeting_max;
    let line = parts.io.into_inner().into_line().ok().filter(|_| open < max + TOLD_FULL_MAX);
    let Some(line) = line else {
        shared.indicators.closed(Reason::Full.code());
        shared.leave(shared.thread_of(id));
        return;
    };
    let refused = (open >= max || slot.is_told()).then_some(Reason::Full);
    let arrival = Arrival { id, line, slot, from, early: parts.read_buf.into(), refused };
    shared.threads[shared.thread_of(id)].mailbox.post(|mail| mail.arrivals.push(arrival));
}
