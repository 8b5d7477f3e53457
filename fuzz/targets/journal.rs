//! Runs the fuzzer on `journal` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("journal").check(bytes));
