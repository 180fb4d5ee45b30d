//! The side that dials: reaches a peer, says hello by each lane, and tries again for as long as a view names the peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gundo_types::NodeId;
use gundo_wire::fabric::Parcel;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{Request, Streaming};

use crate::codec::{PARCEL_BYTES_MAX, Parcels};
use crate::connection::{Caller, ORIGIN, PATH, Stream, set_up, speak, within};
use crate::counters::one;
use crate::fabric::Shared;
use crate::fault::DialFault;
use crate::hello::{self, Lane, Refused};
use crate::lane::{Leaving, read};
use crate::links::{Closer, Links, PeerState};

/// A link that lived for so long was sound: the next attempt comes at once.
const SOUND: Duration = Duration::from_secs(1);

/// Bytes that HTTP/2 begins with: a few settings.
const FIRST_BYTES: usize = 1 << 10;

/// A connection that was dialled: it ends with this value.
struct Dialled {
    from: Streaming<Parcel>,
    closes: Closes,
    caller: Caller,
}

/// Closes a connection when it is dropped.
struct Closes(Arc<Closer>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Keeps a link to a peer until the task is aborted.
pub(crate) async fn keep(shared: Arc<Shared>, links: Arc<Links>, peer: Arc<PeerState>, address: Arc<str>) {
    let (first, most) = shared.limits.redial;
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        match link(&shared, &links, &peer, &address).await {
            Ok(()) if began.elapsed() >= SOUND => pause = Duration::ZERO,
            Ok(()) => pause = (pause * 2).clamp(first, most),
            Err(fault) => {
                pause = (pause * 2).clamp(first, most);
                on_fault(&shared, &links, &peer, &address, &fault);
            }
        }
        // A peer that is away is not asked all the time.
        tokio::time::sleep(jittered(pause)).await;
    }
}

fn on_fault(shared: &Shared, links: &Links, peer: &Arc<PeerState>, address: &str, fault: &DialFault) {
    let counters = &shared.counters;
    one(match fault {
        DialFault::Refused(_) => &counters.refused_by_peer,
        DialFault::Untrusted { .. } => &counters.untrusted,
        DialFault::Unreachable(_) => &counters.dials_failed,
    });
    // Said when it begins, not for every attempt.
    if links.note(peer, &fault.to_string()) {
        let (node, peer, incarnation) = (shared.me.node.0, peer.node.0, peer.incarnation);
        let advice = fault.advice();
        match fault {
            DialFault::Untrusted { .. } => {
                tracing::error!(
                    node,
                    peer,
                    incarnation,
                    address,
                    advice,
                    "a certificate is not trusted: {fault}"
                );
            }
            _ => tracing::warn!(node, peer, incarnation, address, advice, "cannot reach a node: {fault}"),
        }
    }
}

/// Between three quarters of a pause and all of it: nodes that lost the same peer do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0; 1];
    // Without chance there is no jitter, and nothing else is amiss.
    let _ = getrandom::fill(&mut bytes);
    pause - pause / 4 * u32::from(bytes[0]) / 256
}

/// Dials, and returns when the link that came of it is over.
async fn link(
    shared: &Arc<Shared>,
    links: &Arc<Links>,
    peer: &Arc<PeerState>,
    address: &str,
) -> Result<(), DialFault> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(|error| DialFault::Unreachable(error.to_string()))?;
    let number = u64::from_le_bytes(number);
    let to = (peer.node, peer.incarnation);
    let mut lanes = Vec::new();
    for lane in Lane::ALL {
        let word = hello::say(&shared.me, links.incarnation, to, number, Some(lane));
        let leaving = Leaving::new(word, links, peer, number, lane);
        lanes.push(call(shared, address, to, leaving).await?);
    }
    let Ok([messages, frames]) = <[_; 2]>::try_from(lanes) else { unreachable!("there are two lanes") };
    let closers = [&messages, &frames].map(|dialled| Arc::clone(&dialled.closes.0));
    let Some([of_messages, of_frames]) = links.connected(peer, number, closers) else { return Ok(()) };
    let patience = shared.limits.handshake_timeout;
    let reads = [(of_messages, messages), (of_frames, frames)].map(|(admitted, dialled)| {
        let Dialled { from, closes, caller } = dialled;
        let links = Arc::clone(links);
        tokio::spawn(async move {
            let _whole = (closes, caller);
            read(links, admitted, from, patience).await;
        })
    });
    for read in reads {
        // A reader ends with its link, and with the runtime.
        let _ = read.await;
    }
    Ok(())
}

/// Dials one connection and says hello. Returns what comes by it.
async fn call(
    shared: &Shared,
    address: &str,
    to: (NodeId, u64),
    leaving: Leaving,
) -> Result<Dialled, DialFault> {
    let (limits, patience) = (&shared.limits, shared.limits.handshake_timeout);
    let closer = Arc::new(Closer::default());
    let closes = Closes(Arc::clone(&closer));
    let opened = async {
        let stream = connect(shared, address, to.0).await?;
        let caller = speak(stream, limits, closer).await?;
        let mut grpc = tonic::client::Grpc::with_origin(caller.clone(), http::Uri::from_static(ORIGIN))
            .max_decoding_message_size(PARCEL_BYTES_MAX);
        grpc.ready().await.map_err(|error| DialFault::of(&error))?;
        let path = http::uri::PathAndQuery::from_static(PATH);
        let answered = grpc.streaming(Request::new(leaving), path, Parcels).await;
        let mut from = answered.map_err(|status| DialFault::of(&status))?.into_inner();
        let first = from.message().await.map_err(|status| DialFault::of(&status))?;
        let said_nothing = || DialFault::from("it closed the connection before it said hello".to_owned());
        Ok::<_, DialFault>((caller, from, first.ok_or_else(said_nothing)?))
    };
    let (caller, from, first) = within(patience, "the handshake", opened).await?;
    if let Some(refused) = first.refused {
        return Err(Refused::from(refused).into());
    }
    let said = first.hello.ok_or_else(|| Refused::malformed("there is none"))?;
    let said = hello::read(&shared.me, said)?;
    let wrong = to.0.0 != 0 && said.node != to.0 || to.1 != 0 && said.incarnation != to.1;
    if wrong {
        let text = format!("at {address} is node {} (incarnation {})", said.node.0, said.incarnation);
        return Err(Refused::new("not_here", text).into());
    }
    Ok(Dialled { from, closes, caller })
}

async fn connect(shared: &Shared, address: &str, node: NodeId) -> Result<Box<dyn Stream>, DialFault> {
    let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    set_up(&socket).map_err(|error| error.to_string())?;
    let Some(tls) = &shared.tls else { return Ok(Box::new(socket)) };
    let (config, name) = tls.client(node);
    let stream =
        TlsConnector::from(config).connect(name, socket).await.map_err(|error| DialFault::of(&error))?;
    // The other side says first whether it takes this node's certificate: before it has read anything that could break the connection.
    let mut stream = BufReader::with_capacity(FIRST_BYTES, stream);
    let first = stream.fill_buf().await.map_err(|error| DialFault::of(&error))?;
    if first.is_empty() {
        return Err("it closed the connection after the TLS handshake".to_owned().into());
    }
    Ok(Box::new(stream))
}

/// Asks a node whether it would take this one.
pub(crate) async fn ask(shared: &Shared, node: NodeId, address: &str) -> Result<(), DialFault> {
    let word = hello::say(&shared.me, 0, (node, 0), 0, None);
    call(shared, address, (node, 0), Leaving::only(word)).await.map(drop)
}
