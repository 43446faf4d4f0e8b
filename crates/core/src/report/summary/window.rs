//! The sums of one window.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{EmotionPolicy, Expressions, Faces, Held, Quality, Spread, Summary, SummarySettings, Suppressed};
use crate::moment::Moment;
use crate::report::observation::{CameraState, Skipped, TrackId, Vocabulary};

/// Not-ok states in the order in which a tie of their times is decided: the one that says most first.
const NOT_OK: [CameraState; 3] = [CameraState::Paused, CameraState::Lost, CameraState::Blind];

/// Sums over face-seconds. Times are whole nanoseconds, so that they add up exactly.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) start: Moment,
    pub(super) frames: u64,
    pub(super) dropped: u64,
    pub(super) corrupt: u64,
    skipped: Skipped,
    observed: Duration,
    not_ok: [Duration; 3],
    face_time: Duration,
    facing_time: Duration,
    max: u32,
    tracks: BTreeSet<TrackId>,
    expression: Mean<8>,
    intensity: [f64; 8],
    valence_arousal: Mean<2>,
    /// Σ w·v² for the spread.
    squares: [f64; 2],
    action_units: Vec<f64>,
    action_unit_time: Duration,
}

/// Σ w·x and Σ w.
#[derive(Debug)]
struct Mean<const N: usize> {
    sum: [f64; N],
    time: Duration,
}

impl<const N: usize> Default for Mean<N> {
    fn default() -> Self {
        Self { sum: [0.0; N], time: Duration::ZERO }
    }
}

impl<const N: usize> Mean<N> {
    fn add(&mut self, weight: Duration, values: &[f32; N]) {
        self.time += weight;
        for (sum, value) in self.sum.iter_mut().zip(values) {
            *sum += weight.as_secs_f64() * f64::from(*value);
        }
    }

    fn get(&self) -> Option<[f64; N]> {
        (!self.time.is_zero()).then(|| self.sum.map(|sum| sum / self.time.as_secs_f64()))
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

    /// Credits time, more than none, in which these faces were there.
    pub(super) fn observe(&mut self, passed: Duration, faces: &[Held]) {
        self.observed += passed;
        self.max = self.max.max(u32::try_from(faces.len()).unwrap_or(u32::MAX));
        self.tracks.extend(faces.iter().map(|face| face.track));
        for face in faces {
            self.face_time += passed;
            if face.facing {
                self.facing_time += passed;
            }
            let Some(emotion) = &face.emotion else { continue };
            if let Some(scores) = &emotion.expression {
                self.expression.add(passed, scores);
                for (peak, score) in self.intensity.iter_mut().zip(scores) {
                    *peak = peak.max(f64::from(*score));
                }
            }
            if let Some(values) = &emotion.valence_arousal {
                self.valence_arousal.add(passed, values);
                for (sum, value) in self.squares.iter_mut().zip(values) {
                    *sum += passed.as_secs_f64() * f64::from(*value) * f64::from(*value);
                }
            }
            if !emotion.action_units.is_empty() {
                self.action_units.resize(emotion.action_units.len(), 0.0);
                self.action_unit_time += passed;
                for (sum, value) in self.action_units.iter_mut().zip(&emotion.action_units) {
                    *sum += passed.as_secs_f64() * f64::from(*value);
                }
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

    pub(super) fn summarize(
        self,
        end: Moment,
        settings: &SummarySettings,
        vocabulary: &Arc<Vocabulary>,
    ) -> Summary {
        let observed = !self.observed.is_zero();
        let people = u32::try_from(self.tracks.len()).unwrap_or(u32::MAX);
        let suppressed = match settings.emotion {
            EmotionPolicy::Forbidden => Some(Suppressed::Site),
            EmotionPolicy::Allowed if !observed => None,
            EmotionPolicy::Allowed if people == 0 => Some(Suppressed::Nobody),
            // Those seen at once, not those seen in all: one person who leaves and comes back is two tracks, and must
            // not pass for two people.
            EmotionPolicy::Allowed if self.max < settings.min_people => Some(Suppressed::MinPeople),
            EmotionPolicy::Allowed => None,
        };
        let speaks = observed && suppressed.is_none();
        let expression = self.expression.get().filter(|_| speaks);
        let spreads = self.spreads().filter(|_| speaks);
        let action_units = (speaks && !self.action_unit_time.is_zero()).then(|| {
            let time = self.action_unit_time.as_secs_f64();
            self.action_units.iter().map(|sum| sum / time).collect()
        });
        let faces = observed.then(|| Faces {
            mean: self.face_time.as_secs_f64() / self.observed.as_secs_f64(),
            max: self.max,
            people,
            facing: (settings.facing && !self.face_time.is_zero())
                .then(|| self.facing_time.as_secs_f64() / self.face_time.as_secs_f64()),
            skipped: self.skipped,
        });
        Summary {
            start: self.start,
            end,
            faces,
            expression: expression
                .map(|distribution| Expressions { distribution, intensity: self.intensity }),
            valence: spreads.map(|[valence, _]| valence),
            arousal: spreads.map(|[_, arousal]| arousal),
            action_units,
            suppressed,
            quality: Quality {
                camera: if observed { CameraState::Ok } else { self.longest() },
                frames: self.frames,
                dropped: self.dropped,
                corrupt: self.corrupt,
                observed: self.observed,
            },
            vocabulary: Arc::clone(vocabulary),
        }
    }

    fn spreads(&self) -> Option<[Spread; 2]> {
        let means = self.valence_arousal.get()?;
        let time = self.valence_arousal.time.as_secs_f64();
        Some(core::array::from_fn(|i| {
            // Rounding can leave the difference just below zero.
            let variance = (self.squares[i] / time - means[i] * means[i]).max(0.0);
            Spread { mean: means[i], std: libm::sqrt(variance) }
        }))
    }

    fn longest(&self) -> CameraState {
        let longest = self.not_ok.iter().max().copied().unwrap_or_default();
        let place = self.not_ok.iter().position(|time| *time == longest);
        place.map_or(CameraState::Lost, |place| NOT_OK[place])
    }
}
