//! A stream through a real pipe: every whole frame comes out, then its end is said.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| emotiond::capture::stream::fuzz::piped(data));
