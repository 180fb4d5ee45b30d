//! The Rust code in `src/generated` is what the schemas in `proto` say. `GUNDO_WRITE=1` writes it.
//!
//! It is committed, so that a build of the engine needs no schema compiler.

use std::path::Path;

#[test]
fn the_code_is_what_the_schemas_say() {
    let names = ["client", "coordinator", "journal", "peer"];
    let files = names.map(|name| format!("{name}.proto"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = protox::compile(files, [root.join("proto")]).expect("the schemas compile");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wire");
    std::fs::create_dir_all(&fresh).expect("a directory for the fresh code");
    let mut config = prost_build::Config::new();
    // Fields of bytes share the buffer they are decoded from; messages know their names.
    config.bytes(["."]).enable_type_names().out_dir(&fresh).compile_fds(set).expect("code is written");
    for name in names {
        let fresh = std::fs::read_to_string(fresh.join(format!("gundo.{name}.v1.rs"))).expect("fresh code");
        let committed = root.join(format!("src/generated/{name}.rs"));
        if std::env::var_os("GUNDO_WRITE").is_some() {
            std::fs::write(&committed, &fresh).expect("the code is written");
        }
        let committed = std::fs::read_to_string(&committed).unwrap_or_default();
        assert!(
            fresh == committed,
            "{name}.rs is not what {name}.proto says: run this test with GUNDO_WRITE=1"
        );
    }
}
