//! The last hour, from summaries as they were published: what privacy withheld there is not here either.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// How far back it goes.
const LENGTH: Duration = Duration::from_secs(3600);
/// Shorter windows are put together into points of about this length.
const POINT: f64 = 10.0;

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Point>);

#[derive(Debug)]
struct Point {
    /// When its last window closed.
    at: Instant,
    seconds: f64,
    people: Option<f64>,
    valence: Mean,
    arousal: Mean,
    facing: Mean,
}

/// A mean over windows that have the value.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: &Value, seconds: f64) {
        if let Some(value) = value.as_f64() {
            self.sum += value * seconds;
            self.weight += seconds;
        }
    }

    fn get(self) -> Option<f64> {
        (self.weight > 0.0).then(|| (self.sum / self.weight * 1000.0).round() / 1000.0)
    }
}

/// A point as it stands in the stream.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct PointPayload {
    /// Seconds since it ended.
    ago: u64,
    /// Seconds that it covers.
    seconds: f64,
    /// Most people at once; null if nothing was observed.
    people: Option<f64>,
    valence: Option<f64>,
    arousal: Option<f64>,
    facing: Option<f64>,
}

impl History {
    /// Takes a summary as it went on the wire.
    pub fn add(&mut self, summary: &Value, now: Instant) {
        let seconds = summary["window"]["seconds"].as_f64().unwrap_or_default();
        let joins = self.0.back().is_some_and(|last| last.seconds + seconds <= POINT + 0.5);
        if !joins {
            let [valence, arousal, facing] = [Mean::default(); 3];
            self.0.push_back(Point { at: now, seconds: 0.0, people: None, valence, arousal, facing });
        }
        let point = self.0.back_mut().expect("one was added if there was none");
        point.at = now;
        point.seconds += seconds;
        let people = summary["faces"]["max"].as_f64();
        point.people = match (point.people, people) {
            (Some(before), Some(now)) => Some(before.max(now)),
            (before, now) => before.or(now),
        };
        point.valence.add(&summary["valence"]["mean"], seconds);
        point.arousal.add(&summary["arousal"]["mean"], seconds);
        point.facing.add(&summary["faces"]["facing"], seconds);
        while self.0.front().is_some_and(|first| now.duration_since(first.at) > LENGTH) {
            self.0.pop_front();
        }
    }

    /// All points, the oldest first.
    pub fn points(&self, now: Instant) -> Vec<PointPayload> {
        let point = |point: &Point| PointPayload {
            ago: now.duration_since(point.at).as_secs(),
            seconds: (point.seconds * 10.0).round() / 10.0,
            people: point.people,
            valence: point.valence.get(),
            arousal: point.arousal.get(),
            facing: point.facing.get(),
        };
        self.0.iter().map(point).filter(|point| point.ago <= LENGTH.as_secs()).collect()
    }
}
