//! libFuzzer on [`gundo_fuzz::session`]: `cargo +nightly fuzz run session --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::session(data);
});
