//! Compiles the schemas with a protobuf compiler in Rust: no protoc needed on the machine.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["client.proto", "coordinator.proto", "journal.proto"];
    let set = protox::compile(files, ["proto"]).map_err(|e| io::Error::other(format!("{e:?}")))?;
    prost_build::Config::new().bytes(["."]).compile_fds(set)
}
