//! The sums of one window.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Faces, HeldFace, Quality, ScoreStatistics, ScoreSummary, Summary};
use crate::moment::Moment;
use crate::report::observation::{CameraState, Skipped, TrackId};
use crate::report::policy::{Policy, Suppressed};
use crate::report::reading::ReadingTimes;
use crate::report::score::{EXPRESSION, Scores, Vocabulary};

/// Not-ok states in the order in which a tie of their times is decided: the one that says most first.
const NOT_OK: [CameraState; 3] = [CameraState::Paused, CameraState::Lost, CameraState::Blind];

/// Sums over face-seconds. Times are whole nanoseconds, so that they add up exactly.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) start: Moment,
    pub(super) frames: u64,
    pub(super) dropped: u64,
    pub(super) corrupt: u64,
    pub(super) readings: ReadingTimes,
    skipped: Skipped,
    observed: Duration,
    not_ok: [Duration; 3],
    face_time: Duration,
    facing_time: Duration,
    max: u32,
    tracks: BTreeSet<TrackId>,
    scores: Option<ScoreSums>,
    /// Of each network that reads sequences.
    sequences: Vec<ScoreSums>,
}

/// Sums over the scores of faces of one vocabulary.
#[derive(Debug)]
struct ScoreSums {
    vocabulary: Arc<Vocabulary>,
    time: Duration,
    ambiguous: Duration,
    sums: Vec<ScoreSum>,
}

/// Σ w·x, Σ w·x² and the greatest x of one score.
#[derive(Clone, Copy, Debug)]
struct ScoreSum {
    values: f64,
    squares: f64,
    peak: f64,
}

impl ScoreSums {
    fn new(vocabulary: Arc<Vocabulary>) -> Self {
        let nothing = ScoreSum { values: 0.0, squares: 0.0, peak: f64::NEG_INFINITY };
        Self {
            sums: vec![nothing; vocabulary.scores()],
            vocabulary,
            time: Duration::ZERO,
            ambiguous: Duration::ZERO,
        }
    }

    /// Adds the scores of one face, which is ambiguous if none of its expressions reaches a probability of `least`.
    /// Scores of another vocabulary are left out; a new model starts new windows.
    fn add(&mut self, passed: Duration, scores: &Scores, least: f64) {
        if self.vocabulary != *scores.vocabulary() {
            return;
        }
        self.time += passed;
        if scores.head(EXPRESSION).is_some_and(|(_, p)| p.iter().all(|p| f64::from(*p) < least)) {
            self.ambiguous += passed;
        }
        let weight = passed.as_secs_f64();
        for (sum, value) in self.sums.iter_mut().zip(scores.values()) {
            let value = f64::from(*value);
            sum.values += weight * value;
            sum.squares += weight * (value * value);
            sum.peak = sum.peak.max(value);
        }
    }

    fn summarize(self) -> ScoreSummary {
        let time = self.time.as_secs_f64();
        let statistics = |sum: &ScoreSum| {
            let mean = sum.values / time;
            // Rounding can leave the difference just below zero.
            let variance = (sum.squares / time - mean * mean).max(0.0);
            ScoreStatistics { mean, std: libm::sqrt(variance), peak: sum.peak }
        };
        ScoreSummary {
            statistics: self.sums.iter().map(statistics).collect(),
            vocabulary: self.vocabulary,
            ambiguous: self.ambiguous.as_secs_f64() / time,
        }
    }
}

impl Window {
    pub(super) fn new(start: Moment) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether nothing has happened in it, so that it may become part of a merged gap.
    pub(super) fn is_untouched(&self) -> bool {
        self.frames == 0
            && self.dropped == 0
            && self.corrupt == 0
            && self.observed.is_zero()
            && self.not_ok.iter().all(Duration::is_zero)
    }

    pub(super) fn skip(&mut self, skipped: Skipped) {
        self.skipped.small = self.skipped.small.saturating_add(skipped.small);
        self.skipped.turned = self.skipped.turned.saturating_add(skipped.turned);
    }

    /// Credits time, more than none, in which these faces were there; those are ambiguous none of whose expressions has
    /// a probability of `least`.
    pub(super) fn observe(&mut self, passed: Duration, faces: &[HeldFace], least: f64) {
        self.observed += passed;
        self.max = self.max.max(u32::try_from(faces.len()).unwrap_or(u32::MAX));
        self.tracks.extend(faces.iter().map(|face| face.track));
        for face in faces {
            self.face_time += passed;
            if face.facing {
                self.facing_time += passed;
            }
            if let Some(scores) = &face.scores {
                let sums = self.scores.get_or_insert_with(|| ScoreSums::new(Arc::clone(scores.vocabulary())));
                sums.add(passed, scores, least);
            }
            for scores in &face.sequences {
                let known = self.sequences.iter().position(|sums| sums.vocabulary == *scores.vocabulary());
                let place = known.unwrap_or_else(|| {
                    self.sequences.push(ScoreSums::new(Arc::clone(scores.vocabulary())));
                    self.sequences.len() - 1
                });
                self.sequences[place].add(passed, scores, least);
            }
        }
    }

    /// Credits time in which nothing was observed. A camera said to work that gave no picture was lost.
    pub(super) fn unobserved(&mut self, passed: Duration, camera: CameraState) {
        let state = if camera == CameraState::Ok { CameraState::Lost } else { camera };
        for (time, _) in self.not_ok.iter_mut().zip(NOT_OK).filter(|(_, not_ok)| *not_ok == state) {
            *time += passed;
        }
    }

    pub(super) fn summarize(self, end: Moment, policy: &Policy) -> Summary {
        let observed = !self.observed.is_zero();
        let people = u32::try_from(self.tracks.len()).unwrap_or(u32::MAX);
        // By those seen at once, not by all who were seen: one person who leaves and comes back is two tracks, and must
        // not pass for two people.
        let suppressed = match policy.suppresses(self.max) {
            Some(Suppressed::Site) => Some(Suppressed::Site),
            _ if !observed => None,
            _ if people == 0 => Some(Suppressed::Nobody),
            why => why,
        };
        let readings = (suppressed.is_none() && !self.readings.readable.is_zero()).then_some(self.readings);
        let camera = if observed { CameraState::Ok } else { self.longest() };
        let faces = observed.then(|| Faces {
            mean: self.face_time.as_secs_f64() / self.observed.as_secs_f64(),
            max: self.max,
            people,
            facing: (policy.facing && !self.face_time.is_zero())
                .then(|| self.facing_time.as_secs_f64() / self.face_time.as_secs_f64()),
            skipped: self.skipped,
        });
        Summary {
            start: self.start,
            end,
            faces,
            visits: None,
            scores: self.scores.filter(|_| observed && suppressed.is_none()).map(ScoreSums::summarize),
            sequences: if observed && suppressed.is_none() {
                self.sequences.into_iter().map(ScoreSums::summarize).collect()
            } else {
                Vec::new()
            },
            suppressed,
            quality: Quality {
                camera,
                frames: self.frames,
                dropped: self.dropped,
                corrupt: self.corrupt,
                observed: self.observed,
                readings,
            },
        }
    }

    fn longest(&self) -> CameraState {
        let longest = self.not_ok.iter().max().copied().unwrap_or_default();
        let place = self.not_ok.iter().position(|time| *time == longest);
        place.map_or(CameraState::Lost, |place| NOT_OK[place])
    }
}
