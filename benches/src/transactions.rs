//! `transactions`: commands that several entities decide together, against plain durable commands of the same run.
//!
//! Nodes are in one process, so a round trip between two of them takes microseconds; `cluster` has real ones.

use crate::Failure;
use crate::load::{Scene, Whom};
use crate::sheet::Sheet;
use crate::stage::{Run, Stage};

/// A load of transactions, or (`whom`: `None`) of plain commands.
struct Case {
    name: &'static str,
    nodes: u16,
    clients: usize,
    width: usize,
    whom: Option<Whom>,
}

/// All loads, and what they should reach.
pub(crate) fn transactions(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("transactions", stage.quick);
    let few = |clients: usize| if stage.quick { clients.min(32) } else { clients };
    let mut run = |name, nodes, clients, width, whom| {
        let case = Case { name, nodes, clients: few(clients), width, whom };
        measure(stage, &mut sheet, &case)
    };
    let rate = |run: &Run| run.number("/commands_per_second");
    let plain = run("plain commands", 1, 100, 4, None)?;
    let local = run("two players on one node", 1, 100, 4, Some(Whom::Partner))?;
    let plain_on_three = run("plain commands", 3, 100, 4, None)?;
    let remote = run("two players on two nodes", 3, 100, 4, Some(Whom::Partner))?;
    let alone = run("one plain command at a time", 3, 1, 1, None)?;
    let pair = run("one transaction at a time", 3, 2, 1, Some(Whom::Celebrity))?;
    let anybody = run("anybody with anybody", 3, 1_000, 1, Some(Whom::Anybody))?;
    let celebrity = run("all with one", 3, 100, 1, Some(Whom::Celebrity))?;
    let party = run("sixteen players on four nodes", 4, 64, 1, Some(Whom::Party))?;
    let board = run("one board", 3, 1_000, 1, Some(Whom::Board))?;
    sheet.at_least("two players on one node against plain commands", rate(&local) / rate(&plain), 1.0 / 3.0);
    let share = rate(&remote) / rate(&plain_on_three);
    sheet.at_least("two players on two nodes against plain commands", share, 0.2);
    let over = pair.number("/command/p50_ms") - alone.number("/command/p50_ms");
    sheet.at_most("two players on two nodes: p50 above a plain command, ms", over, 1.0);
    let fair = celebrity.number("/slowest_of_median");
    sheet.at_least("all with one: the slowest against the median", fair, 0.1);
    let unanswered = [&anybody, &celebrity].map(|run| run.number("/lost")).iter().sum();
    sheet.at_most("commands that were not answered", unanswered, 0.0);
    sheet.at_most("sixteen players: p99, ms", party.number("/command/p99_ms"), 100.0);
    sheet.at_least("one board: answers per second", rate(&board), 1_500.0);
    sheet.at_most("one board: p99, ms", board.number("/command/p99_ms"), 250.0);
    sheet.at_most("one board: refused as busy", board.number("/refused_by_game"), 0.0);
    sheet.finish(&stage.out)
}

fn measure(stage: &Stage, sheet: &mut Sheet, case: &Case) -> Result<Run, Failure> {
    let Case { name, nodes, clients, width, whom } = *case;
    let server = stage.server(nodes)?;
    let scene = whom.map_or(Scene::Hammer(width), |whom| Scene::Trade { width, whom });
    let run = stage.run(&server, clients, scene)?;
    run.check()?;
    server.process.finish()?;
    let answered = run.number("/answered");
    sheet.row(&[
        ("load", name.into()),
        ("nodes", nodes.into()),
        ("clients", clients.into()),
        ("under_way_each", width.into()),
        ("answers_per_s", run.number("/commands_per_second").into()),
        ("p50_ms", run.number("/command/p50_ms").into()),
        ("p99_ms", run.number("/command/p99_ms").into()),
        ("busy_share", (run.number("/refused_by_game") / answered).into()),
        ("slowest_of_median", run.number("/slowest_of_median").into()),
        ("server_cores", run.cores().into()),
        ("bots_cores", (run.bots_cpu / run.seconds()).into()),
        ("others_cores", run.others.into()),
        ("errors", run.errors().into()),
    ])?;
    Ok(run)
}
