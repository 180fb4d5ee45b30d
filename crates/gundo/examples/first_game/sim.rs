//! The first game in the simulator, as the guide `docs/simulator.md` tells it.

use gundo::EntityId;
use gundo::bots::{Behaviour, Stroll, Wishes};
use gundo::sim::{Facts, Flows, Game, Goods, Holdings};

use super::*;

/// How a person starts it: failures say this, to be run again.
pub(super) const COMMAND: &str = "cargo run --profile sim -p gundo --example first_game -- sim";

const FLOWER: Goods = Goods(1);

pub(super) struct Simulated;

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
            let event = GardenerEvent::decode(event).unwrap_or_default();
            return flows.take(FLOWER, event.picked.into());
        }
        let event = MeadowEvent::decode(event).unwrap_or_default();
        if event.planted.is_some() {
            flows.create(FLOWER, 1);
        }
        if event.picked.is_some() {
            flows.give(FLOWER, 1);
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
            let verb = if wishes.chance.below(2) == 0 { "plant" } else { "pick" };
            wishes.command(0, Wish { verb: verb.into() }.encode_to_vec());
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
