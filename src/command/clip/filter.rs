//! Scores of a clip smoothed over time: with the daemon's filter, which looks back only, or with a window around each
//! moment, which a clip allows since what comes after is there too.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use super::ClipReading;
use emotiond_core::Moment;
use emotiond_core::report::observation::TrackId;
use emotiond_core::report::score::Scores;
use emotiond_core::smooth::Smoother;

/// The widest filter, in seconds: what has to be held in memory.
const WIDEST: f64 = 10.0;

/// How scores are smoothed. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Not at all.
    None,
    /// The daemon's exponential filter with this time constant.
    Causal(f64),
    /// A weighted mean over the readings of the same track around each moment.
    Centred {
        /// The weight of a reading by how far away it is.
        kernel: Kernel,
        /// How far it looks ahead.
        lag: f64,
    },
}

/// The shape of a centred filter. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kernel {
    /// The same weight over this width.
    Box(f64),
    /// A normal distribution of this standard deviation, up to three of them.
    Gaussian(f64),
}

impl Kernel {
    /// How far it reaches to each side.
    fn reach(self) -> f64 {
        match self {
            Self::Box(width) => width / 2.0,
            Self::Gaussian(sigma) => 3.0 * sigma,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        match self {
            Self::Box(_) => 1.0,
            Self::Gaussian(sigma) => (-0.5 * (distance / sigma).powi(2)).exp(),
        }
    }
}

/// As `--smooth` has it: `none`, `causal:1`, `box:0.5`, `gaussian:0.3`, and a lag behind a comma (`gaussian:0.3,0.1`).
impl FromStr for Smoothing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "{text:?} is no smoothing: write none, causal:SECONDS, box:WIDTH or gaussian:SIGMA, all in seconds above \
                 0; box and gaussian take a lag behind a comma, 0 or more; {WIDEST} seconds to each side at most"
            )
        };
        if text == "none" {
            return Ok(Self::None);
        }
        let (kind, numbers) = text.split_once(':').ok_or_else(wrong)?;
        let (size, lag) = numbers.split_once(',').map_or((numbers, None), |(size, lag)| (size, Some(lag)));
        let seconds = |text: &str| text.parse().ok().filter(|s: &f64| s.is_finite()).ok_or_else(wrong);
        let size = seconds(size)?;
        let kernel = match (kind, lag) {
            ("causal", None) if size > 0.0 && size <= 60.0 => return Ok(Self::Causal(size)),
            ("box", _) if size > 0.0 => Kernel::Box(size),
            ("gaussian", _) if size > 0.0 => Kernel::Gaussian(size),
            _ => return Err(wrong()),
        };
        let lag = lag.map_or(Ok(kernel.reach()), seconds)?;
        if kernel.reach() > WIDEST || lag < 0.0 {
            return Err(wrong());
        }
        Ok(Self::Centred { kernel, lag: lag.min(kernel.reach()) })
    }
}

/// Smooths the readings of a clip, frame by frame; what it holds is bounded by its width.
pub enum ClipFilter {
    /// Passes everything on.
    Through,
    /// The daemon's.
    Causal(Smoother),
    /// A window around each moment.
    Centred(CentredFilter),
}

impl ClipFilter {
    /// A filter that has seen nothing.
    #[must_use]
    pub fn new(smoothing: Smoothing) -> Self {
        match smoothing {
            Smoothing::None => Self::Through,
            Smoothing::Causal(seconds) => Self::Causal(Smoother::new(Duration::from_secs_f64(seconds))),
            Smoothing::Centred { kernel, lag } => {
                Self::Centred(CentredFilter { kernel, lag, held: VecDeque::new(), next: 0 })
            }
        }
    }

    /// Takes the next frame, and returns those that are ready, in order.
    pub fn push(&mut self, mut reading: ClipReading) -> Vec<ClipReading> {
        match self {
            Self::Through => vec![reading],
            Self::Causal(smoother) => {
                let at = Moment::after_origin(reading.time);
                for face in &mut reading.faces {
                    let track = TrackId(face.track);
                    face.scores = face.scores.take().map(|scores| smoother.update(track, at, &scores));
                }
                vec![reading]
            }
            Self::Centred(filter) => {
                let now = reading.time.as_secs_f64();
                filter.held.push_back(reading);
                filter.ready(now - filter.lag)
            }
        }
    }

    /// The frames that still wait for later ones, of which there are none.
    pub fn finish(&mut self) -> Vec<ClipReading> {
        match self {
            Self::Through | Self::Causal(_) => Vec::new(),
            Self::Centred(filter) => filter.ready(f64::INFINITY),
        }
    }
}

/// A weighted mean over a window around each moment.
pub struct CentredFilter {
    kernel: Kernel,
    lag: f64,
    /// Frames that others need, those behind `next` included.
    held: VecDeque<ClipReading>,
    /// The first of them that has not been passed on.
    next: usize,
}

impl CentredFilter {
    /// The frames up to a time, smoothed.
    fn ready(&mut self, until: f64) -> Vec<ClipReading> {
        let mut ready = Vec::new();
        while let Some(reading) = self.held.get(self.next).filter(|r| r.time.as_secs_f64() <= until) {
            let now = reading.time.as_secs_f64();
            let mut smoothed = reading.clone();
            for face in &mut smoothed.faces {
                face.scores = face.scores.take().map(|own| self.mean(face.track, now, own));
            }
            ready.push(smoothed);
            self.next += 1;
            let oldest = now - self.kernel.reach();
            while self.held.front().is_some_and(|reading| reading.time.as_secs_f64() < oldest) {
                self.held.pop_front();
                self.next -= 1;
            }
        }
        ready
    }

