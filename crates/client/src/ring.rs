//! Where to connect next, and how long to wait first.
//!
//! When an edge is gone, the others usually are not. So the client tries another one at once, in an order that differs from
//! client to client: thousands lose the same edge at the same instant, and must not all rush to its neighbour. It backs off
//! only after a whole round over all edges has failed.

use crate::address::Address;

/// Longest wait before the next edge of a round, ms: hardly noticeable, and enough that thousands do not arrive at once.
const NEXT_MS: u64 = 50;

/// The edges known, the one in use, and the attempts that have failed since a connection last lasted.
#[derive(Clone, Debug)]
pub(crate) struct EdgeRing {
    /// Never empty.
    edges: Vec<Address>,
    /// Index of the edge in use, or of the one to try next.
    at: usize,
    /// The address the client came by: the edge in use when the first list arrived.
    came_by: Option<Address>,
    failures: usize,
    min_ms: u64,
    max_ms: u64,
    chance: u64,
}

impl EdgeRing {
    /// `edges` must not be empty. The wait after the first failed round is at most `min_ms`; the limit doubles with each
    /// round up to `max_ms`.
    pub(crate) fn new(edges: Vec<Address>, min_ms: u64, max_ms: u64, seed: u64) -> Self {
        let min_ms = min_ms.max(1);
        Self { edges, at: 0, came_by: None, failures: 0, min_ms, max_ms: max_ms.max(min_ms), chance: seed }
    }

    /// The edge in use, or the one to try next.
    pub(crate) fn current(&self) -> &Address {
        &self.edges[self.at]
    }

    /// Every edge known.
    pub(crate) fn all(&self) -> &[Address] {
        &self.edges
    }

    /// Rounds over all edges that have failed since a connection last lasted.
    pub(crate) fn rounds(&self) -> u32 {
        (self.failures / self.edges.len()).min(20) as u32
    }

    /// The address the client came by. What the server's lists leave out is taken from it.
    pub(crate) fn came_by(&self) -> &Address {
        self.came_by.as_ref().unwrap_or_else(|| self.current())
    }

    /// The server sent its list of edges. Two more stay in the list even if the server did not name them. The edge in use: it
    /// worked (by another name, behind a proxy, say), and until another edge has welcomed us it is the best we have. And the
    /// address we came by: what the server names may not be reachable from here. An empty list would leave nowhere to go, so
    /// it changes nothing.
    ///
    /// `serving` is the edge that welcomed us, as the list names it. If we came by an address that the list does not name, that
    /// edge is the one in use: when it is lost, its own address is no better.
    pub(crate) fn replace(&mut self, named: Vec<Address>, serving: Option<&Address>) {
        if named.is_empty() {
            return;
        }
        let (came_by, current) = (self.came_by().clone(), self.current());
        let here = if named.contains(current) { current } else { serving.unwrap_or(current) }.clone();
        let mut edges = Vec::with_capacity(named.len() + 2);
        for edge in named.into_iter().chain([came_by.clone(), here.clone()]) {
            if !edges.contains(&edge) {
                edges.push(edge);
            }
        }
        self.at = edges.iter().position(|edge| *edge == here).expect("it was put in");
        (self.came_by, self.edges) = (Some(came_by), edges);
    }

    /// Tries `edge` next.
    pub(crate) fn go_to(&mut self, edge: &Address) {
        self.at = self.edges.iter().position(|known| known == edge).unwrap_or_else(|| {
            self.edges.push(edge.clone());
            self.edges.len() - 1
        });
    }

    /// The connection has lasted: the next loss starts a new round, without back-off.
    pub(crate) fn on_held(&mut self) {
        self.failures = 0;
    }

    /// The edge in use is lost: picks another. Returns the wait before the attempt, ms. `asked_ms` is the wait the server
    /// asked for. The server spreads its clients with it, so it is used unchanged, unless a whole round has failed.
    pub(crate) fn on_lost(&mut self, asked_ms: Option<u64>) -> u64 {
        let edges = self.edges.len();
        // A round begins at a random edge and continues in order.
        let step =
            if self.failures == 0 && edges > 1 { 1 + self.below(edges as u64 - 1) as usize } else { 1 };
        self.at = (self.at + step) % edges;
        let own = match self.failures {
            failures if failures > 0 && failures.is_multiple_of(edges) => self.pause_ms(self.rounds() - 1),
            _ => self.below(NEXT_MS + 1),
        };
        let in_round = self.failures < edges;
        self.failures += 1;
        match asked_ms {
            Some(asked) if in_round => asked,
            Some(asked) => own.max(asked),
            None => own,
        }
    }

