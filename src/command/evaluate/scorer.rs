//! Readings against annotations, frame by frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::annotation::{Annotation, CLASSES};
use super::metrics::{Concordance, HitCounts};
use super::pairs::Subject;
use crate::command::clip::{ClipFace, ClipReading};
use emotiond_core::report::expression::Expression;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, Scores, Vocabulary};

/// The agreement over all clips so far.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Annotated frames.
    pub frames: u64,
    /// Those of them in which no face was found, which count with the last reading before.
    pub without_face: u64,
    /// Frames that have a class.
    pub classified: u64,
    /// Of each class in the order of [`CLASSES`].
    pub classes: [HitCounts; 8],
    /// Of valence and of arousal.
    pub affect: [Concordance; 2],
    /// Of each annotated action unit, by its name; `None` if the model does not have it.
    pub units: BTreeMap<String, Option<HitCounts>>,
}

/// What a model says of one frame, in the terms of the annotations.
#[derive(Clone, Debug, Default)]
struct FrameVerdict {
    class: usize,
    affect: [f64; 2],
    units: BTreeMap<String, bool>,
}

/// Collects the agreement.
pub struct Scorer {
    vocabulary: Arc<Vocabulary>,
    agreement: Agreement,
    annotation: Option<Annotation>,
    subject: Subject,
    /// The next frame to compare, from 0.
    next: usize,
    last: FrameVerdict,
}

impl Scorer {
    /// A scorer of what a model of this vocabulary says.
    pub fn new(vocabulary: &Arc<Vocabulary>) -> Self {
        Self {
            vocabulary: Arc::clone(vocabulary),
            agreement: Agreement::default(),
            annotation: None,
            subject: Subject::Largest,
            next: 0,
            last: FrameVerdict::default(),
        }
    }

    /// Begins a clip. Until a face is found, its verdict is: neutral, 0, 0, no action unit.
    pub fn begin(&mut self, annotation: Annotation, subject: Subject) {
        if let Annotation::Units { names, .. } = &annotation {
            for name in names {
                let known = self.vocabulary.place(&format!("{ACTION_UNITS}.{name}"));
                self.agreement
                    .units
                    .entry(name.clone())
                    .or_insert_with(|| known.map(|_| HitCounts::default()));
            }
        }
        self.annotation = Some(annotation);
        self.subject = subject;
        self.next = 0;
        self.last = FrameVerdict::default();
    }

    /// Compares the next frame; those before it that are missing count as frames without a face.
    pub fn frame(&mut self, reading: &ClipReading) {
        let place = usize::try_from(reading.number).unwrap_or(usize::MAX).saturating_sub(1);
        while self.next < place && self.compare(false) {}
        if self.next != place {
            return;
        }
        let scores = self.chosen(&reading.faces).and_then(|face| face.scores.as_ref());
        let scores = scores.filter(|scores| scores.is_finite());
        if let Some(scores) = scores {
            self.last = verdict(scores);
        }
        self.compare(scores.is_some());
    }

    /// Ends a clip: what is annotated beyond its last frame counts, too, as those who score the challenges do.
    pub fn end(&mut self) {
        while self.compare(false) {}
        self.annotation = None;
    }

    /// The agreement over all clips.
    pub fn results(&self) -> Agreement {
        self.agreement.clone()
    }

    fn chosen<'a>(&self, faces: &'a [ClipFace]) -> Option<&'a ClipFace> {
        let key = |face: &&ClipFace| {
            let bounds = &face.face.bounds;
            match self.subject {
                Subject::Largest => bounds.width * bounds.height,
                Subject::Left => -bounds.center().x,
                Subject::Right => bounds.center().x,
            }
        };
        faces.iter().max_by(|a, b| key(a).total_cmp(&key(b)))
    }

    /// Compares the verdict with the annotation of the next frame; returns whether there was one.
    fn compare(&mut self, seen: bool) -> bool {
        let Self { annotation: Some(annotation), agreement, next, last, .. } = self else { return false };
        if *next >= annotation.len() {
            return false;
        }
        let annotated = match annotation {
            Annotation::Expression(frames) => frames[*next].is_some_and(|class| {
                agreement.classified += 1;
                for (place, tally) in agreement.classes.iter_mut().enumerate() {
                    tally.add(last.class == place, class == place);
                }
                true
            }),
            Annotation::Affect(frames) => frames[*next].is_some_and(|values| {
                let pairs = last.affect.iter().zip(values);
                for (concordance, (said, annotated)) in agreement.affect.iter_mut().zip(pairs) {
                    concordance.add([*said, annotated]);
                }
                true
            }),
            Annotation::Units { names, frames } => {
                let cells =
                    names.iter().zip(&frames[*next]).filter_map(|(name, cell)| Some((name, (*cell)?)));
                let mut any = false;
                for (name, there) in cells {
                    any = true;
                    if let Some(Some(tally)) = agreement.units.get_mut(name) {
                        tally.add(last.units.get(name).copied().unwrap_or(false), there);
                    }
                }
                any
            }
        };
        agreement.frames += u64::from(annotated);
        agreement.without_face += u64::from(annotated && !seen);
        *next += 1;
        true
    }
}

