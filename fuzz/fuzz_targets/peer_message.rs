//! libFuzzer on [`gundo_fuzz::peer_message`]: `cargo +nightly fuzz run peer_message --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::peer_message(data);
});
