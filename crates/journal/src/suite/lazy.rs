//! Events that need not be flushed at once obey all other rules.

use gundo_wire::journal::{EventType, Outcome};

use super::{Probe, entity, stream};
use crate::{Journal, MemoryFirst};

/// What memory is enough for at first is there for every load, in order, between events that are flushed, and is fenced as these are.
pub fn what_is_in_memory_first_lands_as_all_else(journal: &dyn Journal) {
    let (light, heavy) = (&[3 << 3 | 2, 0][..], &[4 << 3 | 2, 0][..]);
    let id = entity(880);
    journal.set_memory_first(MemoryFirst::new([(id.kind, 3)]));
    let (mut a, mut b) = (Probe::join(journal, 1), Probe::join(journal, 2));
    for (after, payload) in [light, heavy, light, light, heavy, light].into_iter().enumerate() {
        let mut append = stream(id, 1, after as u64, 1);
        append.events[0].event_type = EventType::Game;
        append.events[0].payload = payload.to_vec().into();
        let mut stale = append.clone();
        stale.entity = id;
        assert_eq!(a.append(vec![append]), Outcome::Done, "event {}", after + 1);
        assert_eq!(b.append(vec![stale]), Outcome::Conflict, "there is one at its place");
        assert_eq!(b.load(id).events.len(), after + 1, "others see it at once");
    }
    journal.leave(a.incarnation).expect("writable");
    let mut late = stream(id, 1, 6, 1);
    late.events[0].event_type = EventType::Game;
    late.events[0].payload = light.to_vec().into();
    assert_eq!(a.append(vec![late]), Outcome::Conflict, "who has left writes nothing");
    journal.set_memory_first(MemoryFirst::default());
}
