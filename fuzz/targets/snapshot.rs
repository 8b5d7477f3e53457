//! Runs the fuzzer on `snapshot` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("snapshot").check(bytes));
