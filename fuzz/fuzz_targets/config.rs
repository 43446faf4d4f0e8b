//! A configuration: accepted, or refused with a reason that names the file.
#![no_main]

use std::path::Path;

use emotiond::config::{Overrides, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Settings::parse(text, Path::new("emotiond.toml"), &Overrides::default()) {
        assert!(error.to_string().contains("emotiond.toml"));
    }
});