    /// The edge in use is alive but not ready: returns the wait before asking it again, ms.
    pub(crate) fn on_not_ready(&mut self) -> u64 {
        let nth = self.failures.min(20) as u32;
        self.failures += 1;
        self.pause_ms(nth)
    }

    /// A random time between half and all of a limit that doubles.
    fn pause_ms(&mut self, nth: u32) -> u64 {
        let limit = self.min_ms.saturating_mul(1 << nth).min(self.max_ms);
        limit / 2 + self.below(limit - limit / 2 + 1)
    }

    /// A random number in `0..n`.
    fn below(&mut self, n: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): tiny, and good enough to spread clients in time.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn edges(ports: impl IntoIterator<Item = u16>) -> Vec<Address> {
        ports
            .into_iter()
            .map(|port| Address { host: "h".into(), port, path: "/ws".into(), tls: false })
            .collect()
    }

    fn ring(edges_known: u16, seed: u64) -> EdgeRing {
        EdgeRing::new(edges(1..=edges_known), 200, 10_000, seed)
    }

    #[test]
    fn every_edge_is_tried_at_once_before_the_waits_grow() {
        for seed in 0..50 {
            let mut r = ring(3, seed);
            for round in 0..9 {
                let mut tried = BTreeSet::new();
                for nth in 0..3 {
                    let wait = r.on_lost(None);
                    tried.insert(r.current().port);
                    if round == 0 || nth > 0 {
                        assert!(wait <= 50, "attempt {nth} of round {round} waits {wait} ms");
                    } else {
                        let limit = (200 << (round - 1)).min(10_000);
                        assert!((limit / 2..=limit).contains(&wait), "round {round} waits {wait} ms");
                    }
                }
                assert_eq!(tried.len(), 3, "round {round}");
            }
            r.on_held();
            assert!(r.on_lost(None) <= 50);
        }
    }

    #[test]
    fn the_first_after_a_loss_is_another_and_not_the_same_for_all() {
        let firsts: Vec<_> = (0..100)
            .map(|seed| {
                let mut r = ring(4, seed);
                r.on_lost(None);
                r.current().port
            })
            .collect();
        assert!(!firsts.contains(&1), "the lost edge is tried last");
        for port in 2..=4 {
            let share = firsts.iter().filter(|p| **p == port).count();
            assert!(share > 15, "only {share} of 100 go to {port}");
        }
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_kept_until_a_round_has_failed() {
        let mut r = ring(2, 1);
        assert_eq!((r.on_lost(Some(7)), r.on_lost(Some(9))), (7, 9));
        assert!(r.on_lost(Some(1)) >= 100, "now it is its own wait that counts");
        assert_eq!(ring(1, 1).on_lost(Some(5_000)), 5_000);
    }

    #[test]
    fn a_new_list_keeps_the_edge_in_use() {
        let mut r = ring(3, 1);
        r.replace(edges([9, 1, 5]), None);
        assert_eq!((r.current().port, r.all().len()), (1, 3));
        r.replace(edges([5, 9]), None);
        assert_eq!((r.current().port, r.all().len()), (1, 3), "it stays in the list, behind the others");
        r.on_lost(None);
        assert_ne!(r.current().port, 1);
        r.replace(Vec::new(), None);
        assert_eq!(r.all().len(), 3, "nowhere to go is no news");
    }

    #[test]
    fn the_address_it_came_by_stays_in_the_list_for_ever() {
        let ports = |r: &EdgeRing| r.all().iter().map(|edge| edge.port).collect::<Vec<_>>();
        let mut r = ring(1, 1);
        r.replace(edges([5, 9]), None);
        assert_eq!(ports(&r), [5, 9, 1]);
        r.go_to(&edges([9])[0]);
        r.replace(edges([5]), None);
        assert_eq!((ports(&r), r.current().port, r.came_by().port), (vec![5, 1, 9], 9, 1));
        r.go_to(&edges([5])[0]);
        r.replace(edges([5, 6]), None);
        assert_eq!(ports(&r), [5, 6, 1]);
        r.replace(edges([1, 5, 5]), None);
        assert_eq!(ports(&r), [1, 5], "the server names it");
    }
    #[test]
    fn who_came_by_the_address_of_any_node_knows_which_one_it_lost() {
        for seed in 0..50 {
            let mut r = ring(1, seed);
            r.replace(edges([5, 6, 7]), Some(&edges([6])[0]));
            assert_eq!(r.current().port, 6);
            r.on_lost(None);
            assert_ne!(r.current().port, 6);
            r.go_to(&edges([7])[0]);
            r.replace(edges([5, 6, 7]), Some(&edges([7])[0]));
            assert_eq!((r.current().port, r.all().len()), (7, 4));
        }
    }
}
