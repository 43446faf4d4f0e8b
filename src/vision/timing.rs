//! How long the stages take.

use std::time::Duration;

/// Times of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    count: u32,
    total: Duration,
    max: Duration,
}

impl StageTimes {
    /// Adds one run of the stage.
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.max = self.max.max(time);
    }

    /// Adds the runs of another period.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How often the stage ran.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Mean and longest time, if the stage ran at all.
    #[must_use]
    pub fn mean_max(&self) -> Option<(Duration, Duration)> {
        (self.count > 0).then(|| (self.total / self.count, self.max))
    }
}

/// Times of all stages since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// JPEG or raw frame to RGB.
    pub decode: StageTimes,
    /// Face detection, a frame.
    pub detect: StageTimes,
    /// Emotion, a face.
    pub emotion: StageTimes,
    /// A whole frame.
    pub frame: StageTimes,
}

impl Timing {
    /// Adds the runs of another period.
    pub fn merge(&mut self, other: &Self) {
        self.decode.merge(&other.decode);
        self.detect.merge(&other.detect);
        self.emotion.merge(&other.emotion);
        self.frame.merge(&other.frame);
    }
}
