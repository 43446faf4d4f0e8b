//! The shipped detector and emotion models on a real photograph, and on pictures without a face.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use emotiond::vision::detect::{self, CameraRange, FaceDetector as _};
use emotiond::vision::emotion::{EmotionModel, Flip, TfliteEmotion};
use emotiond_core::geometry::{Face, Point, Rect};
use emotiond_core::report::score::Scores;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

fn models() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
}

fn astronaut() -> RgbImage {
    image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap().to_rgb8()
}

#[test]
fn happiness_dominates_on_the_astronaut() {
    let picture = astronaut();
    let mut model = TfliteEmotion::load(&models().join("mini-xception-fer2013.toml")).unwrap();
    let faces = found(&picture);
    assert_eq!(faces.len(), 1);
    let scores = model.read(&picture, &faces[0], Flip::Plain).unwrap();
    assert!(scores.get("expression.happiness").unwrap() > 0.5, "{scores:?}");
}

/// A face whose one half lies in the dark, so that it differs from its mirror image.
fn lit_from_one_side() -> RgbImage {
    let mut picture = astronaut();
    for (x, _, pixel) in picture.enumerate_pixels_mut() {
        let light = (x.saturating_sub(150) as f32 / 140.0).clamp(0.1, 1.0);
        pixel.0 = pixel.0.map(|value| (f32::from(value) * light) as u8);
    }
    picture
}

/// The same face in the mirror image of its picture.
fn mirrored(face: &Face, width: u32) -> Face {
    let point = |of: usize| Point { x: width as f32 - face.keypoints[of].x, y: face.keypoints[of].y };
    let bounds = Rect { x: width as f32 - face.bounds.x - face.bounds.width, ..face.bounds };
    Face { bounds, keypoints: [1, 0, 2, 3, 5, 4].map(point), ..*face }
}

/// The greatest difference between two readings' numbers.
fn apart(a: &Scores, b: &Scores) -> f32 {
    a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_mirrored_look_is_a_closer_one_at_the_mirror_image_and_both_ways_is_their_mean() {
    let picture = lit_from_one_side();
    let face = found(&astronaut())[0];
    let mut model = TfliteEmotion::load(&models().join("emotiond-mtl.toml")).unwrap();
    let plain = model.read(&picture, &face, Flip::Plain).unwrap();
    let turned = model.read(&picture, &face, Flip::Mirrored).unwrap();
    let image = imageops::flip_horizontal(&picture);
    // The same network with the scale of mirrored looks for all.
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(models().join("emotiond-mtl.tflite"), folder.path().join("emotiond-mtl.tflite")).unwrap();
    let manifest = std::fs::read_to_string(models().join("emotiond-mtl.toml")).unwrap();
    let closer = manifest.replace("scale = 2.6\nmirrored_scale = 2.45\n", "scale = 2.45\n");
    assert_ne!(closer, manifest);
    std::fs::write(folder.path().join("closer.toml"), closer).unwrap();
    let mut closer = TfliteEmotion::load(&folder.path().join("closer.toml")).unwrap();
    let of_image = closer.read(&image, &mirrored(&face, picture.width()), Flip::Plain).unwrap();
    // Where samples lie is rounded, so a few pixels differ by one.
    assert!(apart(&turned, &of_image) < 0.02, "{turned:?}\n{of_image:?}");
    assert!(apart(&turned, &plain) > 0.05, "the picture asks nothing: {turned:?}\n{plain:?}");
    let mut mean = plain.clone();
    mean.approach(&turned, 0.5);
    let both = model.read_both_ways(&picture, &face).unwrap();
    assert_eq!(both, mean);
    assert!((apart(&both, &plain) - apart(&turned, &plain) / 2.0).abs() < 1e-5);
    assert!((both.head("expression").unwrap().1.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}

fn found(picture: &RgbImage) -> Vec<Face> {
    detect::open(models(), "emotiond-face").unwrap().detect(picture).unwrap()
}

/// `tests/data/astronaut.emotiond-face.jsonl` is what the Python package makes of the same file.
#[test]
fn our_own_detector_finds_what_its_reference_finds() {
    let expected = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/astronaut.emotiond-face.jsonl"
    ));
    for line in expected.unwrap().lines() {
        let expected: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut picture = astronaut();
        if expected["mirrored"].as_bool().unwrap() {
            imageops::flip_horizontal_in_place(&mut picture);
        }
        let faces = found(&picture);
        assert_eq!(faces.len(), expected["faces"].as_array().unwrap().len(), "{faces:?}");
        let (face, expected) = (&faces[0], &expected["faces"][0]);
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let Rect { x, y, width, height } = face.bounds;
        // Another resizer: a level or two of some pixels, and so a step of int8 here and there.
        for (index, found) in [x, y, width, height].into_iter().enumerate() {
            assert!((found - number(&expected["box"][index])).abs() < 3.0, "{face:?}\n{expected}");
        }
        assert!((face.score - number(&expected["score"])).abs() < 0.03, "{face:?}\n{expected}");
        for (point, of) in [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4)] {
            let (found, expected) = (face.keypoints[point], &expected["keypoints"][of]);
            let apart = (found.x - number(&expected[0])).hypot(found.y - number(&expected[1]));
            assert!(apart < 2.0, "point {point}: {found:?}, not {expected}");
        }
    }
}

