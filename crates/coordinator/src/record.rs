//! The one record of a store: the view, and which joins and removals have begun.
//!
//! An operation writes into the record what it begins, before it does anything else. So anyone who reads the record can finish
//! what a dead caller has left, and every row in the journal belongs to an incarnation that the record names.
//!
//! Neighbouring versions read the record and write it back, so it keeps unknown fields.

use bytes::Bytes;
use gundo_kernel::{Member, View};
use gundo_types::{EdgeAddress, Epoch, NodeId, Site};
use gundo_wire::coordinator as wire;
use gundo_wire::{DecodeError, Kept};

use crate::Candidate;

/// The record, decoded. The default is that of a store without one: no members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its lists are in the two fields below.
    whole: Kept<wire::Membership>,
    members: Vec<Kept<wire::Member>>,
    joining: Vec<Kept<wire::Joining>>,
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// They do not decode.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// A number in it is out of its range.
    #[error("a {what} of the membership is out of range")]
    OutOfRange {
        /// Which.
        what: &'static str,
    },
}

/// How an incarnation stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The record does not name it.
    Gone,
    /// Its join has begun.
    Joining,
    /// Its join will not be completed.
    Ended,
    /// It belongs.
    Member,
    /// It belongs, and its removal has begun.
    Removing,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// The bytes are not a record.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut whole = Kept::<wire::Membership>::decode(bytes.clone())?;
        let members = std::mem::take(&mut whole.known.members);
        let members: Vec<_> =
            members.into_iter().map(Kept::<wire::Member>::decode).collect::<Result<_, _>>()?;
        let joining = std::mem::take(&mut whole.known.joining);
        let joining: Vec<_> =
            joining.into_iter().map(Kept::<wire::Joining>::decode).collect::<Result<_, _>>()?;
        let fits = |number: u32, what| match u16::try_from(number) {
            Ok(_) => Ok(()),
            Err(_) => Err(RecordError::OutOfRange { what }),
        };
        for member in &members {
            fits(member.known.node, "node")?;
            fits(member.known.port, "port")?;
        }
        joining.iter().try_for_each(|joining| fits(joining.known.node, "node"))?;
        Ok(Self { whole, members, joining })
    }

    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let mut whole = self.whole.clone();
        whole.known.members = self.members.iter().map(Kept::encode).collect();
        whole.known.joining = self.joining.iter().map(Kept::encode).collect();
        whole.encode()
    }

    /// The view it holds.
    pub fn view(&self) -> View {
        let member = |member: &Kept<wire::Member>| Member {
            node: node_id(member.known.node),
            incarnation: member.known.incarnation,
            address: EdgeAddress {
                scheme: member.known.scheme.clone(),
                host: member.known.host.clone(),
                port: member.known.port as u16,
                path: member.known.path.clone(),
            },
            site: Site {
                fabric: member.known.fabric.clone(),
                admin: member.known.admin.clone(),
                machine: member.known.machine.clone(),
                zone: member.known.zone.clone(),
            },
            weight: member.known.weight.clamp(1, u32::from(u8::MAX)) as u8,
            draining: member.known.draining,
        };
        View { epoch: self.epoch(), members: self.members.iter().map(member).collect() }
    }

    /// Number of the view.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.whole.known.epoch)
    }

    /// The same members get the next epoch.
    pub fn next_epoch(&mut self) {
        self.whole.known.epoch += 1;
    }

    /// Every incarnation that it names: members, and those whose join has begun or ended.
    pub fn incarnations(&self) -> impl Iterator<Item = u64> {
        let joining = self.joining.iter().flat_map(|j| j.known.earlier.iter().chain([&j.known.incarnation]));
        self.members.iter().map(|m| m.known.incarnation).chain(joining.copied())
    }

    pub(crate) fn standing(&self, incarnation: u64) -> Standing {
        if let Some(member) = self.members.iter().find(|m| m.known.incarnation == incarnation) {
            return if member.known.removing { Standing::Removing } else { Standing::Member };
        }
        match self.joining.iter().find(|j| j.known.incarnation == incarnation) {
            Some(joining) if joining.known.ended => Standing::Ended,
            Some(_) => Standing::Joining,
            None => Standing::Gone,
        }
    }

    /// Whether every other member is being removed.
    pub(crate) fn is_last(&self, incarnation: u64) -> bool {
        self.members.iter().all(|m| m.known.incarnation == incarnation || m.known.removing)
    }

    /// How many nodes will belong or be joining together with `candidates`.
    pub(crate) fn count_with(&self, candidates: &[Candidate]) -> usize {
        let members = self.members.iter().map(|m| m.known.node);
        let nodes = members.chain(self.joining.iter().map(|j| j.known.node));
        let new = candidates.iter().map(|c| u32::from(c.node.0));
        nodes.chain(new).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// The next incarnations, as many as there are candidates, above `above`.
    pub(crate) fn next_incarnations(&self, candidates: &[Candidate], above: u64) -> Vec<u64> {
        let first = self.whole.known.newest.max(above) + 1;
        (first..).take(candidates.len()).collect()
    }

    /// Begins the joins of the candidates, as `incarnations`, and ends earlier joins of these nodes.
    pub(crate) fn begin_join(&mut self, candidates: &[Candidate], incarnations: &[u64]) {
        for (candidate, incarnation) in candidates.iter().zip(incarnations) {
            let node = u32::from(candidate.node.0);
            let mut earlier: Vec<u64> =
                self.members.iter().filter(|m| m.known.node == node).map(|m| m.known.incarnation).collect();
            for before in self.joining.iter().filter(|j| j.known.node == node) {
                earlier.extend(&before.known.earlier);
                earlier.push(before.known.incarnation);
            }
            earlier.sort_unstable();
            earlier.dedup();
            self.joining.retain(|j| j.known.node != node);
            let joining = wire::Joining { node, incarnation: *incarnation, earlier, ended: false };
            self.joining.push(joining.into());
            self.whole.known.newest = self.whole.known.newest.max(*incarnation);
        }
        self.joining.sort_by_key(|j| j.known.node);
    }

    /// Rows that the join of an incarnation must delete.
    pub(crate) fn earlier_than(&self, incarnation: u64) -> &[u64] {
        let joining = self.joining.iter().find(|j| j.known.incarnation == incarnation);
        joining.map_or(&[], |j| &j.known.earlier)
    }

    /// The newest incarnation that ever was in a view.
    fn newest_admitted(&self) -> u64 {
        let members = self.members.iter().map(|m| m.known.incarnation);
        members.max().unwrap_or(0).max(self.whole.known.admitted)
    }

    /// Whether these incarnations may belong: incarnations grow from view to view.
    pub(crate) fn may_admit(&self, incarnations: &[u64]) -> bool {
        let newest = self.newest_admitted();
        incarnations.iter().all(|incarnation| *incarnation > newest)
    }

    /// Completes the joins of these members: they belong, in place of earlier incarnations.
    pub(crate) fn admit(&mut self, members: &[Member]) {
        let newest = members.iter().map(|m| m.incarnation).max().unwrap_or(0);
        self.whole.known.admitted = self.newest_admitted().max(newest);
        for member in members {
            let node = u32::from(member.node.0);
            self.joining.retain(|j| j.known.node != node);
            self.members.retain(|m| m.known.node != node);
            let EdgeAddress { scheme, host, port, path } = member.address.clone();
            let Site { fabric, admin, machine, zone } = member.site.clone();
            let record = wire::Member {
                node,
                incarnation: member.incarnation,
                host,
                port: u32::from(port),
                weight: u32::from(member.weight),
                draining: member.draining,
                removing: false,
                path,
                scheme,
                fabric,
                machine,
                zone,
                admin,
            };
            self.members.push(record.into());
        }
        self.members.sort_by_key(|m| m.known.node);
        self.next_epoch();
    }

    /// Begins the removal of an incarnation. The view does not change yet.
    pub(crate) fn begin_removal(&mut self, incarnation: u64) {
        let member = self.members.iter_mut().find(|m| m.known.incarnation == incarnation);
        member.into_iter().for_each(|m| m.known.removing = true);
        let joining = self.joining.iter_mut().find(|j| j.known.incarnation == incarnation);
        joining.into_iter().for_each(|j| j.known.ended = true);
    }

    /// Rows to delete before an incarnation is dropped: its own and, if it was joining, those that its join had to delete, except
    /// those of members.
    pub(crate) fn rows_of(&self, incarnation: u64) -> Vec<u64> {
        let is_member = |i: &u64| self.members.iter().any(|m| m.known.incarnation == *i);
        let earlier = self.earlier_than(incarnation).iter().copied().filter(|i| !is_member(i));
        earlier.chain([incarnation]).collect()
    }

    /// Drops an incarnation from the record. If it was a member there is a new view.
    pub(crate) fn drop_incarnation(&mut self, incarnation: u64) {
        let before = self.members.len();
        self.members.retain(|m| m.known.incarnation != incarnation);
        self.joining.retain(|j| j.known.incarnation != incarnation);
        if self.members.len() < before {
            self.next_epoch();
        }
    }

    /// Marks a member as draining.
    pub(crate) fn drain(&mut self, incarnation: u64) {
        let member = self.members.iter_mut().find(|m| m.known.incarnation == incarnation);
        member.into_iter().for_each(|m| m.known.draining = true);
        self.next_epoch();
    }

    /// Whether it is draining; `None`: it is not a member.
    pub(crate) fn draining(&self, incarnation: u64) -> Option<bool> {
        self.members.iter().find(|m| m.known.incarnation == incarnation).map(|m| m.known.draining)
    }

    /// The members, if there are several and none of them has a lease: nobody could renew for longer than a lease. The store was
    /// out of reach for all, which says nothing about any of them.
    pub(crate) fn after_outage(&self, leases: &[u64]) -> Vec<u64> {
        let stays = self.members.iter().filter(|m| !m.known.removing).map(|m| m.known.incarnation);
        let members: Vec<u64> = stays.collect();
        let renewed = members.iter().any(|incarnation| leases.binary_search(incarnation).is_ok());
        if renewed || members.len() < 2 { Vec::new() } else { members }
    }

    /// What has to be removed, in this order: removals that have begun, joins without a lease, members without one.
    pub(crate) fn overdue(&self, leases: &[u64]) -> Vec<u64> {
        let over = |incarnation: &u64| leases.binary_search(incarnation).is_err();
        let begun = self.members.iter().filter(|m| m.known.removing).map(|m| m.known.incarnation);
        let ended = self.joining.iter().filter(|j| j.known.ended).map(|j| j.known.incarnation);
        let joining = self.joining.iter().filter(|j| !j.known.ended).map(|j| j.known.incarnation);
        let members = self.members.iter().filter(|m| !m.known.removing).map(|m| m.known.incarnation);
        begun.chain(ended).chain(joining.filter(over)).chain(members.filter(over)).collect()
    }
}

