//! `emotiond bench`: what every stage costs on this machine, and what the pipeline adds to its bare parts.
//!
//! All stages run in turn within one loop, so that whatever else the machine does hits them alike, and CPU time of
//! this thread is counted, not time on the wall. What the machine can hold is measured in `capacity`.

use std::time::Duration;

use anyhow::Context as _;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::capture::frame::decode::decode;
use crate::capture::frame::{Frame, PixelFormat};
use crate::capture::picture;
use crate::command::capacity::{self, APART, Capacity};
use crate::command::cli::BenchArgs;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::host::clock::thread_time;
use crate::inference::Network;
use crate::inference::manifest::Manifest;
use crate::vision::emotion::Flip;
use crate::vision::models;
use crate::vision::{Vision, VisionSettings};
use emotiond_core::Moment;
use emotiond_core::budget::BudgetSettings;

/// Size of the frame that is timed: what the daemon asks a camera for.
const SIZE: (u32, u32) = (640, 480);
/// Rounds before anything is counted: caches fill, the processor wakes up.
const WARM_UP: u32 = 10;

/// Mean CPU time a frame, milliseconds.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Faces found in the frame.
    faces: usize,
    /// Readings of a face a frame: of one that does not change, emotion is not read in every frame.
    readings: f64,
    /// JPEG to RGB, bare.
    decode_ms: f64,
    /// The detector's network, bare.
    detector_invoke_ms: f64,
    /// Detection: scaling, network, decoding of boxes, suppression.
    detect_ms: f64,
    /// The emotion network on one face, bare.
    emotion_invoke_ms: f64,
    /// Emotion of one face: crop, network, heads.
    emotion_ms: f64,
    /// A whole frame through the pipeline.
    pipeline_ms: f64,
    /// The bare parts: decode, detector and, for each reading, emotion.
    bare_ms: f64,
    /// Pipeline by bare parts.
    ratio: f64,
    /// What this machine can hold.
    capacity: Capacity,
}

/// Times the stages and prints a table.
///
/// # Errors
/// If configuration, models or the picture are unusable.
pub fn run(arguments: &BenchArgs) -> Result<(), Failure> {
    let overrides = Overrides { trial: true, ..Overrides::default() };
    let settings = Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config)?;
    let picture = match &arguments.image {
        Some(path) => picture::read(path).or_exit(Code::NoInput)?,
        None => RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb([128; 3])),
    };
    let mut frame = encode(&picture).or_exit(Code::Software)?;
    let mut report = measure(&settings, &mut frame, arguments.frames).or_exit(Code::Software)?;
    report.capacity = capacity::measure(&settings, &mut frame, arguments.frames).or_exit(Code::Software)?;
    if arguments.json {
        let json = serde_json::to_string(&report).or_exit(Code::Software)?;
        return super::print(&(json + "\n"));
    }
    super::print(&(table(&report) + &report.capacity.table()))
}

