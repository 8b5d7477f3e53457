//! Runs the fuzzer on `snapshot` of `tests/hostile`.

#![no_main]

#[global_allocator]
static COUNTING: ringmaster_hostile::cap::Counting = ringmaster_hostile::cap::Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringmaster_hostile::target("snapshot").check(bytes));
