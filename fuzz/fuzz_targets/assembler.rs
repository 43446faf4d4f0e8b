//! A stream in pieces, some of them thrown away in a pause: the frames that are whole come out, and no others.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| emotiond::capture::stream::fuzz::assembled(data));
