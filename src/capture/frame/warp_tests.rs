use image::Rgb;
use proptest::prelude::*;

use super::*;

fn astronaut() -> RgbImage {
    image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap().to_rgb8()
}

/// The definition, slowly: each output pixel is the mean of 8 × 8 bilinear samples over its area.
fn defined(picture: &RgbImage, square: &Square, width: u32, height: u32) -> Vec<f32> {
    let (sin, cos) = square.angle.sin_cos();
    let last = |side: u32| side as f32 - 1.0;
    let value = |x: f32, y: f32, channel: usize| {
        let (x, y) = (x.clamp(0.0, last(picture.width())), y.clamp(0.0, last(picture.height())));
        let (left, top) = (x.floor(), y.floor());
        let at = |dx: f32, dy: f32| {
            let (x, y) = ((left + dx).min(last(picture.width())), (top + dy).min(last(picture.height())));
            f32::from(picture.get_pixel(x as u32, y as u32)[channel])
        };
        let (fx, fy) = (x - left, y - top);
        (at(0.0, 0.0) * (1.0 - fx) + at(1.0, 0.0) * fx) * (1.0 - fy)
            + (at(0.0, 1.0) * (1.0 - fx) + at(1.0, 1.0) * fx) * fy
    };
    // Where it enlarges, the definition is one bilinear sample at the pixel's centre.
    let n = if square.side > width as f32 { 8 } else { 1 };
    let mut out = Vec::new();
    for index in 0..width * height * 3 {
        let (x, y, channel) = (index / 3 % width, index / 3 / width, index % 3);
        let mut sum = 0.0;
        for sample in 0..n * n {
            let u = (x as f32 + ((sample % n) as f32 + 0.5) / n as f32) / width as f32 - 0.5;
            let v = (y as f32 + ((sample / n) as f32 + 0.5) / n as f32) / height as f32 - 0.5;
            let (u, v) = (u * square.side, v * square.side);
            let (px, py) = (square.center.x + cos * u - sin * v, square.center.y + sin * u + cos * v);
            sum += value(px - 0.5, py - 0.5, channel as usize);
        }
        out.push(sum / (n * n) as f32);
    }
    out
}

#[test]
fn a_crop_is_what_its_definition_says() {
    let picture = astronaut();
    let mut cropper = Cropper::default();
    for (side, angle) in
        [(40.0, 0.3), (64.0, 0.0), (90.0, -0.2), (130.0, 0.5), (200.0, 0.1), (333.0, -0.7), (480.0, 0.0)]
    {
        let square = Square { center: Point { x: 223.3, y: 117.8 }, side, angle };
        let mut out = vec![0; 64 * 64 * 3];
        cropper.crop(&picture, &square, (64, 64), false, &mut out);
        let expected = defined(&picture, &square, 64, 64);
        let differences = out.iter().zip(&expected).map(|(a, b)| (f32::from(*a) - b).abs());
        let mean = differences.clone().sum::<f32>() / out.len() as f32;
        let worst = differences.fold(0.0, f32::max);
        println!("side {side}, angle {angle}: mean {mean:.2}, worst {worst:.0}");
        assert!(mean < 2.5 && worst < 60.0, "side {side}, angle {angle}: mean {mean:.2}, worst {worst:.0}");
    }
}

