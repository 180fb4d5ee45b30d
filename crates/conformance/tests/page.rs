//! Keeps section 14 of `docs/protocol.md` and `docs/promises.md` true: every test that they name exists, and every rule of the kit is
//! named in the first.

use std::collections::BTreeSet;
use std::path::Path;

use gundo_conformance::{client, server};

/// What the second column of a page's table names.
fn named(page: &str) -> BTreeSet<String> {
    let page = read(page);
    let (_, rest) = page.split_once("<!-- promises begin -->").expect("the table has a begin");
    let (table, _) = rest.split_once("<!-- promises end -->").expect("the table has an end");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells = rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default());
    cells.flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned())).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> BTreeSet<String> {
    let clients = client::cases().into_iter().map(|case| format!("client/{}", case.name));
    clients.chain(server::cases().into_iter().map(|case| format!("server/{}", case.name))).collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let rules = rules();
    for name in named("docs/protocol.md").union(&named("docs/promises.md")) {
        if name.starts_with("client/") || name.starts_with("server/") {
            assert!(rules.contains(name), "the kit has no rule {name}");
            continue;
        }
        match name.split_once(':') {
            Some((file, test)) => {
                let wanted = format!("fn {test}(");
                assert!(read(file).contains(&wanted), "{file} has no test {test}");
            }
            None => assert!(!read(name).is_empty(), "{name}"),
        }
    }
}

#[test]
fn every_rule_of_the_kit_is_a_promise_of_the_page() {
    let named = named("docs/protocol.md");
    let missing: Vec<_> = rules().into_iter().filter(|rule| !named.contains(rule)).collect();
    assert!(missing.is_empty(), "docs/protocol.md, section 14, lacks {missing:?}");
}

#[test]
fn no_two_rules_have_one_name() {
    assert_eq!(rules().len(), client::cases().len() + server::cases().len());
}

#[test]
fn who_does_nothing_keeps_no_rule() {
    let report = client::check(&vec!["true".to_owned()], "", 60);
    assert_eq!((report.kept(), report.skipped()), (0, 0), "{report}");
    assert!(!report.is_good());
    // Nobody listens on port 1.
    let world =
        server::World { url: "ws://127.0.0.1:1/ws".to_owned(), command: None, names: "Kit".to_owned() };
    let report = server::check(&world, "", 8);
    assert_eq!(report.kept(), 0, "{report}");
    assert!(!report.is_good());
}
