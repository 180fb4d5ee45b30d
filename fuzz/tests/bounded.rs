//! Fuzzing on every test run: fixed seed, fixed number of inputs, stable Rust.
//!
//! `GUNDO_FUZZ_RUNS` sets the inputs per target (default 5,000; costly targets get fewer), `GUNDO_FUZZ_SEED` the seed. A
//! failing input is written to `target/fuzz/`; add it to the corpus once the fault is fixed. `GUNDO_WRITE=1` writes the
//! corpus from its seeds.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use gundo_fuzz::mutate::{Rng, mutate};
use gundo_fuzz::{TARGETS, Target};

/// Understood children become parents up to this number, so that mutations accumulate.
const CHILDREN_MAX: usize = 512;

#[test]
fn client_message() {
    fuzz("client_message");
}

#[test]
fn picture() {
    fuzz("picture");
}

#[test]
fn session() {
    fuzz("session");
}

#[test]
fn journal_records() {
    fuzz("journal_records");
}

#[test]
fn world() {
    fuzz("world");
}

#[test]
fn peer_message() {
    fuzz("peer_message");
}

#[test]
fn peers() {
    fuzz("peers");
}

#[test]
fn every_target_is_run() {
    let here = ["client_message", "picture", "session", "journal_records", "world", "peer_message", "peers"];
    assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), here);
}

#[test]
fn the_corpus_holds_its_seeds() {
    for target in TARGETS {
        let folder = corpus_folder(target);
        for (name, bytes) in (target.seeds)() {
            let path = folder.join(name);
            if std::env::var_os("GUNDO_WRITE").is_some() {
                std::fs::create_dir_all(&folder).expect("the corpus can be written");
                std::fs::write(&path, &bytes).expect("the corpus can be written");
            }
            let there = std::fs::read(&path).unwrap_or_default();
            assert!(there == bytes, "{}: run the test with GUNDO_WRITE=1", path.display());
        }
    }
}

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is in the table");
    let runs = number("GUNDO_FUZZ_RUNS").unwrap_or(5_000) / target.cost;
    let seed = number("GUNDO_FUZZ_SEED").unwrap_or(1);
    let corpus: Vec<Vec<u8>> = corpus(target).into_values().collect();
    assert!(!corpus.is_empty(), "no corpus for {name}");
    for input in &corpus {
        check(target, input);
    }

    let mut rng = Rng::new(seed);
    let mut parents = corpus.clone();
    let mut understood = 0;
    for _ in 0..runs {
        let parent = rng.below(parents.len());
        let other = rng.below(parents.len());
        let input = mutate(&mut rng, &parents[parent], &parents[other], target.form);
        let is_understood = check(target, &input);
        understood += u64::from(is_understood);
        // From time to time an understood child becomes a parent, so that mutations accumulate; the corpus itself does not
        // change.
        if is_understood && rng.below(8) == 0 {
            if parents.len() < corpus.len() + CHILDREN_MAX {
                parents.push(input);
            } else {
                let old = corpus.len() + rng.below(CHILDREN_MAX);
                parents[old] = input;
            }
        }
    }
    // Inputs that are all rejected at once test only the first checks.
    assert!(understood * 10 > runs, "only {understood} of {runs} inputs were understood");
}

fn check(target: &Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).unwrap_or_else(|panic| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        let path = folder.join(format!("{}-{:016x}", target.name, gundo_wire::fingerprint(input)));
        std::fs::write(&path, input).expect("the target folder can be written");
        eprintln!("the failing input ({} bytes) is in {}", input.len(), path.display());
        resume_unwind(panic)
    })
}

fn corpus_folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// Sorted by name, so that the order is the same everywhere.
fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = corpus_folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("the corpus can be listed");
        let bytes = std::fs::read(entry.path()).expect("the corpus can be read");
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    entries.map(read).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
