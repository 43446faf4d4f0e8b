//! The whole of vision with the shipped models, on a real picture, under a clock that moves only when told to.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use emotiond::capture::Losses;
use emotiond::capture::frame::decode::decode;
use emotiond::capture::frame::{Frame, PixelFormat};
use emotiond::config::{Overrides, Settings};
use emotiond::host::clock::{Clock, ManualClock};
use emotiond::vision::emotion::Flip;
use emotiond::vision::models;
use emotiond::vision::{Outcome, Vision};
use emotiond_core::Moment;
use emotiond_core::report::observation::CameraState;
use emotiond_core::report::payload::Encoder;
use emotiond_core::report::policy::{Policy, Site, Suppressed};
use emotiond_core::report::summary::Summary;
use emotiond_core::report::trigger::{Phase, TriggerEvent};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");
/// The daemon's own rate of analysis.
const FRAME: Duration = Duration::from_millis(200);

/// Vision, its clock, and what it has said so far.
struct Rig {
    vision: Vision,
    clock: ManualClock,
    summaries: Vec<Summary>,
    events: Vec<TriggerEvent>,
}

fn settings(extra: &str) -> Settings {
    let text = format!("site = \"home\"\ndevice = \"hall\"\n[summary]\nwindow = \"2s\"\n{extra}");
    Settings::parse(&text, Path::new("pipeline.toml"), &Overrides::default()).unwrap()
}

impl Rig {
    fn new(settings: &Settings) -> Self {
        let models = models::open(&settings.models, &settings.privacy.policy).unwrap();
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let vision =
            Vision::new(models.detector, models.emotion, models.sequences, settings.vision(), clock.now());
        Self { vision, clock, summaries: Vec::new(), events: Vec::new() }
    }

    /// Shows a JPEG for so many frames.
    fn show(&mut self, jpeg: &[u8], frames: u32) {
        self.show_every(FRAME, jpeg, frames);
    }

    /// The same at another rate.
    fn show_every(&mut self, interval: Duration, jpeg: &[u8], frames: u32) {
        for _ in 0..frames {
            self.vision.frame(&frame(jpeg, self.clock.now())).unwrap();
            self.wait(interval);
        }
    }

    fn camera(&mut self, state: CameraState) {
        self.vision.camera_changed(self.clock.now(), state);
    }

    /// Lets time pass.
    fn wait(&mut self, time: Duration) {
        self.clock.advance(time);
        let outcomes = self.vision.advance(self.clock.now());
        self.note(outcomes);
    }

    fn note(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Summary(summary) => self.summaries.push(*summary),
                Outcome::Event(event) => self.events.push(event),
            }
        }
    }

    /// The windows that have closed, checked to follow each other without hole or overlap.
    fn windows(&self) -> &[Summary] {
        for pair in self.summaries.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        &self.summaries
    }
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).unwrap();
    bytes
}

/// A JPEG as a camera's frame.
fn frame(jpeg: &[u8], at: Moment) -> Frame {
    let format = PixelFormat::Mjpeg;
    Frame { format, width: 512, height: 512, stride: 0, bytes: jpeg.to_vec(), at }
}

fn photo() -> Vec<u8> {
    jpeg(&image::open(PHOTO).unwrap().into_rgb8())
}

/// A room with nobody in it: something to see, and no face.
fn empty_room() -> Vec<u8> {
    jpeg(&RgbImage::from_fn(512, 512, |x, y| image::Rgb([(x / 2) as u8, (y / 2) as u8, 90])))
}

#[test]
fn somebody_comes_smiles_and_leaves() {
    let trigger =
        "[[trigger]]\nname = \"smile\"\nsignal = \"expression.happiness\"\nabove = 0.6\nfor = \"1s\"\n";
    let mut rig = Rig::new(&settings(trigger));
    rig.show(&empty_room(), 10);
    rig.show(&photo(), 10);
    rig.show(&empty_room(), 30);
    let windows = rig.windows();
    assert!(windows.len() >= 4, "{windows:#?}");
    let nobody = windows[0].faces.as_ref().unwrap();
    assert_eq!((nobody.max, windows[0].suppressed), (0, Some(Suppressed::Nobody)));
    let somebody = &windows[1];
    assert_eq!(somebody.faces.as_ref().unwrap().people, 1);
    let scores = somebody.scores.as_ref().unwrap();
    assert!(scores.get("expression.happiness").unwrap().mean > 0.5, "{scores:?}");
    let (_, distribution) = scores.head("expression").unwrap();
    assert!((distribution.iter().map(|score| score.mean).sum::<f64>() - 1.0).abs() < 1e-6);
    assert_eq!(windows.last().unwrap().suppressed, Some(Suppressed::Nobody));
    let phases: Vec<_> = rig.events.iter().map(|event| (event.name.as_str(), event.phase)).collect();
    assert_eq!(phases, [("smile", Phase::Start), ("smile", Phase::End)]);
}

