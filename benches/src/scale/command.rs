//! The command: measures a matrix of cases, and prints, draws and writes the results.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::{Case, Measured, NODES_MAX, PLAYERS_MAX, Schedule, Shape, Traffic, measure, plot, table};
use crate::Failure;
use crate::serve::say;
use crate::sheet::Sheet;
use crate::stage::Stage;

/// What to measure, and where to write it.
#[derive(Args)]
pub(crate) struct ScaleArgs {
    /// Numbers of nodes.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [3, 10, 30, 64],
        value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: Vec<u16>,
    /// Numbers of players.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1_000, 5_000, 20_000],
        value_parser = clap::value_parser!(u64).range(1..=PLAYERS_MAX as u64))]
    players: Vec<u64>,
    /// Where they are: in an area where each sees about ten others, all in one chunk, or one after the other.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum, default_values_t = [Shape::Spread, Shape::Crowd])]
    shapes: Vec<Shape>,
    /// Seconds to count, after 36 in which all players come in and start to walk.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Seed of where players are born and where they walk.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Also write the table to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw the plot to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Measures every case, shows the table and writes the requested files.
pub(crate) fn scale(stage: &Stage, mut args: ScaleArgs) -> Result<(), Failure> {
    if stage.quick {
        args.cut();
    }
    let mut sheet = Sheet::new("scale", stage.quick);
    for measured in args.run(&|text| say(text), &|text| eprintln!("{text}"))? {
        sheet.add(&cells(&measured));
    }
    sheet.finish(&stage.out)
}

/// The means over the nodes, per second, as a row of the JSON.
fn cells(measured: &Measured) -> [(&'static str, serde_json::Value); 10] {
    let mean = |what: fn(&Traffic) -> u64| measured.rates(what).0.into();
    let Case { shape, players, nodes } = measured.case;
    [
        ("players_are", shape.to_string().into()),
        ("players", players.into()),
        ("nodes", nodes.into()),
        ("peer_messages", mean(Traffic::peer_messages)),
        ("bundles", mean(|node| node.bundles)),
        ("interest", mean(|node| node.interest)),
        ("peer_bytes", mean(|node| node.peer_bytes)),
        ("client_messages", mean(|node| node.client_messages)),
        ("client_bytes", mean(|node| node.client_bytes)),
        ("appends", mean(|node| node.appends)),
    ]
}

impl ScaleArgs {
    /// Small numbers, for `--quick`.
    fn cut(&mut self) {
        self.nodes.iter_mut().for_each(|nodes| *nodes = 10.min(*nodes));
        self.nodes.dedup();
        self.players.iter_mut().for_each(|players| *players = 100.min(*players));
        self.players.dedup();
        self.seconds = 1;
    }

    /// Measures every case. `say` takes the table, `mutter` the progress, which differs from run to run.
    fn run(
        &self,
        say: &dyn Fn(&str) -> std::io::Result<()>,
        mutter: &dyn Fn(&str),
    ) -> Result<Vec<Measured>, Failure> {
        // Check this now, not after a quarter of an hour.
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
        ))?;
        say(table::text(&all).trim_end())?;
        if let Some(file) = &self.markdown {
            write(file, &table::markdown(&all))?;
        }
        if let Some(file) = &self.svg {
            let drawn = plot::svg(&all).map_err(|error| format!("cannot draw the plot: {error}"))?;
            write(file, &drawn)?;
        }
        Ok(all)
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
    use std::cell::RefCell;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        args: ScaleArgs,
    }

    fn args(words: &str) -> Result<ScaleArgs, clap::Error> {
        Words::try_parse_from(std::iter::once("scale").chain(words.split_whitespace()))
            .map(|words| words.args)
    }

    /// The output of the command, line by line.
    fn tell(words: &str) -> Result<Vec<String>, Failure> {
        let said = RefCell::new(Vec::new());
        let say = |text: &str| {
            said.borrow_mut().extend(text.lines().map(str::to_owned));
            Ok(())
        };
        args(words)?.run(&say, &|_| ())?;
        Ok(said.into_inner())
    }

    #[test]
    fn wrong_words_are_wrong_usage() {
        for words in
            ["--nodes 0", "--nodes 3,x", "--players 0", "--shapes heap", "--seconds 0", "--svg", "more"]
        {
            assert!(args(words).is_err(), "{words}");
        }
    }

    #[test]
    fn quick_is_small() {
        let mut args = args("").expect("the defaults are good");
        args.cut();
        let cases: Vec<_> = args.cases().map(|case| (case.players, case.nodes)).collect();
        assert_eq!(cases, [(100, 3), (100, 10), (100, 3), (100, 10)]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_anything_is_measured() {
        let failure =
            tell("--players 6 --nodes 1 --seconds 1 --svg /nowhere/at/all.svg").expect_err("no folder");
        assert!(failure.to_string().starts_with("/nowhere/at/all.svg cannot be written"), "{failure}");
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
        let written = [(); 2].map(|()| {
            let said = tell(&words).expect("it is measured");
            let read = |file| fs::read_to_string(file).expect("it was written");
            (said, read(&markdown), read(&svg))
        });
        assert_eq!(written[0], written[1]);
        assert_eq!(written[0].0.len(), 2 + 4, "{:?}", written[0].0);
        assert_eq!(written[0].1.lines().count(), 2 + 4);
    }
}
