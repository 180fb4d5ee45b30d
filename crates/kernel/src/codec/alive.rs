//! Heartbeats.

use gundo_types::WorldTime;
use gundo_wire::peer::{self as wire, Malformed, node};

use crate::peer::Alive;

/// A sender that was confirmed this long ago at most says so to receivers that know nothing else, ms.
const RENEWS_MS: u32 = 3_000;

impl From<&Alive> for wire::Alive {
    fn from(alive: &Alive) -> Self {
        Self {
            renews: alive.confirmed_ms < RENEWS_MS,
            unreachable: alive.unreachable.iter().map(|node| node.0.into()).collect(),
            confirmed_ms: Some(alive.confirmed_ms),
            unheard: alive.unheard,
            world_ms: alive.world.map(|world| world.0),
            sent_us: alive.sent_us,
            echo_us: alive.echo_us,
        }
    }
}

impl TryFrom<wire::Alive> for Alive {
    type Error = Malformed;

    fn try_from(said: wire::Alive) -> Result<Self, Malformed> {
        let wire::Alive { renews, unreachable, confirmed_ms, unheard, world_ms, sent_us, echo_us } = said;
        if world_ms.is_some_and(|ms| ms > WorldTime::MAX.0) {
            return Err(Malformed::OutOfRange("a world time"));
        }
        Ok(Self {
            confirmed_ms: confirmed_ms.unwrap_or(if renews { 0 } else { u32::MAX }),
            unreachable: unreachable.into_iter().map(node).collect::<Result<_, _>>()?,
            unheard,
            world: world_ms.map(WorldTime),
            sent_us,
            echo_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_node_says_is_understood() {
        let said = |renews| wire::Alive { renews, unreachable: vec![7], ..Default::default() };
        let heard = |renews| Alive::try_from(said(renews)).expect("it is well-formed");
        assert_eq!((heard(true).confirmed_ms, heard(false).confirmed_ms), (0, u32::MAX));
        assert!(!heard(true).unheard && heard(true).world.is_none());
    }

    #[test]
    fn a_time_beyond_all_worlds_is_refused() {
        let said = |ms| wire::Alive { world_ms: Some(ms), ..Default::default() };
        assert!(Alive::try_from(said(WorldTime::MAX.0)).is_ok());
        let error = Alive::try_from(said(WorldTime::MAX.0 + 1)).expect_err("it is too late");
        assert_eq!(error, Malformed::OutOfRange("a world time"));
    }
}
