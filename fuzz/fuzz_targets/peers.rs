//! libFuzzer on [`gundo_fuzz::peers`]: `cargo +nightly fuzz run peers --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::peers(data);
});
