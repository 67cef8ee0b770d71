//! Tries the target `plan`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| beft_fuzz::fuzz("plan", input));
