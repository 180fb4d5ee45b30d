//! The side that is dialled: accepts connections, and takes or refuses the hello of each.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gundo_wire::fabric::Parcel;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::{Request, Response, Status, Streaming};

use crate::codec::{PARCEL_BYTES_MAX, Parcels};
use crate::connection::{CLOSED, PATH, Stream, serve, set_up};
use crate::counters::one;
use crate::fabric::Shared;
use crate::fault::words_of;
use crate::hello::{self, Hello, Refused};
use crate::lane::{Leaving, read};
use crate::links::{Closer, not_joined};
use crate::tls;

/// Connections that may be in their handshakes at the same time.
const HANDSHAKES_MAX: usize = 256;
/// After an error of the listener it waits: most likely there are no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// A peer that was refused closes the connection; if it does not, it is closed after this time.
const REFUSED_LINGER: Duration = Duration::from_secs(1);

/// A connection that was accepted.
struct Accepted {
    shared: Arc<Shared>,
    closer: Arc<Closer>,
    /// What the peer has shown, if there is TLS.
    certificate: Option<CertificateDer<'static>>,
    /// Whether it belongs to a link.
    admitted: AtomicBool,
    called: AtomicBool,
}

/// Accepts connections, for ever.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of another node; trying again");
                // The same call would fail at once.
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            one(&shared.counters.crowded);
            continue;
        };
        tokio::spawn(welcome(Arc::clone(&shared), socket, permit));
    }
}

/// Serves a connection until it ends.
async fn welcome(shared: Arc<Shared>, socket: TcpStream, permit: OwnedSemaphorePermit) {
    let patience = shared.limits.handshake_timeout;
    let began = tokio::time::Instant::now();
    let (stream, certificate) = match tokio::time::timeout(patience, secure(&shared, socket)).await {
        Ok(Ok(both)) => both,
        Ok(Err(why)) => return shared.complain(&format!("a connection of another node is refused: {why}")),
        Err(_) => return,
    };
    let (closer, limits) = (Arc::new(Closer::default()), shared.limits.clone());
    let accepted = Arc::new(Accepted {
        shared,
        closer: Arc::clone(&closer),
        certificate,
        admitted: AtomicBool::new(false),
        called: AtomicBool::new(false),
    });
    let called = Arc::clone(&accepted);
    let service = service_fn(move |request| answer(Arc::clone(&called), request));
    let late = async {
        tokio::time::sleep_until(began + patience).await;
        if accepted.admitted.load(Ordering::Acquire) {
            // It is no handshake any more.
            drop(permit);
            std::future::pending::<()>().await;
        }
    };
    let why = tokio::select! {
        why = serve(stream, &limits, service) => why,
        () = closer.closed() => CLOSED.to_owned(),
        () = late => CLOSED.to_owned(),
    };
    closer.end(why);
}

type Secured = (Box<dyn Stream>, Option<CertificateDer<'static>>);

/// TLS, if this node has certificates.
async fn secure(shared: &Shared, socket: TcpStream) -> Result<Secured, String> {
    set_up(&socket).map_err(|error| error.to_string())?;
    let Some(tls) = &shared.tls else { return Ok((Box::new(socket), None)) };
    let stream = TlsAcceptor::from(tls.server()).accept(socket).await.map_err(|error| words_of(&error))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first().cloned());
    Ok((Box::new(stream), shown))
}

/// Answers the one call of a connection.
async fn answer(
    accepted: Arc<Accepted>,
    request: http::Request<Incoming>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    if request.uri().path() != PATH || accepted.called.swap(true, Ordering::AcqRel) {
        return Ok(Status::unimplemented("another call than a lane of the fabric").into_http());
    }
    let mut grpc =
        tonic::server::Grpc::new(Parcels).apply_max_message_size_config(Some(PARCEL_BYTES_MAX), None);
    Ok(grpc.streaming(Lane(accepted), request).await)
}

/// The call.
struct Lane(Arc<Accepted>);

