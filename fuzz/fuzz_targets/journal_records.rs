//! libFuzzer on [`gundo_fuzz::journal_records`]: `cargo +nightly fuzz run journal_records --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::journal_records(data);
});
