//! `crowd` and `groups`: the cost of showing many moving entities to many clients, compared with writing the same bytes.

use crate::Failure;
use crate::load::Scene;
use crate::sheet::Sheet;
use crate::stage::{Run, Stage};

/// Clients of one group see only each other.
const GROUP: usize = 50;

/// N clients in one chunk, with one node and with three.
pub(crate) fn crowd(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("crowd", stage.quick);
    let counts: &[usize] = if stage.quick { &[100] } else { &[100, 300, 1_000] };
    for nodes in [1, 3] {
        for &count in counts {
            let ratio = measure(stage, &mut sheet, nodes, count, Scene::Crowd)?;
            if Some(&count) == counts.last() {
                let tick_ms = 100.0;
                sheet.at_most(
                    format!("CPU against the limit, {count} clients, {nodes} nodes"),
                    ratio.cpu,
                    1.5,
                );
                let name = format!("own move to frame p99, ms, {count} clients, {nodes} nodes");
                sheet.at_most(name, ratio.shown_p99_ms, 2.0 * tick_ms);
                let name = format!("bytes per moving entity per update, {count} clients, {nodes} nodes");
                sheet.at_most(name, ratio.bytes_per_update, 8.0);
            }
        }
    }
    sheet.finish(&stage.out)
}

/// 1,000 clients in groups of 50.
pub(crate) fn groups(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("groups", stage.quick);
    let count = if stage.quick { 200 } else { 1_000 };
    for nodes in [1, 3] {
        let found = measure(stage, &mut sheet, nodes, count, Scene::Groups(GROUP))?;
        sheet.at_most(format!("CPU against the limit, {nodes} nodes"), found.cpu, 1.5);
    }
    sheet.finish(&stage.out)
}

struct Found {
    cpu: f64,
    shown_p99_ms: f64,
    bytes_per_update: f64,
}

fn measure(
    stage: &Stage,
    sheet: &mut Sheet,
    nodes: u16,
    count: usize,
    scene: Scene,
) -> Result<Found, Failure> {
    let server = stage.server(nodes)?;
    let run: Run = stage.run(&server, count, scene)?;
    run.check()?;
    server.process.finish()?;
    let limit = stage.limit(&run, false)?;
    let limit_reads = stage.limit(&run, true)?;
    let updates = run.number("/updates");
    let per_million = |cores: f64| cores * run.seconds() / (updates / 1e6);
    let found = Found {
        cpu: run.cores() / limit.cores,
        shown_p99_ms: run.number("/own_move/p99_ms"),
        bytes_per_update: run.number("/bytes") / updates,
    };
    sheet.row(&[
        ("clients", count.into()),
        ("nodes", nodes.into()),
        ("server_cores", run.cores().into()),
        ("limit_cores", limit.cores.into()),
        ("limit_with_reads_cores", limit_reads.cores.into()),
        ("ratio", found.cpu.into()),
        ("ratio_with_reads", (run.cores() / limit_reads.cores).into()),
        ("server_cpu_s_per_million", per_million(run.cores()).into()),
        ("limit_cpu_s_per_million", per_million(limit.cores).into()),
        ("bytes_per_update", found.bytes_per_update.into()),
        ("updates_per_s", (updates / run.seconds()).into()),
        ("messages_per_s", (run.number("/messages") / run.seconds()).into()),
        ("limit_messages_per_s", limit.messages_per_second.into()),
        ("own_move_p50_ms", run.number("/own_move/p50_ms").into()),
        ("own_move_p99_ms", found.shown_p99_ms.into()),
        ("own_gap_max_ms", run.number("/own_gap/max_ms").into()),
        ("bots_cores", (run.bots_cpu / run.seconds()).into()),
        ("others_cores", run.others.into()),
        ("errors", run.errors().into()),
    ])?;
    Ok(found)
}
