//! libFuzzer on [`gundo_fuzz::picture`]: `cargo +nightly fuzz run picture --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::picture(data);
});
