//! Runs every stage of a frame some times over, with a mark before and after, for `scripts/pi-cost`, which counts the
//! instructions between the marks. Prints the name of each stage, in the order of the marks.
//!
//! The photograph stands in a frame as a camera sends it: 640 × 480, JPEG of quality 85 with halved chroma (4:2:2).

#![allow(clippy::print_stdout, reason = "the names are what this program is for")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use emotiond::capture::frame::decode::decode;
use emotiond::capture::frame::warp::Letterbox;
use emotiond::capture::frame::{Frame, PixelFormat};
use emotiond::config::{Overrides, Settings};
use emotiond::host::wipe::wipe_all;
use emotiond::inference::Network;
use emotiond::inference::manifest::Manifest;
use emotiond::vision::Vision;
use emotiond::vision::emotion::Flip;
use emotiond::vision::models;
use emotiond_core::Moment;
use image::RgbImage;
use image::imageops::{self, FilterType};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use rustix::time::{ClockId, clock_getres};

/// How often each stage runs between its marks; once before them. Of frames 200 ms apart that is twice as many as from one
/// search of the whole picture to the next.
const ROUNDS: u32 = 6;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder, photo, out] = &arguments[..] else {
        anyhow::bail!("usage: stages MODELS PHOTO OUT.jpg; the frame is written to the last");
    };
    let photo = image::open(photo).with_context(|| format!("failed to read {}", photo.display()))?.to_rgb8();
    let text = format!("site = \"home\"\n[models]\ndirectory = {:?}\n", Path::new(folder));
    let settings = Settings::parse(&text, Path::new("stages.toml"), &Overrides::default())?;
    let open = || models::open(&settings.models, &settings.privacy.policy);
    let network = |name: &str| -> anyhow::Result<Network> {
        Ok(Network::load(Manifest::read(&models::manifest_path(&settings.models.directory, name))?)?)
    };

    let mut picture = RgbImage::new(0, 0);
    let room = room(&photo, 640, 480);
    // The last decoded is what the detector is then shown.
    let raw = [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Yu12, PixelFormat::Rgb3, PixelFormat::Grey];
    for format in raw.into_iter().chain([PixelFormat::Mjpeg]) {
        let frame = encoded(&room, format)?;
        if format == PixelFormat::Yuyv {
            let mut taken = Vec::new();
            stage("take in YUYV", || {
                taken.extend_from_slice(&frame.bytes);
                wipe_all(black_box(&mut taken));
                Ok(())
            })?;
        }
        if format == PixelFormat::Mjpeg {
            std::fs::write(out, &frame.bytes)
                .with_context(|| format!("failed to write {}", Path::new(out).display()))?;
        }
        stage(&format!("decode {format}"), || Ok(decode(&frame, &mut picture)?))?;
    }

    let (mut detector, mut emotion) =
        (network(&settings.models.detector)?, network(&settings.models.emotion)?);
    let mut small = network(&format!("{}-small", settings.models.emotion))?;
    let input = detector.manifest().input.clone();
    let mut letterbox = Letterbox::new(input.width, input.height);
    stage("scale for the detector", || {
        black_box(letterbox.fit(&picture));
        Ok(())
    })?;
    stage("detector network", || Ok(detector.invoke()?))?;
    let mut models = open()?;
    let mut at = Moment::ZERO;
    stage("detector, all of it", || {
        // A second apart, so that the whole picture is searched every time, and finds the face that it knows.
        at += Duration::from_secs(1);
        models.detector.follow(at, &picture).map(drop)
    })?;
    stage("detector, around a face that was found", || models.detector.follow(at, &picture).map(drop))?;
    let face = *models.detector.detect(&picture)?.first().context("the photograph has no face")?;
    stage("emotion network, a face", || Ok(emotion.invoke()?))?;
    let reader = models.emotion.as_mut().context("no emotion model")?;
    stage("emotion, all of it, a face", || reader.read(&picture, &face, Flip::Mirrored).map(drop))?;
    let picture = imageops::resize(&picture, 320, 240, FilterType::Triangle);
    let face = *models.detector.detect(&picture)?.first().context("the small photograph has no face")?;
    reader.expect(30);
    stage("emotion network, a small face of a crowd", || Ok(small.invoke()?))?;
    stage("emotion, all of it, a small face of a crowd", || {
        reader.read(&picture, &face, Flip::Mirrored).map(drop)
    })?;

    for (label, format, photo) in [
        ("whole frame, MJPG, one face that moves", PixelFormat::Mjpeg, Some(&photo)),
        ("whole frame, YUYV, one face that moves", PixelFormat::Yuyv, Some(&photo)),
        ("whole frame, MJPG, nobody", PixelFormat::Mjpeg, None),
    ] {
        // To and fro by a third of the face, so that it is read in every frame.
        let mut frames = Vec::new();
        for shift in [0, 32] {
            let picture = photo.map_or_else(|| empty_room(640, 480), |photo| shifted(photo, 640, 480, shift));
            frames.push(encoded(&picture, format)?);
        }
        let models = open()?;
        let mut vision =
            Vision::new(models.detector, models.emotion, models.sequences, settings.vision(), Moment::ZERO);
        let (mut at, mut turn) = (Moment::ZERO, 0);
        stage(label, || {
            at += Duration::from_millis(200);
            turn += 1;
            let frame = &mut frames[turn % 2];
            frame.at = at;
            vision.frame(frame)?;
            vision.advance(at);
            Ok(())
        })?;
        let readings = vision.take_timing().emotion.count();
        anyhow::ensure!(
            readings == photo.map_or(0, |_| turn as u64),
            "{label}: {readings} readings in {turn} frames: the face is not read in every one"
        );
    }
    Ok(())
}

