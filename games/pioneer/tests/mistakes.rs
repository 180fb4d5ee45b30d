//! Mistakes in the rules of what players do together: the simulator finds each of them.

#![cfg(feature = "planted")]

use std::sync::Arc;

use gundo::sim::{Game, Overrides, Plan, run};
use pioneer::Mistake;
use pioneer::sim::Simulated;

/// How many seeds may be played until one finds a mistake.
const SEEDS: u64 = 12;

#[test]
fn the_simulator_finds_each_mistake() {
    for mistake in Mistake::ALL {
        let found = (0..SEEDS).find_map(|seed| {
            let shape = Overrides { clients: Some(12), ..Overrides::default() };
            let play = |game: Simulated| {
                let game: Arc<dyn Game> = Arc::new(game);
                run(&Plan::new(seed, &shape), &game, None, None).failure
            };
            let failure = play(Simulated::with_mistake(mistake))?;
            // A seed that also fails without the mistake says nothing about it.
            play(Simulated::default()).is_none().then(|| (seed, failure.to_string()))
        });
        let (seed, failure) = found.unwrap_or_else(|| panic!("{mistake:?} was not found by {SEEDS} seeds"));
        println!("{mistake:?} was found by seed {seed}: {failure}");
    }
}
