//! How bright a picture is, cheaply: what tells a covered lens or a dark room from a room with nobody in it.

use image::RgbImage;

/// Samples along each side of the grid: 1024 in all, a few microseconds whatever the size of the picture.
const GRID: u32 = 32;

/// Brightness of a picture, from a sparse grid of its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Luma {
    /// Mean luma, 0 (black) ..= 255 (white).
    pub mean: f32,
    /// Standard deviation of luma over the grid, 0 (all the same) ..= 127.5.
    pub deviation: f32,
}

impl Luma {
    /// Measures a picture; `None` if it has no pixels.
    #[must_use]
    pub fn of(picture: &RgbImage) -> Option<Self> {
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return None;
        }
        let (columns, rows) = (width.min(GRID), height.min(GRID));
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for row in 0..rows {
            // The middle of each cell, so that a black border counts no more than its share.
            let y = (2 * row + 1) * height / (2 * rows);
            for column in 0..columns {
                let [r, g, b] =
                    picture.get_pixel((2 * column + 1) * width / (2 * columns), y).0.map(u64::from);
                // BT.601 weights in 1/256.
                let luma = (77 * r + 150 * g + 29 * b + 128) >> 8;
                sum += luma;
                squares += luma * luma;
            }
        }
        let n = f64::from(columns * rows);
        let mean = sum as f64 / n;
        let variance = (squares as f64 / n - mean * mean).max(0.0);
        Some(Self { mean: mean as f32, deviation: variance.sqrt() as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    #[test]
    fn a_flat_picture_has_no_deviation() {
        let luma = Luma::of(&RgbImage::from_pixel(640, 480, Rgb([200, 200, 200]))).unwrap();
        assert_eq!(luma, Luma { mean: 200.0, deviation: 0.0 });
        assert_eq!(Luma::of(&RgbImage::new(0, 5)), None);
    }

    #[test]
    fn half_black_half_white() {
        let picture = RgbImage::from_fn(64, 48, |x, _| Rgb([if x < 32 { 0 } else { 255 }; 3]));
        let luma = Luma::of(&picture).unwrap();
        assert!((luma.mean - 127.5).abs() < 0.01 && (luma.deviation - 127.5).abs() < 0.01, "{luma:?}");
    }

    proptest! {
        #[test]
        fn stays_in_range(width in 1_u32..70, height in 1_u32..70, seed: u32) {
            let picture = RgbImage::from_fn(width, height, |x, y| {
                let v = seed.wrapping_mul(x * 7 + y * 13 + 1);
                Rgb([v as u8, (v >> 8) as u8, (v >> 16) as u8])
            });
            let luma = Luma::of(&picture).unwrap();
            prop_assert!((0.0..=255.0).contains(&luma.mean));
            prop_assert!((0.0..=127.6).contains(&luma.deviation));
        }
    }
}
