//! Scores smoothed over time: an exponential filter for each track that works on time, not on frames.
//!
//! The filter is the exact solution of τ·ds/dt = x − s for an input that held since the last frame, so a frame rate
//! changes nothing: analysing a face that does not change once or a hundred times in a second ends in the same place.
//! It looks back only, and a weighted mean of two distributions is a distribution.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::moment::Moment;
use crate::report::observation::TrackId;
use crate::report::score::Scores;

/// Smooths the scores of all tracks.
#[derive(Debug)]
pub struct Smoother {
    time_constant: Duration,
    tracks: BTreeMap<TrackId, (Moment, Scores)>,
}

impl Smoother {
    /// A smoother with the time constant τ: after a step, 63 % of the change is through after τ. Zero turns it off.
    #[must_use]
    pub fn new(time_constant: Duration) -> Self {
        Self { time_constant, tracks: BTreeMap::new() }
    }

    /// The smoothed scores of a track after a frame: after a new reading, or with the last one once more, which holds
    /// until there is another. The first reading of a track passes unchanged. A
    /// second reading of the same moment changes nothing.
    pub fn update(&mut self, track: TrackId, at: Moment, reading: &Scores) -> Scores {
        let Some((seen, state)) = self.tracks.get_mut(&track) else {
            self.tracks.insert(track, (at, reading.clone()));
            return reading.clone();
        };
        let share = if self.time_constant.is_zero() {
            1.0
        } else {
            let passed = (at - *seen).as_secs_f64() / self.time_constant.as_secs_f64();
            -libm::expm1(-passed)
        };
        state.approach(reading, share);
        *seen = at.max(*seen);
        state.clone()
    }

    /// Drops what is kept of a track that is over.
    pub fn remove(&mut self, track: TrackId) {
        self.tracks.remove(&track);
    }
}

#[cfg(test)]
mod tests;
