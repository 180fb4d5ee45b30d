//! What a player owns: amounts by item, and the rule for how many slots they fill.
//!
//! `can_*` check; `gain` and `spend` are total, because they serve the replay of events.

use std::collections::BTreeMap;

use crate::catalogue::{SLOTS_MAX, stack_max};
use crate::schema::{Item, Stack};

/// Amounts by item number. No entry is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    counts: BTreeMap<i32, u32>,
}

impl Inventory {
    /// From one entry for each item.
    pub(crate) fn from_totals(totals: &[Stack]) -> Self {
        let mut inventory = Self::default();
        inventory.gain(totals);
        inventory
    }

    /// One entry for each item.
    pub(crate) fn totals(&self) -> Vec<Stack> {
        self.counts.iter().map(|(item, count)| Stack { item: *item, count: *count }).collect()
    }

    /// As the player sees it: cut into stacks.
    pub(crate) fn slots(&self) -> Vec<Stack> {
        let cut = |(item, count): (&i32, &u32)| {
            let max = limit(*item);
            let (item, count) = (*item, *count);
            (0..count.div_ceil(max)).map(move |i| Stack { item, count: max.min(count - i * max) })
        };
        self.counts.iter().flat_map(cut).collect()
    }

    /// How much of `item` there is.
    pub(crate) fn count(&self, item: Item) -> u32 {
        self.counts.get(&i32::from(item)).copied().unwrap_or(0)
    }

    /// Whether all of `stacks` are there.
    pub(crate) fn can_spend(&self, stacks: &[Stack]) -> bool {
        let mut rest = self.clone();
        stacks.iter().all(|stack| {
            let enough = rest.counts.get(&stack.item).copied().unwrap_or(0) >= stack.count;
            rest.spend(std::slice::from_ref(stack));
            enough
        })
    }

    /// Whether `gained` fits into a player's bag once `spent` is removed.
    pub(crate) fn can_exchange(&self, spent: &[Stack], gained: &[Stack]) -> bool {
        self.fits(spent, gained, SLOTS_MAX)
    }

    /// Whether `gained` fits into `slots_max` slots once `spent` is removed.
    pub(crate) fn fits(&self, spent: &[Stack], gained: &[Stack], slots_max: u32) -> bool {
        let mut after = self.clone();
        after.spend(spent);
        after.gain(gained);
        let slots: u64 = after.counts.iter().map(|(item, n)| u64::from(n.div_ceil(limit(*item)))).sum();
        slots <= u64::from(slots_max)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds all of `stacks`.
    pub(crate) fn gain(&mut self, stacks: &[Stack]) {
        for stack in stacks.iter().filter(|stack| stack.count > 0) {
            let count = self.counts.entry(stack.item).or_default();
            *count = count.saturating_add(stack.count);
        }
    }

    /// Removes all of `stacks`, as far as there is enough.
    pub(crate) fn spend(&mut self, stacks: &[Stack]) {
        for stack in stacks {
            if let Some(count) = self.counts.get_mut(&stack.item) {
                *count = count.saturating_sub(stack.count);
                if *count == 0 {
                    self.counts.remove(&stack.item);
                }
            }
        }
    }
}

fn limit(item: i32) -> u32 {
    stack_max(Item::try_from(item).unwrap_or(Item::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(item: Item, count: u32) -> Stack {
        Stack { item: item.into(), count }
    }

    #[test]
    fn stacks_fill_slots() {
        let mut inventory = Inventory::from_totals(&[stack(Item::Wood, 45), stack(Item::Axe, 2)]);
        let counts: Vec<_> = inventory.slots().iter().map(|s| s.count).collect();
        assert_eq!(counts, [20, 20, 5, 1, 1]);
        assert!(inventory.can_exchange(&[], &[stack(Item::Stone, 140)]));
        assert!(!inventory.can_exchange(&[], &[stack(Item::Stone, 141)]));
        assert!(inventory.can_exchange(&[stack(Item::Axe, 1)], &[stack(Item::Stone, 160)]));
        inventory.spend(&[stack(Item::Wood, 45)]);
        assert_eq!(inventory.totals(), [stack(Item::Axe, 2)]);
    }

    #[test]
    fn the_same_item_twice_is_counted_twice() {
        let inventory = Inventory::from_totals(&[stack(Item::Wood, 3)]);
        assert!(inventory.can_spend(&[stack(Item::Wood, 1), stack(Item::Wood, 2)]));
        assert!(!inventory.can_spend(&[stack(Item::Wood, 2), stack(Item::Wood, 2)]));
    }
}
