//! The subcommand `mistakes`: makes one mistake in the game's own rules after another, and checks that the checkers find each.

use std::sync::Arc;

use super::Shell;
use super::args::{Mistakes, NOT_PLANTED};
use super::ran::{OTHER, USAGE};
use crate::game::Game;
use crate::plan::{Overrides, Plan};
use crate::run::{Report, run};

impl Shell {
    pub(super) fn mistakes(&self, args: &Mistakes) -> u8 {
        self.quiet_panics(false);
        let all = self.game.mistakes();
        if args.list {
            all.iter().for_each(|(name, about)| self.voice.say(&format!("{name:28} {about}")));
            return 0;
        }
        if let Some(unknown) = args.names.iter().find(|name| all.iter().all(|(known, _)| known != *name)) {
            self.voice.complain(&format!(
                "error: no rule has the mistake `{unknown}`; `mistakes --list` names them"
            ));
            return USAGE;
        }
        let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|other| other == name);
        let (mut tried, mut caught) = (0, 0);
        for (name, _) in all.iter().filter(|(name, _)| wanted(name)) {
            let Some(wrong) = self.game.with_mistake(name) else {
                self.voice.complain(&format!("error: {NOT_PLANTED}"));
                return USAGE;
            };
            tried += 1;
            match self.first_to_find(&wrong, args) {
                Some(report) => {
                    let failure = report.failure.as_ref().map(ToString::to_string).unwrap_or_default();
                    self.voice.say(&format!("caught  {name:28} by seed {}: {failure}", report.plan.seed));
                    caught += 1;
                }
                None => self.voice.say(&format!("MISSED  {name:28} by {} seeds", args.seeds)),
            }
        }
        self.voice.say(&format!("{caught} of {tried} caught"));
        if caught == tried { 0 } else { OTHER }
    }

    /// A seed that also fails without the mistake says nothing about it.
    fn first_to_find(&self, wrong: &Arc<dyn Game>, args: &Mistakes) -> Option<Report> {
        let shape: Overrides = args.shape.overrides();
        (0..args.seeds).find_map(|index| {
            let plan = Plan::new(args.from.wrapping_add(index), &shape);
            let report = run(&plan, wrong, None, None);
            report.failure.as_ref()?;
            run(&plan, &self.game, None, None).failure.is_none().then_some(report)
        })
    }
}
