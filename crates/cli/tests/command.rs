//! The exit codes of the command line.

use std::process::ExitCode;
use std::sync::Arc;

use gundo_cli::App;
use gundo_kernel::game::{Context, Decision, Entity, Refusal, Rules};
use gundo_types::{Kind, WorldTime};
use gundo_wire::DecodeError;

/// A player that can do nothing: the test is about the command line.
struct Idler;

impl Entity for Idler {
    const KIND: Kind = Kind(1);
    const NAME: &'static str = "idler";
    type World = ();
    type Command = ();
    type Event = ();
    type Live = ();

    fn new(_: u64, (): &()) -> Self {
        Self
    }

    fn restore(_: u64, (): &(), _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decide(&self, (): (), _: &mut Context<'_, ()>) -> Result<Decision<Self>, Refusal> {
        Ok(Decision::new())
    }

    fn apply(&mut self, (): &()) {}

    fn public(&self, _: WorldTime) -> Option<Vec<u8>> {
        None
    }
}

/// The exit code of the command line `words`.
fn exit(words: &[&str]) -> String {
    let words = std::iter::once("idling").chain(words.iter().copied());
    format!("{:?}", App::new("idling", |_| Rules::new::<Idler>("idling", &Arc::new(()))).run_from(words))
}

#[test]
fn exit_codes_tell_usage_from_failure() {
    let code = |n: u8| format!("{:?}", ExitCode::from(n));
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a path in UTF-8");
    assert_eq!(exit(&["--help"]), code(0));
    assert_eq!(exit(&["--nodes", "many"]), code(2));
    assert_eq!(exit(&["journal", "stream", "idler", "no-number"]), code(2));
    assert_eq!(exit(&["--config", "/nowhere/gundo.toml", "--data", data]), code(1));
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(1), "there is no journal");
    let busy = gundo_journal_sqlite::open(data, gundo_journal_sqlite::Settings::default()).expect("new");
    assert_eq!(exit(&["--listen", "127.0.0.1:0", "--data", data]), code(1), "another process has it");
    drop(busy);
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(0));
    assert_eq!(exit(&["journal", "stream", "idler", "1", "--data", data]), code(1), "no such idler");
}
