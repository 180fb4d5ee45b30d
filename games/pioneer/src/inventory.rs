//! What a player owns: amounts by item, things that are unique by id, and the rule for how many slots they fill.
//!
//! `can_*` check; `gain` and `spend` are total, because they serve the replay of events.
//!
//! **Unique things.** A tool gets a random id of 64 bits when it is crafted, and keeps it as long as it exists. Nobody looks whether
//! the id is free: among a hundred million tools two share one with a chance of 1 in 3,700, and then one player could not hold both at
//! once. Tools from before there were ids are counted as other goods are. Such a tool gets its id from the event that moves
//! it out of where it lies ([`Stack::first_id`]), so a journal from before says the same as it did.

use std::collections::BTreeMap;

use crate::catalogue::{SLOTS_MAX, is_unique, stack_max};
use crate::refusals::No;
use crate::schema::{Item, Stack};

/// Amounts by item number, and unique things. No entry is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// Of tools: those without an id.
    counts: BTreeMap<i32, u32>,
    /// What each id is.
    things: BTreeMap<u64, i32>,
}

impl Inventory {
    /// From one entry for each item and each unique thing.
    pub(crate) fn from_totals(totals: &[Stack]) -> Self {
        let mut inventory = Self::default();
        inventory.gain(totals);
        inventory
    }

    /// One entry for each item and each unique thing.
    pub(crate) fn totals(&self) -> Vec<Stack> {
        let counts =
            self.counts.iter().map(|(item, count)| Stack { item: *item, count: *count, ..Stack::default() });
        counts.chain(self.things.iter().map(|(id, item)| thing(*item, *id))).collect()
    }

    /// As the player sees it: cut into stacks.
    pub(crate) fn slots(&self) -> Vec<Stack> {
        let cut = |(item, count): (&i32, &u32)| {
            let max = limit(*item);
            let (item, count) = (*item, *count);
            let size = move |i: u32| max.min(count - i * max);
            (0..count.div_ceil(max)).map(move |i| Stack { item, count: size(i), ..Stack::default() })
        };
        let things = self.things.iter().map(|(id, item)| thing(*item, *id));
        let mut slots: Vec<Stack> = self.counts.iter().flat_map(cut).chain(things).collect();
        slots.sort_by_key(|stack| stack.item);
        slots
    }

    /// How much of `item` there is.
    pub(crate) fn count(&self, item: Item) -> u32 {
        let things = self.things.values().filter(|thing| **thing == i32::from(item)).count();
        self.nameless(item.into()).saturating_add(things as u32)
    }

    fn nameless(&self, item: i32) -> u32 {
        self.counts.get(&item).copied().unwrap_or(0)
    }

    /// Whether all of `stacks` are there.
    pub(crate) fn can_spend(&self, stacks: &[Stack]) -> bool {
        let mut rest = self.clone();
        stacks.iter().all(|stack| {
            let enough = rest.has(stack);
            rest.spend(std::slice::from_ref(stack));
            enough
        })
    }

    fn has(&self, stack: &Stack) -> bool {
        match stack {
            Stack { id: 0, .. } => self.count(stack.item()) >= stack.count,
            Stack { first_id: true, .. } => stack.count == 1 && self.nameless(stack.item) > 0,
            _ => stack.count == 1 && self.things.get(&stack.id) == Some(&stack.item),
        }
    }

