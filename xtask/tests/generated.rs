//! The Rust code in `src/generated` of `crates/wire` and `games/pioneer` is what their schemas say. `GUNDO_WRITE=1` writes it.
//!
//! It is committed, so that a build of the engine needs no schema compiler. The test is here and not beside the code, because code that
//! lags behind its schema often does not compile.

use std::path::{Path, PathBuf};

use prost_build::Config;

/// The choices of Pioneer that are commands, events, asks and signals themselves.
const PAYLOADS: [&str; 18] = [
    "PlayerCommand.command",
    "PlayerSignal.signal",
    "PlayerEvent.event",
    "PlayerAsk.ask",
    "LandCommand.command",
    "LandEvent.event",
    "MailboxAsk.ask",
    "MailboxEvent.event",
    "StallAsk.ask",
    "StallEvent.event",
    "PlayerOrder.order",
    "GuildAsk.ask",
    "GuildEvent.event",
    "NamingTimer.timer",
    "PlayerHears.message",
    "GuildHears.message",
    "EstateAsk.ask",
    "EstateEvent.event",
];

#[test]
fn the_wire_is_what_its_schemas_say() {
    // Fields of bytes share the buffer they are decoded from; messages know their names.
    let mut config = Config::new();
    config.bytes(["."]).enable_type_names();
    let all = ["client", "coordinator", "fabric", "journal", "peer"];
    // `peer.proto` imports `words.proto`; the code of one package is one file.
    compare("crates/wire", &all, config, &all);
}

#[test]
fn pioneer_is_what_its_schemas_say() {
    let mut config = Config::new();
    config.prost_path("::gundo::prost");
    for choice in PAYLOADS {
        config.type_attribute(choice, "#[derive(::gundo::Payload)]");
    }
    compare("games/pioneer", &["pioneer", "state", "guild", "names", "estate"], config, &["pioneer"]);
}

/// Compiles the schemas of `home`, and compares each of `files` in its `src/generated` with what comes of it.
fn compare(home: &str, schemas: &[&str], mut config: Config, files: &[&str]) {
    let home: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(home);
    let set = protox::compile(schemas.iter().map(|name| format!("{name}.proto")), [home.join("proto")]);
    let set = set.expect("the schemas compile");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join(schemas[0]);
    std::fs::create_dir_all(&fresh).expect("a directory for the fresh code");
    config.out_dir(&fresh).compile_fds(set).expect("code is written");
    for name in files {
        let fresh = std::fs::read_to_string(fresh.join(format!("gundo.{name}.v1.rs"))).expect("fresh code");
        let committed = home.join(format!("src/generated/{name}.rs"));
        if std::env::var_os("GUNDO_WRITE").is_some() {
            std::fs::write(&committed, &fresh).expect("the code is written");
        }
        let committed = std::fs::read_to_string(&committed).unwrap_or_default();
        let hint = "run `GUNDO_WRITE=1 cargo nextest run -p xtask`";
        assert!(fresh == committed, "{name}.rs is not what the schemas say: {hint}");
    }
}
