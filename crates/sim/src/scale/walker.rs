//! The smallest game: a flat world without land, players who walk. What is measured is the engine.

use std::sync::Arc;

use gundo_kernel::game::{Context, Decision, Entity, Refusal, Rules};
use gundo_types::{Body, Kind, Point, WorldTime};
use gundo_wire::DecodeError;

/// How fast they walk, mm/s.
pub(super) const SPEED_MM_S: u32 = 2_000;

/// A player without properties.
struct Walker;

impl Entity for Walker {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "walker";
    type World = ();
    type Command = ();
    type Event = ();
    type Live = ();

    fn new(_: u64, (): &()) -> Self {
        Self
    }

    fn restore(_: u64, (): &(), _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decide(&self, (): (), _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        Ok(Decision::new())
    }

    fn apply(&mut self, (): &()) {}

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn create(&self, name: &str, _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        let mut numbers = name.split('_').map(str::parse);
        let (Some(Ok(x)), Some(Ok(y))) = (numbers.next(), numbers.next()) else {
            return Err(Refusal::new("bad_name", "A name here is x_y, in mm."));
        };
        Ok(Decision::new().event(&()).body(Body { at: Point::new(x, y), ..Body::default() }))
    }

    fn speed_max(&self, (): &()) -> u32 {
        // A step is wished for a little early or late, and is rounded.
        2 * SPEED_MM_S
    }
}

/// The name of a player who is to be born at `at`.
pub(super) fn name_at(at: Point) -> String {
    format!("{}_{}", at.x, at.y)
}

pub(super) fn rules() -> Rules {
    Rules::new::<Walker>("walkers", &Arc::new(()))
}
