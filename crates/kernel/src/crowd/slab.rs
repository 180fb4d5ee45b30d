//! Records that lie side by side and never move: a handle finds one without a search.
//!
//! An index beside the slab ([`ChunkIndex`](super::index::ChunkIndex) or an ordered map) looks a record up once by chunk or id;
//! after that handles are passed. The order of handles means nothing and reaches no output. The memory of removed records is
//! reused and never shrinks.

use std::ops::{Index, IndexMut};

/// The place of a record. After a removal the handle may name another record: never keep it longer than the record.
pub(crate) type Handle = u32;

/// No record has it.
pub(crate) const NONE: Handle = Handle::MAX;

/// Records of a page.
const PAGE: usize = 64;

pub(crate) struct Slab<T> {
    /// Pages never move: a single vector of all records would be copied as it grows, and half of it could be unused.
    pages: Vec<Box<[Option<T>; PAGE]>>,
    /// Places of removed records.
    free: Vec<Handle>,
    /// Number of places that have ever had a record; they are the first ones.
    begun: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), free: Vec::new(), begun: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, record: T) -> Handle {
        let at = self.free.pop().unwrap_or_else(|| self.begin());
        let before = self.place(at).replace(record);
        assert!(before.is_none(), "a free place has a record");
        at
    }

    /// A place that has never had a record.
    fn begin(&mut self) -> Handle {
        let at = self.begun as Handle;
        assert!(at != NONE, "as many records as there are handles");
        if self.begun == self.pages.len() * PAGE {
            self.pages.push(Box::new([const { None }; PAGE]));
        }
        self.begun += 1;
        at
    }

    pub(crate) fn remove(&mut self, at: Handle) -> T {
        let record = self.place(at).take().expect("a handle names a record");
        self.free.push(at);
        record
    }

    #[inline]
    fn place(&mut self, at: Handle) -> &mut Option<T> {
        &mut self.pages[at as usize / PAGE][at as usize % PAGE]
    }

    /// All handles that name a record are below this.
    pub(crate) fn places(&self) -> Handle {
        self.begun as Handle
    }

    /// Whether the handle names a record.
    pub(crate) fn has(&self, at: Handle) -> bool {
        self.pages.get(at as usize / PAGE).is_some_and(|page| page[at as usize % PAGE].is_some())
    }

    pub(crate) fn len(&self) -> usize {
        self.begun - self.free.len()
    }

    /// Every record, in a meaningless order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        let places = self.pages.iter().flat_map(|page| page.iter());
        places.enumerate().filter_map(|(at, record)| Some((at as Handle, record.as_ref()?)))
    }

    /// Every record, for changes whose order does not matter.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pages.iter_mut().flat_map(|page| page.iter_mut().flatten())
    }
}

impl<T> Index<Handle> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: Handle) -> &T {
        let place = &self.pages[at as usize / PAGE][at as usize % PAGE];
        place.as_ref().expect("a handle names a record")
    }
}

impl<T> IndexMut<Handle> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, at: Handle) -> &mut T {
        self.place(at).as_mut().expect("a handle names a record")
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
    fn records_stay_where_they_are() {
        let mut slab = Slab::default();
        let first = slab.insert(0);
        let place = std::ptr::from_ref(&slab[first]);
        let more: Vec<_> = (1..3 * PAGE).map(|n| slab.insert(n)).collect();
        assert_eq!(std::ptr::from_ref(&slab[first]), place, "a record has moved");
        assert!(more.iter().zip(1..).all(|(at, n)| slab[*at] == n));
        slab.iter_mut().for_each(|n| *n += 1);
        assert_eq!(slab.remove(more[PAGE]), PAGE + 2);
        assert_eq!((slab.iter().count(), slab.len()), (3 * PAGE - 1, 3 * PAGE - 1));
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
