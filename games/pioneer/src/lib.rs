//! Pioneer: the reference game of Gundo. An island to walk, gather, craft and build on together.
//!
//! Only rules live here; the engine keeps them durable, shared and fast. Start at [`rules`], then read
//! [`Player`] (what a player can do) and [`Land`] (what it does to the world). [`Island`] is the ground, `proto/pioneer.proto`
//! the messages for clients, [`No`] every refusal.

mod addresses;
mod bots;
mod catalogue;
mod creatures;
mod estate;
mod friends;
mod geometry;
mod gifts;
mod guild;
mod inventory;
mod island;
mod kept;
mod land;
mod lives;
mod mail;
mod mailbox;
mod mistakes;
mod names;
mod nature;
mod noise;
mod orders;
mod player;
mod refusals;
mod renaming;
pub mod schema;
#[cfg(feature = "sim")]
pub mod sim;
mod stall;
mod stalls;
mod trade;

use std::sync::Arc;

pub use addresses::Address;
pub use bots::Minds;
pub use catalogue::{COLOURS, CRAFT_COUNT_MAX, SLOTS_MAX};
pub use creatures::{Herd, RABBIT, SHEEP};
pub use estate::{
    CLAIM_CHUNKS_MAX, COMMONS_MM, DEEDS_MAX, DOOR_MM, ESTATE_CHUNKS_MAX, ESTATE_LIFE_MS, ESTATE_WARNING_MS,
    Estate, WAY_MM,
};
pub use friends::{BLOCKED_MAX, FRIENDS_MAX, REQUESTS_MAX};
pub use gifts::{GIVE_PLAYERS_MAX, GIVE_REACH_MM};
pub use guild::{CHEST_SLOTS_MAX, DISSOLVED_MAX, Guild, INVITATIONS_MAX, INVITED_MAX, LOG_MAX, MEMBERS_MAX};
use gundo::Rules;
pub use island::{
    ARRIVAL_MM, Biome, CELL_MM, CLEARING_MM, CORNERS, Island, LETTER_LIFE_MS, NAME_KEPT_MS, RENAME_EVERY_MS,
    SIZE_MM,
};
pub use kept::KEPT_MAX;
pub use land::{BODY_RADIUS_MM, GATHER_REACH_MM, LOTS_MAX, Land};
pub use lives::Tales;
pub use mail::{LETTER_BYTES_MAX, LETTER_CHARS_MAX, LETTER_STACKS_MAX};
pub use mailbox::{LETTERS_MAX, LETTERS_OF_ONE_MAX, Mailbox};
pub use mistakes::Mistake;
pub use names::{NAME_CHARS_MAX, NAME_CHARS_MIN, SAY_CHARS_MAX};
pub use nature::{Nature, THINGS_MAX};
pub use player::{BUILD_REACH_MM, Player, SPEED_MAX_MM};
pub use refusals::No;
pub use stall::{OFFERS_MAX, PROCEEDS_MAX, STALL_REACH_MM, Stall};
pub use trade::OFFER_STACKS_MAX;

/// The game on the island of `seed`.
pub fn rules(seed: u64) -> Rules {
    rules_of(&Arc::new(Island::generate(seed)))
}

fn rules_of(island: &Arc<Island>) -> Rules {
    let rules = Rules::shared("pioneer", Arc::clone(island)).with::<Player>().with::<Land>();
    let rules = rules.with::<Mailbox>().with::<Address>().with::<Stall>().with::<Guild>().with::<Estate>();
    let rules = rules.names(NAME_CHARS_MIN, NAME_CHARS_MAX, names::sentence());
    rules.welcome(&describe(island)).schema(include_str!("../proto/pioneer.proto"))
}

/// The description of the world that every client gets with its welcome.
pub fn describe(island: &Island) -> schema::World {
    schema::World {
        seed: island.seed(),
        terrain: Some(island.terrain()),
        items: catalogue::item_infos(),
        recipes: catalogue::recipe_infos(),
        buildings: catalogue::building_infos(),
        things: nature::thing_infos(),
        slots_max: SLOTS_MAX,
        gather_reach_mm: GATHER_REACH_MM,
        build_reach_mm: BUILD_REACH_MM,
        speed_max_mm: SPEED_MAX_MM,
        body_radius_mm: BODY_RADIUS_MM as u32,
        village_x: island.village().x,
        village_y: island.village().y,
        name_chars_min: NAME_CHARS_MIN as u32,
        name_chars_max: NAME_CHARS_MAX as u32,
        say_chars_max: SAY_CHARS_MAX as u32,
        craft_count_max: CRAFT_COUNT_MAX,
        give_reach_mm: GIVE_REACH_MM,
        give_players_max: GIVE_PLAYERS_MAX as u32,
        offer_stacks_max: OFFER_STACKS_MAX as u32,
        letter_chars_max: LETTER_CHARS_MAX as u32,
        letter_stacks_max: LETTER_STACKS_MAX as u32,
        letters_max: LETTERS_MAX as u32,
        letter_life_ms: island.letter_life_ms(),
        rename_every_ms: island.rename_every_ms(),
        name_kept_ms: island.name_kept_ms(),
        stall_offers_max: OFFERS_MAX as u32,
        stall_reach_mm: STALL_REACH_MM,
        guild_price: guild::price(island),
        guild_members_max: MEMBERS_MAX as u32,
        chest_slots_max: CHEST_SLOTS_MAX,
        estate_price: estate::price(island),
        claim_chunks_max: CLAIM_CHUNKS_MAX as u32,
        estate_chunks_max: ESTATE_CHUNKS_MAX as u32,
        deeds_max: DEEDS_MAX as u32,
        estate_life_ms: island.estate_life_ms(),
        estate_warning_ms: island.estate_warning_ms(),
        commons_mm: island.commons_mm(),
        way_mm: WAY_MM as u32,
        door_mm: DOOR_MM as u32,
        colours: COLOURS,
    }
}
