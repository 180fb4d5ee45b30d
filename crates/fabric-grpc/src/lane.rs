//! A connection of a link at work: what leaves by it, and what comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gundo_fabric::Labelled;
use gundo_kernel::Peer;
use gundo_wire::fabric::Parcel;
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use crate::codec::Outgoing;
use crate::counters::{add, one};
use crate::hello::Lane;
use crate::links::{Admitted, Links, PeerState};

/// How long a reader waits for room in the node's inbox before it looks again.
const ROOM_EVERY: Duration = Duration::from_millis(5);

/// What leaves by a connection: a word first, then what waits in its queue.
pub(crate) struct Leaving {
    word: Option<Parcel>,
    messages: Option<(Arc<Links>, Arc<PeerState>, u64, Lane)>,
}

impl Leaving {
    /// A hello, and what follows once the link is up.
    pub(crate) fn new(
        hello: Parcel,
        links: &Arc<Links>,
        peer: &Arc<PeerState>,
        link: u64,
        lane: Lane,
    ) -> Self {
        Self { word: Some(hello), messages: Some((Arc::clone(links), Arc::clone(peer), link, lane)) }
    }

    /// A word, and nothing more.
    pub(crate) fn only(word: Parcel) -> Self {
        Self { word: Some(word), messages: None }
    }
}

impl Stream for Leaving {
    type Item = Outgoing;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        if let Some(word) = self.word.take() {
            return Poll::Ready(Some(Outgoing::Word(word)));
        }
        let Some((links, peer, link, lane)) = &self.messages else { return Poll::Ready(None) };
        loop {
            let Poll::Ready(parcel) = peer.queue(*lane).poll(*link, context) else { return Poll::Pending };
            let parcel = pack(links, peer, parcel);
            // Messages that are too large are left out.
            if !parcel.is_empty() {
                let bytes: usize = parcel.iter().map(|(bytes, _)| bytes).sum();
                one(&links.counters.parcels_out);
                add(&links.counters.messages_out, parcel.len() as u64);
                add(&links.counters.bytes_out, bytes as u64);
                return Poll::Ready(Some(Outgoing::Messages(parcel)));
            }
        }
    }
}

/// Messages as the schema has them, with their lengths. What is too large is left out.
fn pack(
    links: &Links,
    peer: &PeerState,
    parcel: Vec<Labelled>,
) -> Vec<(usize, gundo_wire::peer::PeerMessage)> {
    let mut packed = Vec::with_capacity(parcel.len());
    for (label, message) in parcel {
        let wire = message.to_message(&label);
        match wire.measure() {
            Ok(bytes) => packed.push((bytes, wire)),
            Err(error) => links.too_large(peer, &message, error),
        }
    }
    packed
}

/// Reads what comes by a connection until that ends, and then reports that the link broke.
pub(crate) async fn read(
    links: Arc<Links>,
    mut admitted: Admitted,
    from: Streaming<Parcel>,
    patience: Duration,
) {
    let closer = Arc::clone(&admitted.closer);
    let why = tokio::select! {
        biased;
        why = read_on(&links, &mut admitted, from, patience) => why,
        // Also while this node has no room for more: then nobody looks at the connection.
        why = closer.over() => why,
    };
    links.broke(&admitted.peer, admitted.link, &why);
}

/// Returns why nothing comes any more.
async fn read_on(
    links: &Links,
    admitted: &mut Admitted,
    mut from: Streaming<Parcel>,
    patience: Duration,
) -> String {
    match tokio::time::timeout(patience, admitted.up.wait_for(|up| *up)).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return "another connection of the link is gone".to_owned(),
        Err(_) => return "the other connection of the link did not come".to_owned(),
    }
    let mut messages = Vec::new();
    loop {
        let parcel = match from.message().await {
            Ok(Some(parcel)) => parcel,
            Ok(None) => return "the peer closed the connection".to_owned(),
            Err(status) if is_nonsense(&status) => {
                one(&links.counters.malformed);
                return format!("what came was no message: {}", status.message());
            }
            Err(status) => return crate::fault::words_of(&status),
        };
        if let Err(why) = unpack(links, parcel, &mut messages) {
            one(&links.counters.malformed);
            return format!("what came was no message: {why}");
        }
        // The sender notices that its connection is full.
        while links.sink.is_full() {
            tokio::time::sleep(ROOM_EVERY).await;
        }
        match admitted.peer.deliver(admitted.link, &*links.sink, &mut messages) {
            Some(0) => {}
            Some(dropped) => add(&links.counters.frames_dropped_in, dropped as u64),
            None => return "the link is over".to_owned(),
        }
    }
}

/// Whether gRPC's framing, or our decoder, found what a sound peer does not send.
fn is_nonsense(status: &Status) -> bool {
    use tonic::Code::{Internal, InvalidArgument, OutOfRange, Unimplemented};
    matches!(status.code(), Internal | InvalidArgument | OutOfRange | Unimplemented)
}

fn unpack(links: &Links, parcel: Parcel, messages: &mut Vec<Labelled>) -> Result<(), String> {
    if parcel.hello.is_some() || parcel.refused.is_some() {
        return Err("a second hello".to_owned());
    }
    add(&links.counters.messages_in, parcel.messages.len() as u64);
    for bytes in parcel.messages {
        add(&links.counters.bytes_in, bytes.len() as u64);
        messages.push(Peer::decode(bytes).map_err(|malformed| malformed.to_string())?);
    }
    Ok(())
}
