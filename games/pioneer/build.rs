//! Compiles Pioneer's schemas. The generated code finds prost inside `gundo`: the game needs no other crate.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["pioneer.proto", "state.proto"];
    let set = protox::compile(files, ["proto"]).map_err(|e| io::Error::other(format!("{e:?}")))?;
    let mut config = prost_build::Config::new();
    config.prost_path("::gundo::prost");
    for choice in [
        "PlayerCommand.command",
        "PlayerSignal.signal",
        "PlayerEvent.event",
        "LandCommand.command",
        "LandEvent.event",
    ] {
        config.type_attribute(choice, "#[derive(::gundo::Payload)]");
    }
    config.compile_fds(set)
}
