#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fieldhook_fuzz::definitions::check(data));
