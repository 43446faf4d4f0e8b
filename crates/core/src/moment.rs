//! A moment on the monotonic clock.

use std::time::Duration;

/// A moment on the monotonic clock: the time since the clock's origin (the start of the process).
///
/// Windows, tracks, smoothing and triggers use it alone, so that a step of the wall clock moves none of them.
pub type Moment = Duration;
