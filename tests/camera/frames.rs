//! What the virtual camera shows: the test's photo, in the encodings of webcams.

use std::fs;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 480;

/// The photo at full height in the middle of a grey frame.
pub fn scene() -> RgbImage {
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap();
    let photo = imageops::resize(&photo.to_rgb8(), HEIGHT, HEIGHT, FilterType::Triangle);
    let mut scene = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([128; 3]));
    imageops::replace(&mut scene, &photo, i64::from((WIDTH - HEIGHT) / 2), 0);
    scene
}

/// A frame of Motion JPEG, with halved horizontal chroma as webcams make it.
pub fn mjpg(scene: &RgbImage) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 85);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
    encoder.encode(scene, scene.width() as u16, scene.height() as u16, ColorType::Rgb).unwrap();
    jpeg
}

/// Makes a folder of frames that the virtual camera shows in turn.
pub fn write(root: &Path, folder: &str, frames: &[Vec<u8>]) {
    fs::create_dir(root.join(folder)).unwrap();
    for (number, frame) in frames.iter().enumerate() {
        fs::write(root.join(folder).join(number.to_string()), frame).unwrap();
    }
}

/// What a sensor gives of a lens that is covered or a wall without a mark: one shade, and its own noise.
pub fn flat(shade: u8) -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        // Multiplicative hashing stands in for noise, the same in every run.
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)) >> 29;
        Rgb([shade + (noise & 3) as u8; 3])
    })
}

/// Packed 4:2:2, by BT.601 in limited range.
pub fn yuyv(scene: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(scene.len() / 3 * 2);
    for pair in scene.as_raw().chunks_exact(6) {
        let [left, right] = [ycbcr(&pair[..3]), ycbcr(&pair[3..])];
        for value in [left[0], (left[1] + right[1]) / 2.0, right[0], (left[2] + right[2]) / 2.0] {
            bytes.push(value.round() as u8);
        }
    }
    bytes
}

fn ycbcr(rgb: &[u8]) -> [f32; 3] {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(|value| f32::from(value) / 255.0);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [16.0 + 219.0 * y, 128.0 + 224.0 * (b - y) / 1.772, 128.0 + 224.0 * (r - y) / 1.402]
}
