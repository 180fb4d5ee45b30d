//! The table of allowed edges between our crates: arrows point from the impure to the pure, never back.
//!
//! An edge that is not in the table is a problem, in dev- and build-dependencies too. So is a crate that is not in the
//! table: if you add a crate, declare here what it may depend on.

use serde_json::Value;

use super::Problem;
use crate::shell::Done;

/// No limits: crates that look at all others from outside.
const ANY: &[&str] = &["*"];

/// Crate, its allowed dependencies, and the additional ones of its tests.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("gundo-types", &[], &[]),
    // Unicode's rules; nothing of ours.
    ("gundo-names", &[], &[]),
    // Starts servers of other people.
    ("gundo-engines", &[], &[]),
    // Certificates and cryptography; nothing of ours.
    ("gundo-tls", &[], &[]),
    ("gundo-wire", &["gundo-types"], &[]),
    // Macros write code; they use none of ours.
    ("gundo-macros", &[], &[]),
    // Its tests are whole clusters: the rig with the journal in memory, and the client, which checks what players see.
    (
        "gundo-kernel",
        &["gundo-types", "gundo-wire", "gundo-macros"],
        &["gundo-journal", "gundo-client", "gundo-rig"],
    ),
    // The seam between a driver and what carries its messages, and the suite of both fabrics.
    ("gundo-fabric", &["gundo-types", "gundo-wire", "gundo-kernel"], &[]),
    ("gundo-fabric-grpc", &["gundo-types", "gundo-tls", "gundo-wire", "gundo-kernel", "gundo-fabric"], &[]),
    ("gundo-journal", &["gundo-types", "gundo-wire"], &[]),
    // Its tests run the suite on the rows of a journal in memory.
    ("gundo-coordinator", &["gundo-types", "gundo-wire", "gundo-kernel"], &["gundo-journal"]),
    // Its tests run the suite on a real etcd.
    ("gundo-coordinator-etcd", &["gundo-types", "gundo-kernel", "gundo-coordinator"], &["gundo-engines"]),
    ("gundo-journal-sqlite", &["gundo-types", "gundo-wire", "gundo-journal"], &[]),
    // Its tests start a server.
    ("gundo-journal-postgres", &["gundo-types", "gundo-wire", "gundo-journal"], &["gundo-engines"]),
    ("gundo-edge", &["gundo-types", "gundo-tls", "gundo-wire", "gundo-kernel"], &[]),
    (
        "gundo-node",
        &[
            "gundo-types",
            "gundo-wire",
            "gundo-kernel",
            "gundo-journal",
            "gundo-coordinator",
            "gundo-journal-sqlite",
            "gundo-edge",
            "gundo-fabric",
        ],
        &["gundo-client"],
    ),
    // Plays server to clients and client to servers, by the page alone: it knows the messages and nothing else of ours.
    ("gundo-conformance", &["gundo-types", "gundo-wire"], &[]),
    ("gundo-client", &["gundo-types", "gundo-tls", "gundo-wire"], &["gundo-conformance"]),
    ("gundo-bots", &["gundo-types", "gundo-tls", "gundo-wire", "gundo-client"], &[]),
    // Shared by every harness that drives kernels in one thread.
    ("gundo-rig", &["gundo-types", "gundo-wire", "gundo-kernel", "gundo-journal"], &[]),
    // Whole clusters without I/O: kernels, the rules of journal and coordinator, clients and players' minds.
    (
        "gundo-sim",
        &[
            "gundo-types",
            "gundo-wire",
            "gundo-kernel",
            "gundo-journal",
            "gundo-coordinator",
            "gundo-client",
            "gundo-bots",
            "gundo-rig",
        ],
        &[],
    ),
    // The command line is beside the facade, not above it: a game uses both.
    (
        "gundo-cli",
        &[
            "gundo-types",
            "gundo-tls",
            "gundo-wire",
            "gundo-kernel",
            "gundo-journal",
            "gundo-journal-sqlite",
            "gundo-node",
            "gundo-fabric-grpc",
            "gundo-client",
            "gundo-bots",
            "gundo-coordinator",
            "gundo-coordinator-etcd",
            "gundo-engines",
            "gundo-fabric",
            "gundo-fabric-grpc",
            "gundo-journal-postgres",
            "gundo-sim",
        ],
        &[],
    ),
    // The facade runs worlds in its tests only; its first game has a command line.
    (
        "gundo",
        &[
            "gundo-types",
            "gundo-wire",
            "gundo-names",
            "gundo-kernel",
            "gundo-journal",
            "gundo-journal-sqlite",
            "gundo-node",
            "gundo-bots",
            "gundo-sim",
        ],
        &["gundo-client", "gundo-cli"],
    ),
    // A game uses only what a stranger could use: the facade and the command line, and in its tests the client.
    ("pioneer", &["gundo", "gundo-cli"], &["gundo-client", "gundo-conformance"]),
    ("meadow", &["gundo", "gundo-cli"], &["gundo-client"]),
    ("gundo-bench", ANY, &[]),
    ("gundo-fuzz", ANY, &[]),
    ("xtask", &[], &[]),
];

