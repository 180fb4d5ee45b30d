//! Entities that have something to do though nobody needs them: their homes read from the journal which they are, and load them.
//! And the way of a message to its receiver, which may have to be loaded too.
//!
//! Once per second a home reads a page of what is due, and goes on behind it with the next: what one node cannot do now does not
//! hide what comes after it. After a full page it reads the next one in the next tick, unless the node is still busy with what it has
//! woken. Every node reads all, and wakes those whose home it is.
//!
//! Not here: what an entity does once it is loaded (`host`).

use gundo_types::{EntityId, NodeId, Planted};
use gundo_wire::journal::{Wake, WakesAsked};

use crate::changeover::Rooms;
use crate::core::Timer;
use crate::home::Found;
use crate::host;
use crate::io::Output;
use crate::peer::{MailMessage, Peer};

/// Wakes that are read at once.
const PAGE: usize = 256;

impl Rooms<'_> {
    /// Reads the next page of wakes, unless the one before is still awaited.
    pub(crate) fn read_wakes(&mut self) {
        let rests = self.core.stopping || self.core.is_draining() || !self.home.is_open();
        let waits = self.home.wakes.asked.is_some() || self.host.is_waking(self.core, &self.home.wakes.woken);
        if rests || waits {
            return;
        }
        let list = self.core.next_load();
        self.home.wakes.asked = Some(list);
        let asked = WakesAsked { after: self.home.wakes.after, until: self.core.now.world, max: PAGE };
        self.core.outputs.push_back(Output::Wakes { asked, list });
    }

    /// A page of wakes has come: loads those that live here and are not loaded.
    pub(crate) fn take_wakes(&mut self, list: u64, page: Result<Vec<Wake>, String>) {
        if self.home.wakes.asked.take_if(|asked| *asked == list).is_none() {
            return self.core.note_stale();
        }
        let Ok(page) = page else { return };
        let is_full = page.len() == PAGE;
        self.home.wakes.after = page.last().copied().filter(|_| is_full);
        if is_full {
            self.core.after_ms(self.core.world().tick_ms.into(), Timer::Wakes);
        }
        self.home.wakes.woken.clear();
        if self.core.planted(Planted::NobodyWoken) {
            return;
        }
        for (_, entity) in page {
            if self.wake(entity) {
                self.home.wakes.woken.push(entity);
            }
        }
    }

    fn host(&mut self) -> (&mut host::Host, host::Rooms<'_>) {
        (self.host, host::Rooms { core: self.core, crowd: self.crowd, home: self.home })
    }

    /// Loads it, if it lives here. False: another node does that.
    fn wake(&mut self, entity: EntityId) -> bool {
        let is_home = self.home.is_open() && self.core.home_of(entity) == Some(self.core.me());
        if !is_home || self.core.settings.rules.kind_of(entity.kind).is_none() {
            return false;
        }
        if entity.kind == self.core.settings.rules.player_kind() {
            // Its owner does what is to be done.
            if !self.host.holds(entity)
                && let Found::Here(term) = self.home.find(self.core, entity)
            {
                let (host, mut rooms) = self.host();
                host.take_roaming(&mut rooms, entity, term);
            }
            return true;
        }
        let (host, mut rooms) = self.host();
        host.wake(&mut rooms, entity);
        true
    }

    /// A message between two entities. The home of a player that is not here passes it on to the owner, once, or loads the player.
    pub(crate) fn on_mail(&mut self, from: NodeId, entity: EntityId, message: MailMessage) {
        let roams = entity.kind == self.core.settings.rules.player_kind();
        let is_home = self.core.home_of(entity) == Some(self.core.me());
        let sender = match &message {
            MailMessage::Owes(owes) => Some(owes.node),
            MailMessage::Order(order) => Some(order.node),
            MailMessage::Took { .. } | MailMessage::Ordered { .. } => None,
        };
        if let Some(sender) = sender
            && !self.host.holds(entity)
            && is_home
        {
            if !self.home.is_open() {
                self.home.admit(self.core, from, Peer::Mail { entity, message });
                return;
            }
            if roams {
                let passed_on = from != sender;
                match self.home.find(self.core, entity) {
                    Found::At(owner) if owner != self.core.me() && !passed_on => {
                        return self.core.send(owner, Peer::Mail { entity, message });
                    }
                    Found::At(_) => {}
                    Found::Here(term) => {
                        let (host, mut rooms) = self.host();
                        host.take_roaming(&mut rooms, entity, term);
                    }
                }
            }
        }
        let (host, mut rooms) = self.host();
        host.on_mail(&mut rooms, entity, message);
    }
}
