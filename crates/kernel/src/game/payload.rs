//! Values that are sent and stored: messages, and choices between messages.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::marker::PhantomData;

use bytes::Bytes;
use gundo_wire::{DecodeError, Message};

/// A value that can be encoded: every protobuf message, and every enum with `#[message]`.
///
/// Decoding is total: any bytes give a value, nothing, or an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that Gundo can send or store",
    label = "not a message",
    note = "write `#[gundo::message]` above your type",
    note = "a type that prost-build generates must use the prost that Gundo re-exports: `Config::prost_path(\"::gundo::prost\")`; with another \
            version of prost in the crate, the traits of the two are different traits"
)]
pub trait Payload: Clone + Debug + Send + Sync + 'static {
    /// The encoded value.
    fn to_bytes(&self) -> Bytes;
    /// Decodes a value. `None`: it is well-formed, but a variant that this version does not know, or no variant at all.
    ///
    /// # Errors
    /// The bytes are not such a value.
    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, DecodeError>;
}

impl<M: Message + Default + Clone + Debug + 'static> Payload for M {
    fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        M::decode(bytes).map(Some)
    }
}

/// The payload that never occurs: the ask of a kind that nobody can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl Payload for Never {
    fn to_bytes(&self) -> Bytes {
        match *self {}
    }

    fn from_bytes(_: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(None)
    }
}

/// A payload whose protobuf definition is known: `#[message]` implements it.
pub trait Describe {
    /// Its name in the schema.
    const NAME: &'static str;
    /// Adds its definition, and those of the messages in it.
    fn describe(schema: &mut Schema);
}

impl Describe for () {
    const NAME: &'static str = "Nothing";

    fn describe(schema: &mut Schema) {
        schema.add(Self::NAME, Vec::new());
    }
}

/// The `.proto` of a game's messages, as clients need it.
#[derive(Debug, Default)]
pub struct Schema {
    seen: BTreeSet<&'static str>,
    heads: String,
    messages: String,
}

impl Schema {
    /// Adds the message `name` with these lines. False: it is there already.
    pub fn add(&mut self, name: &'static str, lines: Vec<String>) -> bool {
        if !self.seen.insert(name) {
            return false;
        }
        // Writing to a string cannot fail.
        let _ = if lines.is_empty() {
            writeln!(self.messages, "message {name} {{}}\n")
        } else {
            writeln!(self.messages, "message {name} {{\n{}\n}}\n", lines.join("\n"))
        };
        true
    }

    /// Begins the section of a kind of entity.
    pub fn kind(&mut self, name: &str, kind: u16) {
        let _ = writeln!(self.heads, "// Kind {kind}, {name}:");
    }

    /// The whole file.
    pub(super) fn text(&self, game: &str) -> String {
        let head = format!("// The messages of the game {game}, for clients.\nsyntax = \"proto3\";\n\n");
        format!("{head}{}\n{}", self.heads, self.messages)
    }
}

/// Finds out whether a payload is described: for the code that `#[derive(State)]` writes.
#[doc(hidden)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    #[doc(hidden)]
    pub const NEW: Self = Self(PhantomData);
}

#[doc(hidden)]
pub trait Described {
    fn describe(&self, schema: &mut Schema, what: &str);
}

impl<T: Describe> Described for &Probe<T> {
    fn describe(&self, schema: &mut Schema, what: &str) {
        if T::NAME != <() as Describe>::NAME {
            let _ = writeln!(schema.heads, "//   {what}: {}", T::NAME);
            T::describe(schema);
        }
    }
}

#[doc(hidden)]
pub trait Undescribed {
    fn describe(&self, schema: &mut Schema, what: &str);
}

impl<T> Undescribed for Probe<T> {
    fn describe(&self, _: &mut Schema, _: &str) {}
}
