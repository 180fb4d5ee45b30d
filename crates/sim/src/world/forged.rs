//! Messages about sessions that a node has no right to send: about a player that it does not own, and for a connection at another edge.

use bytes::Bytes;
use gundo_kernel::{Label, Line, Peer, ToEdge, ToPlayer};
use gundo_types::{ConnId, EntityId};

use super::{Flight, Key, World};

/// A live session: the edge, the connection, the player, and the node that owns it.
type Victim = (Key, ConnId, EntityId, Key);

impl World {
    /// A node speaks for a player, or for a connection, that is another node's.
    pub(super) fn forge(&mut self) -> bool {
        let liar = self.some_node();
        let Some((edge, conn, player, owner)) = self.some_victim(liar) else { return false };
        let seq = self.open.get(&conn).and_then(|open| open.first().copied()).unwrap_or(1);
        let payload = Bytes::from(self.wrong.next_u64().to_le_bytes().to_vec());
        let choice = self.wrong.below(6);
        let to = if choice < 4 { edge } else { owner };
        let message = match choice {
            0 => Peer::ToEdge { conn, player, message: ToEdge::Superseded },
            1 => Peer::ToEdge { conn, player, message: ToEdge::Own(payload) },
            2 => Peer::ToEdge { conn, player, message: ToEdge::Reply { seq, result: Ok(payload) } },
            3 => Peer::ToEdge { conn, player, message: ToEdge::Told(payload) },
            _ => {
                let line = Line { edge: gundo_types::NodeId(edge.node), conn };
                let command = ToPlayer::Command { seq: seq + choice, payload, question: false };
                Peer::ToPlayer { player, line, message: command }
            }
        };
        let Some(link) = self.links.get(&(liar, to)).filter(|link| link.label.from > 0) else { return false };
        // Without a number it is taken whatever else is on its way.
        let label = Label { number: 0, after: 0, ..link.label };
        self.tell_fault(liar, || format!("n{} speaks for connection {}", liar.node, conn.0));
        self.fly(1, Flight::Peer { to, from: liar, label, message });
        true
    }

    /// A live session of which `liar` has neither the connection nor the player.
    fn some_victim(&mut self, liar: Key) -> Option<Victim> {
        let member = |key: &Key| self.nodes.get(key).is_some_and(|node| self.is_member(node));
        let victim = |person: &crate::people::Person| {
            let client = &self.clients[person.current?];
            let (edge, conn) = client.conn.filter(|_| client.session.is_live())?;
            let player = client.session.player()?;
            let owns = |(_, node): &(&Key, &super::SimNode)| node.kernel.holds(player);
            let owner = *self.nodes.iter().find(owns)?.0;
            let others = liar != edge && liar != owner && member(&edge) && member(&owner);
            others.then_some((edge, conn, player, owner))
        };
        let victims: Vec<_> = self.people.iter().filter_map(victim).collect();
        if !member(&liar) || victims.is_empty() {
            return None;
        }
        Some(victims[self.wrong.below(victims.len() as u64) as usize])
    }
}
