//! Records that lie side by side and keep their place: a handle finds one without a search.
//!
//! What is looked for by chunk or by id is found once, at the edge, by an index beside it ([`ChunkIndex`](super::index::ChunkIndex)
//! or an ordered map). From there on handles are passed. The order of handles means nothing and reaches no output. The memory of
//! removed records is used again, and stays as much as was ever needed at once.

use std::ops::{Index, IndexMut};

/// The place of a record. After the record was removed it may name another one: keep a handle no longer than the record.
pub(crate) type Handle = u32;

/// No record has it.
pub(crate) const NONE: Handle = Handle::MAX;

pub(crate) struct Slab<T> {
    records: Vec<Option<T>>,
    free: Vec<Handle>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { records: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, record: T) -> Handle {
        if let Some(at) = self.free.pop() {
            let before = self.records[at as usize].replace(record);
            assert!(before.is_none(), "a free place holds a record");
            return at;
        }
        let at = self.records.len() as Handle;
        assert!(at != NONE, "as many records as there are handles");
        self.records.push(Some(record));
        at
    }

    pub(crate) fn remove(&mut self, at: Handle) -> T {
        let record = self.records[at as usize].take().expect("a handle names a record");
        self.free.push(at);
        record
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// Every record, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.records.iter().enumerate().filter_map(|(at, record)| Some((at as Handle, record.as_ref()?)))
    }

    /// Every record, to be changed alike: the order must not matter.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.records.iter_mut().flatten()
    }
}

impl<T> Index<Handle> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: Handle) -> &T {
        self.records[at as usize].as_ref().expect("a handle names a record")
    }
}

impl<T> IndexMut<Handle> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, at: Handle) -> &mut T {
        self.records[at as usize].as_mut().expect("a handle names a record")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!((slab[a], slab[b], slab.len()), ("a", "b", 2));
        assert_eq!(slab.remove(a), "a");
        let c = slab.insert("c");
        assert_eq!((c, slab[c], slab.len()), (a, "c", 2));
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(a, &"c"), (b, &"b")]);
    }

    #[test]
    #[should_panic(expected = "a handle names a record")]
    fn a_stale_handle_is_noticed() {
        let mut slab = Slab::default();
        let at = slab.insert(());
        slab.remove(at);
        slab.remove(at);
    }
}
