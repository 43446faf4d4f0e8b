//! Parts that several test programs share.

#![allow(dead_code, reason = "every test program uses some of it")]

pub mod certificates;
pub mod daemon;
pub mod gate;
pub mod log;
pub mod mosquitto;
pub mod namespace;
pub mod preload;
pub mod subscriber;
pub mod windows;

use std::time::Duration;

/// The longest a test waits for something that has to happen: far beyond what it takes, because a loaded machine must
/// not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(30);