    fn mean(&self, track: u64, now: f64, own: Scores) -> Scores {
        let mut mean = own;
        let mut total = 0.0;
        for reading in &self.held {
            let distance = reading.time.as_secs_f64() - now;
            if distance < -self.kernel.reach() || distance > self.lag {
                continue;
            }
            for face in reading.faces.iter().filter(|face| face.track == track) {
                let Some(scores) = &face.scores else { continue };
                let weight = self.kernel.weight(distance);
                total += weight;
                // The first replaces what the mean began with.
                mean.approach(scores, weight / total);
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::command::clip::ClipFace;
    use emotiond_core::geometry::{Face, Point, Rect};
    use emotiond_core::report::score::{ScoreHead, Vocabulary};

    fn reading(number: u64, seconds: f64, faces: &[(u64, f32)]) -> ClipReading {
        let vocabulary = Arc::new(Vocabulary::new(vec![ScoreHead::valence_arousal()]));
        let face = Face { bounds: Rect::default(), score: 1.0, keypoints: [Point::default(); 6] };
        let faces = faces.iter().map(|(track, value)| ClipFace {
            track: *track,
            face,
            scores: Some(Scores::new(Arc::clone(&vocabulary), vec![*value, 0.0])),
            sequences: Vec::new(),
        });
        let time = Duration::from_secs_f64(seconds);
        ClipReading { number, time, faces: faces.collect(), events: Vec::new() }
    }

    /// Valence of track 1 after smoothing readings that are a second apart.
    fn smoothed(smoothing: &str, values: &[f32]) -> Vec<f32> {
        let mut filter = ClipFilter::new(smoothing.parse().unwrap());
        let mut out = Vec::new();
        for (place, value) in values.iter().enumerate() {
            // Another face must not matter.
            let number = place as u64;
            out.extend(filter.push(reading(number, place as f64, &[(1, *value), (2, -*value)])));
        }
        out.extend(filter.finish());
        assert_eq!(
            out.iter().map(|r| r.number).collect::<Vec<_>>(),
            (0..values.len() as u64).collect::<Vec<_>>()
        );
        out.iter().map(|r| r.faces[0].scores.as_ref().unwrap().get("valence").unwrap()).collect()
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
    }

    #[test]
    fn by_hand() {
        let step = [0.0, 0.0, 1.0, 1.0];
        close(&smoothed("none", &step), &step);
        close(&smoothed("box:2", &step), &[0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
        // Without a look ahead it is the mean of the last two.
        close(&smoothed("box:2,0", &step), &[0.0, 0.0, 0.5, 1.0]);
        // Weights exp(-1/2) and exp(-2) beside 1; three deviations are beyond the ends.
        let (a, b) = ((-0.5_f32).exp(), (-2.0_f32).exp());
        let c = (-4.5_f32).exp();
        close(
            &smoothed("gaussian:1", &step),
            &[
                (b + c) / (1.0 + a + b + c),
                (a + b) / (1.0 + 2.0 * a + b),
                (1.0 + a) / (1.0 + 2.0 * a + b),
                (1.0 + a) / (1.0 + a + b + c),
            ],
        );
        // 63 % of a step after the time constant.
        close(&smoothed("causal:1", &[0.0, 1.0]), &[0.0, 1.0 - (-1.0_f32).exp()]);
    }

    #[test]
    fn what_is_no_smoothing_is_refused() {
        for bad in [
            "",
            "box",
            "box:0",
            "box:-1",
            "gaussian:nan",
            "gaussian:4",
            "causal:1,2",
            "box:1,-1",
            "mean:1",
            "box:21",
        ] {
            assert!(bad.parse::<Smoothing>().unwrap_err().contains("no smoothing"), "{bad}");
        }
        assert_eq!("box:1,9".parse(), Ok(Smoothing::Centred { kernel: Kernel::Box(1.0), lag: 0.5 }));
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_order_kept(
            steps in prop::collection::vec(0.0_f64..0.5, 1..60),
            sigma in 0.05_f64..1.0,
            lag in 0.0_f64..2.0,
        ) {
            let mut filter = ClipFilter::new(format!("gaussian:{sigma},{lag}").parse().unwrap());
            let (mut now, mut out) = (0.0, Vec::new());
            for (place, step) in steps.iter().enumerate() {
                now += step;
                out.extend(filter.push(reading(place as u64, now, &[(1, 0.5)])));
                let ClipFilter::Centred(inner) = &filter else { panic!("it is one") };
                let (first, last) = (inner.held.front().unwrap(), inner.held.back().unwrap());
                let span = last.time.as_secs_f64() - first.time.as_secs_f64();
                prop_assert!(span <= 6.0 * sigma + 0.51, "{span}");
            }
            out.extend(filter.finish());
            prop_assert!(out.iter().map(|r| r.number).eq(0..steps.len() as u64));
            for reading in out {
                let valence = reading.faces[0].scores.as_ref().unwrap().get("valence").unwrap();
                prop_assert!((valence - 0.5).abs() < 1e-5);
            }
        }
    }
}
