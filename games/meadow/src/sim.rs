//! The meadow in the simulator, as the guide `docs/simulator.md` tells it.

use std::sync::Arc;

use gundo::bots::{Behaviour, Stroll, Wishes};
use gundo::prelude::*;
use gundo::sim::{Facts, Flows, Game, Goods, Holdings};
use gundo::{Message, Payload};

use crate::{ARMS_MAX, FLOWERS_MAX, Gardener, GardenerEvent, Meadow, MeadowEvent, Wish, rules};

/// How a person starts it: failures say this, to be run again.
pub const COMMAND: &str = "cargo run --profile sim -p meadow --features sim -- sim";

const FLOWER: Goods = Goods(1);

/// The meadow, as the simulator plays it.
pub struct Simulated;

impl Game for Simulated {
    fn name(&self) -> &'static str {
        "meadow"
    }

    fn rules(&self, _seed: u64) -> Arc<Rules> {
        Arc::new(rules())
    }

    fn mind(&self, index: usize) -> Box<dyn Behaviour> {
        let (corner, opposite) = (Point::new(20_000, 5_000), Point::new(40_000, 25_000));
        Box::new(Mind { stroll: Stroll::new(index as u64, 2_000).within(corner, opposite) })
    }

    fn holdings(&self, entity: EntityId, snapshot: &[u8], holdings: &mut Holdings) {
        let flowers = match entity.kind {
            Gardener::KIND => i64::from(Gardener::decode(snapshot).unwrap_or_default().flowers),
            _ => Meadow::decode(snapshot).unwrap_or_default().flowers.len() as i64,
        };
        holdings.add(FLOWER, flowers);
    }

    fn flows(&self, _seed: u64, entity: EntityId, _before: &[u8], event: &[u8], flows: &mut Flows) {
        if entity.kind == Gardener::KIND {
            if let Ok(Some(GardenerEvent::Picked)) = GardenerEvent::from_bytes(event) {
                flows.take(FLOWER, 1);
            }
            return;
        }
        match MeadowEvent::from_bytes(event) {
            Ok(Some(MeadowEvent::Planted(_))) => flows.create(FLOWER, 1),
            Ok(Some(MeadowEvent::Picked(_))) => flows.give(FLOWER, 1),
            Ok(None) | Err(_) => {}
        }
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), String> {
        for (id, state) in facts.states(Gardener::KIND) {
            let gardener = Gardener::decode(state).map_err(|error| error.to_string())?;
            if gardener.flowers > ARMS_MAX {
                return Err(format!("{} ({:x}) carries {} flowers", gardener.name, id.id, gardener.flowers));
            }
        }
        for (id, state) in facts.states(Meadow::KIND) {
            let meadow = Meadow::decode(state).map_err(|error| error.to_string())?;
            if meadow.flowers.len() > FLOWERS_MAX {
                return Err(format!("meadow {:x} has {} flowers", id.id, meadow.flowers.len()));
            }
        }
        Ok(())
    }
}

struct Mind {
    stroll: Stroll,
}

impl Behaviour for Mind {
    fn step(&mut self, wishes: &mut Wishes) {
        self.stroll.step(wishes);
        if wishes.open == 0 && wishes.chance.below(5) == 0 {
            let wish = if wishes.chance.below(2) == 0 { Wish::Plant } else { Wish::Pick };
            wishes.command(0, wish.to_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use gundo::sim::{Overrides, Plan, run};

    use super::*;

    #[test]
    fn a_few_seeds_hold() {
        let game: Arc<dyn Game> = Arc::new(Simulated);
        let small =
            Overrides { nodes: Some(2), clients: Some(4), fault_ms: Some(70_000), ..Overrides::default() };
        for seed in 1..=3 {
            let plan = Plan::new(seed, &small);
            assert_eq!(run(&plan, &game, None, None).failure, None, "{plan}");
        }
    }
}
