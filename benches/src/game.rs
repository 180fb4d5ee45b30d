//! The smallest game: a flat world without land, and players who walk and note things down.
//!
//! The benchmarks measure the engine; a real game's rules would add their own cost on top.

use std::sync::Arc;

use gundo::{Body, Context, Decision, DecodeError, Entity, Kind, Message, Point, Refusal, Rules, WorldTime};

/// A player's command: note these bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Note {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) text: Vec<u8>,
}

/// The answer: how many notes there are now.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Noted {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
}

/// The one event: a player was born (no note) or noted something.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Happened {
    #[prost(message, optional, tag = "1")]
    note: Option<Note>,
}

/// A player: how many notes it made.
struct Walker(u64);

impl Entity for Walker {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "walker";
    type World = ();
    type Command = Note;
    type Event = Happened;
    type Live = ();

    fn new(_: u64, (): &()) -> Self {
        Self(0)
    }

    fn restore(_: u64, (): &(), snapshot: &[u8]) -> Result<Self, DecodeError> {
        Noted::decode(snapshot).map(|noted| Self(noted.count))
    }

    fn snapshot(&self) -> Vec<u8> {
        Noted { count: self.0 }.encode_to_vec()
    }

    fn decide(&self, command: Note, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let event = Happened { note: Some(command) };
        Ok(Decision::new().event(&event).reply(&Noted { count: self.0 + 1 }))
    }

    fn apply(&mut self, event: &Happened) {
        self.0 += u64::from(event.note.is_some());
    }

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn private(&self) -> Vec<u8> {
        Noted { count: self.0 }.encode_to_vec()
    }

    fn create(&self, name: &str, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let mut numbers = name.split('_').map(str::parse);
        let (Some(Ok(x)), Some(Ok(y))) = (numbers.next(), numbers.next()) else {
            return Err(Refusal::new("bad_name", "A name here is x_y_anything, in mm."));
        };
        let body = Body { at: Point::new(x, y), ..Body::default() };
        Ok(Decision::new().event(&Happened { note: None }).body(body))
    }

    fn speed_max(&self, (): &()) -> u32 {
        10_000
    }
}

/// The name of a player who should be born at `at`.
pub(crate) fn name_at(at: Point, suggestion: &str) -> String {
    format!("{}_{}_{suggestion}", at.x, at.y)
}

/// The game.
pub(crate) fn rules() -> Rules {
    Rules::new::<Walker>("bench", &Arc::new(()))
}
