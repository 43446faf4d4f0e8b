//! How long the stages take.

use std::time::Duration;

/// Times of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    count: u64,
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

    /// The runs since `earlier`, a state of the same times; `max` is the longest of them, which the sums do not know.
    #[must_use]
    pub fn since(&self, earlier: &Self, max: Duration) -> Self {
        Self { count: self.count - earlier.count, total: self.total.saturating_sub(earlier.total), max }
    }

    /// How often the stage ran.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean and longest time, if the stage ran at all.
    #[must_use]
    pub fn mean_max(&self) -> Option<(Duration, Duration)> {
        (self.count > 0).then(|| (self.total.div_f64(self.count as f64), self.max))
    }
}

/// Times of all stages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// JPEG or raw frame to RGB.
    pub decode: StageTimes,
    /// Face detection, a frame.
    pub detect: StageTimes,
    /// Emotion, a reading of a face.
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

    /// The runs since `earlier`, a state of the same times; the longest ones are those of `peaks`.
    #[must_use]
    pub fn since(&self, earlier: &Self, peaks: &Self) -> Self {
        let of = |now: &StageTimes, then: &StageTimes, peak: &StageTimes| now.since(then, peak.max);
        Self {
            decode: of(&self.decode, &earlier.decode, &peaks.decode),
            detect: of(&self.detect, &earlier.detect, &peaks.detect),
            emotion: of(&self.emotion, &earlier.emotion, &peaks.emotion),
            frame: of(&self.frame, &earlier.frame, &peaks.frame),
        }
    }
}
