//! `cluster-cost`: what a player costs when its world runs in more processes, and how much memory a process has.
//!
//! The density of players stays the same, so each sees about ten others. One machine runs everything: the sum of all processes' CPU
//! time counts, not how much each has left.

use crate::Failure;
use crate::cluster::node_processes;
use crate::load::Scene;
use crate::proc::{cpu_seconds, cpu_seconds_of, rss_bytes};
use crate::sheet::Sheet;
use crate::stage::{Run, Stage};

/// A load on a cluster.
struct Load {
    run: Run,
    /// CPU of PostgreSQL and etcd, cores.
    engines: [f64; 2],
    /// Memory of each node's process, MiB.
    mib: Vec<f64>,
}

/// Walking players on 1, 2 and 4 processes, then players who stand on three.
pub(crate) fn cluster_cost(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("cluster-cost", stage.quick);
    let (players, idle) = if stage.quick { (100, 300) } else { (1_000, 10_000) };
    let mut costs = Vec::new();
    for nodes in [1, 2, 4] {
        let load = measure(stage, nodes, players, Scene::Spread)?;
        let cost = load.run.cores() / players as f64 * 1e6;
        let limit = stage.limit(&load.run, false)?;
        row(&mut sheet, nodes, players, &load, &[("limit_cores", limit.cores.into())])?;
        costs.push(cost);
    }
    if let [one, two, four] = costs[..] {
        sheet.at_most("CPU per player, growth per added node, 1 to 2", two / one - 1.0, 0.1);
        sheet.at_most("CPU per player, growth per added node, 2 to 4", (four / two - 1.0) / 2.0, 0.1);
    }
    let load = measure(stage, 3, idle, Scene::Idle)?;
    row(&mut sheet, 3, idle, &load, &[])?;
    sheet.finish(&stage.out)
}

fn measure(stage: &Stage, nodes: u16, players: usize, scene: Scene) -> Result<Load, Failure> {
    let server = stage.cluster(nodes)?;
    let processes = node_processes(server.dir.path(), nodes)?;
    let (first, port) = server.url.rsplit_once(':').ok_or("no port in the URL")?;
    let port: u16 = port.parse()?;
    let urls = (0..nodes).map(|node| format!("{first}:{}", port + node)).collect();
    let cpu = || processes.iter().map(|process| cpu_seconds(*process)).sum::<Result<f64, _>>();
    let programs = ["postgres", "etcd"];
    let engines = || -> Result<Vec<f64>, Failure> { programs.into_iter().map(cpu_seconds_of).collect() };
    let before = std::cell::RefCell::new(Vec::new());
    // The server's CPU time is read at both ends of the window: so is the engines'.
    let both = || {
        before.borrow_mut().push(engines()?);
        cpu()
    };
    let run = stage.run_on(urls, players, scene, &both)?;
    run.check()?;
    let at = before.into_inner();
    let [begin, end] = &at[..] else { return Err("the window has two ends".into()) };
    let used = |index: usize| (end[index] - begin[index]) / run.seconds();
    let engines = [used(0), used(1)];
    let mib = |process: &u32| Ok(rss_bytes(*process)? as f64 / f64::from(1 << 20));
    let mib = processes.iter().map(mib).collect::<Result<_, Failure>>()?;
    server.process.finish()?;
    Ok(Load { run, engines, mib })
}

fn row(
    sheet: &mut Sheet,
    nodes: u16,
    players: usize,
    load: &Load,
    more: &[(&str, serde_json::Value)],
) -> Result<(), Failure> {
    let run = &load.run;
    let mib: Vec<String> = load.mib.iter().map(|mib| format!("{mib:.0}")).collect();
    let mut cells: Vec<(&str, serde_json::Value)> = vec![
        ("processes", nodes.into()),
        ("players", players.into()),
        ("nodes_cores", run.cores().into()),
        ("cpu_us_per_player_s", (run.cores() / players as f64 * 1e6).into()),
        ("postgres_cores", load.engines[0].into()),
        ("etcd_cores", load.engines[1].into()),
        ("process_mib", mib.join(" ").into()),
        ("bytes_per_player_s", run.number("/bytes_per_client").into()),
        ("moves_per_s", (run.number("/moves") / run.seconds()).into()),
        ("own_move_p50_ms", run.number("/own_move/p50_ms").into()),
        ("own_move_p99_ms", run.number("/own_move/p99_ms").into()),
        ("bots_cores", (run.bots_cpu / run.seconds()).into()),
        ("connects_per_s", run.number("/connects_per_second").into()),
        ("errors", run.errors().into()),
    ];
    cells.extend(more.iter().cloned());
    sheet.row(&cells)
}
