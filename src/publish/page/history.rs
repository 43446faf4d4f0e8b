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
pub(super) struct History(VecDeque<HistoryPoint>);

/// A stretch of time: one window, or several short ones.
#[derive(Debug)]
struct HistoryPoint {
    /// When its last window closed.
    at: Instant,
    seconds: f64,
    people: Option<f64>,
    valence: WeightedMean,
    arousal: WeightedMean,
    facing: WeightedMean,
    visits: Option<f64>,
    watchers: Option<f64>,
    ended: Option<f64>,
    dwell: WeightedMean,
    facing_time: WeightedMean,
}

/// A mean over windows that have the value.
#[derive(Clone, Copy, Debug, Default)]
struct WeightedMean {
    sum: f64,
    weight: f64,
}

impl WeightedMean {
    fn add(&mut self, value: &Value, weight: f64) {
        if let Some(value) = value.as_f64() {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn get(self) -> Option<f64> {
        (self.weight > 0.0).then(|| thousandths(self.sum / self.weight))
    }
}

/// A point as it stands in the stream; what is not known is left out.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct PointPayload {
    /// Seconds since it ended.
    ago: u64,
    /// Seconds that it covers.
    seconds: f64,
    /// Most people at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arousal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facing: Option<f64>,
    /// Visits that began, those whose facing time reached a second, and those that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    visits: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watchers: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<f64>,
    /// Of those that ended: seconds, mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    dwell: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facing_time: Option<f64>,
}

impl HistoryPoint {
    fn new(at: Instant) -> Self {
        let [valence, arousal, facing, dwell, facing_time] = [WeightedMean::default(); 5];
        let [people, visits, watchers, ended] = [None; 4];
        Self {
            at,
            seconds: 0.0,
            people,
            valence,
            arousal,
            facing,
            visits,
            watchers,
            ended,
            dwell,
            facing_time,
        }
    }

    fn add(&mut self, summary: &Value, seconds: f64, at: Instant) {
        self.at = at;
        self.seconds += seconds;
        let faces = &summary["faces"];
        join(&mut self.people, &faces["max"], f64::max);
        self.valence.add(&summary["valence"]["mean"], seconds);
        self.arousal.add(&summary["arousal"]["mean"], seconds);
        self.facing.add(&faces["facing"], seconds);
        let sum = |a, b| a + b;
        join(&mut self.visits, &faces["visits"], sum);
        join(&mut self.watchers, &faces["watchers"], sum);
        join(&mut self.ended, &faces["dwell"]["ended"], sum);
        let ended = |key: &str| faces[key]["ended"].as_f64().unwrap_or_default();
        self.dwell.add(&faces["dwell"]["mean"], ended("dwell"));
        self.facing_time.add(&faces["facing_time"]["mean"], ended("facing_time"));
    }

    fn payload(&self, now: Instant) -> PointPayload {
        PointPayload {
            ago: now.duration_since(self.at).as_secs(),
            seconds: thousandths(self.seconds),
            people: self.people,
            valence: self.valence.get(),
            arousal: self.arousal.get(),
            facing: self.facing.get(),
            visits: self.visits,
            watchers: self.watchers,
            ended: self.ended,
            dwell: self.dwell.get(),
            facing_time: self.facing_time.get(),
        }
    }
}

fn join(sum: &mut Option<f64>, value: &Value, how: impl Fn(f64, f64) -> f64) {
    if let Some(value) = value.as_f64() {
        *sum = Some(sum.map_or(value, |before| how(before, value)));
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl History {
    /// Takes a summary as it went on the wire.
    pub fn add(&mut self, summary: &Value, now: Instant) {
        let seconds = summary["window"]["seconds"].as_f64().unwrap_or_default();
        if self.0.back().is_none_or(|last| last.seconds + seconds > POINT + 0.5) {
            self.0.push_back(HistoryPoint::new(now));
        }
        self.0.back_mut().expect("one was added if there was none").add(summary, seconds, now);
        while self.0.front().is_some_and(|first| now.duration_since(first.at) >= LENGTH) {
            self.0.pop_front();
        }
    }

    /// All points, the oldest first.
    pub fn points(&self, now: Instant) -> Vec<PointPayload> {
        let points = self.0.iter().map(|point| point.payload(now));
        points.filter(|point| point.ago < LENGTH.as_secs()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn window(seconds: f64, people: Option<u32>, valence: Option<f64>) -> Value {
        let faces = people.map(|people| {
            json!({"max": people, "facing": null, "visits": 1, "watchers": null,
                "dwell": {"ended": people, "mean": f64::from(people)}, "facing_time": null})
        });
        json!({"window": {"seconds": seconds}, "faces": faces, "valence": valence.map(|mean| json!({"mean": mean}))})
    }

    #[test]
    fn short_windows_become_points_and_what_was_withheld_is_not_there() {
        let (mut history, start) = (History::default(), Instant::now());
        let windows = [window(3.0, Some(1), None), window(3.0, None, None), window(3.0, Some(3), Some(0.5))];
        for (second, window) in (0..).zip(windows.iter().chain([&window(10.0, None, None)])) {
            history.add(window, start + Duration::from_secs(second));
        }
        let points = serde_json::to_value(history.points(start + Duration::from_secs(60))).unwrap();
        assert_eq!(
            points,
            json!([{"ago": 58, "seconds": 9.0, "people": 3.0, "valence": 0.5, "visits": 2.0, "ended": 4.0, "dwell": 2.5},
                {"ago": 57, "seconds": 10.0}])
        );
    }

    #[test]
    fn every_field_is_documented() {
        let summary = json!({"window": {"seconds": 10.0}, "valence": {"mean": 0.1}, "arousal": {"mean": 0.2},
            "faces": {"max": 1, "facing": 1.0, "visits": 1, "watchers": 1, "dwell": {"ended": 1, "mean": 2.0},
                "facing_time": {"ended": 1, "mean": 1.0}}});
        let (mut history, now) = (History::default(), Instant::now());
        history.add(&summary, now);
        let points = serde_json::to_value(history.points(now)).unwrap();
        let fields = points[0].as_object().unwrap();
        assert_eq!(fields.len(), 11, "{points}");
        let documented = include_str!("../../../docs/page.md");
        for field in fields.keys() {
            assert!(documented.contains(&format!("`points[].{field}`")), "{field}");
        }
        assert_eq!(
            documented.matches("`points[].").count(),
            fields.len(),
            "docs/page.md has one that is none"
        );
    }

    #[test]
    fn it_ends_an_hour_ago() {
        let (mut history, start) = (History::default(), Instant::now());
        for second in 0..8000 {
            history.add(&window(1.0, Some(2), Some(0.25)), start + Duration::from_secs(second));
        }
        let points = history.points(start + Duration::from_secs(7999));
        assert_eq!((points.len(), history.0.len()), (360, 360));
        assert_eq!((points[0].ago, points[359].ago), (3590, 0));
        assert!(history.points(start + Duration::from_secs(7999 + 3601)).is_empty());
        // What a browser is sent at once: docs/numbers.md.
        let text = serde_json::to_string(&points).unwrap();
        assert!(text.len() < 64 * 1024, "{}", text.len());
    }
}
