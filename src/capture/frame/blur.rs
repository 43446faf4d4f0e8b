//! How blurred a picture is, for the person who turns the ring of a lens.

use image::RgbImage;
use zeroize::Zeroizing;

/// Pictures wider than this are averaged down first: what is blurred at this size is blurred for the networks too.
const WIDEST: u32 = 640;
/// Pixels that are averaged to make a blurred copy, along one direction.
const TAPS: usize = 9;
/// Mean step from pixel to pixel, in levels of 255, below which there are no edges to judge by.
const FLATTEST: f32 = 0.5;

/// Share of the steps between neighbouring pixels that another blur leaves as they are, 0 (all edges are sharp) to 1
/// (nothing changes); `None` of a picture with too few pixels or no edges.
///
/// The perceptual blur metric of Crété-Roffet, Dolmière, Ladret and Nicolas (2007): a sharp picture loses much by being
/// blurred, a blurred one little. The greater of both directions, since a lens out of focus blurs both, and a hand that
/// moves one.
#[must_use]
pub fn blur(picture: &RgbImage) -> Option<f32> {
    let (luma, width, height) = plane(picture);
    if width < 2 * TAPS || height < 2 * TAPS {
        return None;
    }
    let across = kept((0..height).map(|y| (y * width, 1, width)), &luma);
    let down = kept((0..width).map(|x| (x, width, height)), &luma);
    let steps = (across.1 + down.1) / (2 * width * height) as f32;
    let share = |(kept, all): (f32, f32)| if all > 0.0 { kept / all } else { 0.0 };
    (steps >= FLATTEST).then(|| share(across).max(share(down)))
}

/// Luma of the picture, at most [`WIDEST`] wide; wiped when it is dropped.
fn plane(picture: &RgbImage) -> (Zeroizing<Vec<f32>>, usize, usize) {
    let cell = picture.width().div_ceil(WIDEST).max(1);
    let (width, height) = (picture.width() / cell, picture.height() / cell);
    let mut luma = Zeroizing::new(Vec::with_capacity(width as usize * height as usize));
    for y in 0..height {
        for x in 0..width {
            let mut sum = 0;
            for (dx, dy) in (0..cell).flat_map(|dy| (0..cell).map(move |dx| (dx, dy))) {
                let [r, g, b] = picture.get_pixel(x * cell + dx, y * cell + dy).0.map(u32::from);
                // BT.601 weights in 1/256.
                sum += 77 * r + 150 * g + 29 * b;
            }
            luma.push(sum as f32 / (256 * cell * cell) as f32);
        }
    }
    (luma, width as usize, height as usize)
}

/// The sum of steps along these lines that a blurred copy still has, and the sum of all. A line: its first pixel, the
/// distance from one of its pixels to the next, and how many it has.
fn kept(lines: impl Iterator<Item = (usize, usize, usize)>, luma: &[f32]) -> (f32, f32) {
    let (mut kept, mut all) = (0.0_f64, 0.0_f64);
    let half = TAPS / 2;
    for (first, step, length) in lines {
        let at = |place: usize| luma[first + step * place];
        let mean = |middle: usize| (middle - half..=middle + half).map(at).sum::<f32>() / TAPS as f32;
        let mut before = mean(half);
        for place in half + 1..length - half {
            let blurred = mean(place);
            let (sharp, soft) = ((at(place) - at(place - 1)).abs(), (blurred - before).abs());
            all += f64::from(sharp);
            // What the copy has lost of this step is what was sharp in it.
            kept += f64::from(sharp - (sharp - soft).max(0.0));
            before = blurred;
        }
    }
    (kept as f32, all as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// NASA's portrait, in the tests' data.
    fn portrait() -> RgbImage {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");
        image::open(path).unwrap().into_rgb8()
    }

    #[test]
    fn the_softer_the_picture_the_greater() {
        let sharp = portrait();
        let mut before = blur(&sharp).unwrap();
        assert!(before < 0.45, "{before}");
        for sigma in [1.0, 2.0, 4.0, 8.0] {
            let now = blur(&image::imageops::blur(&sharp, sigma)).unwrap();
            assert!(now > before && now < 1.0, "{now} at {sigma}, {before} before");
            before = now;
        }
        assert!(before > 0.8, "{before}");
    }

    #[test]
    fn what_has_no_edges_is_not_judged() {
        assert_eq!(blur(&RgbImage::from_pixel(640, 480, Rgb([90; 3]))), None);
        assert_eq!(blur(&RgbImage::from_fn(10, 10, |x, _| Rgb([(x * 25) as u8; 3]))), None);
        assert_eq!(blur(&RgbImage::new(0, 0)), None);
    }

    #[test]
    fn a_large_picture_is_judged_as_the_networks_see_it() {
        let large = image::imageops::resize(&portrait(), 1536, 1536, image::imageops::FilterType::Nearest);
        let (small, large) = (blur(&portrait()).unwrap(), blur(&large).unwrap());
        assert!((small - large).abs() < 0.01, "{small} {large}");
    }
}