fn measure(settings: &Settings, frame: &mut Frame, frames: u32) -> anyhow::Result<Report> {
    let mut models = models::open(&settings.models, &settings.privacy.policy)?;
    let pipeline_models = models::open(&settings.models, &settings.privacy.policy)?;
    let mut networks = Bare::open(settings)?;
    let mut decoded = RgbImage::new(0, 0);
    decode(frame, &mut decoded)?;
    let faces = models.detector.detect(&decoded)?;
    // Every face is read as often as it should be, however busy the machine is.
    let unbounded = VisionSettings { budget: BudgetSettings::default(), ..settings.vision() };
    let mut vision = Vision::new(
        pipeline_models.detector,
        pipeline_models.emotion,
        pipeline_models.sequences,
        unbounded,
        Moment::ZERO,
    );
    let mut report = Report { faces: faces.len(), ..Report::default() };
    let progress = ProgressBar::new(u64::from(frames)).with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} frames").context("a constant template")?,
    );
    for round in 0..WARM_UP + frames {
        let mut sample = [Duration::ZERO; 6];
        sample[0] = cpu(|| decode(frame, &mut decoded).map_err(Into::into))?;
        sample[2] = cpu(|| models.detector.follow(frame.at, &decoded).map(drop))?;
        sample[1] = cpu(|| Ok(networks.detector.invoke()?))?;
        if let (Some(face), Some(model)) = (faces.first(), models.emotion.as_mut()) {
            sample[3] = cpu(|| networks.emotion())?;
            sample[4] = cpu(|| model.read(&decoded, face, Flip::Mirrored).map(drop))?;
        }
        frame.at += APART;
        sample[5] = cpu(|| {
            vision.frame(frame)?;
            vision.advance(frame.at);
            Ok(())
        })?;
        let readings = vision.take_timing().emotion.count();
        if round < WARM_UP {
            continue;
        }
        let [decode, invoke, detect, emotion_invoke, emotion, whole] =
            sample.map(|time| 1000.0 * time.as_secs_f64() / f64::from(frames));
        report.readings += readings as f64 / f64::from(frames);
        report.decode_ms += decode;
        report.detector_invoke_ms += invoke;
        report.detect_ms += detect;
        report.emotion_invoke_ms += emotion_invoke;
        report.emotion_ms += emotion;
        report.pipeline_ms += whole;
        progress.inc(1);
    }
    progress.finish_and_clear();
    report.bare_ms =
        report.decode_ms + report.detector_invoke_ms + report.readings * report.emotion_invoke_ms;
    report.ratio = report.pipeline_ms / report.bare_ms;
    Ok(report)
}

/// The picture as a camera would send it: fitted into the frame, as JPEG.
fn encode(picture: &RgbImage) -> anyhow::Result<Frame> {
    let fitted = image::DynamicImage::from(picture.clone()).resize(SIZE.0, SIZE.1, FilterType::Triangle);
    let mut canvas = RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb([96; 3]));
    let (x, y) = ((SIZE.0 - fitted.width()) / 2, (SIZE.1 - fitted.height()) / 2);
    image::imageops::replace(&mut canvas, &fitted.into_rgb8(), i64::from(x), i64::from(y));
    let mut bytes = Vec::new();
    canvas.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85))?;
    let (width, height) = SIZE;
    Ok(Frame { format: PixelFormat::Mjpeg, width, height, stride: 0, bytes, at: Moment::ZERO })
}

/// The networks without anything around them.
struct Bare {
    detector: Network,
    emotion: Option<Network>,
}

impl Bare {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let network = |name: &str| -> anyhow::Result<Network> {
            let path = models::manifest_path(&settings.models.directory, name);
            Ok(Network::load(Manifest::read(&path)?)?)
        };
        let emotion = settings.privacy.policy.emotion.then(|| network(&settings.models.emotion));
        Ok(Self {
            detector: network(&settings.models.range.manifest(&settings.models.detector))?,
            emotion: emotion.transpose()?,
        })
    }

    fn emotion(&mut self) -> anyhow::Result<()> {
        self.emotion.as_mut().map_or(Ok(()), |network| Ok(network.invoke()?))
    }
}

/// CPU time that `work` takes on this thread.
fn cpu(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let before = thread_time();
    work()?;
    Ok(thread_time().saturating_sub(before))
}

fn table(report: &Report) -> String {
    let Report { decode_ms, detector_invoke_ms, detect_ms, emotion_invoke_ms, emotion_ms, .. } = report;
    let rest = report.pipeline_ms - decode_ms - detect_ms - report.readings * emotion_ms;
    format!(
        "CPU time of one {}×{} MJPG frame with {} face(s) that is searched in whole, milliseconds on one core:\n\
         \n\
         JPEG decode                  {decode_ms:8.3}\n\
         detector, network alone      {detector_invoke_ms:8.3}\n\
         detector, scaling and boxes  {:8.3}\n\
         emotion, network alone       {emotion_invoke_ms:8.3}   a face\n\
         emotion, crop and heads      {:8.3}   a face\n\
         tracking, summary, wiping    {rest:8.3}\n\
         pipeline                     {:8.3}   {:.2} × its bare parts ({:.3}), with {:.2} readings a frame\n",
        SIZE.0,
        SIZE.1,
        report.faces,
        detect_ms - detector_invoke_ms,
        emotion_ms - emotion_invoke_ms,
        report.pipeline_ms,
        report.ratio,
        report.bare_ms,
        report.readings,
    )
}
