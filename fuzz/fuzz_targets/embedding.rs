//! Tries the target `embedding`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| beft_fuzz::fuzz("embedding", input));