impl tonic::server::StreamingService<Parcel> for Lane {
    type Response = crate::codec::Outgoing;
    type ResponseStream = Results;
    type Future = std::pin::Pin<
        Box<dyn std::future::Future<Output = Result<Response<Results>, Status>> + Send + 'static>,
    >;

    fn call(&mut self, request: Request<Streaming<Parcel>>) -> Self::Future {
        let accepted = Arc::clone(&self.0);
        Box::pin(async move {
            take(&accepted, request.into_inner()).await.map(|leaving| Response::new(Results(leaving)))
        })
    }
}

/// What leaves, as tonic's server wants it.
pub(crate) struct Results(Leaving);

impl tokio_stream::Stream for Results {
    type Item = Result<crate::codec::Outgoing, Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(context).map(|item| item.map(Ok))
    }
}

/// Reads the hello, and takes the connection into a link or refuses it.
async fn take(accepted: &Arc<Accepted>, mut from: Streaming<Parcel>) -> Result<Leaving, Status> {
    let shared = &accepted.shared;
    let first = from.message().await?;
    let said = first.and_then(|parcel| parcel.hello).ok_or_else(|| Refused::malformed("there is none"));
    let read_it = said.and_then(|said| hello::read(&shared.me, said));
    match read_it.and_then(|hello| judge(accepted, hello)) {
        Ok(Verdict::Would(word)) => {
            linger(accepted);
            Ok(Leaving::only(word))
        }
        Ok(Verdict::Lane { leaving, links, admitted }) => {
            tokio::spawn(read(links, admitted, from, shared.limits.handshake_timeout));
            Ok(leaving)
        }
        Err(refused) => {
            one(&shared.counters.refused);
            shared.complain(&format!("a node is refused: {refused}"));
            linger(accepted);
            Ok(Leaving::only(Parcel { refused: Some(refused.into()), ..Parcel::default() }))
        }
    }
}

enum Verdict {
    /// It only asked, and would be taken.
    Would(Parcel),
    Lane {
        leaving: Leaving,
        links: Arc<crate::links::Links>,
        admitted: crate::links::Admitted,
    },
}

/// Whether a node of this world may have this connection.
fn judge(accepted: &Accepted, hello: Hello) -> Result<Verdict, Refused> {
    let shared = &accepted.shared;
    let me = shared.me.node;
    if hello.node == me && hello.incarnation > 0 {
        let text = format!("two processes are node {}: each needs a number of its own", me.0);
        return Err(Refused::new("node_twice", text));
    }
    if accepted.certificate.as_ref().is_some_and(|certificate| !tls::is_of(certificate, hello.node)) {
        let text = format!("who says to be node {} shows the certificate of another node", hello.node.0);
        return Err(Refused::new("wrong_certificate", text));
    }
    let (to, incarnation) = hello.to;
    if to.0 != 0 && to != me {
        let text = format!("this is node {}, not node {}: is the address of one of them wrong?", me.0, to.0);
        return Err(Refused::new("not_here", text));
    }
    let Some(lane) = hello.lane else {
        let word = hello::say(&shared.me, 0, (hello.node, 0), hello.link, None);
        return Ok(Verdict::Would(word));
    };
    let links = shared.links().ok_or_else(|| not_joined(me))?;
    if incarnation != 0 && incarnation != links.incarnation {
        let text = format!("node {} is incarnation {}, not {incarnation}", me.0, links.incarnation);
        return Err(Refused::new("not_here", text));
    }
    let admitted = links.admit(&hello, lane, &accepted.closer)?;
    accepted.admitted.store(true, Ordering::Release);
    let to = (hello.node, hello.incarnation);
    let word = hello::say(&shared.me, links.incarnation, to, hello.link, Some(lane));
    let leaving = Leaving::new(word, &links, &admitted.peer, hello.link, lane);
    Ok(Verdict::Lane { leaving, links, admitted })
}

/// A connection that is of no use ends soon.
fn linger(accepted: &Accepted) {
    let closer = Arc::clone(&accepted.closer);
    tokio::spawn(async move {
        // The word needs time to arrive.
        tokio::time::sleep(REFUSED_LINGER).await;
        closer.close();
    });
}
