//! The macros for games: `#[message]` for values that are sent and stored, `#[derive(State)]` for the head of a kind.
//!
//! `message` turns a plain struct into a protobuf message of prost and a plain enum into a choice between messages, and describes
//! both for `schema`. `state` writes the impl with the types and the role of a kind of entity. `payload` serves choices that
//! prost-build generates.
//!
//! Not here: the traits, which are in `gundo_kernel::game`; anything that runs.

mod field;
mod message;
mod payload;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Turns a struct into a protobuf message, or an enum into a choice between messages.
///
/// Every field of a struct has a number, which never changes once a world exists: `#[tag(1)]` at the field, or all of them by
/// name in the head, `#[message(name = 1, flowers = 2)]`. The types are `bool`, `u32`, `u64`, `i32`, `i64`, `f32`, `f64`,
/// `String`, `Bytes`, `Vec<u8>`, another message, and `Vec`, `Option` or `BTreeMap` of these, spelled
/// like this: the macro sees through no alias. For a field that prost supports and
/// this macro does not, use prost's own attribute, `#[prost(…)]`.
///
/// Every variant of an enum has a number, too, and contains one message, or nothing. An enum cannot be a field of another message:
/// it is the type of an entity's asks, commands or events. A version that does not know a variant reads it as unknown, not as an
/// error.
///
/// The macro adds `Clone`, `PartialEq`, `Debug` and, to a struct, `Default`. Signed numbers are `sint32` and `sint64`.
#[proc_macro_attribute]
pub fn message(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(message::expand(attribute.into(), item))
}

/// Declares the types and the role of a kind of entity: `#[state(kind = 3, name = "stall", placed, event = StallEvent, …)]`.
///
/// | word | default | meaning |
/// | --- | --- | --- |
/// | `kind = N` | – | its number, from 1: never changed once a world exists |
/// | `name = "…"` | – | its name for people and tools |
/// | `player`, `land`, `placed` | none: it lives at the home of its id and has no place | its role in the world |
/// | `world = T` | `()` | the game's shared, immutable data |
/// | `event = T` | – | what can happen to it |
/// | `public = T` | the state itself | what others see |
/// | `ask = T`, `answer = T` | nobody asks it; `()` | what other entities ask, and what it answers: it implements `Asked` |
/// | `message = T` | it takes none | what other entities send it (`Done::send`): it implements `Receives` |
/// | `timer = T` | it has none | what its timers are (`Done::timer`): it implements `Timed` |
/// | `order = T`, `order_answer = T` | nobody orders it; `()` | what operators order, and what they hear: it implements `Ordered` |
/// | `command = T`, `reply = T`, `private = T` | –, `()`, `()` | of players: what a client sends, gets, and alone sees |
/// | `tell = T` | it cannot be told | of players: what any entity can tell this player's client (`Done::tell`) |
/// | `signal = T` | `()` | what everybody near sees once |
/// | `live = T` | it does not tick | its volatile part: it implements `Ticking` |
/// | `durable = T` | the state itself | the message that is stored: it implements `Stored` |
/// | `asking_creates` | off | an ask or a message creates one that does not exist yet |
#[proc_macro_derive(State, attributes(state))]
pub fn state(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(state::expand(&item))
}

/// Turns a `oneof` that prost-build generated into a payload, so that a kind's event or command can be the `oneof` itself. Its
/// bytes are those of a message whose only field is the `oneof`.
#[proc_macro_derive(Payload, attributes(payload))]
pub fn payload(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(payload::expand(&item))
}

fn finish(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The path to the engine's names: `gundo`, unless the macro's attribute gives another.
fn default_path() -> syn::Path {
    syn::parse_quote!(::gundo)
}