/// `decode` has checked that it fits.
fn node_id(node: u32) -> NodeId {
    NodeId(node as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(node: u16) -> Candidate {
        let (scheme, host, path) = ("wss".into(), format!("host{node}"), format!("/ws/{node}"));
        let address = EdgeAddress { scheme, host, port: 7_600 + node, path };
        let site = Site {
            fabric: format!("10.0.0.{node}:7700"),
            admin: format!("10.0.0.{node}:7800"),
            machine: format!("m{node}"),
            zone: "z".into(),
        };
        Candidate { node: NodeId(node), address, site }
    }

    fn member(node: u16, incarnation: u64) -> Member {
        let Candidate { node, address, site } = candidate(node);
        Member { node, incarnation, address, site, weight: 1, draining: false }
    }

    #[test]
    fn a_record_survives_its_bytes() {
        let mut record = Record::default();
        record.begin_join(&[candidate(2), candidate(1)], &[4, 5]);
        record.admit(&[member(2, 4), member(1, 5)]);
        record.begin_join(&[candidate(2)], &[6]);
        record.drain(5);
        record.begin_removal(4);
        let read = Record::decode(&record.encode()).expect("a record");
        assert_eq!(read, record);
        assert_eq!(read.view().members, [Member { draining: true, ..member(1, 5) }, member(2, 4)]);
        assert_eq!((read.epoch(), read.earlier_than(6)), (Epoch(2), &[4][..]));
        assert_eq!(Record::decode(&Bytes::new()).expect("an empty one"), Record::default());
    }

    #[test]
    fn what_a_later_version_wrote_is_kept() {
        let mut newer = Record::default();
        newer.begin_join(&[candidate(1), candidate(2)], &[1, 2]);
        newer.admit(&[member(1, 1)]);
        newer.whole.add_unknown(100, 1);
        newer.members[0].add_unknown(101, 2);
        newer.joining[0].add_unknown(102, 3);
        let mut read = Record::decode(&newer.encode()).expect("a record");
        read.drain(1);
        let again = Record::decode(&read.encode()).expect("a record");
        assert_eq!(again.whole.unknown(), newer.whole.unknown());
        assert_eq!(again.members[0].unknown(), newer.members[0].unknown());
        assert_eq!(again.joining[0].unknown(), newer.joining[0].unknown());
    }

    #[test]
    fn strange_bytes_are_an_error() {
        assert!(matches!(Record::decode(&Bytes::from_static(&[0xff])), Err(RecordError::Undecodable(_))));
        let mut record = Record::default();
        record.admit(&[member(1, 1)]);
        record.members[0].known.node = 70_000;
        assert!(matches!(Record::decode(&record.encode()), Err(RecordError::OutOfRange { what: "node" })));
    }
}
