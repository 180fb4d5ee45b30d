//! This version reads messages between nodes as the earlier version that wrote them did, and writes the same bytes.
//!
//! The bytes are `crates/wire/tests/golden/peer`; `peer_golden.txt` says what each means. `GUNDO_WRITE=1` rewrites it: in an
//! existing line only the names of types may change, because other nodes may still run the earlier version.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use gundo_kernel::Peer;

#[test]
fn earlier_messages_mean_the_same() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut meanings = BTreeMap::new();
    for file in std::fs::read_dir(here.join("../wire/tests/golden/peer")).expect("they are there") {
        let file = file.expect("the folder can be read");
        let name = file.file_name().to_string_lossy().trim_end_matches(".bin").to_owned();
        let bytes = Bytes::from(std::fs::read(file.path()).expect("it can be read"));
        let (label, peer) = Peer::decode(bytes.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(label.from, 2, "{name}");
        let again = peer.encode(&label).expect("it came in one");
        assert_eq!(again, bytes, "{name} is written otherwise: an older version may not read it");
        meanings.insert(name, peer);
    }
    let told: String = meanings.iter().map(|(name, peer)| format!("{name}: {peer:?}\n")).collect();
    let recorded = here.join("tests/peer_golden.txt");
    if std::env::var_os("GUNDO_WRITE").is_some() {
        std::fs::write(&recorded, &told).expect("it can be written");
    }
    let expected = std::fs::read_to_string(&recorded).unwrap_or_default();
    for (told, expected) in told.lines().zip(expected.lines()) {
        assert_eq!(told, expected, "it is read otherwise");
    }
    assert_eq!(told.len(), expected.len(), "a message has come or is gone");
}
