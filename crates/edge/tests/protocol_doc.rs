//! The times in `docs/protocol.md` are those of the edge.

use gundo_edge::EdgeSettings;
use gundo_types::{Limits, NodeId};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md"));

#[test]
fn the_times_are_the_real_ones() {
    let settings = EdgeSettings::new(NodeId(1), 1, Limits::default());
    let (_, rest) = PAGE.split_once("<!-- times begin -->").expect("the table has a begin");
    let (table, _) = rest.split_once("<!-- times end -->").expect("the table has an end");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let times: Vec<u64> =
        rows.map(|row| row.split(" | ").nth(1).and_then(|t| t.parse().ok()).expect(row)).collect();
    let EdgeSettings { hello_ms, idle_ms, ping_ms, close_ms, .. } = settings;
    assert_eq!(times, [hello_ms, idle_ms, ping_ms, close_ms]);
}