    /// `wanted`, with the id of each unique thing: the ones that it names, otherwise those with the lowest ids, and last those without
    /// one, which get one of `ids`.
    ///
    /// # Errors
    /// `unclear`: the same id twice, or an id where none can be. `not_yours`: an id that is not here. `missing_items`: not so many.
    pub(crate) fn named(&self, wanted: &[Stack], mut ids: impl FnMut() -> u64) -> Result<Vec<Stack>, No> {
        let mut rest = self.clone();
        let mut chosen = Vec::with_capacity(wanted.len());
        // Those that are named first, so that none of them is taken for one that is not.
        for stack in wanted.iter().filter(|stack| stack.id != 0) {
            if stack.count != 1 || !is_unique(stack.item()) {
                return Err(No::Unclear);
            }
            if rest.things.remove(&stack.id) != Some(stack.item) {
                let twice = self.things.get(&stack.id) == Some(&stack.item);
                return Err(if twice { No::Unclear } else { No::NotYours });
            }
        }
        for stack in wanted {
            let Stack { item, count, id, .. } = *stack;
            if id != 0 {
                chosen.push(thing(item, id));
            } else if !is_unique(stack.item()) {
                chosen.push(Stack { item, count, ..Stack::default() });
            } else if rest.count(stack.item()) < count {
                return Err(No::MissingItems);
            } else {
                for _ in 0..count {
                    let lowest = rest.lowest(item).map(|id| thing(item, id));
                    let next =
                        lowest.unwrap_or_else(|| Stack { first_id: true, ..thing(item, ids().max(1)) });
                    rest.spend(&[next]);
                    chosen.push(next);
                }
            }
        }
        Ok(chosen)
    }

    /// As [`named`](Self::named), of one stack: unique things go one by one.
    pub(crate) fn named_one(&self, wanted: Stack, ids: impl FnMut() -> u64) -> Result<Stack, No> {
        if is_unique(wanted.item()) && wanted.count > 1 {
            return Err(No::OneByOne);
        }
        self.named(&[wanted], ids)?.first().copied().ok_or(No::Unclear)
    }

    /// Another thing of the same kind, for a mistake on purpose.
    pub(crate) fn another(&self, stack: Stack) -> Stack {
        let other = self.things.iter().find(|(id, item)| **item == stack.item && **id != stack.id);
        other.map_or(stack, |(id, item)| thing(*item, *id))
    }

    fn lowest(&self, item: i32) -> Option<u64> {
        self.things.iter().find(|(_, thing)| **thing == item).map(|(id, _)| *id)
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
        slots + after.things.len() as u64 <= u64::from(slots_max)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.things.is_empty()
    }

    /// Adds all of `stacks`.
    pub(crate) fn gain(&mut self, stacks: &[Stack]) {
        for stack in stacks.iter().filter(|stack| stack.count > 0) {
            if stack.id == 0 {
                let count = self.counts.entry(stack.item).or_default();
                *count = count.saturating_add(stack.count);
            } else {
                self.things.insert(stack.id, stack.item);
            }
        }
    }

    /// Removes all of `stacks`, as far as there is enough.
    pub(crate) fn spend(&mut self, stacks: &[Stack]) {
        for stack in stacks {
            match stack {
                Stack { id: 0, count, .. } => self.spend_any(stack.item, *count),
                Stack { first_id: true, .. } => self.spend_any(stack.item, 1),
                _ => drop(self.things.remove(&stack.id)),
            }
        }
    }

    /// Things without an id first.
    fn spend_any(&mut self, item: i32, count: u32) {
        let nameless = self.nameless(item);
        if nameless > count {
            self.counts.insert(item, nameless - count);
            return;
        }
        self.counts.remove(&item);
        for _ in nameless..count {
            let Some(id) = self.lowest(item) else { return };
            self.things.remove(&id);
        }
    }
}

/// What was made just now: each unique thing gets its id.
pub(crate) fn with_ids(made: &[Stack], mut ids: impl FnMut() -> u64) -> Vec<Stack> {
    let mut each = |stack: &Stack| -> Vec<Stack> {
        if !is_unique(stack.item()) {
            return vec![*stack];
        }
        (0..stack.count).map(|_| thing(stack.item, ids().max(1))).collect()
    };
    made.iter().flat_map(&mut each).collect()
}

/// As everybody but the one who gives it away sees it: it has its id, whenever it got that.
pub(crate) fn shown(stack: Stack) -> Stack {
    Stack { first_id: false, ..stack }
}