#[test]
fn a_face_of_a_tenth_of_the_pictures_height_is_found() {
    let mut room = RgbImage::from_pixel(640, 480, Rgb([96, 104, 112]));
    let photo = imageops::resize(&astronaut(), 190, 190, FilterType::CatmullRom);
    imageops::replace(&mut room, &photo, 300, 200);
    let faces = found(&room);
    assert_eq!(faces.len(), 1, "{faces:?}");
    let center = faces[0].bounds.center();
    assert!((365.0..405.0).contains(&center.x) && (225.0..265.0).contains(&center.y), "{center:?}");
}

/// Heads of the photograph, 25 pixels wide with what is around them, on a wall of 1280 × 720.
#[test]
fn a_hall_shows_faces_that_are_too_small_for_a_room() {
    let mut hall = RgbImage::from_fn(1280, 720, |x, y| Rgb([90 + (x % 7) as u8, 100 + (y % 5) as u8, 110]));
    let head = imageops::crop_imm(&astronaut(), 120, 20, 220, 220).to_image();
    let head = imageops::resize(&head, 44, 44, FilterType::Triangle);
    for place in 0..20 {
        imageops::replace(&mut hall, &head, 30 + place % 10 * 123, 150 + place / 10 * 200);
    }
    let count = |range: CameraRange| {
        let mut detector = range.open(models(), "emotiond-face").unwrap().0;
        let first = detector.detect(&hall).unwrap().len();
        // In turns it stays as many; a new picture is searched at once.
        let later = (0..12).map(|_| detector.detect(&hall).unwrap().len()).all(|found| found == first);
        assert!(later, "{range:?}");
        let wall = RgbImage::from_pixel(1280, 720, Rgb([90, 100, 110]));
        detector.restart();
        assert_eq!(detector.detect(&wall).unwrap().len(), 0);
        first
    };
    assert_eq!((count(CameraRange::Near), count(CameraRange::Room)), (0, 0));
    assert!(count(CameraRange::Hall) >= 18, "{} of 20", count(CameraRange::Hall));
}

/// Rows of thick strokes and rings in light colours on a sky, blurred: what lettering is to a network of small input.
fn lettering(seed: u64) -> RgbImage {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |below: u32| {
        // Xorshift (Marsaglia 2003): the same picture on every machine.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % below
    };
    let mut picture = RgbImage::from_fn(640, 360, |_, y| {
        let y = y as u8 / 4;
        Rgb([30 + y, 90 + y, 130 + y / 2])
    });
    let height = 30 + random(60) as i32;
    let (mut left, top) = (60 + random(60) as i32, 60 + random(160) as i32);
    while left < 520 {
        let width = height * (5 + random(4) as i32) / 10;
        let stroke = height / 5 + random(4) as i32;
        let (shape, tilt) = (random(4), random(3) as i32 - 1);
        let ink = Rgb([200 + random(50) as u8, 150 + random(40) as u8, 110 + random(50) as u8]);
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (2 * x - width, 2 * y - height);
                let radius = (f64::from(dx) / f64::from(width)).hypot(f64::from(dy) / f64::from(height));
                let ring = radius < 1.0 && radius > 1.0 - 2.5 * f64::from(stroke) / f64::from(width);
                let inked = match shape {
                    0 => ring,
                    1 => ring && dx < width / 2 || x > width - stroke,
                    2 => x < stroke || x > width - stroke || y < stroke,
                    _ => (dx + tilt * dy / 2).abs() < stroke,
                };
                if inked {
                    picture.put_pixel((left + x) as u32, (top + y) as u32, ink);
                }
            }
        }
        left += width + stroke / 2;
    }
    imageops::blur(&picture, 0.5 + random(5) as f32)
}

#[test]
fn lettering_is_nobody_and_a_face_beside_it_is_the_only_one() {
    let mut detector = CameraRange::Room.open(models(), "emotiond-face").unwrap().0;
    let mut alone = detect::open(models(), "emotiond-face").unwrap();
    let face = imageops::crop_imm(&astronaut(), 120, 20, 220, 220).to_image();
    let face = imageops::resize(&face, 150, 150, FilterType::CatmullRom);
    let mut mistaken = 0;
    for seed in 1..=200 {
        let mut picture = lettering(seed);
        let faces = detector.detect(&picture).unwrap();
        assert!(faces.is_empty(), "{seed}: {faces:?}");
        imageops::replace(&mut picture, &face, 490, 210);
        let faces = detector.detect(&picture).unwrap();
        let there = |face: &Face| {
            let center = face.bounds.center();
            (530.0..590.0).contains(&center.x) && (240.0..320.0).contains(&center.y)
        };
        assert!(faces.len() == 1 && there(&faces[0]), "{seed}: {faces:?}");
        mistaken += usize::from(alone.detect(&picture).unwrap().len() > 1);
    }
    assert!(mistaken > 5, "without a closer look {mistaken} pictures show more: nothing is asked of it");
}
