//! Everything in flight, in order of arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue by time, µs. Items due at the same time come out in the order in which they went in.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    count: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), count: 0 }
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an item that is due at `at`.
    pub fn push(&mut self, at: u64, item: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(item);
        self.count += 1;
        self.heap.push(Reverse((at, self.count, slot)));
    }

    /// The next item due at `until` or before, with its time.
    pub fn pop_until(&mut self, until: u64) -> Option<(u64, T)> {
        let Reverse((at, _, slot)) = *self.heap.peek()?;
        if at > until {
            return None;
        }
        self.heap.pop();
        self.free.push(slot);
        Some((at, self.slots[slot].take().expect("a slot in the heap is full")))
    }

    /// Takes out every item that `wanted` accepts, with its time, in order of arrival.
    pub fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<(u64, T)> {
        let mut taken: Vec<(u64, u64, T)> = Vec::new();
        let Self { heap, slots, free, .. } = self;
        heap.retain(|Reverse((at, count, slot))| {
            let is = slots[*slot].as_ref().is_some_and(&wanted);
            if is {
                taken.extend(slots[*slot].take().map(|item| (*at, *count, item)));
                free.push(*slot);
            }
            !is
        });
        taken.sort_unstable_by_key(|(at, count, _)| (*at, *count));
        taken.into_iter().map(|(at, _, item)| (at, item)).collect()
    }

    /// Drops every item that `keep` rejects.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let Self { heap, slots, free, .. } = self;
        heap.retain(|Reverse((_, _, slot))| {
            let kept = slots[*slot].as_ref().is_some_and(&keep);
            if !kept {
                slots[*slot] = None;
                free.push(*slot);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Queue<&'static str> {
        let mut queue = Queue::new();
        for (at, item) in [(5, "c"), (1, "a"), (5, "d"), (3, "b")] {
            queue.push(at, item);
        }
        queue
    }

    #[test]
    fn items_come_by_time_and_then_in_order() {
        let mut queue = filled();
        assert_eq!(queue.pop_until(0), None);
        queue.push(2, "later");
        let all: Vec<_> = std::iter::from_fn(|| queue.pop_until(5)).collect();
        assert_eq!(all, [(1, "a"), (2, "later"), (3, "b"), (5, "c"), (5, "d")]);
        assert_eq!(queue.pop_until(u64::MAX), None);
    }

    #[test]
    fn what_is_taken_comes_in_order() {
        let mut queue = filled();
        queue.push(1, "e");
        assert_eq!(queue.take(|item| ["e", "d", "a"].contains(item)), [(1, "a"), (1, "e"), (5, "d")]);
        queue.push(4, "f");
        let all: Vec<_> = std::iter::from_fn(|| queue.pop_until(5)).collect();
        assert_eq!(all, [(3, "b"), (4, "f"), (5, "c")]);
    }

    #[test]
    fn what_is_dropped_leaves_the_order_of_the_rest() {
        let mut queue = filled();
        queue.retain(|item| !["a", "c"].contains(item));
        queue.push(5, "e");
        queue.push(4, "f");
        let all: Vec<_> = std::iter::from_fn(|| queue.pop_until(5)).collect();
        assert_eq!(all, [(3, "b"), (4, "f"), (5, "d"), (5, "e")]);
    }
}
