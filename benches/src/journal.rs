//! `journal`: durable commands through the whole path, socket to reply, compared with raw SQLite that writes the same
//! records in groups of the same mean size.

use gundo_journal_sqlite::raw::{self, RawSettings};
use gundo_journal_sqlite::{JOURNAL_FILE, Synchronous};

use crate::Failure;
use crate::load::Scene;
use crate::serve::JournalStats;
use crate::sheet::Sheet;
use crate::stage::{Run, Server, Stage};

/// One client with one command in flight, then many clients with many commands.
pub(crate) fn journal(stage: &Stage) -> Result<(), Failure> {
    let mut sheet = Sheet::new("journal", stage.quick);
    let nodes = 3;
    let crowds: &[(usize, usize)] =
        if stage.quick { &[(1, 1), (20, 8)] } else { &[(1, 1), (50, 4), (100, 16), (400, 32)] };
    let mut least = f64::INFINITY;
    for &(clients, width) in crowds {
        let mut server = stage.server(nodes)?;
        let before = stats(&mut server)?;
        let run = stage.run(&server, clients, Scene::Hammer(width))?;
        run.check()?;
        let after = stats(&mut server)?;
        let Server { process, dir, .. } = server;
        process.finish()?;
        let record = Record::read(&dir.path().join(JOURNAL_FILE))?;
        let group_mean = (after.events - before.events) as f64 / (after.groups - before.groups).max(1) as f64;
        let raw = raw_like(stage, &record, clients, group_mean)?;
        let share = run.number("/commands_per_second") / raw.records_per_second;
        row(&mut sheet, nodes, clients, width, &run, group_mean, &record, &raw)?;
        if width == 1 && clients == 1 {
            let over = run.number("/command/p50_ms") - raw.commit_us_p50 as f64 / 1e3;
            sheet.at_most("one client's p50 above one raw commit, ms", over, 3.0);
        } else {
            least = least.min(share);
        }
    }
    sheet.at_least("commands per second against raw SQLite, least of all loads", least, 0.5);
    sheet.finish(&stage.out)
}

#[expect(clippy::too_many_arguments, reason = "a table's row has as many sources as it has")]
fn row(
    sheet: &mut Sheet,
    nodes: u16,
    clients: usize,
    width: usize,
    run: &Run,
    group_mean: f64,
    record: &Record,
    raw: &raw::RawReport,
) -> Result<(), Failure> {
    sheet.row(&[
        ("clients", clients.into()),
        ("under_way_each", width.into()),
        ("nodes", nodes.into()),
        ("commands_per_s", run.number("/commands_per_second").into()),
        ("raw_records_per_s", raw.records_per_second.into()),
        ("share", (run.number("/commands_per_second") / raw.records_per_second).into()),
        ("group_mean", group_mean.into()),
        ("cause_bytes", record.cause.into()),
        ("payload_bytes", record.payload.into()),
        ("command_p50_ms", run.number("/command/p50_ms").into()),
        ("command_p99_ms", run.number("/command/p99_ms").into()),
        ("raw_commit_p50_ms", (raw.commit_us_p50 as f64 / 1e3).into()),
        ("raw_commit_p99_ms", (raw.commit_us_p99 as f64 / 1e3).into()),
        ("server_cores", run.cores().into()),
        ("bots_cores", (run.bots_cpu / run.seconds()).into()),
        ("others_cores", run.others.into()),
        ("errors", run.errors().into()),
    ])
}

fn stats(server: &mut Server) -> Result<JournalStats, Failure> {
    server.process.tell("stats")?;
    Ok(serde_json::from_str(&server.process.expect("stats ")?)?)
}

/// The average record of a run.
struct Record {
    cause: f64,
    payload: f64,
}

impl Record {
    fn read(file: &std::path::Path) -> Result<Self, Failure> {
        let conn = rusqlite::Connection::open(file)?;
        let means = "SELECT avg(length(cause)), avg(length(payload)) FROM events WHERE type = 0";
        Ok(conn.query_row(means, [], |row| Ok(Self { cause: row.get(0)?, payload: row.get(1)? }))?)
    }
}

fn raw_like(
    stage: &Stage,
    record: &Record,
    clients: usize,
    group_mean: f64,
) -> Result<raw::RawReport, Failure> {
    let dir = tempfile::tempdir()?;
    let mut settings = RawSettings {
        dir: dir.path().to_owned(),
        cause_bytes: record.cause.round() as usize,
        payload_bytes: record.payload.round() as usize,
        streams: clients as u64,
        group_mean,
        groups: 200,
        synchronous: Synchronous::Full,
        ..Default::default()
    };
    // A first run finds out how many groups fill the window. Disk speed varies, so the better of two measurements is the
    // limit.
    let first = raw::measure(&settings)?;
    settings.groups = (first.groups_per_second * stage.seconds() / 2.0).ceil().max(200.0) as u64;
    let mut best = first;
    for _ in 0..2 {
        let again = tempfile::tempdir()?;
        settings.dir = again.path().to_owned();
        let report = raw::measure(&settings)?;
        if report.records_per_second > best.records_per_second {
            best = report;
        }
    }
    Ok(best)
}
