//! libFuzzer on [`gundo_fuzz::client_message`]: `cargo +nightly fuzz run client_message --features libfuzzer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gundo_fuzz::client_message(data);
});
