//! The smallest game: a flat world without land, and players who walk and note things down: each for itself, for others too, or on a
//! board.
//!
//! The benchmarks measure the engine; a real game's rules would add their own cost on top.

use gundo::prelude::*;

/// A player's command: note these bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Note {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) text: Vec<u8>,
    /// These players note it as well, in one transaction.
    #[prost(fixed64, repeated, tag = "2")]
    pub(crate) to: Vec<u64>,
    /// It is noted on the board as well.
    #[prost(bool, tag = "3")]
    pub(crate) board: bool,
}

/// The one board.
const BOARD: u64 = 1;

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
    /// Another player has noted it for this one.
    #[prost(bool, tag = "2")]
    given: bool,
}

/// A player: how many notes it made.
#[derive(State)]
#[state(kind = 1, name = "walker", player, durable = Noted, event = Happened, public = ())]
#[state(command = Note, reply = Noted, private = Noted, ask = Note)]
struct Walker(u64);

/// A board on which all players note things.
#[derive(State)]
#[state(kind = 2, name = "board", durable = Noted, event = Happened, public = (), ask = Note, asking_creates)]
struct Board(u64);

impl Stored for Board {
    fn load(_: u64, (): &(), noted: Noted) -> Self {
        Self(noted.count)
    }

    fn save(&self) -> Noted {
        Noted { count: self.0 }
    }
}

impl Entity for Board {
    fn apply(&mut self, event: &Happened) {
        self.0 += u64::from(event.note.is_some());
    }

    fn public(&self, _: WorldTime) -> Option<()> {
        None
    }
}

impl Asked for Board {
    fn answer(&self, note: Note, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&Happened { note: Some(note), given: false }), ()))
    }
}

impl Asked for Walker {
    fn answer(&self, note: Note, _: &Actor, _: &mut Context<'_, Self>) -> Answered<Self> {
        Ok((Done::new().event(&Happened { note: Some(note), given: true }), ()))
    }
}

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
        let Note { text, to, board } = command;
        let note = Note { text, ..Note::default() };
        let noted = |me: &Self, note: &Note| {
            let event = Happened { note: Some(note.clone()), given: false };
            Done::new().event(&event).reply(&Noted { count: me.0 + 1 })
        };
        if board {
            let ask = Ask::of::<Board>(BOARD, &note);
            return Ok(ask.then(move |me: &Self, (), _| Ok(noted(me, &note))));
        }
        if !to.is_empty() {
            let ask = Ask::each::<Self>(to, &note);
            return Ok(ask.then(move |me: &Self, _, _| Ok(noted(me, &note))));
        }
        Ok(noted(self, &note).into())
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
        Ok(Done::new().event(&Happened::default()).body(body))
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
        self.0 += u64::from(event.note.is_some() && !event.given);
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
    Rules::new("bench", ()).with::<Walker>().with::<Board>().pace(1_000_000, 1_000)
}
