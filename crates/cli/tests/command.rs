//! The exit codes of the command line.

use std::process::ExitCode;

use gundo_cli::App;
use gundo_kernel::game::{Context, Decision, Done, Entity, Player, Refusal, Rules, State, message};
use gundo_types::{Body, WorldTime};

/// A player who can do nothing: what is tested is the command line.
#[message(crate = gundo_kernel::game)]
#[derive(State)]
#[state(crate = gundo_kernel::game, kind = 1, name = "idler", player, event = Idler, command = Idler)]
struct Idler {}

impl Player for Idler {
    fn create(&self, _: &str, _: &mut Context<'_, Self>) -> Result<Done<Self>, Refusal> {
        Ok(Done::new())
    }

    fn spawn(&self, _: &mut Context<'_, Self>) -> Body {
        Body::default()
    }

    fn speed_max(&self, (): &()) -> u32 {
        0
    }

    fn decide(&self, _: Idler, _: &mut Context<'_, Self>) -> Result<Decision<Self>, Refusal> {
        Ok(Done::new().into())
    }

    fn private(&self) {}
}

impl Entity for Idler {
    fn apply(&mut self, _: &Idler) {}

    fn public(&self, _: WorldTime) -> Option<Idler> {
        None
    }
}

/// The exit code of the command line `words`.
fn exit(words: &[&str]) -> String {
    let words = std::iter::once("idling").chain(words.iter().copied());
    format!("{:?}", App::new("idling", |_| Rules::new("idling", ()).with::<Idler>()).run_from(words))
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
    assert_eq!(exit(&["schema"]), code(0));
    assert_eq!(exit(&["schema", "all"]), code(2));
    assert_eq!(exit(&["--page", "/nowhere", "--data", data]), code(1), "there is no page");
    assert_eq!(exit(&["--config", "/nowhere/gundo.toml", "--data", data]), code(1));
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(1), "there is no journal");
    let busy = gundo_journal_sqlite::open(data, gundo_journal_sqlite::Settings::default()).expect("new");
    assert_eq!(exit(&["--listen", "127.0.0.1:0", "--data", data]), code(1), "another process has it");
    drop(busy);
    assert_eq!(exit(&["journal", "verify", "--data", data]), code(0));
    assert_eq!(exit(&["journal", "stream", "idler", "1", "--data", data]), code(1), "no such idler");
    let file = dir.path().join("solo.toml");
    std::fs::write(&file, format!("data = {data:?}\n")).expect("writable");
    let config = file.to_str().expect("a path in UTF-8");
    assert_eq!(exit(&["journal", "verify", "--config", config]), code(0), "the journal that it names");
    assert_eq!(exit(&["journal", "verify", "--config", "/nowhere/gundo.toml"]), code(1));
    let cluster = "[cluster]\nnode = 1\nfabric_listen = \"127.0.0.1:7800\"\n[cluster.etcd]\nendpoints = []\n\
                   [cluster.postgres]\nserver = \"host=127.0.0.1 port=1 user=x\"\n";
    std::fs::write(&file, format!("data = {data:?}\n{cluster}")).expect("writable");
    assert_eq!(exit(&["journal", "verify", "--config", config]), code(1), "its PostgreSQL is away");
    assert_eq!(exit(&["journal", "new-generation", "--config", config]), code(1));
    assert_eq!(exit(&["journal", "new-generation", "--data", data]), code(0));
}
