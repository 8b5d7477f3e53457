//! Runs the fuzzer on `definition` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("definition").check(bytes));
