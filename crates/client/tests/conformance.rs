//! The conformance kit plays server to the Rust client: every rule of `docs/protocol.md` for clients.

use gundo_conformance::client::check;

#[test]
fn the_rust_client_keeps_every_rule_of_the_protocol() {
    let command = vec![env!("CARGO_BIN_EXE_conformance-client").to_owned()];
    let report = check(&command, "", 8);
    assert!(report.is_good() && report.skipped() == 0, "{report}");
}
