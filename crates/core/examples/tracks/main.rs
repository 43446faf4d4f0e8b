//! How well the tracker keeps people apart and together: drawn scenarios with a known truth, or a clip's detections.
//!
//! ```sh
//! cargo run --release -p emotiond-core --example tracks                        # drawn people
//! cargo run --release -p emotiond-core --example tracks -- clip.jsonl 5        # a clip at 5 frames a second
//! ```
//!
//! A clip is a file with one JSON line a frame: `{"faces": [{"box": [x, y, width, height], "person": 1}, …]}`, where
//! `person` is who it really is. Nothing but boxes goes in, and nothing but counts comes out:
//!
//! * **changes**: how often a person's track is another one than when the person was last seen (MOT's id switches);
//! * **fragments**: tracks of a person beyond the first;
//! * **mixed**: persons of a track beyond the first: what makes two visits one;
//! * **visits**: tracks of two faces or more, which should be as many as the people.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example that prints a table")]

mod people;

use std::collections::{BTreeMap, BTreeSet};

use emotiond_core::Moment;
use emotiond_core::geometry::{Face, Point, Rect};
use emotiond_core::report::observation::TrackId;
use emotiond_core::track::{Tracker, TrackerSettings};

/// A box and whose it is.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Who it is.
    pub person: u32,
    /// Where the detector sees the face.
    pub bounds: Rect,
}

/// What went wrong over one or more clips.
#[derive(Clone, Copy, Default)]
struct Score {
    people: usize,
    visits: usize,
    changes: usize,
    fragments: usize,
    mixed: usize,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.people += other.people;
        self.visits += other.visits;
        self.changes += other.changes;
        self.fragments += other.fragments;
        self.mixed += other.mixed;
    }

    fn print(&self, name: &str) {
        let Self { people, visits, changes, fragments, mixed } = self;
        println!("| {name:<28} | {people:>6} | {visits:>6} | {changes:>7} | {fragments:>9} | {mixed:>5} |");
    }
}

/// Runs the tracker over frames, `rate` a second.
fn score(frames: &[Vec<Seen>], rate: f64) -> Score {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let mut last: BTreeMap<u32, TrackId> = BTreeMap::new();
    let mut tracks: BTreeMap<TrackId, (usize, BTreeSet<u32>)> = BTreeMap::new();
    let mut people: BTreeMap<u32, BTreeSet<TrackId>> = BTreeMap::new();
    let mut changes = 0;
    for (number, seen) in frames.iter().enumerate() {
        let at = Moment::from_millis((number as f64 * 1000.0 / rate) as u64);
        let face = |seen: &Seen| Face { bounds: seen.bounds, score: 0.9, keypoints: [Point::default(); 6] };
        let faces: Vec<Face> = seen.iter().map(face).collect();
        for (track, seen) in tracker.update(at, &faces).into_iter().zip(seen) {
            let before = last.insert(seen.person, track);
            changes += usize::from(before.is_some_and(|before| before != track));
            let (count, persons) = tracks.entry(track).or_default();
            *count += 1;
            persons.insert(seen.person);
            people.entry(seen.person).or_default().insert(track);
        }
    }
    Score {
        people: people.len(),
        visits: tracks.values().filter(|(count, _)| *count >= 2).count(),
        changes,
        fragments: people.values().map(|tracks| tracks.len() - 1).sum(),
        mixed: tracks.values().map(|(_, persons)| persons.len() - 1).sum(),
    }
}

/// The frames of a clip's detections.
fn read(path: &str) -> Vec<Vec<Seen>> {
    let text = std::fs::read_to_string(path).unwrap();
    let frame = |line: &str| {
        let frame: serde_json::Value = serde_json::from_str(line).unwrap();
        let seen = |face: &serde_json::Value| {
            let [x, y, width, height] = [0, 1, 2, 3].map(|place| face["box"][place].as_f64().unwrap() as f32);
            let person = u32::try_from(face["person"].as_u64().unwrap()).unwrap();
            Seen { person, bounds: Rect { x, y, width, height } }
        };
        frame["faces"].as_array().unwrap().iter().map(seen).collect()
    };
    text.lines().map(frame).collect()
}

fn main() {
    println!("| scenario                     | people | visits | changes | fragments | mixed |");
    println!("|---|---|---|---|---|---|");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [path, rate] = &arguments[..] {
        score(&read(path), rate.parse().unwrap()).print(path);
        return;
    }
    let mut all = Score::default();
    for rate in [2.0, 5.0, 10.0] {
        for scenario in people::SCENARIOS {
            let mut sum = Score::default();
            for seed in 5000..5200 {
                sum.add(score(&people::draw(scenario, rate, seed), rate));
            }
            sum.print(&format!("{scenario}, {rate} a second"));
            all.add(sum);
        }
    }
    all.print("all");
}
