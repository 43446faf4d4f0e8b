//! A packet for the embedded broker: refused, or one that reads the same after it has been written.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| emotiond::publish::fuzz::packet(data));
