//! Hostile clients of the embedded broker: its memory is bounded and nobody but the daemon speaks for the device.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| emotiond::publish::fuzz::clients(data));
