//! libFuzzer on [`gundo_fuzz::world`]: `cargo +nightly fuzz run world --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::world(data);
});
