//! Compiles Pioneer's schemas. The generated code finds prost inside `gundo`: the game needs no other crate.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["pioneer.proto", "state.proto"];
    let set = protox::compile(files, ["proto"]).map_err(|e| io::Error::other(format!("{e:?}")))?;
    prost_build::Config::new().prost_path("::gundo::prost").compile_fds(set)
}
