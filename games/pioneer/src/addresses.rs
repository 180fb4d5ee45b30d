//! Addresses: which player has a name, so that a letter finds somebody by name alone.
//!
//! An address has no place and its id is a hash of the name's key (what the name looks like, in lower case). A player lists itself
//! with the first thing that it gathers: who comes ashore and does nothing leaves no address. A player that changes its name is listed
//! under the new one at once, and under the old one for as long as it keeps that (`renaming`). What was read of an address may be a
//! moment old, so a letter asks the player whether it still has the name by which it was found.
//!
//! Anybody can compute names with one hash. At most [`SAME_HASH_MAX`] players share an address; further ones are reached from the panel
//! of people only.

use gundo::{Actor, Answered, Ask, Asked, Context, Decision, Done, Entity, State, WorldTime};

use crate::island::Island;
use crate::names;
use crate::player::Player;
use crate::refusals::No;
use crate::schema::{AddressEntry, AddressListed, AddressState, Register, Registered, player_event::Event};

/// Players whose names share one hash.
const SAME_HASH_MAX: usize = 8;

/// See the top of the file.
#[derive(Clone, Debug, Default, PartialEq, State)]
#[state(kind = 62, name = "address", asking_creates, world = Island, durable = AddressState, event = Registered)]
#[state(public = AddressState, ask = Register)]
pub struct Address {
    entries: Vec<AddressEntry>,
}

impl gundo::Stored for Address {
    fn load(_id: u64, _world: &Island, state: AddressState) -> Self {
        Self { entries: state.entries }
    }

    fn save(&self) -> AddressState {
        AddressState { entries: self.entries.clone() }
    }
}

impl Asked for Address {
    /// It never refuses: nobody can be kept from gathering by a name that is like others.
    fn answer(&self, ask: Register, by: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        let Register { entry, gone } = ask;
        let entry = entry.filter(|entry| entry.player == by.id.id && by.id.kind == Player::KIND);
        let changes = |entry: &AddressEntry| {
            self.entries.contains(entry) == gone && (gone || self.entries.len() < SAME_HASH_MAX)
        };
        let entry = entry.filter(changes);
        let done = entry.map(|entry| Done::new().event(&Registered { entry: Some(entry), gone }));
        Ok((done.unwrap_or_default(), ()))
    }
}

impl Entity for Address {
    fn apply(&mut self, event: &Registered) {
        if event.gone {
            self.entries.retain(|entry| Some(entry) != event.entry.as_ref());
        } else {
            self.entries.extend(event.entry.clone());
        }
    }

    fn public(&self, _at: WorldTime) -> Option<AddressState> {
        Some(AddressState { entries: self.entries.clone() })
    }
}

impl Player {
    /// What was decided; and if letters do not find this player by its name yet, they do from now on.
    pub(crate) fn listed(
        &self,
        player: u64,
        done: impl Fn(&Self) -> Result<Done<Self>, No> + Send + 'static,
    ) -> Result<Decision<Self>, No> {
        let key = if self.listed { None } else { self.naming.keys_of(&self.name).into_iter().next() };
        let Some(key) = key else { return Ok(done(self)?.into()) };
        let id = address_of(&key);
        let register = Register { entry: Some(AddressEntry { key, player }), gone: false };
        Ok(Ask::of::<Address>(id, &register)
            .then(move |me: &Self, (), _| Ok(done(me)?.event(&Event::Listed(AddressListed {})))))
    }

    /// The player whom somebody means by a name, and the key of that name.
    ///
    /// # Errors
    /// `nobody_called`; or the engine must fetch the address first.
    pub(crate) fn find(typed: &str, cx: &mut Context<'_, Self>) -> Result<(u64, String), gundo::Refusal> {
        let key = names::key(typed)?;
        let entries = cx.read::<Address>(address_of(&key))?.unwrap_or_default().entries;
        let entry = entries.iter().find(|entry| entry.key == key);
        Ok((entry.ok_or(No::NobodyCalled)?.player, key))
    }
}

/// FNV-1a.
pub(crate) fn address_of(key: &str) -> u64 {
    key.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
