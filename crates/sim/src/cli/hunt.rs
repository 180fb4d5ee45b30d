//! The subcommands `mutants` and `mistakes`: which seeds find the planted bugs of the kernel, and the mistakes of the game's rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gundo_types::Planted;

use super::args::{Hunt, Mistakes, Mutants, NOT_PLANTED};
use super::ran::{OTHER, USAGE};
use super::{Shell, each_seed};
use crate::game::Game;
use crate::plan::{Overrides, Plan};
use crate::run::{Report, run};

/// Something that is wrong, for the checkers to find.
struct Wrong {
    name: &'static str,
    game: Arc<dyn Game>,
    planted: Option<Planted>,
    found: AtomicBool,
}

impl Shell {
    /// Plants one bug of the kernel after another.
    pub(super) fn mutants(&self, args: &Mutants) -> u8 {
        if args.hunt.list {
            Planted::ALL.iter().for_each(|p| self.voice.say(&format!("{:28} {}", p.name(), p.about())));
            return 0;
        }
        if !cfg!(feature = "planted") {
            self.voice.complain(&format!("error: {NOT_PLANTED}"));
            return USAGE;
        }
        // If the game's rules do not panic or hang, no run can show these bugs.
        let shows = |p: &Planted| self.game.panics() || !p.needs_faulty_rules();
        let all = || Planted::ALL.iter().copied().filter(shows).collect();
        let names: Vec<Planted> = if args.names.is_empty() { all() } else { args.names.clone() };
        let wrong = names.iter().map(|p| Wrong {
            name: p.name(),
            game: Arc::clone(&self.game),
            planted: Some(*p),
            found: AtomicBool::new(false),
        });
        self.hunt(&args.hunt, &wrong.collect::<Vec<_>>())
    }

    /// Makes one mistake of the game's rules after another.
    pub(super) fn mistakes(&self, args: &Mistakes) -> u8 {
        let all = self.game.mistakes();
        if args.hunt.list {
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
        let mut wrong = Vec::new();
        for (name, _) in all.iter().filter(|(name, _)| wanted(name)) {
            let Some(game) = self.game.with_mistake(name) else {
                self.voice.complain(&format!("error: {NOT_PLANTED}"));
                return USAGE;
            };
            wrong.push(Wrong { name, game, planted: None, found: AtomicBool::new(false) });
        }
        self.hunt(&args.hunt, &wrong)
    }

    /// Tries each seed on all that is not found yet: no seed is run in vain, whatever the number of jobs.
    fn hunt(&self, args: &Hunt, wrongs: &[Wrong]) -> u8 {
        self.quiet_panics(false);
        let shape: Overrides = args.shape.overrides();
        let many = wrongs.len() as u64;
        let job = |turn: u64| {
            let wrong = &wrongs[(turn % many) as usize];
            if wrong.found.load(Ordering::Relaxed) {
                return None;
            }
            let plan = Plan::new(args.from.wrapping_add(turn / many), &shape);
            let report = run(&plan, &wrong.game, wrong.planted, None);
            report.failure.as_ref()?;
            // A seed that also fails when nothing is wrong says nothing.
            let counts = run(&plan, &self.game, None, None).failure.is_none();
            wrong.found.fetch_or(counts, Ordering::Relaxed);
            Some((wrong, report, counts))
        };
        let mut caught: Vec<&str> = Vec::new();
        each_seed(0, many * args.seeds, args.jobs, &job, &mut |result: Option<(&Wrong, Report, bool)>| {
            let Some((wrong, report, counts)) = result else { return true };
            let seed = report.plan.seed;
            if !counts {
                self.voice.say(&format!("seed {seed} fails when nothing is wrong: it does not count"));
            } else if !caught.contains(&wrong.name) {
                let failure = report.failure.as_ref().map(ToString::to_string).unwrap_or_default();
                let tried = seed.wrapping_sub(args.from) + 1;
                self.voice
                    .say(&format!("caught  {:28} by seed {seed} ({tried} tried): {failure}", wrong.name));
                caught.push(wrong.name);
            }
            caught.len() < wrongs.len()
        });
        for wrong in wrongs.iter().filter(|wrong| !caught.contains(&wrong.name)) {
            self.voice.say(&format!("MISSED  {:28} by {} seeds", wrong.name, args.seeds));
        }
        self.voice.say(&format!("{} of {} caught", caught.len(), wrongs.len()));
        if caught.len() == wrongs.len() { 0 } else { OTHER }
    }
}
