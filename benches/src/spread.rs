//! `spread`: does the cost of a client stay the same when the world grows with the number of clients?

use crate::Failure;
use crate::load::Scene;
use crate::sheet::Sheet;
use crate::stage::{Stage, median};

/// 1,000 and 5,000 clients, about 10 visible to each.
pub(crate) fn spread(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("spread", stage.quick);
    let (counts, runs): (&[usize], usize) = if stage.quick { (&[100, 300], 1) } else { (&[1_000, 5_000], 5) };
    let nodes = 3;
    let mut per_client = Vec::new();
    for &count in counts {
        let (mut cores, mut p99) = (Vec::new(), Vec::new());
        for run_number in 1..=runs {
            let server = stage.server(nodes)?;
            let run = stage.run(&server, count, Scene::Spread)?;
            server.process.finish()?;
            if run.has_lost_commands() {
                return Err("commands were lost".into());
            }
            let limit = stage.limit(&run, false)?;
            cores.push(run.cores());
            p99.push(run.number("/own_move/p99_ms"));
            sheet.row(&[
                ("clients", count.into()),
                ("nodes", nodes.into()),
                ("run", run_number.into()),
                ("server_cores", run.cores().into()),
                ("limit_cores", limit.cores.into()),
                ("ratio", (run.cores() / limit.cores).into()),
                ("cpu_us_per_client_s", (run.cores() / count as f64 * 1e6).into()),
                ("updates_per_client_s", run.number("/updates_per_client").into()),
                ("bytes_per_client_s", run.number("/bytes_per_client").into()),
                ("messages_per_s", (run.number("/messages") / run.seconds()).into()),
                ("moves_per_s", (run.number("/moves") / run.seconds()).into()),
                ("own_move_p50_ms", run.number("/own_move/p50_ms").into()),
                ("own_move_p99_ms", run.number("/own_move/p99_ms").into()),
                ("own_gap_max_ms", run.number("/own_gap/max_ms").into()),
                ("own_gaps_over_two_ticks", run.number("/own_gaps_over_two_ticks").into()),
                ("bots_cores", (run.bots_cpu / run.seconds()).into()),
                ("connects_per_s", run.number("/connects_per_second").into()),
                ("others_cores", run.others.into()),
                ("errors", run.errors().into()),
            ])?;
            let missing = count as f64 - run.number("/live");
            sheet.at_most(format!("of {count} clients not in the world, run {run_number}"), missing, 0.0);
            // Success means: every client moves ten times per second and none is disconnected.
            if Some(&count) == counts.last() {
                let held = run.number("/moves") / run.seconds() / count as f64;
                sheet.at_least(format!("moves per client and second held, run {run_number}"), held, 9.5);
                sheet.at_most(format!("connections lost, run {run_number}"), run.number("/reconnects"), 0.0);
            }
        }
        per_client.push(median(cores) / count as f64);
        sheet.at_most(format!("own move to frame p99, ms, {count} clients"), median(p99), 200.0);
    }
    if let [small, .., large] = per_client[..] {
        sheet.at_most("CPU per client, large against small", large / small, 1.15);
    }
    sheet.finish(&stage.out)
}
