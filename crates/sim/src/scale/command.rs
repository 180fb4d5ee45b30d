//! `scale`: measures a matrix of cases, and says and draws what came out.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::{Case, NODES_MAX, PLAYERS_MAX, Schedule, Shape, measure, plot, table};

/// What is measured, and where it goes.
#[derive(Args)]
pub(crate) struct Scale {
    /// Numbers of nodes.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [3, 10, 30, 64],
        value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: Vec<u16>,
    /// Numbers of players.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1_000, 5_000, 20_000],
        value_parser = clap::value_parser!(u64).range(1..=PLAYERS_MAX as u64))]
    players: Vec<u64>,
    /// Where they are: on an area on which each sees about ten others, all in one chunk, or both in turn.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum, default_values_t = [Shape::Spread, Shape::Crowd])]
    shapes: Vec<Shape>,
    /// Seconds that are counted, after 36 in which everybody comes in and begins to walk.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Where players are born, where they walk.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write the table here too, as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw it here, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Scale {
    /// Runs the command and returns the exit code. `say` takes the table, `mutter` how it goes: that differs from run to run.
    pub(crate) fn run(&self, say: &dyn Fn(&str), mutter: &dyn Fn(&str)) -> u8 {
        match self.try_run(say, mutter) {
            Ok(()) => 0,
            Err(text) => {
                mutter(&format!("error: {text}"));
                1
            }
        }
    }

    fn try_run(&self, say: &dyn Fn(&str), mutter: &dyn Fn(&str)) -> Result<(), String> {
        // Not after a quarter of an hour.
        self.markdown.iter().chain(&self.svg).try_for_each(|file| check_writable(file))?;
        let schedule = Schedule::counting(self.seconds * 1_000);
        let mut all = Vec::new();
        for case in self.cases() {
            let begin = Instant::now();
            let (measured, cpu) = measure(case, schedule, self.seed)?;
            let each = cpu.as_secs_f64() * 1e6 / self.seconds as f64 / case.players as f64;
            let took = begin.elapsed().as_secs_f64();
            mutter(&format!("{case}: {each:.0} µs of CPU per player and second; took {took:.1} s"));
            all.push(measured);
        }
        say(&format!(
            "Sent by each node per second: the mean (the maximum) over the nodes; seed {}",
            self.seed
        ));
        say(table::text(&all).trim_end());
        if let Some(file) = &self.markdown {
            write(file, &table::markdown(&all))?;
        }
        if let Some(file) = &self.svg {
            let drawn = plot::svg(&all).map_err(|error| format!("the plot cannot be drawn: {error}"))?;
            write(file, &drawn)?;
        }
        Ok(())
    }

    fn cases(&self) -> impl Iterator<Item = Case> + '_ {
        self.shapes.iter().flat_map(move |shape| {
            self.players.iter().flat_map(move |players| {
                let case = |nodes: &u16| Case { shape: *shape, players: *players as usize, nodes: *nodes };
                self.nodes.iter().map(case)
            })
        })
    }
}

fn check_writable(file: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Game, main_told};
    use gundo_kernel::game::Rules;

    struct Walkers;

    impl Game for Walkers {
        fn name(&self) -> &'static str {
            "walkers"
        }

        fn rules(&self, _: u64) -> Arc<Rules> {
            Arc::new(super::super::walker::rules())
        }
    }

    fn tell(words: &str) -> (u8, String) {
        main_told("sim", Arc::new(Walkers), ["sim", "scale"].into_iter().chain(words.split_whitespace()))
    }

    #[test]
    fn wrong_words_are_wrong_usage() {
        for words in
            ["--nodes 0", "--nodes 3,x", "--players 0", "--shapes heap", "--seconds 0", "--svg", "more"]
        {
            let (code, text) = tell(words);
            assert_eq!(code, 2, "{words}: {text}");
            assert_eq!(text.lines().count(), 1, "{words}: {text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_anything_is_measured() {
        let (code, text) = tell("--players 6 --nodes 1 --seconds 1 --svg /nowhere/at/all.svg");
        assert_eq!(code, 1);
        assert!(text.starts_with("error: /nowhere/at/all.svg cannot be written"), "{text}");
    }

    #[test]
    fn the_table_and_the_plot_are_the_same_for_the_same_seed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (markdown, svg) = (folder.path().join("t.md"), folder.path().join("p.svg"));
        let words = format!(
            "--nodes 2,3 --players 6 --seconds 1 --seed 5 --markdown {} --svg {}",
            markdown.display(),
            svg.display()
        );
        let mut written = Vec::new();
        for _ in 0..2 {
            let (code, text) = tell(&words);
            assert_eq!(code, 0, "{text}");
            let read = |file| fs::read_to_string(file).expect("it was written");
            let table: Vec<String> =
                text.lines().filter(|l| !l.contains("took")).map(str::to_owned).collect();
            assert_eq!(table.len(), 2 + 4, "{text}");
            written.push((table, read(&markdown), read(&svg)));
        }
        assert_eq!(written[0], written[1]);
        assert_eq!(written[0].1.lines().count(), 2 + 4);
    }
}
