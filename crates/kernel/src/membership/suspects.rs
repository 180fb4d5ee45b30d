//! Whom to remove: a rule that every member computes from what it knows about who cannot reach whom.
//!
//! A member knows whom it cannot reach itself, and what those that it reaches say about others. It removes as few as possible:
//! * *nobody that it reaches hears the suspect*: the suspect is dead, or on the other side of a cut. The larger side proposes it
//!   at once, and so does each half. A smaller side proposes nobody: either the larger one removes it, or leases end.
//! * *two cannot reach the suspect, others still hear it*: it is proposed at once, if none of the two has trouble with more
//!   members than the suspect has. (Most likely it has died, and the others have not noticed yet.) The two are on two machines,
//!   unless all members are on one: two nodes of one machine share its trouble.
//! * *some hear it and some do not, for long*: a cut between living members. Of all of them the one that has trouble with most
//!   goes, and of several such the one with the highest incarnation, which is the youngest. It may propose itself: perhaps only
//!   it knows of the whole cut.
//!
//! Only one proposal counts in each view, so after each removal all decide on what is left.

use std::collections::{BTreeMap, BTreeSet};

use gundo_types::NodeId;

/// What a member knows about who cannot reach whom.
pub(super) struct Complaints<'a> {
    pub(super) me: NodeId,
    /// All members, with their incarnations.
    pub(super) members: BTreeMap<NodeId, u64>,
    /// The machines of those that have a label for it.
    pub(super) machines: BTreeMap<NodeId, &'a str>,
    /// Of this member, and of each that it reaches: whom it cannot reach, and whether for long.
    pub(super) of: BTreeMap<NodeId, BTreeMap<NodeId, bool>>,
    /// Whether it resolves cuts between living members.
    pub(super) resolves_cuts: bool,
}

