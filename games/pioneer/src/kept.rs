//! Names that change: which unique names a player or a guild has, and how long it keeps an old one.
//!
//! Who takes another name keeps the old one for the cool-down ([`Island::name_kept_ms`]), so that nobody takes its place under it.
//! It may go back to it meanwhile. Then a timer releases it. One changes its name once in [`Island::rename_every_ms`], so few old names
//! are kept at a time: [`KEPT_MAX`].
//!
//! A unique name is a key of `gundo::names`. Two names can share keys: `Iris` and `iris`. So a release gives up only the keys that no
//! other name of the same owner has. The keys are stored as they were taken: later versions of Unicode may compute others. Only a
//! player that was never renamed stores none. If a later version computes other keys for its name, its first rename does not know
//! those that it took at first, and they stay its own for ever: nobody else gets them, which is safe.
//!
//! The players' side is in `renaming`, the guilds' in `guild/renaming`.

use gundo::WorldTime;
use gundo::names::Name;

use crate::island::Island;
use crate::names;
use crate::refusals::No;
use crate::schema::{KeptName, KeptNameDue, NameChanged, Naming, NewNameDue, OldName, naming_timer::Timer};

/// Old names of one player or guild. The pace keeps it lower, unless timers are very late.
pub const KEPT_MAX: usize = 4;
/// People who hear of a new name in one decision: it sends 16 messages at most.
pub(crate) const HEAR_AT_ONCE: usize = 15;
/// After so long an old name that could not be released is tried again, ms of world time.
pub(crate) const AGAIN_MS: u64 = 3_600_000;

impl Naming {
    /// When it may change its name; 0: at any time.
    pub(crate) fn changes_at(&self, island: &Island) -> u64 {
        if self.changed_at == 0 { 0 } else { self.changed_at + island.rename_every_ms() }
    }

    /// What happens when `old` becomes `new`.
    ///
    /// # Errors
    /// `same_name`, or `renamed_lately`.
    pub(crate) fn change(
        &self,
        old: &str,
        new: Name,
        (now, island): (WorldTime, &Island),
    ) -> Result<NameChanged, No> {
        if new.shown == old {
            return Err(No::SameName);
        }
        if now.0 < self.changes_at(island) || self.kept.len() >= KEPT_MAX {
            return Err(No::RenamedLately);
        }
        let keys: Vec<String> = new.keys().map(str::to_owned).collect();
        let kept = Some(self.keep(old, now, island)).filter(|kept| kept.keys != keys);
        Ok(NameChanged { name: new.shown, keys, kept, at: now.0 })
    }

    /// The name `old`, to be kept from now on.
    pub(crate) fn keep(&self, old: &str, now: WorldTime, island: &Island) -> KeptName {
        let until = now.0 + island.name_kept_ms();
        KeptName { number: self.numbers + 1, name: old.to_owned(), keys: self.keys_of(old), until }
    }

    /// The keys of its name.
    pub(crate) fn keys_of(&self, name: &str) -> Vec<String> {
        if self.keys.is_empty() { names::keys(name) } else { self.keys.clone() }
    }

    /// All keys that it has, for its name and for those that it keeps.
    pub(crate) fn all_keys(&self, name: &str) -> Vec<String> {
        self.keys_of(name).into_iter().chain(self.kept.iter().flat_map(|kept| kept.keys.clone())).collect()
    }

    pub(crate) fn kept(&self, number: u32) -> Option<&KeptName> {
        self.kept.iter().find(|kept| kept.number == number)
    }

    /// The old names to which such a change goes back: they are not old any more.
    pub(crate) fn taken_back(&self, fact: &NameChanged) -> Vec<u32> {
        self.kept.iter().filter(|kept| kept.keys == fact.keys).map(|kept| kept.number).collect()
    }

    /// The keys that nobody has any more when this old name is over.
    pub(crate) fn freed(&self, kept: &KeptName) -> Vec<String> {
        let others = self.kept.iter().filter(|other| other.number != kept.number).flat_map(|k| &k.keys);
        let still: Vec<&String> = self.keys.iter().chain(others).collect();
        kept.keys.iter().filter(|key| !still.contains(key)).cloned().collect()
    }

    pub(crate) fn on_changed(&mut self, fact: &NameChanged) {
        let back = self.taken_back(fact);
        self.kept.retain(|kept| !back.contains(&kept.number));
        self.keys.clone_from(&fact.keys);
        self.changed_at = fact.at;
        fact.kept.iter().for_each(|kept| self.on_kept(kept));
    }

    pub(crate) fn on_kept(&mut self, kept: &KeptName) {
        self.numbers = kept.number;
        self.kept.push(kept.clone());
    }

    pub(crate) fn on_freed(&mut self, number: u32) {
        self.kept.retain(|kept| kept.number != number);
    }

    pub(crate) fn old_names(&self) -> Vec<OldName> {
        self.kept.iter().map(|kept| OldName { name: kept.name.clone(), until: kept.until }).collect()
    }

    /// For a snapshot: nothing, if nothing is known.
    pub(crate) fn saved(self) -> Option<Self> {
        Some(self).filter(|naming| *naming != Self::default())
    }
}

/// The timer of an old name.
pub(crate) fn due(number: u32) -> Timer {
    Timer::KeptNameDue(KeptNameDue { number })
}

/// The timer that tells people with a higher id than `after` the new name.
pub(crate) fn tells(after: u64) -> Timer {
    Timer::NewNameDue(NewNameDue { after })
}

/// Those who hear it next, and whether others follow.
pub(crate) fn next_to_hear(people: impl Iterator<Item = u64>, after: u64) -> (Vec<u64>, bool) {
    let all: std::collections::BTreeSet<u64> = people.filter(|id| *id > after).collect();
    let follows = all.len() > HEAR_AT_ONCE;
    (all.into_iter().take(HEAR_AT_ONCE).collect(), follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(number: u32, keys: &[&str]) -> KeptName {
        KeptName { number, keys: keys.iter().map(|&key| key.to_owned()).collect(), ..KeptName::default() }
    }

    #[test]
    fn a_release_gives_up_no_key_that_another_name_of_the_owner_has() {
        let naming = Naming {
            keys: vec!["lris".into()],
            kept: vec![kept(1, &["iris", "lris"]), kept(2, &["ada"]), kept(3, &["ada", "eda"])],
            ..Naming::default()
        };
        assert_eq!(naming.freed(&naming.kept[0]), ["iris"]);
        assert_eq!(naming.freed(&naming.kept[1]), Vec::<String>::new());
        assert_eq!(naming.freed(&naming.kept[2]), ["eda"]);
    }

    #[test]
    fn everybody_hears_it_once_and_a_few_at_a_time() {
        let (mut after, mut heard, mut rounds) = (0, Vec::new(), 0);
        loop {
            let (next, follows) = next_to_hear((1..=50).rev(), after);
            assert!(next.len() <= HEAR_AT_ONCE);
            heard.extend(next.clone());
            rounds += 1;
            if !follows {
                break;
            }
            after = next[next.len() - 1];
        }
        assert_eq!((heard, rounds), ((1..=50).collect(), 4));
    }
}
