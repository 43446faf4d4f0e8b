//! The numbers of a clip by time, in so many bins at most however long it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::command::clip::ClipReading;
use emotiond_core::report::score::{EXPRESSION, SEQUENCE, Vocabulary};
use emotiond_core::report::trigger::{Phase, TriggerEvent};

/// The most bins; with one more, neighbours are joined.
const MOST: usize = 800;
/// The width of a bin at the start, in seconds: that of a frame at 25 a second.
const FIRST: f64 = 0.04;
/// The most events that are kept.
const MOST_EVENTS: usize = 2000;

/// What the frames of one bin say together.
#[derive(Clone, Debug, Default)]
pub struct Bin {
    /// Frames.
    pub frames: u64,
    /// Faces, summed over the frames.
    pub faces: u64,
    /// Those of them that have scores.
    read: u64,
    /// The sum of each expression's probability, in the order of the vocabulary.
    expression: Vec<f64>,
    /// The sums of valence and arousal.
    affect: [f64; 2],
    /// Of each score of networks that read sequences, in the order of [`Bins::sequences`]: its sum, and over how many faces.
    sequences: Vec<(f64, u64)>,
}

impl Bin {
    fn join(&mut self, other: &Self) {
        self.frames += other.frames;
        self.faces += other.faces;
        self.read += other.read;
        self.expression.resize(self.expression.len().max(other.expression.len()), 0.0);
        self.expression.iter_mut().zip(&other.expression).for_each(|(sum, more)| *sum += more);
        self.affect.iter_mut().zip(other.affect).for_each(|(sum, more)| *sum += more);
        self.sequences.resize(self.sequences.len().max(other.sequences.len()), (0.0, 0));
        for (sum, more) in self.sequences.iter_mut().zip(&other.sequences) {
            *sum = (sum.0 + more.0, sum.1 + more.1);
        }
    }

    /// The mean of one score of a network that reads sequences, over the faces of which it said something.
    pub fn sequence(&self, place: usize) -> Option<f64> {
        let (sum, count) = self.sequences.get(place)?;
        (*count > 0).then(|| sum / *count as f64)
    }

    /// The mean probability of each expression over the faces; `None` without one.
    pub fn expression(&self) -> Option<Vec<f64>> {
        let mean = |sum: &f64| sum / self.read as f64;
        (self.read > 0 && !self.expression.is_empty()).then(|| self.expression.iter().map(mean).collect())
    }

    /// The mean valence and arousal over the faces.
    pub fn affect(&self) -> Option<[f64; 2]> {
        (self.read > 0).then(|| self.affect.map(|sum| sum / self.read as f64))
    }
}

/// The bins of a clip.
pub struct Bins {
    /// The labels of the expressions; empty if the model has none.
    pub labels: Vec<String>,
    /// Whether there is valence and arousal.
    pub affect: bool,
    /// The heads of networks that read sequences: name and labels.
    pub sequences: Vec<(String, Vec<String>)>,
    /// From the start of the clip on, each of [`Self::width`] seconds.
    pub bins: Vec<Bin>,
    /// Seconds of a bin.
    pub width: f64,
    /// The time of the last frame, in seconds.
    pub end: f64,
}

impl Bins {
    pub fn new(vocabulary: &Vocabulary, sequences: &[Arc<Vocabulary>]) -> Self {
        let labels = vocabulary.head(EXPRESSION).map(|(head, _)| head.labels.clone()).unwrap_or_default();
        let affect = vocabulary.place("valence").is_some() && vocabulary.place("arousal").is_some();
        let heads = sequences.iter().flat_map(|vocabulary| vocabulary.heads());
        let named = |name: &str| name.strip_prefix(SEQUENCE).unwrap_or(name).to_owned();
        let sequences = heads.map(|(head, _)| (named(&head.name), head.labels.clone())).collect();
        Self { labels, affect, sequences, bins: Vec::new(), width: FIRST, end: 0.0 }
    }

