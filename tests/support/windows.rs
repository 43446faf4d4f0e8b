//! What a consumer can tell from the summaries it receives.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::subscriber::Received;

/// A received summary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    pub boot: String,
    pub sequence: u64,
    pub start: SystemTime,
    pub end: SystemTime,
}

impl Window {
    fn parse(body: &str) -> Self {
        let value: Value = serde_json::from_str(body).unwrap();
        let time = |key: &str| {
            value["window"][key].as_str().unwrap().parse::<jiff::Timestamp>().map(SystemTime::from).unwrap()
        };
        Self {
            boot: value["boot"].as_str().unwrap().to_owned(),
            sequence: value["sequence"].as_u64().unwrap(),
            start: time("start"),
            end: time("end"),
        }
    }
}

/// The summaries among what was received, as they came.
pub fn windows(received: &[Received]) -> Vec<Window> {
    received.iter().filter(|m| m.topic.ends_with("/summary")).map(|m| Window::parse(&m.body)).collect()
}

/// The runs of the daemon in the order of their first summaries, each with its sequence numbers; panics unless doubles
/// apart, the numbers of each run come in order and without gaps from 1, and no run comes after the next has begun.
pub fn runs(windows: &[Window]) -> Vec<(String, Vec<u64>)> {
    let mut runs: Vec<(String, Vec<u64>)> = Vec::new();
    for window in windows {
        match runs.iter().position(|(boot, _)| *boot == window.boot) {
            None => {
                assert_eq!(window.sequence, 1, "the first of a run is missing: {windows:#?}");
                runs.push((window.boot.clone(), vec![1]));
            }
            Some(at) => {
                let sequence = &mut runs[at].1;
                let last = *sequence.last().unwrap();
                if window.sequence <= last {
                    continue; // a double
                }
                assert_eq!(window.sequence, last + 1, "a gap: {windows:#?}");
                sequence.push(window.sequence);
                assert_eq!(at, runs.len() - 1, "out of order: {windows:#?}");
            }
        }
    }
    runs
}

/// How much later `b` is than `a`.
pub fn after(a: SystemTime, b: SystemTime) -> Duration {
    b.duration_since(a).unwrap_or_default()
}
