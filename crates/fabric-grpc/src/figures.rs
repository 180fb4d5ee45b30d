//! What operators see of a fabric: its counters, and how the link to each peer is doing.

use gundo_types::Figure;

use crate::counters::FabricCounts;
use crate::links::PeerStatus;

/// Everything as of now.
pub(crate) fn figures(counts: &FabricCounts, peers: &[PeerStatus]) -> Vec<Figure> {
    let both = |name, text, out: u64, came: u64| {
        let way = |way: &str, n| Figure::total(name, text, n).of("direction", way);
        [way("out", out), way("in", came)]
    };
    let mut figures = Vec::with_capacity(16 + 3 * peers.len());
    let (bytes, messages) = ("Bytes of messages to and from peers", "Messages to and from peers");
    figures.extend(both("gundo_fabric_bytes_total", bytes, counts.bytes_out, counts.bytes_in));
    figures.extend(both("gundo_fabric_messages_total", messages, counts.messages_out, counts.messages_in));
    let refused = |by: &str, n| {
        Figure::total("gundo_fabric_refused_total", "Handshakes refused: see the log", n).of("by", by)
    };
    let broken = "Links to peers that broke, of those that were up";
    let full = "Links that broke because what must arrive had no room";
    let frames = "Frames from peers that the node's own inbox had no room for";
    figures.extend([
        Figure::total("gundo_fabric_parcels_total", "Writes to peers", counts.parcels_out),
        Figure::total("gundo_fabric_links_up_total", "Links to peers that came up", counts.links_up),
        Figure::total("gundo_fabric_links_broken_total", broken, counts.links_broken),
        Figure::total("gundo_fabric_links_full_total", full, counts.links_full),
        Figure::total("gundo_fabric_frames_dropped_total", frames, counts.frames_dropped_in),
        Figure::total("gundo_fabric_too_large_total", "Messages too large to be sent", counts.too_large),
        Figure::total("gundo_fabric_malformed_total", "Connections closed over nonsense", counts.malformed),
        refused("us", counts.refused),
        refused("peer", counts.refused_by_peer),
        Figure::total(
            "gundo_fabric_dials_failed_total",
            "Peers that could not be reached",
            counts.dials_failed,
        ),
        Figure::total(
            "gundo_fabric_untrusted_total",
            "Peers not reached because of a certificate",
            counts.untrusted,
        ),
        Figure::total(
            "gundo_fabric_crowded_total",
            "Connections closed over too many handshakes",
            counts.crowded,
        ),
    ]);
    let members = || peers.iter().filter(|peer| peer.member);
    let down = members().filter(|peer| !peer.up).count();
    figures.push(Figure::now("gundo_peers_down", "Members that this node has no link to", down as f64));
    for peer in members() {
        let up = Figure::now(
            "gundo_peer_up",
            "Whether there is a link to the member",
            f64::from(u8::from(peer.up)),
        );
        figures.push(up.of("peer", peer.node.0));
        for (lane, bytes) in ["messages", "frames"].into_iter().zip(peer.waiting_bytes) {
            let waits = Figure::now("gundo_peer_waiting_bytes", "Bytes that wait for a peer", bytes as f64);
            figures.push(waits.of("peer", peer.node.0).of("lane", lane));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use gundo_types::{Measure, NodeId};

    use super::*;

    #[test]
    fn members_without_a_link_count_and_others_do_not() {
        let peer = |node: u16, member: bool, up: bool| PeerStatus {
            node: NodeId(node),
            incarnation: 1,
            member,
            up,
            waiting_bytes: [7, 9],
            trouble: None,
        };
        let peers = [peer(1, true, true), peer(2, true, false), peer(3, false, false)];
        let figures = figures(&FabricCounts { bytes_in: 4, ..FabricCounts::default() }, &peers);
        let value = |name: &str, labels: &[(&'static str, &str)]| {
            let labels: Vec<_> = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
            figures.iter().find(|figure| figure.name == name && figure.labels == labels).map(|f| f.measure)
        };
        assert_eq!(value("gundo_peers_down", &[]), Some(Measure::Now(1.0)));
        assert_eq!(value("gundo_peer_up", &[("peer", "1")]), Some(Measure::Now(1.0)));
        assert_eq!(value("gundo_peer_up", &[("peer", "2")]), Some(Measure::Now(0.0)));
        assert_eq!(value("gundo_peer_up", &[("peer", "3")]), None);
        let waits = value("gundo_peer_waiting_bytes", &[("peer", "2"), ("lane", "frames")]);
        assert_eq!(waits, Some(Measure::Now(9.0)));
        assert_eq!(value("gundo_fabric_bytes_total", &[("direction", "in")]), Some(Measure::Total(4)));
    }
}
