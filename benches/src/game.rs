//! The smallest game: a flat world without land, and players who walk and note things down.
//!
//! The benchmarks measure the engine; a real game's rules would add their own cost on top.

use gundo::prelude::*;

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
#[derive(State)]
#[state(kind = 1, name = "walker", player, durable = Noted, event = Happened, public = ())]
#[state(command = Note, reply = Noted, private = Noted)]
struct Walker(u64);

impl Stored for Walker {
    fn load(_: u64, (): &(), noted: Noted) -> Self {
        Self(noted.count)
    }

    fn save(&self) -> Noted {
        Noted { count: self.0 }
    }
}

impl Player for Walker {
    fn decide(&self, command: Note, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        let event = Happened { note: Some(command) };
        Ok(Done::new().event(&event).reply(&Noted { count: self.0 + 1 }).into())
    }

    fn private(&self) -> Noted {
        self.save()
    }

    fn create(&self, name: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        let mut numbers = name.split('_').map(str::parse);
        let (Some(Ok(x)), Some(Ok(y))) = (numbers.next(), numbers.next()) else {
            return Err(Refusal::new("bad_name", "A name here is x_y_anything, in mm."));
        };
        let body = Body { at: Point::new(x, y), ..Body::default() };
        Ok(Done::new().event(&Happened { note: None }).body(body))
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body::default()
    }

    fn speed_max(&self, (): &()) -> u32 {
        10_000
    }
}

impl Entity for Walker {
    fn apply(&mut self, event: &Happened) {
        self.0 += u64::from(event.note.is_some());
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        Some(())
    }
}

/// The name of a player who should be born at `at`.
pub(crate) fn name_at(at: Point, suggestion: &str) -> String {
    format!("{}_{}_{suggestion}", at.x, at.y)
}

/// The game.
pub(crate) fn rules() -> Rules {
    // Bots write as much as the journal takes.
    Rules::new("bench", ()).with::<Walker>().pace(1_000_000, 1_000)
}