/// All of them, [`shown`].
pub(crate) fn all_shown(stacks: &[Stack]) -> Vec<Stack> {
    stacks.iter().copied().map(shown).collect()
}

/// Whether an entry of `stacks` is there twice: an item, or a unique thing.
pub(crate) fn is_twice(stacks: &[Stack]) -> bool {
    let same = |one: &Stack, other: &Stack| one.item == other.item && one.id == other.id;
    stacks.iter().enumerate().any(|(at, stack)| stacks[..at].iter().any(|other| same(other, stack)))
}

fn thing(item: i32, id: u64) -> Stack {
    Stack { item, count: 1, id, first_id: false }
}

fn limit(item: i32) -> u32 {
    stack_max(Item::try_from(item).unwrap_or(Item::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(item: Item, count: u32) -> Stack {
        Stack { item: item.into(), count, ..Stack::default() }
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

    fn axe(id: u64) -> Stack {
        thing(Item::Axe.into(), id)
    }

    fn no_id() -> u64 {
        panic!("everything here has an id")
    }

    #[test]
    fn unique_things_are_told_apart_by_id() {
        let mut bag = Inventory::from_totals(&[axe(9), axe(4), stack(Item::Wood, 3)]);
        assert_eq!((bag.count(Item::Axe), bag.slots().len()), (2, 3));
        assert_eq!(Inventory::from_totals(&bag.totals()), bag);
        assert_eq!(bag.named(&[axe(9)], no_id), Ok(vec![axe(9)]));
        assert_eq!(bag.named(&[stack(Item::Axe, 1)], no_id), Ok(vec![axe(4)]), "the lowest");
        assert_eq!(bag.named(&[stack(Item::Axe, 1), axe(4)], no_id), Ok(vec![axe(9), axe(4)]));
        assert_eq!(bag.named(&[stack(Item::Axe, 2)], no_id), Ok(vec![axe(4), axe(9)]));
        for (wanted, no) in [
            (vec![axe(5)], No::NotYours),
            (vec![axe(4), axe(4)], No::Unclear),
            (vec![Stack { count: 2, ..axe(4) }], No::Unclear),
            (vec![Stack { id: 4, ..stack(Item::Wood, 1) }], No::Unclear),
            (vec![Stack { id: 4, ..stack(Item::Pickaxe, 1) }], No::NotYours),
            (vec![stack(Item::Axe, 3)], No::MissingItems),
            (vec![axe(4), stack(Item::Axe, 2)], No::MissingItems),
            (vec![stack(Item::Axe, u32::MAX)], No::MissingItems),
        ] {
            assert_eq!(bag.named(&wanted, no_id), Err(no), "{wanted:?}");
        }
        assert!(bag.can_spend(&[axe(9), axe(4)]) && !bag.can_spend(&[axe(9), axe(9)]));
        bag.spend(&[axe(9)]);
        assert_eq!(bag.totals(), [stack(Item::Wood, 3), axe(4)]);
    }

    #[test]
    fn a_tool_from_before_gets_its_id_when_it_goes() {
        let mut bag = Inventory::from_totals(&[stack(Item::Axe, 2), axe(4)]);
        let went = bag.named(&[stack(Item::Axe, 2)], || 77).expect("there are three");
        assert_eq!(went, [axe(4), Stack { first_id: true, ..axe(77) }]);
        // What only seems to have no id yet cannot be spent twice, and what is gone is not taken from what has no id.
        assert!(bag.can_spend(&went) && !bag.can_spend(&[axe(77)]) && !bag.can_spend(&[axe(5)]));
        bag.spend(&went);
        assert_eq!(bag.totals(), [stack(Item::Axe, 1)]);
        bag.gain(&went);
        assert_eq!((bag.count(Item::Axe), bag.can_spend(&[axe(77)])), (3, true));
    }
}
