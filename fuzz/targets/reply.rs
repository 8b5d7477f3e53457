//! Runs the fuzzer on `reply` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("reply").check(bytes));
