//! Runs the fuzzer on `control` of `tests/hostile`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("control").check(bytes));
