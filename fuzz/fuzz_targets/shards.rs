//! Tries the target `shards`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| beft_fuzz::fuzz("shards", input));
