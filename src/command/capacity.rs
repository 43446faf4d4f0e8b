//! What a machine can hold: frames a second and faces, from processor time that the whole pipeline takes with crowds in
//! front of it.

use std::fmt::Write as _;
use std::time::Duration;

use image::RgbImage;
use serde::Serialize;

use crate::capture::frame::Frame;
use crate::config::Settings;
use crate::host::clock::thread_time;
use crate::vision::detect::FaceDetector;
use crate::vision::{Vision, VisionSettings, models};
use emotiond_core::Moment;
use emotiond_core::budget::BudgetSettings;
use emotiond_core::geometry::{Face, Point, Rect};
use emotiond_core::schedule::SETTLED;

/// From one frame to the next: so long that each is searched in whole and its face read, as bare parts are added up.
pub(super) const APART: Duration = Duration::from_secs(1);

/// The crowds. The first is an empty room, from which the cost of a frame is known.
const CROWDS: [usize; 4] = [0, 1, 5, 30];
/// Frames in which new faces are read more often than later.
const WARM_UP: u32 = 15;
/// The side of a face in the frame, and the distance from one to the next, pixels.
const FACE: (f32, f32) = (80.0, 96.0);

/// What it takes to look at so many faces.
#[derive(Clone, Copy, Debug, Serialize)]
struct Crowd {
    faces: usize,
    /// Frames a second that one core can analyse at most, with every face read about once a second; 0 if it cannot read
    /// so many faces.
    most_fps: f64,
    /// Cores that the configured rate takes, if no face changes.
    cpu: f64,
    /// The same, if every face is read in every frame, as changing and moving ones are.
    cpu_changing: f64,
}

/// What this machine can hold.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Capacity {
    /// The configured rate, frames a second.
    rate: f64,
    /// Faces that one core can read in a second, besides nothing else.
    faces_per_second: Option<f64>,
    crowds: Vec<Crowd>,
}

/// A detector that searches whole pictures, as in front of a crowd, and then finds one, so that it may be measured on any
/// picture.
struct Crowded {
    detector: Box<dyn FaceDetector>,
    at: Moment,
    faces: Vec<Face>,
}

impl FaceDetector for Crowded {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        self.at += APART;
        self.detector.follow(self.at, picture)?;
        Ok(self.faces.clone())
    }

    fn scrub(&mut self) {
        self.detector.scrub();
    }
}

/// Runs the pipeline on a frame with each of the crowds, for so many frames.
pub(super) fn measure(settings: &Settings, frame: &mut Frame, frames: u32) -> anyhow::Result<Capacity> {
    let rate = settings.camera.mode.rate;
    let mut capacity = Capacity { rate, ..Capacity::default() };
    let mut empty = 0.0;
    let mut reading = 0.0;
    for faces in CROWDS {
        let (time, readings) = crowd(settings, frame, frames, faces)?;
        if faces == 0 {
            empty = time;
            continue;
        }
        if readings > 0.0 {
            reading = (time - empty).max(0.0) / readings;
            capacity.faces_per_second = Some(1.0 / reading.max(1e-9));
        }
        // All that the faces cost in a second is reading them, and the frames have the rest of the core.
        let read = faces as f64 * reading / SETTLED.as_secs_f64();
        capacity.crowds.push(Crowd {
            faces,
            most_fps: (1.0 - read).max(0.0) / empty.max(1e-9),
            cpu: rate * time,
            cpu_changing: rate * (empty + faces as f64 * reading),
        });
    }
    Ok(capacity)
}

/// Processor seconds and readings a frame.
fn crowd(settings: &Settings, frame: &mut Frame, frames: u32, faces: usize) -> anyhow::Result<(f64, f64)> {
    let models = models::open(&settings.models, &settings.privacy.policy)?;
    let faces = (0..faces).map(face).collect();
    let detector = Box::new(Crowded { detector: models.detector, at: Moment::ZERO, faces });
    // Every face is read as often as it should be, whatever that takes: this is what is measured.
    let unbounded = VisionSettings { min_face: 0.0, budget: BudgetSettings::default(), ..settings.vision() };
    let mut vision = Vision::new(detector, models.emotion, models.sequences, unbounded, frame.at);
    let mut total = Duration::ZERO;
    for number in 0..WARM_UP + frames {
        if number == WARM_UP {
            vision.take_timing();
        }
        frame.at += Duration::from_secs_f64(1.0 / settings.camera.mode.rate);
        let before = thread_time();
        vision.frame(frame)?;
        vision.advance(frame.at);
        if number >= WARM_UP {
            total += thread_time().saturating_sub(before);
        }
    }
    let readings = vision.take_timing().emotion.count() as f64;
    Ok((total.as_secs_f64() / f64::from(frames), readings / f64::from(frames)))
}

/// A face that looks into the camera, at its place among others.
pub(super) fn face(number: usize) -> Face {
    let (side, step) = FACE;
    let (x, y) = ((number % 6) as f32 * step + 16.0, (number / 6) as f32 * step);
    let point = |across: f32, down: f32| Point { x: x + across * side, y: y + down * side };
    // Eyes, nose, mouth and ears.
    let keypoints = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.75), (0.1, 0.45), (0.9, 0.45)];
    Face {
        bounds: Rect { x, y, width: side, height: side },
        score: 1.0,
        keypoints: keypoints.map(|(across, down)| point(across, down)),
    }
}

impl Capacity {
    /// For a person.
    pub(super) fn table(&self) -> String {
        let Self { rate, faces_per_second, crowds } = self;
        let mut text = String::from(
            "\nWhat one core of this machine can hold (arithmetic from the times of these runs):\n\n",
        );
        if let Some(faces) = faces_per_second {
            let _infallible = writeln!(text, "faces read a second           {faces:7.0}");
        }
        let _infallible = writeln!(
            text,
            "\n faces   frames a second at most,   cores at {rate} frames a second (camera.cpu)\n         \
             each face read every {SETTLED:?}   if no face changes   if all do"
        );
        for Crowd { faces, most_fps, cpu, cpu_changing } in crowds {
            let _infallible = writeln!(text, "{faces:6}   {most_fps:25.1}   {cpu:17.3}   {cpu_changing:9.3}");
        }
        text
    }
}