#[test]
fn shrinking_does_not_alias() {
    // Stripes a pixel wide must become grey: of some 6.9 pixels at most one more is white or black, ± 18.5.
    let stripes = RgbImage::from_fn(400, 400, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
    let mut out = vec![0; 32 * 32 * 3];
    for angle in [0.0, 0.2, 0.8] {
        let square = Square { center: Point { x: 200.0, y: 200.0 }, side: 220.0, angle };
        Cropper::default().crop(&stripes, &square, (32, 32), false, &mut out);
        assert!(
            out.iter().all(|v| (107..=148).contains(v)),
            "angle {angle}: {:?}..{:?}",
            out.iter().min(),
            out.iter().max()
        );
    }
}

#[test]
fn eyes_come_to_lie_level() {
    // A red and a blue eye on a slope of 30 degrees.
    let angle = 30f32.to_radians();
    let eye = |sign: f32| (200.0 + sign * 40.0 * angle.cos(), 150.0 + sign * 40.0 * angle.sin());
    let picture = RgbImage::from_fn(400, 300, |x, y| {
        let near = |(ex, ey): (f32, f32)| (x as f32 + 0.5 - ex).hypot(y as f32 + 0.5 - ey) < 6.0;
        Rgb([if near(eye(-1.0)) { 255 } else { 0 }, 0, if near(eye(1.0)) { 255 } else { 0 }])
    });
    let mut out = vec![0; 100 * 100 * 3];
    let square = Square { center: Point { x: 200.0, y: 150.0 }, side: 160.0, angle };
    Cropper::default().crop(&picture, &square, (100, 100), false, &mut out);
    let middle = |channel: usize| {
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for (index, pixel) in out.chunks_exact(3).enumerate() {
            let weight = f32::from(pixel[channel]);
            sum += weight;
            x += weight * ((index % 100) as f32 + 0.5);
            y += weight * ((index / 100) as f32 + 0.5);
        }
        (x / sum, y / sum)
    };
    let ((rx, ry), (bx, by)) = (middle(0), middle(2));
    assert!((rx - 25.0).abs() < 0.5 && (bx - 75.0).abs() < 0.5, "{rx} {bx}");
    assert!((ry - 50.0).abs() < 0.5 && (by - 50.0).abs() < 0.5, "{ry} {by}");
}

#[test]
fn the_edge_is_repeated_outside() {
    let picture = RgbImage::from_fn(50, 50, |x, _| Rgb([if x < 25 { 10 } else { 200 }; 3]));
    for side in [20.0, 60.0, 500.0] {
        let mut out = vec![0; 10 * 10 * 3];
        let square = Square { center: Point { x: 80.0 + side, y: -40.0 }, side, angle: 0.0 };
        Cropper::default().crop(&picture, &square, (10, 10), false, &mut out);
        assert!(out.iter().all(|v| *v == 200), "side {side}: {out:?}");
    }
}

#[test]
fn a_letterbox_keeps_the_aspect_ratio_and_its_bars_black() {
    let mut letterbox = Letterbox::new(128, 128);
    let white = |width, height| RgbImage::from_pixel(width, height, Rgb([255; 3]));
    letterbox.fit(&white(480, 640));
    let fit = letterbox.fit(&white(640, 480));
    assert_eq!((fit.offset, fit.scale), (Point { x: 0.0, y: 16.0 }, Point { x: 0.2, y: 0.2 }));
    for (row, pixels) in letterbox.pixels().chunks_exact(128 * 3).enumerate() {
        let expected = if (16..112).contains(&row) { 255 } else { 0 };
        assert!(pixels.iter().all(|v| *v == expected), "row {row}");
    }
}

proptest! {
    #[test]
    fn letterboxes_of_any_picture_lie_inside(width in 1u32..5000, height in 1u32..5000, x in 0f32..1.0, y in 0f32..1.0) {
        let (fit, size) = Fit::new((width, height), (192, 192));
        prop_assert!(size.0 == 192 || size.1 == 192);
        prop_assert!(fit.offset.x + size.0 as f32 <= 192.0 && fit.offset.y + size.1 as f32 <= 192.0);
        let point = Point { x: x * width as f32, y: y * height as f32 };
        let there = Point { x: point.x * fit.scale.x + fit.offset.x, y: point.y * fit.scale.y + fit.offset.y };
        let back = fit.to_picture(there);
        prop_assert!((back.x - point.x).abs() < 0.01 * width as f32 && (back.y - point.y).abs() < 0.01 * height as f32);
    }

    #[test]
    fn no_square_is_too_odd(x in -3000f32..3000.0, y in -3000f32..3000.0, side in 0.01f32..5000.0, angle in -7f32..7.0) {
        let picture = RgbImage::from_pixel(37, 23, Rgb([77; 3]));
        let mut out = vec![0; 16 * 16 * 3];
        Cropper::default().crop(&picture, &Square { center: Point { x, y }, side, angle }, (16, 16), false, &mut out);
        prop_assert!(out.iter().all(|v| *v == 77), "{:?}", out);
    }
}

#[test]
fn a_mirror_shows_each_row_from_its_end() {
    let picture = astronaut();
    // Inside and over the edge, with one sample a pixel, with four, and from blocks.
    for (x, y, side) in
        [(223.3, 117.8, 80.0), (223.3, 117.8, 180.0), (223.3, 117.8, 230.0), (20.0, 500.0, 90.0)]
    {
        let square = Square { center: Point { x, y }, side, angle: 0.2 };
        let (mut plain, mut mirrored) = (vec![0; 64 * 48 * 3], vec![0; 64 * 48 * 3]);
        Cropper::default().crop(&picture, &square, (64, 48), false, &mut plain);
        Cropper::default().crop(&picture, &square, (64, 48), true, &mut mirrored);
        assert_ne!(plain, mirrored);
        plain.as_chunks_mut::<3>().0.chunks_exact_mut(64).for_each(<[_]>::reverse);
        assert_eq!(plain, mirrored, "side {side}");
    }
}

proptest! {
    #[test]
    fn a_sample_inside_is_the_same_on_both_ways(
        width in 2_usize..9, height in 2_usize..9, seed in any::<u32>(), at in any::<[u16; 2]>(),
    ) {
        let noise = |i: usize| ((i as u32).wrapping_add(seed).wrapping_mul(2_654_435_761) >> 23).min(255) as u8;
        let pixels: Vec<u8> = (0..width * height * 3).map(noise).collect();
        let patch = Patch { pixels: &pixels, width, height, origin: Point::default(), scale: 1.0 };
        let within = |at: u16, side: usize| i32::from(at) % ((side as i32 - 1) << BITS);
        let (x, y) = (within(at[0], width), within(at[1], height));
        let (mut sums, mut packed) = ([5; 3], [5; 3]);
        add_bilinear(&patch, x, y, &mut sums);
        if add_inside(&patch, (y as u64) << 32 | x as u64, &mut packed) {
            prop_assert_eq!(packed, sums.map(|sum| sum + (1 << 15)));
        } else {
            prop_assert!((x >> BITS, y >> BITS) == (width as i32 - 2, height as i32 - 2));
        }
    }
}
