//! Addresses: which player has a name, so that a letter finds somebody by name alone.
//!
//! An address has no place and its id is a hash of the name's key (what the name looks like, in lower case). A player lists itself
//! with the first thing that it gathers: who comes ashore and does nothing leaves no address. Nobody changes its name on this
//! island, so an address never changes either, and what was read of one is right for ever.
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
        let entry = ask.entry.filter(|entry| entry.player == by.id.id && by.id.kind == Player::KIND);
        let entry =
            entry.filter(|_| self.entries.len() < SAME_HASH_MAX).filter(|e| !self.entries.contains(e));
        Ok((entry.map_or_else(Done::new, |entry| Done::new().event(&Registered { entry: Some(entry) })), ()))
    }
}

impl Entity for Address {
    fn apply(&mut self, event: &Registered) {
        self.entries.extend(event.entry.clone());
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
        let key = if self.listed { None } else { names::key(&self.name).ok() };
        let Some(key) = key else { return Ok(done(self)?.into()) };
        let id = address_of(&key);
        let register = Register { entry: Some(AddressEntry { key, player }) };
        Ok(Ask::of::<Address>(id, &register)
            .then(move |me: &Self, (), _| Ok(done(me)?.event(&Event::Listed(AddressListed {})))))
    }

    /// The player whom somebody means by a name.
    ///
    /// # Errors
    /// `nobody_called`; or the engine must fetch the address first.
    pub(crate) fn find(typed: &str, cx: &mut Context<'_, Self>) -> Result<u64, gundo::Refusal> {
        let key = names::key(typed)?;
        let entries = cx.read::<Address>(address_of(&key))?.unwrap_or_default().entries;
        let entry = entries.iter().find(|entry| entry.key == key);
        Ok(entry.ok_or(No::NobodyCalled)?.player)
    }
}

/// FNV-1a.
fn address_of(key: &str) -> u64 {
    key.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
