//! Runs the fuzzer on `event` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("event").check(bytes));
