//! A file of the queue, damaged: what is read of it is what would be written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| emotiond::publish::fuzz::segment_file(data));
