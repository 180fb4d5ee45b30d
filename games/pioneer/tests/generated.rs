//! The Rust code in `src/generated` is what the schemas in `proto` say. `GUNDO_WRITE=1` writes it.
//!
//! It is committed, so that a build of the game needs no schema compiler. The code finds prost inside `gundo`.

use std::path::Path;

/// The choices that are commands, events, asks and signals themselves.
const PAYLOADS: [&str; 5] = [
    "PlayerCommand.command",
    "PlayerSignal.signal",
    "PlayerEvent.event",
    "LandCommand.command",
    "LandEvent.event",
];

#[test]
fn the_code_is_what_the_schemas_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set =
        protox::compile(["pioneer.proto", "state.proto"], [root.join("proto")]).expect("the schemas compile");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pioneer");
    std::fs::create_dir_all(&fresh).expect("a directory for the fresh code");
    let mut config = prost_build::Config::new();
    config.prost_path("::gundo::prost").out_dir(&fresh);
    for choice in PAYLOADS {
        config.type_attribute(choice, "#[derive(::gundo::Payload)]");
    }
    config.compile_fds(set).expect("code is written");
    let fresh = std::fs::read_to_string(fresh.join("gundo.pioneer.v1.rs")).expect("fresh code");
    let committed = root.join("src/generated/pioneer.rs");
    if std::env::var_os("GUNDO_WRITE").is_some() {
        std::fs::write(&committed, &fresh).expect("the code is written");
    }
    let committed = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(fresh == committed, "pioneer.rs is not what proto/ says: run this test with GUNDO_WRITE=1");
}