#[test]
fn a_window_holds_the_mean_of_plain_and_mirrored_looks() {
    // Without smoothing each frame counts by itself, and the detector finds the same box in each that it searches whole.
    let settings = settings("smoothing = \"0s\"\n");
    let jpeg = photo();
    let mut rig = Rig::new(&settings);
    rig.show_every(Duration::from_secs(1), &jpeg, 30);
    let seen = rig.windows().last().unwrap().scores.clone().unwrap();
    let (_, seen) = seen.head("action_units").unwrap();

    let mut models = models::open(&settings.models, &settings.privacy.policy).unwrap();
    // By the decoder of frames: another's pixels differ by a step, and the network's answers by more than is allowed below.
    let mut picture = RgbImage::new(0, 0);
    decode(&frame(&jpeg, Moment::ZERO), &mut picture).unwrap();
    let face = models.detector.detect(&picture).unwrap()[0];
    let model = models.emotion.as_mut().unwrap();
    let mut read = |look| {
        let scores = model.read(&picture, &face, look).unwrap();
        scores.head("action_units").unwrap().1.to_vec()
    };
    let (plain, mirrored) = (read(Flip::Plain), read(Flip::Mirrored));
    let mut apart = 0.0_f64;
    for (i, seen) in seen.iter().enumerate() {
        let (plain, mirrored) = (f64::from(plain[i]), f64::from(mirrored[i]));
        apart = apart.max((plain - mirrored).abs());
        assert!(
            (seen.mean - f64::midpoint(plain, mirrored)).abs() < 0.005,
            "{i}: {seen:?} of {plain} and {mirrored}"
        );
    }
    // Then either look alone is further from their mean than is allowed above.
    assert!(apart > 0.012, "the picture asks nothing: {plain:?}, {mirrored:?}");
}

#[test]
fn at_the_slowest_rate_somebody_is_not_nobody() {
    let mut rig = Rig::new(&settings("[camera]\nrate = 0.1\n"));
    rig.show_every(Duration::from_secs(10), &photo(), 6);
    let last = rig.windows().last().unwrap();
    assert_eq!(last.faces.as_ref().map(|faces| (faces.max, faces.people)), Some((1, 1)), "{last:#?}");
}

#[test]
fn a_lost_covered_or_paused_camera_is_not_an_empty_room() {
    let mut rig = Rig::new(&settings(""));
    let photo = photo();
    let black = jpeg(&RgbImage::from_pixel(512, 512, image::Rgb([4, 4, 4])));
    rig.show(&photo, 10);
    rig.camera(CameraState::Lost);
    rig.wait(Duration::from_secs(4));
    rig.camera(CameraState::Ok);
    rig.show(&photo, 10);
    rig.show(&black, 30);
    rig.camera(CameraState::Paused);
    rig.wait(Duration::from_secs(6));
    let states: Vec<_> = rig.windows().iter().map(|window| window.quality.camera).collect();
    for state in [CameraState::Ok, CameraState::Lost, CameraState::Blind, CameraState::Paused] {
        assert!(states.contains(&state), "{state:?} is not among {states:?}");
    }
    for window in rig.windows() {
        let looking = window.quality.camera == CameraState::Ok;
        assert_eq!(window.faces.is_some(), looking, "{window:#?}");
        assert!(looking || (window.scores.is_none() && window.suppressed.is_none()), "{window:#?}");
    }
}

#[test]
fn damaged_frames_are_counted_and_skipped() {
    let mut rig = Rig::new(&settings(""));
    let photo = photo();
    rig.camera(CameraState::Ok);
    for _ in 0..5 {
        rig.show(&photo, 1);
        rig.show(&photo[..photo.len() / 3], 1);
        rig.show(b"\xff\xd8 no picture", 1);
        rig.show(&[], 1);
    }
    rig.vision.lost(rig.clock.now(), Losses { dropped: 3, corrupt: 0 });
    rig.wait(Duration::from_secs(4));
    let sum = |count: fn(&Summary) -> u64| rig.windows().iter().map(count).sum::<u64>();
    assert_eq!(sum(|window| window.quality.frames), 5);
    assert_eq!(sum(|window| window.quality.corrupt), 15);
    assert_eq!(sum(|window| window.quality.dropped), 3);
    assert!(rig.windows()[0].scores.is_some());
}

#[test]
fn the_wall_clock_may_step_by_years() {
    let mut rig = Rig::new(&settings(""));
    let photo = photo();
    let mut encoder = Encoder::new("hall".to_owned(), "boot".to_owned());
    let mut lengths = Vec::new();
    for wall in [0, 2_000_000_000, 1_000_000_000] {
        rig.clock.step_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(wall));
        rig.show(&photo, 13);
        for summary in std::mem::take(&mut rig.summaries) {
            let body = encoder.summary(&summary, &rig.clock.stamp()).body;
            let line: serde_json::Value = serde_json::from_str(&body).unwrap();
            lengths.push((line["sequence"].as_u64().unwrap(), line["window"]["seconds"].as_f64().unwrap()));
        }
    }
    assert_eq!(lengths, [(1, 2.0), (2, 2.0), (3, 2.0)]);
}

#[test]
fn where_emotion_is_forbidden_faces_are_counted_and_no_emotion_model_is_opened() {
    let mut settings = settings("");
    settings.privacy.policy = Policy::new(Site::Education, false, None, 1);
    settings.models.emotion = "there-is-no-such-model".to_owned();
    let mut rig = Rig::new(&settings);
    rig.show(&photo(), 13);
    let window = &rig.windows()[0];
    let faces = window.faces.as_ref().unwrap();
    assert_eq!((faces.max, faces.facing), (1, None));
    assert_eq!((window.suppressed, window.scores.is_none()), (Some(Suppressed::Site), true));
}

#[test]
fn too_few_people_carry_no_emotion() {
    let mut rig = Rig::new(&settings("[privacy]\nmin_people = 2\n"));
    rig.show(&photo(), 13);
    let window = &rig.windows()[0];
    assert_eq!((window.suppressed, window.scores.is_none()), (Some(Suppressed::MinPeople), true));
}
