use image::Rgb;
use proptest::prelude::*;

use super::*;

/// A picture in which every value differs from its neighbours.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut random = fastrand::Rng::with_seed(3);
    RgbImage::from_fn(width, height, |_, _| Rgb([random.u8(..), random.u8(..), random.u8(..)]))
}

/// The definition, in double precision: the triangle's weights along both axes.
fn defined(
    picture: &RgbImage,
    (left, top, width, height): Part,
    (to_width, to_height): (u32, u32),
) -> Vec<f64> {
    let weights = |from: u32, to: u32, position: u32| {
        let ratio = f64::from(from) / f64::from(to);
        let (center, reach) = ((f64::from(position) + 0.5) * ratio, ratio.max(1.0));
        let each: Vec<f64> =
            (0..from).map(|at| (1.0 - (f64::from(at) + 0.5 - center).abs() / reach).max(0.0)).collect();
        let sum: f64 = each.iter().sum();
        each.into_iter().map(|weight| weight / sum).collect::<Vec<_>>()
    };
    let mut out = Vec::new();
    for y in 0..to_height {
        let rows = weights(height, to_height, y);
        for x in 0..to_width {
            let columns = weights(width, to_width, x);
            for channel in 0..3 {
                let row = |v: usize| -> f64 {
                    let at =
                        |u: usize| f64::from(picture.get_pixel(left + u as u32, top + v as u32)[channel]);
                    columns.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(u, w)| w * at(u)).sum()
                };
                out.push(rows.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(v, w)| w * row(v)).sum());
            }
        }
    }
    out
}

fn scaled(picture: &RgbImage, from: Part, (width, height): (u32, u32)) -> Vec<u8> {
    let mut pixels = vec![0; width as usize * height as usize * 3];
    Scaler::default().scale(picture, from, &mut pixels, width as usize * 3, (0, 0, width, height));
    pixels
}

#[test]
fn scaling_is_what_its_definition_says() {
    for (size, from, to) in [
        ((160, 120), (0, 0, 160, 120), (64, 48)),
        ((100, 80), (7, 5, 90, 71), (64, 48)),
        ((61, 47), (0, 0, 61, 47), (61, 47)),
        ((23, 17), (0, 0, 23, 17), (64, 48)),
        ((300, 20), (0, 0, 300, 20), (20, 40)),
        ((1, 1), (0, 0, 1, 1), (5, 3)),
    ] {
        let picture = noise(size.0, size.1);
        let is = scaled(&picture, from, to);
        let wanted = defined(&picture, from, to);
        assert_eq!(is.len(), wanted.len());
        // Rows are weighed in steps of 1/256: half a step at each of some five rows, of at most 255.
        let worst = is.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        let mean = is.iter().zip(&wanted).map(|(a, b)| f64::from(*a) - b).sum::<f64>() / is.len() as f64;
        println!("{size:?} {from:?} to {to:?}: worst {worst:.2}, mean {mean:+.3}");
        assert!(
            worst <= 2.0 && mean.abs() < 0.1,
            "{size:?} {from:?} to {to:?}: worst {worst:.2}, mean {mean:+.3}"
        );
    }
}

#[test]
fn a_picture_of_its_own_size_stays_as_it_is() {
    let picture = noise(97, 33);
    assert_eq!(scaled(&picture, (0, 0, 97, 33), (97, 33)), picture.into_raw());
}

#[test]
fn only_the_target_part_is_written_and_nothing_of_the_picture_stays_behind() {
    let picture = RgbImage::from_pixel(90, 60, Rgb([200; 3]));
    let (mut pixels, mut scaler) = (vec![7; 20 * 30 * 3], Scaler::default());
    scaler.scale(&picture, (0, 0, 90, 60), &mut pixels, 20 * 3, (3, 4, 9, 6));
    for (index, pixel) in pixels.chunks_exact(3).enumerate() {
        let inside = (3..12).contains(&(index % 20)) && (4..10).contains(&(index / 20));
        assert!(pixel.iter().all(|value| *value == if inside { 200 } else { 7 }), "pixel {index}: {pixel:?}");
    }
    let Scaler { lines, sides, scaled, done, .. } = &scaler;
    assert!(!lines[0].is_empty() && !sides.is_empty() && !scaled.is_empty() && !done[0].is_empty());
    assert!(lines.iter().flatten().chain(sides.as_flattened()).all(|value| *value == 0));
    assert!(done.iter().flatten().chain(scaled.as_flattened()).all(|value| *value == 0));
}

#[test]
fn blocks_are_averaged() {
    let picture = noise(31, 22);
    let mut blocks = Blocks::default();
    let means = blocks.average(&picture, (2, 1, 28, 21), (9, 7)).to_vec();
    for (index, value) in means.iter().enumerate() {
        let (x, y, channel) = (index / 3 % 9, index / 27, index % 3);
        let at = |i: u32| picture.get_pixel(2 + x as u32 * 3 + i % 3, 1 + y as u32 * 3 + i / 3)[channel];
        let mean = (0..9).map(|i| f32::from(at(i))).sum::<f32>() / 9.0;
        assert!((f32::from(*value) - mean).abs() <= 1.0, "{index}: {value} for {mean}");
    }
    assert!(blocks.sums.iter().all(|sum| *sum == 0));
    blocks.wipe();
    assert!(blocks.means.iter().all(|mean| *mean == 0));
}

proptest! {
    #[test]
    fn a_plain_surface_keeps_its_value(
        width in 1u32..700, height in 1u32..500, to_width in 1u32..300, to_height in 1u32..300, value: u8
    ) {
        let picture = RgbImage::from_pixel(width, height, Rgb([value; 3]));
        let out = scaled(&picture, (0, 0, width, height), (to_width, to_height));
        prop_assert!(out.iter().all(|v| *v == value));
    }
}