/// Runs `work` between two marks, after having run it once.
fn stage(name: &str, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    work().with_context(|| name.to_owned())?;
    mark();
    for _ in 0..ROUNDS {
        work()?;
    }
    mark();
    println!("{ROUNDS} {name}");
    Ok(())
}

/// The plugin sees this system call, which nothing else makes.
fn mark() {
    black_box(clock_getres(ClockId::ThreadCPUTime));
}

/// A wall with some structure, so that it costs a decoder something and is not black.
fn empty_room(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)) >> 28;
        let light = 70 + 90 * x / width + grain;
        image::Rgb([light as u8, (light + y / 16) as u8, (light + 20) as u8])
    })
}

/// The photograph in the middle, as high as the frame.
fn room(photo: &RgbImage, width: u32, height: u32) -> RgbImage {
    shifted(photo, width, height, 0)
}

/// The photograph so many pixels right of the middle.
fn shifted(photo: &RgbImage, width: u32, height: u32, right: u32) -> RgbImage {
    let mut room = empty_room(width, height);
    let photo = imageops::resize(photo, height, height, FilterType::Triangle);
    imageops::replace(&mut room, &photo, i64::from((width - height) / 2 + right), 0);
    room
}

/// The picture as a camera would send it.
fn encoded(picture: &RgbImage, format: PixelFormat) -> anyhow::Result<Frame> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    match format {
        PixelFormat::Mjpeg => {
            let mut encoder = Encoder::new(&mut bytes, 85);
            encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
            encoder.encode(picture, width as u16, height as u16, ColorType::Rgb)?;
        }
        // Luma of the picture and no colour: what a pixel costs does not depend on its value.
        PixelFormat::Yuyv => bytes.extend(picture.pixels().flat_map(|pixel| [pixel.0[1], 128])),
        PixelFormat::Rgb3 => bytes.extend_from_slice(picture.as_raw()),
        PixelFormat::Grey => bytes.extend(picture.pixels().map(|pixel| pixel.0[1])),
        _ => {
            bytes.extend(picture.pixels().map(|pixel| pixel.0[1]));
            bytes.resize(bytes.len() * 3 / 2, 128);
        }
    }
    Ok(Frame { format, width, height, stride: 0, bytes, at: Moment::ZERO })
}
