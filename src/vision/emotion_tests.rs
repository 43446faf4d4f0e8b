//! The crop is the one that networks are trained on: `python/emotiond_models/training/crop.py` is held to the same file.

use image::RgbImage;
use serde::Deserialize;

use super::*;
use crate::capture::frame::warp::Cropper;
use emotiond_core::geometry::Rect;

/// One line of `tests/data/crops.jsonl`.
#[derive(Deserialize)]
struct Case {
    picture: [u32; 2],
    #[serde(rename = "box")]
    bounds: [f32; 4],
    /// Right eye, left eye, middle of the mouth.
    points: [[f32; 2]; 3],
    align: Align,
    scale: f32,
    offset: [f32; 2],
    size: u32,
    /// Packed RGB, two hexadecimal digits a value.
    pixels: String,
}

/// Slopes, edges and noise, by whole numbers that need no file.
fn picture([width, height]: [u32; 2]) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x * x / 16 + y * 7, (x * 11) ^ (y * 5), x * y / 8].map(|value| (value & 255) as u8))
    })
}

#[test]
fn a_crop_is_what_training_cuts_to_the_pixel() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/crops.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let mut cases = 0;
    for line in lines.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let [x, y, width, height] = case.bounds;
        let [right, left, mouth] = case.points.map(|[x, y]| Point { x, y });
        let face = Face {
            bounds: Rect { x, y, width, height },
            score: 1.0,
            keypoints: [right, left, Point::default(), mouth, Point::default(), Point::default()],
        };
        let crop = Crop { align: case.align, scale: case.scale, mirrored_scale: None, offset: case.offset };
        let mut pixels = vec![0; (case.size * case.size * 3) as usize];
        Cropper::default().crop(
            &picture(case.picture),
            &square(&crop, &face, Flip::Plain),
            (case.size, case.size),
            false,
            &mut pixels,
        );
        let expected: Vec<u8> = (0..pixels.len())
            .map(|i| u8::from_str_radix(&case.pixels[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let differing: Vec<_> = (0..pixels.len()).filter(|&i| pixels[i] != expected[i]).collect();
        let values: Vec<_> = differing.iter().take(8).map(|&i| (i, pixels[i], expected[i])).collect();
        assert!(differing.is_empty(), "case {cases}: {} values differ: {values:?}", differing.len());
        cases += 1;
    }
    assert_eq!(cases, 8, "the cases of the file");
}
