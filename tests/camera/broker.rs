//! A broker on the host, and what it has received of the daemon in the guest.

use serde_json::Value;

use crate::PATIENCE;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::{Received, Subscriber};

/// What the broker has received.
pub struct Broker {
    pub subscriber: Subscriber,
}

impl Broker {
    pub fn of(mosquitto: &Mosquitto) -> Self {
        Self { subscriber: Subscriber::new(mosquitto.port(), "emotiond/guest/#").patient(PATIENCE) }
    }

    /// Waits for a summary that is accepted, among those that came after the first `seen` messages.
    pub fn summary(&self, what: &str, seen: usize, accepted: impl Fn(&Value) -> bool) {
        let summary = self.subscriber.until(what, |received| summaries(&received[seen..]).find(&accepted));
        eprintln!("summary, {what}: {summary}");
    }

    /// How many messages have been received.
    pub fn seen(&self) -> usize {
        self.subscriber.until("anything", |received| Some(received.len()))
    }

    /// The processes that have sent summaries so far.
    pub fn boots(&self) -> Vec<Value> {
        self.subscriber
            .until("anything", |received| Some(summaries(received).map(|mut s| s["boot"].take()).collect()))
    }

    /// One run has counted its windows without a gap, whatever happened to the camera.
    pub fn no_window_is_missing(&self) {
        let summaries: Vec<_> =
            self.subscriber.until("anything", |received| Some(summaries(received).collect()));
        for (index, summary) in summaries.iter().enumerate() {
            assert_eq!(summary["sequence"], index + 1, "{summary}");
            assert_eq!(summary["boot"], summaries[0]["boot"]);
            if index > 0 {
                let pause = moment(summary, "start") - moment(&summaries[index - 1], "end");
                // Each message reads the wall clock anew.
                assert!(pause.abs() < 0.1, "{pause} s before {summary}");
            }
        }
    }
}

fn summaries(received: &[Received]) -> impl Iterator<Item = Value> {
    let summaries = received.iter().filter(|message| message.topic == "emotiond/guest/summary");
    summaries.map(|message| serde_json::from_str(&message.body).unwrap())
}

/// The start or end of a summary's window, in seconds.
fn moment(summary: &Value, which: &str) -> f64 {
    let time: jiff::Timestamp = summary["window"][which].as_str().unwrap().parse().unwrap();
    time.as_millisecond() as f64 / 1000.0
}
