//! Everything between a frame and a summary, one step a frame. It knows neither devices nor connections: models come
//! in as traits, time comes in as an argument, and what goes out is numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::blindness::Blindness;
use super::damage::{Damage, DamageChange};
use super::reading::FaceReader;
use super::timing::Timing;
use crate::capture::Losses;
use crate::capture::frame::Frame;
use crate::capture::frame::decode::decode;
use crate::capture::frame::luma::Luma;
use crate::host;
use crate::vision::detect::FaceDetector;
use crate::vision::emotion::EmotionModel;
use crate::vision::emotion::sequence::Sequences;
use emotiond_core::Moment;
use emotiond_core::budget::BudgetSettings;
use emotiond_core::report::compound::{CompoundMean, CompoundReader};
use emotiond_core::report::observation::{CameraState, Passage};
use emotiond_core::report::reading::ReadingTimes;
use emotiond_core::report::score::Vocabulary;
use emotiond_core::report::summary::{Summary, SummarySettings, Windows};
use emotiond_core::report::trigger::{Signal, Signals, TriggerEvent, TriggerSettings, Triggers};
use emotiond_core::smooth::Smoother;
use emotiond_core::track::{Tracker, TrackerSettings};

/// What vision needs to know.
#[derive(Clone, Debug)]
pub struct VisionSettings {
    /// Faces with a shorter side than this, in pixels, are counted but not classified.
    pub min_face: f32,
    /// Time constant of the smoothing of scores.
    pub smoothing: Duration,
    /// Time constants of heads that have one of their own, by name.
    pub smoothing_by_head: BTreeMap<String, Duration>,
    /// How compound expressions are read; `None` for none.
    pub compound: Option<CompoundMean>,
    /// What bounds the work.
    pub budget: BudgetSettings,
    /// Tracking.
    pub tracker: TrackerSettings,
    /// Windows.
    pub summary: SummarySettings,
    /// Events; the policy of windows is theirs, too.
    pub triggers: Vec<TriggerSettings>,
}

/// What vision hands on to be published.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A window has closed.
    Summary(Box<Summary>),
    /// A trigger has fired or ended.
    Event(TriggerEvent),
}

/// The stages and their state.
pub struct Vision {
    detector: Box<dyn FaceDetector>,
    reader: FaceReader,
    compound: Option<CompoundReader>,
    vocabulary: Arc<Vocabulary>,
    settings: VisionSettings,
    tracker: Tracker,
    windows: Windows,
    triggers: Triggers,
    blindness: Blindness,
    damage: Damage,
    camera: CameraState,
    picture: RgbImage,
    timing: Timing,
    corrupt: u64,
    outcomes: Vec<Outcome>,
}

impl Vision {
    /// Vision that starts its first window at `start`. Without an emotion model faces are counted and nothing else.
    #[must_use]
    pub fn new(
        detector: Box<dyn FaceDetector>,
        emotion: Option<Box<dyn EmotionModel>>,
        sequences: Sequences,
        settings: VisionSettings,
        start: Moment,
    ) -> Self {
        let smoother = Smoother::new(settings.smoothing).with_heads(settings.smoothing_by_head.clone());
        let reader = FaceReader::new(emotion, sequences, settings.min_face, smoother, settings.budget);
        let mut vocabulary = reader.vocabulary();
        let compound = settings.compound.and_then(|mean| CompoundReader::new(mean, &vocabulary));
        if let Some(compound) = &compound {
            vocabulary = Arc::clone(compound.vocabulary());
        }
        let all = reader.sequences().vocabularies().flat_map(|vocabulary| vocabulary.heads());
        let all = vocabulary.heads().chain(all).map(|(head, _)| head.clone()).collect();
        let vocabulary = Arc::new(Vocabulary::new(all));
        warn_of_silent(&settings.triggers, &vocabulary);
        Self {
            compound,
            vocabulary,
            detector,
            reader,
            tracker: Tracker::new(settings.tracker.clone()),
            windows: Windows::new(settings.summary.clone(), start),
            triggers: Triggers::new(settings.triggers.clone(), settings.summary.hold),
            blindness: Blindness::default(),
            damage: Damage::default(),
            camera: CameraState::Lost,
            picture: RgbImage::new(0, 0),
            timing: Timing::default(),
            corrupt: 0,
            outcomes: Vec::new(),
            settings,
        }
    }

    /// What the emotion model, and then the networks that read sequences of it, can say; empty without one.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// The camera's state, with `Blind` told apart from `Ok`.
    #[must_use]
    pub fn camera(&self) -> CameraState {
        self.camera
    }

    /// Frames that could not be decoded since the last call.
    pub fn take_corrupt(&mut self) -> u64 {
        std::mem::take(&mut self.corrupt)
    }

    /// How long the stages took since the last call.
    pub fn take_timing(&mut self) -> Timing {
        std::mem::take(&mut self.timing)
    }

    /// How often faces were read since the last call.
    pub fn take_readings(&mut self) -> ReadingTimes {
        self.windows.take_readings()
    }

    /// How long the next frame has to wait, so that the process stays within its processor time; frames that come
    /// meanwhile are left unread.
    pub fn wait(&mut self) -> Duration {
        self.reader.wait()
    }

