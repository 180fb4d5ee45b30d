//! Compares layouts of the events table. Run: `cargo run --release -p gundo-journal-sqlite --example layouts DIR`.
#![allow(clippy::print_stdout)]

use gundo_journal_sqlite::raw::{self, Layout, RawSettings};

fn main() {
    let base = std::env::args().nth(1).expect("an empty directory to measure in");
    for streams in [1_000] {
        for (group_mean, groups) in [(100.0, 6_000), (30.0, 6_000)] {
            for layout in [Layout::Clustered, Layout::Heap] {
                let dir = std::path::Path::new(&base).join(format!("{layout:?}-{streams}-{group_mean}"));
                std::fs::create_dir_all(&dir).expect("writable");
                let settings =
                    RawSettings { dir, streams, group_mean, groups, layout, ..RawSettings::default() };
                let report = raw::measure(&settings).expect("measurable");
                println!(
                    "{layout:?} streams {streams} group {group_mean}: {:.0} records/s, commit p50 {} µs p99 {} µs",
                    report.records_per_second, report.commit_us_p50, report.commit_us_p99
                );
            }
        }
    }
}
