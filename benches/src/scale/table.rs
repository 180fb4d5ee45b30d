//! The results as a table: for the terminal, and as Markdown.

use super::{Measured, Traffic};

/// A column: its head, and how to make a cell.
type Column = (&'static str, fn(&Measured) -> String);

const COLUMNS: &[Column] = &[
    ("players are", |m| m.case.shape.to_string()),
    ("players", |m| m.case.players.to_string()),
    ("nodes", |m| m.case.nodes.to_string()),
    ("peer messages", |m| both(m.rates(Traffic::peer_messages))),
    ("bundles", |m| mean(m.rates(|node| node.bundles))),
    ("interest", |m| mean(m.rates(|node| node.interest))),
    ("chunk frames", |m| mean(m.rates(|node| node.chunk_frames))),
    ("peer KB", |m| both(thousands(m.rates(|node| node.peer_bytes)))),
    ("client messages", |m| both(m.rates(|node| node.client_messages))),
    ("client KB", |m| both(thousands(m.rates(|node| node.client_bytes)))),
    ("appends", |m| both(m.rates(|node| node.appends))),
];

/// For the terminal: columns side by side, numbers on the right.
pub(crate) fn text(all: &[Measured]) -> String {
    let rows = rows(all);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        cells.join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

/// As a Markdown table.
pub(crate) fn markdown(all: &[Measured]) -> String {
    let mut lines: Vec<String> = rows(all).iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    lines.insert(1, format!("| --- |{}\n", " ---: |".repeat(COLUMNS.len() - 1)));
    lines.concat()
}

/// The heads, then a row for each case.
fn rows(all: &[Measured]) -> Vec<Vec<String>> {
    let heads = COLUMNS.iter().map(|(head, _)| (*head).to_owned()).collect();
    let cells = all.iter().map(|measured| COLUMNS.iter().map(|(_, cell)| cell(measured)).collect());
    std::iter::once(heads).chain(cells).collect()
}

fn thousands((mean, max): (f64, f64)) -> (f64, f64) {
    (mean / 1_000.0, max / 1_000.0)
}

fn mean((mean, _): (f64, f64)) -> String {
    digits(mean)
}

/// The mean, and the maximum over the nodes in brackets.
fn both((mean, max): (f64, f64)) -> String {
    format!("{} ({})", digits(mean), digits(max))
}

/// At least three digits, enough to tell the size of a number.
fn digits(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{Case, Shape};

    fn measured() -> Measured {
        let node =
            |n: u64| Traffic { bundles: n, peer_bytes: 1_500 * n, client_messages: 3, ..Traffic::default() };
        let case = Case { shape: Shape::Spread, players: 1_000, nodes: 2 };
        Measured { case, counted_ms: 1_000, nodes: vec![node(10), node(20)] }
    }

    #[test]
    fn rows_have_means_and_maxima() {
        let text = text(&[measured()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        let expected =
            "spread 1000 2 15.0 (20.0) 15.0 0.00 0.00 22.5 (30.0) 3.00 (3.00) 0.00 (0.00) 0.00 (0.00)";
        assert_eq!(words, expected.split(' ').collect::<Vec<_>>());
        assert_eq!(lines[0].len(), lines[1].len());
    }

    #[test]
    fn markdown_has_as_many_cells_in_every_line() {
        let text = markdown(&[measured(), measured()]);
        let cells: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(cells, [COLUMNS.len() + 1; 4]);
    }
}
