//! Runs the fuzzer on `kafka` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("kafka").check(bytes));
