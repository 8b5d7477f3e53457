//! Runs the fuzzer on `store` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("store").check(bytes));