impl Complaints<'_> {
    /// The members to propose.
    pub(super) fn to_remove(&self) -> Vec<NodeId> {
        assert!(self.of.contains_key(&self.me), "this member knows whom it cannot reach");
        let mut removed: Vec<_> = self.of[&self.me].keys().filter(|node| self.is_lost(**node)).collect();
        let lost: BTreeSet<_> = self.members.keys().filter(|node| self.hears(**node) == 0).collect();
        let living = self.of[&self.me].keys().filter(|node| !lost.contains(node));
        removed.extend(living.filter(|node| self.is_about_to_be_lost(**node, &lost)));
        let mut removed: Vec<_> = removed.into_iter().copied().collect();
        if removed.is_empty() && lost.is_empty() && self.resolves_cuts {
            removed.extend(self.of_a_cut());
        }
        removed
    }

    /// How many of those that this member reaches (and itself) hear the node; for a node among them, itself counts.
    fn hears(&self, node: NodeId) -> usize {
        self.of.iter().filter(|(of, cannot)| **of == node || !cannot.contains_key(&node)).count()
    }

    fn accusers(&self, node: NodeId) -> impl Iterator<Item = (&NodeId, &bool)> {
        self.of.iter().filter_map(move |(of, cannot)| Some((of, cannot.get(&node)?)))
    }

    /// Nobody hears it, and those who do not are at least half of all.
    fn is_lost(&self, node: NodeId) -> bool {
        self.hears(node) == 0 && 2 * self.of.len() >= self.members.len()
    }

    /// Two cannot reach it, and do not have more trouble than it.
    fn is_about_to_be_lost(&self, node: NodeId, lost: &BTreeSet<&NodeId>) -> bool {
        let trouble = self.trouble(node, lost, false);
        let fair = |(of, _): (&NodeId, &bool)| self.trouble(*of, lost, false) <= trouble;
        self.has_two_witnesses(node) && self.accusers(node).all(fair)
    }

    /// At least two cannot reach it, on two machines if the members are on several.
    fn has_two_witnesses(&self, node: NodeId) -> bool {
        let machine = |node: &NodeId| self.machines.get(node).copied().ok_or(*node);
        let all: BTreeSet<_> = self.members.keys().map(machine).collect();
        let of: BTreeSet<_> = self.accusers(node).map(|(of, _)| machine(of)).collect();
        self.accusers(node).count() >= 2 && (of.len() >= 2 || all.len() == 1)
    }

    /// With how many members that are not lost a node has trouble, either way. `long`: only trouble that lasts.
    fn trouble(&self, node: NodeId, lost: &BTreeSet<&NodeId>, long: bool) -> usize {
        let counts = |for_long: &bool| *for_long || !long;
        let mine = self.of.get(&node).into_iter().flatten();
        let mine = mine.filter(|(with, for_long)| !lost.contains(with) && counts(for_long)).map(|(n, _)| *n);
        let others = self.accusers(node).filter(|(_, for_long)| counts(for_long)).map(|(n, _)| *n);
        mine.chain(others).collect::<BTreeSet<_>>().len()
    }

    /// Of living members between which a cut lasts, the one that goes.
    fn of_a_cut(&self) -> Option<NodeId> {
        let none = BTreeSet::new();
        let with =
            |(node, incarnation): (&NodeId, &u64)| (self.trouble(*node, &none, true), *incarnation, *node);
        let worst = self.members.iter().map(with).max()?;
        (worst.0 > 0).then_some(worst.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What member `me` of `all` members (incarnations 1, 2, …) decides, when these pairs are cut: (deaf, mute). `long`: the
    /// cuts have lasted.
    fn decides(me: u16, all: u16, cuts: &[(u16, u16)], long: bool) -> Vec<u16> {
        decides_on(&[], me, all, cuts, long)
    }

    /// The same, if the first members have labels of machines.
    fn decides_on(machines: &[&str], me: u16, all: u16, cuts: &[(u16, u16)], long: bool) -> Vec<u16> {
        let machines =
            machines.iter().enumerate().map(|(at, label)| (NodeId(at as u16 + 1), *label)).collect();
        let cannot = |of: u16| cuts.iter().filter(move |(deaf, _)| *deaf == of).map(|(_, mute)| *mute);
        let reached = (1..=all).filter(|n| *n == me || !cannot(me).any(|mute| mute == *n));
        let of = reached.map(|n| (NodeId(n), cannot(n).map(|mute| (NodeId(mute), long)).collect()));
        let members = (1..=all).map(|n| (NodeId(n), u64::from(n))).collect();
        let complaints =
            Complaints { me: NodeId(me), members, machines, of: of.collect(), resolves_cuts: true };
        complaints.to_remove().into_iter().map(|node| node.0).collect()
    }

    fn both(pairs: &[(u16, u16)]) -> Vec<(u16, u16)> {
        pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect()
    }

    /// Removes what is proposed, one at a time, by the first (or last) that proposes anything, until nobody does. Returns who is
    /// left, and whether a cut is.
    fn resolved(all: u16, cuts: &[(u16, u16)], last: bool) -> (Vec<u16>, bool) {
        let mut members: Vec<u16> = (1..=all).collect();
        loop {
            let count = members.len() as u16;
            let number = |n: u16| members.iter().position(|m| *m == n).map(|at| at as u16 + 1);
            let cuts: Vec<_> = cuts.iter().filter_map(|(a, b)| Some((number(*a)?, number(*b)?))).collect();
            let mut proposers: Vec<_> = (1..=count).collect();
            if last {
                proposers.reverse();
            }
            let proposed = |long: bool| {
                proposers.iter().find_map(|me| decides(*me, count, &cuts, long).first().copied())
            };
            match proposed(false).or_else(|| proposed(true)) {
                Some(at) => drop(members.remove(usize::from(at) - 1)),
                None => return (members, !cuts.is_empty()),
            }
        }
    }

    /// The members that are left when no cut is.
    fn left(all: u16, cuts: &[(u16, u16)], last: bool) -> Vec<u16> {
        let (left, cut) = resolved(all, cuts, last);
        assert!(!cut, "a cut remains between {left:?}: {cuts:?}");
        left
    }

    #[test]
    fn nobody_goes_while_all_hear_each_other() {
        assert!((1..=5).all(|me| decides(me, 5, &[], true).is_empty()));
    }

    #[test]
    fn a_dead_member_goes_at_once() {
        let cuts = [(1, 3), (2, 3)];
        assert_eq!((decides(1, 3, &cuts, false), decides(2, 3, &cuts, false)), (vec![3], vec![3]));
        // Two of four have noticed.
        assert_eq!(decides(1, 4, &[(1, 4), (2, 4)], false), [4]);
        assert_eq!(decides(3, 4, &[(1, 4), (2, 4)], false), [0_u16; 0], "this one still hears it");
        assert_eq!(decides(1, 2, &[(1, 2)], false), [2], "in a view of two, one is enough");
        assert_eq!(decides(1, 3, &[(1, 2), (1, 3)], true), [0_u16; 0], "one alone removes nobody");
    }

    #[test]
    fn two_nodes_of_one_machine_are_no_two_witnesses() {
        let cuts = [(1, 4), (2, 4)];
        let decides = |machines: &[&str], me| decides_on(machines, me, 5, &cuts, false);
        assert_eq!(decides(&["a", "b", "c", "d", "e"], 1), [4]);
        assert_eq!(decides(&["a", "a", "c", "d", "e"], 1), [0_u16; 0], "others still hear it");
        assert_eq!(decides(&["a", "a", "a", "a", "a"], 1), [4], "all are on one machine");
        assert_eq!(
            decides(&["a", "a", "a"], 1),
            [0_u16; 0],
            "those without a label are each on one of their own"
        );
        // When nobody hears it, one machine is enough.
        let all: Vec<_> = [1, 2, 3].iter().map(|deaf| (*deaf, 4)).collect();
        assert_eq!(decides_on(&["a", "a", "a", "d"], 1, 4, &all, false), [4]);
    }

    #[test]
    fn of_two_that_cannot_reach_each_other_the_youngest_goes() {
        for cuts in [both(&[(1, 2)]), vec![(1, 2)], vec![(2, 1)]] {
            assert!((1..=3).all(|me| decides(me, 3, &cuts, false).is_empty()), "it may pass: {cuts:?}");
            assert_eq!(decides(3, 3, &cuts, true), [2], "{cuts:?}");
            assert_eq!(decides(2, 3, &cuts, true), [2], "also by itself: {cuts:?}");
            for last in [false, true] {
                assert_eq!(left(3, &cuts, last), [1, 3], "{cuts:?}");
                assert_eq!(left(5, &cuts, last), [1, 3, 4, 5], "{cuts:?}");
            }
        }
    }

    #[test]
    fn those_that_hear_few_go_rather_than_all_others() {
        for last in [false, true] {
            for deaf in 1..=5 {
                let others: Vec<u16> = (1..=5).filter(|n| *n != deaf).collect();
                let cuts: Vec<_> = others.iter().map(|mute| (deaf, *mute)).collect();
                assert_eq!(left(5, &cuts, last), others);
            }
            // Two that hear only each other: they agree on all others, and yet they go.
            let cuts: Vec<_> = [1, 4].iter().flat_map(|deaf| [2, 3, 5].map(|mute| (*deaf, mute))).collect();
            assert_eq!(left(5, &cuts, last), [2, 3, 5]);
        }
    }

    #[test]
    fn of_two_sides_the_larger_stays() {
        let across = |a: &[u16], b: &[u16]| -> Vec<_> {
            both(&a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y))).collect::<Vec<_>>())
        };
        for last in [false, true] {
            assert_eq!(left(5, &across(&[1, 2], &[3, 4, 5]), last), [3, 4, 5]);
            assert_eq!(left(7, &across(&[1, 3, 5], &[2, 4, 6, 7]), last), [2, 4, 6, 7]);
            // Of two halves one goes, and only it; also when a fifth reaches both.
            assert_eq!(left(4, &across(&[1, 2], &[3, 4]), last).len(), 2);
            assert_eq!(left(5, &across(&[1, 2], &[3, 4]), last).len(), 3);
        }
    }

    /// Any cuts between few members: in the end there is none, or every member hears less than half of the others.
    #[test]
    fn every_cut_is_resolved() {
        for all in 2..=4_u16 {
            let pairs = (1..=all).flat_map(|a| (1..=all).map(move |b| (a, b)));
            let pairs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
            for picked in 0..1_u32 << pairs.len() {
                let is_picked = |(i, pair): (usize, &(u16, u16))| (picked >> i & 1 == 1).then_some(*pair);
                let cuts: Vec<_> = pairs.iter().enumerate().filter_map(is_picked).collect();
                for last in [false, true] {
                    let (left, cut) = resolved(all, &cuts, last);
                    let side = |me: u16| left.iter().filter(|n| !cuts.contains(&(me, **n))).count();
                    let scattered = left.iter().all(|me| 2 * side(*me) < left.len());
                    assert!(!left.is_empty() && (!cut || scattered), "{left:?} are left by {cuts:?}");
                }
            }
        }
    }
}