/// Contempt, which ABAW does not have, counts as its "other", and nothing else does.
fn verdict(scores: &Scores) -> FrameVerdict {
    let class = scores.head(EXPRESSION).and_then(|(labels, values)| {
        let (label, _) = labels.iter().zip(values).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let expression: Expression = label.parse().ok()?;
        Some(CLASSES.iter().position(|(_, class)| *class == Some(expression)).unwrap_or(CLASSES.len() - 1))
    });
    let affect = ["valence", "arousal"].map(|name| f64::from(scores.get(name).unwrap_or(0.0)));
    let units = scores.head(ACTION_UNITS).into_iter().flat_map(|(labels, values)| labels.iter().zip(values));
    let units = units.map(|(label, value)| (label.clone(), *value >= 0.5)).collect();
    FrameVerdict { class: class.unwrap_or(0), affect, units }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emotiond_core::geometry::{Face, Point, Rect};
    use emotiond_core::report::score::ScoreHead;
    use std::time::Duration;

    fn vocabulary() -> Arc<Vocabulary> {
        let units = ["AU1".to_owned(), "AU12".to_owned()];
        Arc::new(Vocabulary::new(vec![
            ScoreHead::expression(&Expression::ALL),
            ScoreHead::valence_arousal(),
            ScoreHead::action_units(&units),
        ]))
    }

    /// A frame with one face for each expression given, from left to right and growing.
    fn frame(vocabulary: &Arc<Vocabulary>, number: u64, faces: &[Expression]) -> ClipReading {
        let face = |(place, expression): (usize, &Expression)| {
            let mut values: Vec<f32> =
                Expression::ALL.iter().map(|class| if class == expression { 0.9 } else { 0.01 }).collect();
            values.extend([0.5, -0.5, 0.2, 0.8]);
            let bounds = Rect { x: 100.0 * place as f32, y: 0.0, width: 10.0 + place as f32, height: 10.0 };
            ClipFace {
                track: place as u64 + 1,
                face: Face { bounds, score: 1.0, keypoints: [Point::default(); 6] },
                scores: Some(Scores::new(Arc::clone(vocabulary), values)),
                sequences: Vec::new(),
            }
        };
        let faces = faces.iter().enumerate().map(face).collect();
        ClipReading { number, time: Duration::ZERO, faces, events: Vec::new() }
    }

    #[test]
    fn labels_are_in_the_order_of_the_annotations_and_not_of_the_model() {
        use Expression::{Anger, Contempt, Happiness};
        let vocabulary = vocabulary();
        let mut scorer = Scorer::new(&vocabulary);
        // Anger is 1 and happiness 4 there; contempt counts as other, 7.
        let annotated = [Some(1), Some(4), None, Some(7), Some(4), Some(4)];
        scorer.begin(Annotation::Expression(annotated.to_vec()), Subject::Largest);
        scorer.frame(&frame(&vocabulary, 1, &[Happiness, Anger]));
        scorer.frame(&frame(&vocabulary, 2, &[Happiness]));
        // Frame 3 is missing, frame 5 is empty, 6 is beyond the clip.
        scorer.frame(&frame(&vocabulary, 4, &[Contempt]));
        scorer.frame(&frame(&vocabulary, 5, &[]));
        scorer.end();
        let found = scorer.results();
        assert_eq!((found.frames, found.classified, found.without_face), (5, 5, 2));
        let tally = |hits, false_alarms, misses| HitCounts { hits, false_alarms, misses };
        assert_eq!(found.classes[1], tally(1, 0, 0));
        assert_eq!(found.classes[4], tally(1, 0, 2));
        assert_eq!(found.classes[7], tally(1, 2, 0), "the last reading stands for what follows it");
        assert_eq!(found.classes[0], HitCounts::default());
    }

    #[test]
    fn the_subject_is_chosen_and_units_the_model_lacks_are_told_apart() {
        use Expression::{Anger, Happiness};
        let vocabulary = vocabulary();
        let mut scorer = Scorer::new(&vocabulary);
        for (subject, class) in [(Subject::Left, 4), (Subject::Right, 1)] {
            scorer.begin(Annotation::Expression(vec![Some(class)]), subject);
            scorer.frame(&frame(&vocabulary, 1, &[Happiness, Anger]));
            scorer.end();
        }
        assert_eq!(scorer.results().classes[1].hits + scorer.results().classes[4].hits, 2);
        let names = ["AU1", "AU6", "AU12"].map(str::to_owned).to_vec();
        let frames = vec![vec![Some(true), Some(true), Some(true)], vec![None, Some(false), Some(false)]];
        scorer.begin(Annotation::Units { names, frames }, Subject::Largest);
        scorer.frame(&frame(&vocabulary, 1, &[Happiness]));
        scorer.frame(&frame(&vocabulary, 2, &[Happiness]));
        scorer.end();
        let units = scorer.results().units;
        assert_eq!(units["AU1"], Some(HitCounts { hits: 0, false_alarms: 0, misses: 1 }));
        assert_eq!(units["AU6"], None);
        assert_eq!(units["AU12"], Some(HitCounts { hits: 1, false_alarms: 1, misses: 0 }));
    }
}
