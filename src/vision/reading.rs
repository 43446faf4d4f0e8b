//! The emotion of a frame's faces: of as many of them as there is time for. Of the others, what was last read holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emotiond_core::Moment;
use emotiond_core::budget::{Budget, BudgetSettings, Cost};
use emotiond_core::geometry::Face;
use emotiond_core::report::observation::{FrameAnalysis, Observation, Skipped, TrackId};
use emotiond_core::report::reading::Reading;
use emotiond_core::report::score::Vocabulary;
use emotiond_core::schedule::ReadingSchedule;
use emotiond_core::smooth::Smoother;
use image::RgbImage;

use super::emotion::sequence::Sequences;
use super::emotion::{EmotionModel, Flip};
use super::timing::StageTimes;
use crate::host::clock::{process_time, thread_time};

/// Reads faces within a budget, and smooths what they show.
pub(super) struct FaceReader {
    model: Option<Box<dyn EmotionModel>>,
    sequences: Sequences,
    /// Faces with a shorter side than this, in pixels, are not read.
    min_face: f32,
    schedule: ReadingSchedule,
    smoother: Smoother,
    budget: Budget,
    /// The origin of the budget's time.
    started: Instant,
    /// When the frame began.
    begun: Instant,
    /// What smoothing and the networks that read sequences took in the last frame, after its readings.
    after: Duration,
}

impl FaceReader {
    pub(super) fn new(
        model: Option<Box<dyn EmotionModel>>,
        sequences: Sequences,
        min_face: f32,
        smoother: Smoother,
        budget: BudgetSettings,
    ) -> Self {
        let now = Instant::now();
        Self {
            model,
            sequences,
            min_face,
            schedule: ReadingSchedule::default(),
            smoother,
            budget: Budget::new(budget),
            started: now,
            begun: now,
            after: Duration::ZERO,
        }
    }

    /// What the networks that read sequences can say.
    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    pub(super) fn vocabulary(&self) -> Arc<Vocabulary> {
        self.model.as_ref().map(|model| model.vocabulary()).unwrap_or_default()
    }

    /// How long the next frame has to wait, so that the process stays within its processor time.
    pub(super) fn wait(&mut self) -> Duration {
        self.budget.settle(Moment::after_origin(self.started.elapsed()), process_time())
    }

    /// A frame begins.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
        self.budget.begin(process_time());
    }

    /// What is known of the faces of the frame that has begun, each with its track. `times` gets the time of each reading.
    pub(super) fn observe(
        &mut self,
        at: Moment,
        picture: &RgbImage,
        faces: &[Face],
        tracks: &[TrackId],
        times: &mut StageTimes,
    ) -> anyhow::Result<FrameAnalysis> {
        let mut skipped = Skipped::default();
        let mut readable = Vec::with_capacity(faces.len());
        for (face, &track) in faces.iter().zip(tracks) {
            let small = face.bounds.width.min(face.bounds.height) < self.min_face;
            let turned = face.turned();
            skipped.small += u32::from(small);
            skipped.turned += u32::from(turned && !small);
            if self.model.is_some() && !small && !turned {
                readable.push((track, *face));
            }
        }
        if let Some(model) = &mut self.model {
            model.expect(readable.len());
        }
        self.read(at, picture, &readable, times)?;
        let read = Instant::now();
        let mut observed = Vec::with_capacity(faces.len());
        for (face, &track) in faces.iter().zip(tracks) {
            let (mut scores, mut sequences, mut reading) = (None, Vec::new(), Reading::No);
            if readable.iter().any(|(readable, _)| *readable == track) {
                let known = self.schedule.known(track);
                reading = known.map_or(Reading::Due, |(read, _)| Reading::At(read));
                if let Some((_, known)) = known {
                    scores = Some(self.smoother.update(track, at, known));
                    sequences = self.sequences.read(track, at, known)?;
                }
            }
            observed.push(Observation { track, facing: face.facing(), scores, sequences, reading });
        }
        self.after = read.elapsed();
        Ok(FrameAnalysis { at, faces: observed, skipped })
    }

    fn read(
        &mut self,
        at: Moment,
        picture: &RgbImage,
        faces: &[(TrackId, Face)],
        times: &mut StageTimes,
    ) -> anyhow::Result<()> {
        let most = self.budget.readings(self.begun.elapsed() + self.after);
        let Some(model) = &mut self.model else { return Ok(()) };
        let places: Vec<_> = faces.iter().map(|(track, face)| (*track, face.bounds)).collect();
        for pick in self.schedule.choose(at, &places, most) {
            let (track, face) = &faces[pick.place];
            let (wall, cpu) = (Instant::now(), thread_time());
            let flip = if pick.mirrored { Flip::Mirrored } else { Flip::Plain };
            let reading = model.read(picture, face, flip)?;
            self.sequences.embed(*track, model.as_mut());
            let cost = Cost { wall: wall.elapsed(), cpu: thread_time().saturating_sub(cpu) };
            self.budget.read(cost);
            times.add(cost.wall);
            self.schedule.read(*track, at, face.bounds, reading);
        }
        Ok(())
    }

    /// Drops what is kept of a track that is over.
    pub(super) fn forget(&mut self, track: TrackId) {
        self.schedule.remove(track);
        self.smoother.remove(track);
        self.sequences.remove(track);
    }

    /// Overwrites what is left in memory of the last face.
    pub(super) fn scrub(&mut self) {
        if let Some(model) = &mut self.model {
            model.scrub();
        }
        self.sequences.scrub();
    }
}
