//! `session`: the cost of a player who does nothing, and how fast one gets in.

use std::time::{Duration, Instant};

use gundo::Point;
use gundo_bots::{BotsConfig, Idle, Phase};

use crate::Failure;
use crate::game::name_at;
use crate::load::Scene;
use crate::sheet::Sheet;
use crate::stage::Stage;

/// Memory, connects, start-up, and an idle world.
pub(crate) fn session(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("session", stage.quick);
    for nodes in [1, 3] {
        let begun = Instant::now();
        let server = stage.server(nodes)?;
        let listening = begun.elapsed();
        let playable = first_welcome(&server.url, begun)?;
        // The trial bot has logged out for good.
        std::thread::sleep(Duration::from_secs(1));
        let empty_before = server.process.cpu_seconds()?;
        std::thread::sleep(Duration::from_secs_f64(stage.seconds()));
        let empty = (server.process.cpu_seconds()? - empty_before) / stage.seconds();
        let rss_before = server.process.rss_bytes()?;
        let count = if stage.quick { 200 } else { 2_000 };
        let run = stage.run(&server, count, Scene::Idle)?;
        run.check()?;
        let bytes = run.rss.saturating_sub(rss_before) as f64 / count as f64;
        server.process.finish()?;
        sheet.row(&[
            ("nodes", nodes.into()),
            ("listening_ms", (listening.as_secs_f64() * 1e3).into()),
            ("playable_ms", (playable.as_secs_f64() * 1e3).into()),
            ("empty_world_cores", empty.into()),
            ("rss_empty_mib", (rss_before as f64 / f64::from(1 << 20)).into()),
            ("sessions", count.into()),
            ("bytes_per_session", bytes.into()),
            ("connects_per_s", run.number("/connects_per_second").into()),
            ("welcome_p50_ms", run.number("/playable/p50_ms").into()),
            ("welcome_p99_ms", run.number("/playable/p99_ms").into()),
            ("idle_sessions_cores", run.cores().into()),
            ("others_cores", run.others.into()),
            ("errors", run.errors().into()),
        ])?;
        sheet.at_most(format!("KiB per idle session, {nodes} nodes"), bytes / 1024.0, 32.0);
        sheet.at_most(format!("start to playable, s, {nodes} nodes"), playable.as_secs_f64(), 1.0);
        sheet.at_most(format!("CPU of an idle world, cores, {nodes} nodes"), empty, 0.02);
    }
    sheet.finish(&stage.out)
}

/// Time from `begun` to the first Welcome.
fn first_welcome(url: &str, begun: Instant) -> Result<Duration, Failure> {
    let mut config = BotsConfig::new(1, vec![url.parse()?]);
    (config.seconds, config.settle_seconds) = (0.0, 0.0);
    struct Here;
    impl gundo_bots::Behaviour for Here {
        fn name(&mut self, suggestion: &str) -> String {
            name_at(Point::new(15_000, 15_000), suggestion)
        }
        fn step(&mut self, wishes: &mut gundo_bots::Wishes) {
            Idle.step(wishes);
        }
    }
    let mut playable = None;
    gundo_bots::run(&config, &|_| Box::new(Here), &mut |p| {
        if p.phase == Phase::Settling && p.begun {
            playable = Some(begun.elapsed());
        }
    })?;
    playable.ok_or_else(|| "nobody was welcomed".into())
}
