//! From the frames of a clip to tracked faces with scores, and to what the configured triggers make of them.

use std::sync::Arc;

use super::{ClipFace, ClipFrame, ClipReading};
use crate::config::Settings;
use crate::host::wipe::wipe;
use crate::vision::VisionSettings;
use crate::vision::detect::FaceDetector;
use crate::vision::emotion::sequence::Sequences;
use crate::vision::emotion::{EmotionModel, Flip};
use crate::vision::models::Models;
use emotiond_core::Moment;
use emotiond_core::geometry::Face;
use emotiond_core::report::compound::CompoundReader;
use emotiond_core::report::observation::{FrameAnalysis, Observation, Passage, Skipped, TrackId};
use emotiond_core::report::reading::Reading;
use emotiond_core::report::score::{Scores, Vocabulary};
use emotiond_core::report::summary::Windows;
use emotiond_core::report::trigger::{Signals, TriggerEvent, Triggers};
use emotiond_core::smooth::Smoother;
use emotiond_core::track::Tracker;

/// Reads every face of every frame, both ways: what a clip is given for is worth the time.
pub struct ClipReader {
    detector: Box<dyn FaceDetector>,
    emotion: Option<Box<dyn EmotionModel>>,
    sequences: Sequences,
    compound: Option<CompoundReader>,
    vocabulary: Arc<Vocabulary>,
    settings: VisionSettings,
    tracker: Tracker,
    /// The daemon's smoothing, which its triggers go by, whatever the lines are smoothed with.
    smoother: Smoother,
    windows: Windows,
    triggers: Triggers,
}

impl ClipReader {
    /// A reader at the start of a clip.
    #[must_use]
    pub fn new(models: Models, settings: &Settings) -> Self {
        let Models { detector, emotion, sequences, .. } = models;
        let settings = settings.vision();
        let mut vocabulary = emotion.as_ref().map(|model| model.vocabulary()).unwrap_or_default();
        let compound = settings.compound.and_then(|mean| CompoundReader::new(mean, &vocabulary));
        if let Some(compound) = &compound {
            vocabulary = Arc::clone(compound.vocabulary());
        }
        let mut reader = Self {
            detector,
            emotion,
            sequences,
            compound,
            vocabulary,
            tracker: Tracker::new(settings.tracker.clone()),
            smoother: Smoother::new(settings.smoothing).with_heads(settings.smoothing_by_head.clone()),
            windows: Windows::new(settings.summary.clone(), Moment::ZERO),
            triggers: Triggers::new(settings.triggers.clone(), settings.summary.hold),
            settings,
        };
        reader.restart();
        reader
    }

    /// Forgets everything: the next frame is the first of another clip.
    pub fn restart(&mut self) {
        let settings = &self.settings;
        self.detector.restart();
        self.sequences.scrub();
        self.tracker = Tracker::new(settings.tracker.clone());
        self.smoother = Smoother::new(settings.smoothing).with_heads(settings.smoothing_by_head.clone());
        self.windows = Windows::new(settings.summary.clone(), Moment::ZERO);
        self.triggers = Triggers::new(settings.triggers.clone(), settings.summary.hold);
    }

    /// What is read of each face, in order.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Reads one frame and overwrites its picture.
    ///
    /// # Errors
    /// If a network cannot be run.
    pub fn read(&mut self, mut frame: ClipFrame) -> anyhow::Result<ClipReading> {
        let read = self.faces(&frame);
        wipe(&mut frame.picture);
        let (faces, events) = read?;
        Ok(ClipReading { number: frame.number, time: frame.time, faces, events })
    }

    fn faces(&mut self, frame: &ClipFrame) -> anyhow::Result<(Vec<ClipFace>, Vec<TriggerEvent>)> {
        let at = Moment::after_origin(frame.time);
        let faces = self.detector.detect(&frame.picture)?;
        let tracks = self.tracker.update(at, &faces);
        for passage in self.tracker.drain_passages() {
            self.windows.passage(passage);
            if let Passage::Ended { track, .. } = passage {
                self.smoother.remove(track);
                self.sequences.remove(track);
            }
        }
        let readable = faces.iter().filter(|face| self.readable(face)).count();
        if let Some(model) = &mut self.emotion {
            model.expect(readable);
        }
        let mut read = Vec::with_capacity(faces.len());
        let mut analysis = FrameAnalysis { at, faces: Vec::new(), skipped: Skipped::default() };
        for (face, track) in faces.into_iter().zip(tracks) {
            let scores = self.read_face(frame, &face, track)?;
            let sequences = match &scores {
                Some(scores) => self.sequences.read(track, at, scores)?,
                None => Vec::new(),
            };
            let known = scores.as_ref().filter(|_| self.readable(&face));
            let known = known.map(|scores| self.smoother.update(track, at, scores));
            let scores_of_daemon = known.map(|scores| self.with_compounds(scores));
            let reading = if scores_of_daemon.is_some() { Reading::At(at) } else { Reading::No };
            let facing = face.facing();
            let shown = if reading == Reading::No { Vec::new() } else { sequences.clone() };
            analysis.faces.push(Observation {
                track,
                facing,
                scores: scores_of_daemon,
                sequences: shown,
                reading,
            });
            read.push(ClipFace { track: track.0, face, scores, sequences });
        }
        self.windows.frame(&analysis);
        // Nothing is said of windows here, but visits are counted by them.
        self.windows.advance(at);
        let policy = &self.settings.summary.policy;
        let signals = Signals::of(&analysis, policy).with_visits(self.windows.visits(), policy);
        Ok((read, self.triggers.update(at, &signals)))
    }

    /// Both ways, as `read_both_ways` does it, but for the embedding: that is of the face as it is.
    fn read_face(
        &mut self,
        frame: &ClipFrame,
        face: &Face,
        track: TrackId,
    ) -> anyhow::Result<Option<Scores>> {
        let Some(model) = &mut self.emotion else { return Ok(None) };
        let mut scores = model.read(&frame.picture, face, Flip::Plain)?;
        self.sequences.embed(track, model.as_mut());
        scores.approach(&model.read(&frame.picture, face, Flip::Mirrored)?, 0.5);
        Ok(Some(scores))
    }

    /// What the networks that read sequences can say.
    pub fn sequences(&self) -> Vec<Arc<Vocabulary>> {
        self.sequences.vocabularies().cloned().collect()
    }

    /// Whether the daemon would read this face.
    fn readable(&self, face: &Face) -> bool {
        face.bounds.width.min(face.bounds.height) >= self.settings.min_face && !face.turned()
    }

    /// The scores with the compound expressions that they say, if those are asked for.
    #[must_use]
    pub fn with_compounds(&self, scores: Scores) -> Scores {
        match &self.compound {
            Some(compound) => compound.read(scores),
            None => scores,
        }
    }
}
