//! Scores smoothed over time: an exponential filter for each track that works on time, not on frames.
//!
//! The filter is the exact solution of τ·ds/dt = x − s for an input that held since the last frame, so a frame rate
//! changes nothing: analysing a face that does not change once or a hundred times in a second ends in the same place.
//! It looks back only, and a weighted mean of two distributions is a distribution.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use crate::moment::Moment;
use crate::report::observation::TrackId;
use crate::report::score::Scores;

/// Smooths the scores of all tracks.
#[derive(Debug)]
pub struct Smoother {
    time_constant: Duration,
    /// Time constants of heads that have one of their own.
    heads: BTreeMap<String, Duration>,
    tracks: BTreeMap<TrackId, (Moment, Scores)>,
}

impl Smoother {
    /// A smoother with the time constant τ: after a step, 63 % of the change is through after τ. Zero turns it off.
    #[must_use]
    pub fn new(time_constant: Duration) -> Self {
        Self { time_constant, heads: BTreeMap::new(), tracks: BTreeMap::new() }
    }

    /// The same with time constants of their own for some heads, by name: an expression lasts longer than the movement
    /// of a muscle.
    #[must_use]
    pub fn with_heads(self, heads: BTreeMap<String, Duration>) -> Self {
        Self { heads, ..self }
    }

    /// The smoothed scores of a track after a frame: after a new reading, or with the last one once more, which holds
    /// until there is another. The first reading of a track passes unchanged. A
    /// second reading of the same moment changes nothing.
    pub fn update(&mut self, track: TrackId, at: Moment, reading: &Scores) -> Scores {
        let Some((seen, state)) = self.tracks.get_mut(&track) else {
            self.tracks.insert(track, (at, reading.clone()));
            return reading.clone();
        };
        let passed = (at - *seen).as_secs_f64();
        state.approach_by_head(reading, |head| {
            let time_constant = self.heads.get(head).unwrap_or(&self.time_constant);
            if time_constant.is_zero() { 1.0 } else { -libm::expm1(-passed / time_constant.as_secs_f64()) }
        });
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