    pub fn add(&mut self, reading: &ClipReading) {
        let time = reading.time.as_secs_f64();
        while time / self.width >= MOST as f64 {
            self.width *= 2.0;
            let pairs = self.bins.chunks(2).map(|pair| {
                let mut joined = pair[0].clone();
                pair[1..].iter().for_each(|other| joined.join(other));
                joined
            });
            self.bins = pairs.collect();
        }
        // A frame that is shown at the edge of a bin belongs to the later one, however its time was rounded.
        let place = (time / self.width + 1e-6) as usize;
        if self.bins.len() <= place {
            self.bins.resize(place + 1, Bin::default());
        }
        let bin = &mut self.bins[place];
        bin.frames += 1;
        self.end = self.end.max(time);
        for face in &reading.faces {
            bin.faces += 1;
            let mut first = 0;
            bin.sequences.resize(self.sequences.iter().map(|(_, labels)| labels.len()).sum(), (0.0, 0));
            for (name, labels) in &self.sequences {
                let full = format!("{SEQUENCE}{name}");
                let said = face.sequences.iter().find_map(|scores| scores.head(&full));
                for (sum, value) in
                    bin.sequences[first..].iter_mut().zip(said.map_or(&[][..], |(_, values)| values))
                {
                    *sum = (sum.0 + f64::from(*value), sum.1 + 1);
                }
                first += labels.len();
            }
            let Some(scores) = face.scores.as_ref().filter(|scores| scores.is_finite()) else { continue };
            bin.read += 1;
            if let Some((_, values)) = scores.head(EXPRESSION) {
                bin.expression.resize(values.len(), 0.0);
                bin.expression.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            let affect = ["valence", "arousal"].map(|name| f64::from(scores.get(name).unwrap_or(0.0)));
            bin.affect.iter_mut().zip(affect).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// From when to when each trigger's condition was met, in seconds.
#[derive(Default)]
pub struct Spans {
    /// By the trigger's name; the end is missing while it goes on.
    pub triggers: BTreeMap<String, Vec<(f64, Option<f64>)>>,
    /// Events that there was no room for.
    pub left_out: u64,
    kept: usize,
}

impl Spans {
    pub fn add(&mut self, events: &[TriggerEvent]) {
        for event in events {
            let at = event.at.since_origin().as_secs_f64();
            let began = (event.at - event.lasted).since_origin();
            match event.phase {
                Phase::Start if self.kept < MOST_EVENTS => {
                    self.kept += 1;
                    self.triggers.entry(event.name.clone()).or_default().push((seconds(began), None));
                }
                Phase::Start => self.left_out += 1,
                // The end belongs to the start that has none yet and lasted as long.
                Phase::End => {
                    let open = self.triggers.get_mut(&event.name).into_iter().flatten();
                    let mut open: Vec<_> = open.filter(|(_, end)| end.is_none()).collect();
                    open.sort_by(|(a, _), (b, _)| {
                        (a - seconds(began)).abs().total_cmp(&(b - seconds(began)).abs())
                    });
                    if let Some((_, end)) = open.first_mut() {
                        *end = Some(at);
                    }
                }
            }
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::clip::ClipFace;
    use emotiond_core::geometry::{Face, Point, Rect};
    use emotiond_core::report::score::{ScoreHead, Scores};

    #[test]
    fn a_clip_of_any_length_takes_as_much_memory_and_loses_nothing() {
        let expressions = ["neutral".parse().unwrap(), "happiness".parse().unwrap()];
        let heads = vec![ScoreHead::expression(&expressions), ScoreHead::valence_arousal()];
        let vocabulary = Arc::new(Vocabulary::new(heads));
        let mut bins = Bins::new(&vocabulary, &[]);
        let face = Face { bounds: Rect::default(), score: 1.0, keypoints: [Point::default(); 6] };
        let scores = Some(Scores::new(Arc::clone(&vocabulary), vec![0.25, 0.75, 0.5, -0.5]));
        for number in 1..=10_000_u64 {
            let time = Duration::from_secs_f64((number - 1) as f64 / 25.0);
            let faces = vec![ClipFace { track: 1, face, scores: scores.clone(), sequences: Vec::new() }];
            bins.add(&ClipReading { number, time, faces, events: Vec::new() });
            assert!(bins.bins.len() <= MOST);
        }
        assert_eq!(bins.bins.iter().map(|bin| bin.frames).sum::<u64>(), 10_000);
        assert!(bins.width * bins.bins.len() as f64 >= 399.9, "{}", bins.width);
        for bin in &bins.bins {
            assert_eq!((bin.expression(), bin.affect()), (Some(vec![0.25, 0.75]), Some([0.5, -0.5])));
        }
    }
}
