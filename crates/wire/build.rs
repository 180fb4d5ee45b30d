//! Compiles the schemas with a protobuf compiler in Rust: no protoc needed on the machine.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["client.proto", "coordinator.proto", "journal.proto", "peer.proto"];
    let set = protox::compile(files, ["proto"]).map_err(|e| io::Error::other(format!("{e:?}")))?;
    let mut config = prost_build::Config::new();
    // Fields of bytes share the buffer they are decoded from; messages know their names.
    config.bytes(["."]).enable_type_names();
    config.compile_fds(set)
}