    /// Takes note of a change of the camera's state.
    pub fn camera_changed(&mut self, at: Moment, state: CameraState) {
        if state != CameraState::Ok {
            // Whoever is there when pictures come back may be somebody else.
            self.tracker.clear();
            self.detector.restart();
            self.detector.scrub();
            self.reader.scrub();
            self.pass_on();
            self.blindness = Blindness::default();
            self.damage = Damage::default();
            let events = self.triggers.update(at, &Signals::none());
            self.outcomes.extend(events.into_iter().map(Outcome::Event));
        }
        self.set_camera(at, state);
    }

    /// Takes note of frames that never arrived here.
    pub fn lost(&mut self, at: Moment, losses: Losses) {
        if losses.dropped > 0 {
            self.windows.dropped(at, losses.dropped);
        }
        if losses.corrupt > 0 {
            self.windows.corrupt(at, losses.corrupt);
        }
    }

    /// Analyses one frame.
    ///
    /// A frame that cannot be decoded counts as corrupt and is otherwise ignored.
    ///
    /// # Errors
    /// If a network cannot be run.
    pub fn frame(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let at = frame.at;
        self.reader.begin();
        let started = Instant::now();
        if let Err(error) = decode(frame, &mut self.picture) {
            log::debug!("frame skipped: {error}");
            wipe(&mut self.picture);
            self.windows.corrupt(at, 1);
            self.corrupt += 1;
            if self.damage.update(at, false) == Some(DamageChange::Damaged) {
                log::warn!(
                    "the camera sends damaged frames (the last one: {error}); check its cable and power; they are \
                     counted as corrupt until whole ones come"
                );
            }
            return Ok(());
        }
        if let Some(DamageChange::Whole(frames)) = self.damage.update(at, true) {
            log::info!("the camera's frames are whole again, after {frames} damaged ones");
        }
        self.timing.decode.add(started.elapsed());
        let blind = Luma::of(&self.picture).is_some_and(|luma| self.blindness.update(at, luma));
        self.set_camera(at, if blind { CameraState::Blind } else { CameraState::Ok });

        let started = Instant::now();
        let faces = if blind { Vec::new() } else { self.detector.follow(at, &self.picture)? };
        self.timing.detect.add(started.elapsed());
        let tracks = self.tracker.update(at, &faces);
        self.pass_on();
        let emotion = &mut self.timing.emotion;
        let mut analysis = self.reader.observe(at, &self.picture, &faces, &tracks, emotion)?;
        if let Some(compound) = &self.compound {
            for face in &mut analysis.faces {
                face.scores = face.scores.take().map(|scores| compound.read(scores));
            }
        }
        self.windows.frame(&analysis);
        let policy = &self.settings.summary.policy;
        let signals = Signals::of(&analysis, policy).with_visits(self.windows.visits(), policy);
        let events = self.triggers.update(at, &signals);
        self.outcomes.extend(events.into_iter().map(Outcome::Event));
        self.timing.frame.add(started.elapsed());
        wipe(&mut self.picture);
        Ok(())
    }

    /// Closes the windows that have ended by `now`, and returns what there is to publish.
    pub fn advance(&mut self, now: Moment) -> Vec<Outcome> {
        let summaries = self.windows.advance(now);
        self.outcomes.extend(summaries.into_iter().map(|summary| Outcome::Summary(Box::new(summary))));
        std::mem::take(&mut self.outcomes)
    }

    /// Closes the open window early, because the run is over.
    #[must_use]
    pub fn finish(mut self, now: Moment) -> Vec<Outcome> {
        let mut outcomes = self.advance(now);
        // Nobody looks any longer: the visits under way end with the last window.
        self.tracker.clear();
        self.pass_on();
        outcomes
            .extend(self.windows.finish(now).into_iter().map(|summary| Outcome::Summary(Box::new(summary))));
        outcomes
    }

    /// Tells the windows which tracks began and ended, and forgets those that ended.
    fn pass_on(&mut self) {
        for passage in self.tracker.drain_passages() {
            self.windows.passage(passage);
            if let Passage::Ended { track, .. } = passage {
                self.reader.forget(track);
            }
        }
    }

    fn set_camera(&mut self, at: Moment, state: CameraState) {
        if self.camera != state {
            match (self.camera, state) {
                (_, CameraState::Blind) => {
                    log::warn!("the camera sees nothing: lens covered or room dark; summaries say \"blind\"");
                }
                (CameraState::Blind, CameraState::Ok) => log::info!("the camera sees again"),
                _ => {}
            }
            self.camera = state;
            self.windows.camera(at, state);
        }
    }
}

/// Warns of triggers on scores that nothing reads.
fn warn_of_silent(triggers: &[TriggerSettings], vocabulary: &Vocabulary) {
    for TriggerSettings { name, signal, .. } in triggers {
        if matches!(signal, Signal::Score(score) if vocabulary.place(score).is_none()) {
            log::warn!(
                "the trigger {name:?} never fires: its signal {signal} is not among the scores of the emotion model, or \
                 the site forbids emotion"
            );
        }
    }
}

/// Overwrites the pixels, so that no picture outlives its analysis.
fn wipe(picture: &mut RgbImage) {
    host::wipe::wipe(picture);
}