/// A crate of ours, as cargo knows it.
#[derive(Debug)]
pub(crate) struct Crate {
    name: String,
    /// Its folder, from the top.
    folder: String,
    /// Its dependencies on our crates, and whether only its tests have them.
    ours: Vec<(String, bool)>,
}

/// Our crates, from `cargo metadata --no-deps`.
pub(crate) fn read(metadata: &Value) -> Done<Vec<Crate>> {
    let top = metadata["workspace_root"].as_str().ok_or("cargo metadata names no workspace")?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(packages
        .iter()
        .map(|package| {
            let manifest = text(&package["manifest_path"]);
            let folder = manifest.strip_prefix(top).unwrap_or(&manifest).trim_start_matches('/');
            let all = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
            let ours = all.iter().filter(|dependency| dependency["path"].is_string());
            Crate {
                name: text(&package["name"]),
                folder: folder.trim_end_matches("/Cargo.toml").to_owned(),
                ours: ours.map(|dep| (text(&dep["name"]), dep["kind"] == "dev")).collect(),
            }
        })
        .collect())
}

/// Every edge that the table does not allow.
pub(crate) fn check(crates: &[Crate]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for each in crates {
        let Some((_, always, in_tests)) = EDGES.iter().find(|(name, ..)| *name == each.name) else {
            problems
                .push(Problem::new(&each.folder, "add the crate to the table in xtask/src/tidy/edges.rs"));
            continue;
        };
        for (to, only_in_tests) in &each.ours {
            let allows = |list: &[&str]| list.contains(&to.as_str()) || list == ANY;
            // A crate's tests may name the crate itself, to switch on one of its features.
            let allowed = allows(always) || *only_in_tests && (allows(in_tests) || *to == each.name);
            if !allowed {
                let what =
                    format!("may not depend on {to}: arrows point down only (xtask/src/tidy/edges.rs)");
                problems.push(Problem::new(&each.folder, what));
            }
        }
    }
    problems
}

/// Every crate that the architecture page does not name by its folder.
pub(crate) fn check_named(crates: &[Crate], architecture: &str) -> Vec<Problem> {
    let unnamed = crates.iter().filter(|each| !architecture.contains(&format!("`{}`", each.folder)));
    unnamed.map(|each| Problem::new(&each.folder, "ARCHITECTURE.md does not name this crate")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_crate(name: &str, ours: &[(&str, bool)]) -> Crate {
        let ours = ours.iter().map(|(to, in_tests)| ((*to).to_owned(), *in_tests)).collect();
        Crate { name: name.into(), folder: format!("crates/{name}"), ours }
    }

    #[test]
    fn an_arrow_up_is_a_problem() {
        assert_eq!(check(&[a_crate("gundo-kernel", &[("gundo-wire", false)])]), []);
        assert_eq!(check(&[a_crate("gundo-kernel", &[("gundo-journal", false)])]).len(), 1);
        assert_eq!(check(&[a_crate("gundo-kernel", &[("gundo-node", true)])]).len(), 1);
        assert_eq!(check(&[a_crate("pioneer", &[("gundo-kernel", false)])]).len(), 1);
    }

    #[test]
    fn tests_may_lean_on_a_little_more() {
        assert_eq!(check(&[a_crate("pioneer", &[("gundo-client", true)])]), []);
        assert_eq!(check(&[a_crate("pioneer", &[("gundo-client", false)])]).len(), 1);
        assert_eq!(check(&[a_crate("gundo-journal", &[("gundo-journal", true)])]), []);
    }

    #[test]
    fn a_crate_without_a_row_is_a_problem() {
        assert_eq!(check(&[a_crate("gundo-novelty", &[])]).len(), 1);
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Every crate comes after all its allowed dependencies, so there can be no cycle.
        for (place, (name, always, in_tests)) in EDGES.iter().enumerate() {
            for to in always.iter().chain(*in_tests).filter(|to| **to != "*") {
                let before = EDGES[..place].iter().any(|(earlier, ..)| earlier == to);
                assert!(before || in_tests.contains(to), "{name} comes before {to}");
            }
        }
    }

    #[test]
    fn a_crate_must_be_named_with_its_folder() {
        let crates = [a_crate("edge", &[])];
        assert_eq!(check_named(&crates, "see `crates/edge` for that"), []);
        assert_eq!(check_named(&crates, "the edge of crates").len(), 1);
    }

    #[test]
    fn cargo_metadata_is_read() {
        let metadata = serde_json::json!({
            "workspace_root": "/x",
            "packages": [{
                "name": "a", "manifest_path": "/x/crates/a/Cargo.toml",
                "dependencies": [
                    { "name": "b", "path": "/x/crates/b", "kind": "dev" },
                    { "name": "serde", "source": "registry", "kind": null },
                ],
            }],
        });
        let crates = read(&metadata).expect("it is well-formed");
        assert_eq!(crates[0].folder, "crates/a");
        assert_eq!(crates[0].ours, [("b".to_owned(), true)]);
    }
}
