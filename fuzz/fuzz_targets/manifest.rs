//! A model's manifest: accepted, or refused with a reason that names the file.
#![no_main]

use std::path::Path;

use emotiond::inference::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Manifest::parse(Path::new("models/example.toml"), text) {
        assert!(error.to_string().contains("example.toml"));
    }
});
