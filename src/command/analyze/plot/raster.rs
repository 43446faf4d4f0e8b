//! A drawing as pixels.

use image::{Rgb, RgbImage};

use super::shape::{Anchor, Drawing, Shape};
use crate::command::analyze::font;

/// Samples of a pixel to each side, over which edges are averaged.
const SAMPLES: u32 = 3;
/// Pixels of the picture for each of the drawing.
const ZOOM: u32 = 2;
/// The scale of letters, in pixels of the picture.
const LETTERS: u32 = 3;

/// The picture of a drawing, twice as large as it says, so that it is sharp on any screen.
pub fn render(drawing: &Drawing) -> RgbImage {
    let (width, height) = (drawing.width * ZOOM, drawing.height * ZOOM);
    let mut picture = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    for shape in &drawing.shapes {
        match shape {
            Shape::Area(points, colour) => area(&mut picture, points, Rgb(*colour)),
            Shape::Line(points, colour, line) => {
                for pair in points.windows(2) {
                    area(&mut picture, &stroke(pair[0], pair[1], line / 2.0), Rgb(*colour));
                }
            }
            Shape::Text { at, anchor, text, colour } => {
                let (wide, tall) = font::extent(text, LETTERS);
                let [x, y] = at.map(|value| (value * f64::from(ZOOM)).round() as i64);
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - i64::from(wide) / 2,
                    Anchor::End => x - i64::from(wide),
                };
                font::write(&mut picture, text, (left, y - i64::from(tall) / 2), LETTERS, Rgb(*colour));
            }
        }
    }
    picture
}

/// The rectangle of a piece of a line, a little longer than the piece, so that two pieces join.
fn stroke([x, y]: [f64; 2], [to_x, to_y]: [f64; 2], half: f64) -> [[f64; 2]; 4] {
    let (across, down) = (to_x - x, to_y - y);
    let length = across.hypot(down).max(1e-9);
    let (along, aside) =
        ([across / length * half, down / length * half], [-down / length * half, across / length * half]);
    let corner = |x: f64, y: f64, ahead: f64, left: f64| {
        [x + ahead * along[0] + left * aside[0], y + ahead * along[1] + left * aside[1]]
    };
    [
        corner(x, y, -0.5, 1.0),
        corner(to_x, to_y, 0.5, 1.0),
        corner(to_x, to_y, 0.5, -1.0),
        corner(x, y, -0.5, -1.0),
    ]
}

/// Fills a polygon by the even-odd rule; a pixel takes as much of the colour as it is covered.
fn area(picture: &mut RgbImage, points: &[[f64; 2]], colour: Rgb<u8>) {
    let scale = f64::from(ZOOM * SAMPLES);
    let points: Vec<[f64; 2]> = points.iter().map(|point| point.map(|value| value * scale)).collect();
    let bound = |axis: usize, most: u32| {
        let values = points.iter().map(|point| point[axis] / f64::from(SAMPLES));
        let (least, greatest) =
            values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        (least.floor().clamp(0.0, f64::from(most)) as u32, greatest.ceil().clamp(0.0, f64::from(most)) as u32)
    };
    let ((left, right), (top, bottom)) = (bound(0, picture.width()), bound(1, picture.height()));
    let mut covered = vec![0_u32; (right - left) as usize];
    for row in top..bottom {
        covered.fill(0);
        for sample in 0..SAMPLES {
            let y = f64::from(row * SAMPLES + sample) + 0.5;
            let mut crossings = crossings(&points, y);
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let edge = |x: f64| {
                    let (first, last) = (f64::from(left * SAMPLES), f64::from(right * SAMPLES));
                    (x.clamp(first, last) - 0.5).ceil().max(first) as u32
                };
                for column in edge(pair[0])..edge(pair[1]) {
                    covered[(column / SAMPLES - left) as usize] += 1;
                }
            }
        }
        for (column, count) in (left..right).zip(&covered).filter(|(_, count)| **count > 0) {
            let pixel = picture.get_pixel_mut(column, row);
            let share = (f64::from(*count) / f64::from(SAMPLES * SAMPLES)).min(1.0);
            for (old, new) in pixel.0.iter_mut().zip(colour.0) {
                *old = (f64::from(*old) + share * (f64::from(new) - f64::from(*old))).round() as u8;
            }
        }
    }
}

/// Where a line across at `y` crosses the edges of a polygon.
fn crossings(points: &[[f64; 2]], y: f64) -> Vec<f64> {
    let edges = points.iter().zip(points.iter().cycle().skip(1));
    let crossing = |([x, from], [to_x, to]): (&[f64; 2], &[f64; 2])| {
        ((*from <= y) != (*to <= y)).then(|| x + (y - from) / (to - from) * (to_x - x))
    };
    edges.filter_map(crossing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        Drawing { width: 20, height: 10, shapes: Vec::new() }
    }

    #[test]
    fn a_rectangle_covers_its_pixels_and_no_others() {
        let mut drawing = drawing();
        drawing.rectangle([2.0, 1.0], [3.0, 4.25], [0, 0, 0]);
        let picture = render(&drawing);
        assert_eq!(picture.dimensions(), (40, 20));
        for (x, y, pixel) in picture.enumerate_pixels() {
            let inside = (4..10).contains(&x) && (2..10).contains(&y);
            let edge = (4..10).contains(&x) && y == 10;
            let expected = if inside { 0 } else { 255 };
            // Half of a pixel is covered, by one or two of three samples.
            assert!(pixel[0] == expected || edge && (85..=170).contains(&pixel[0]), "{x} {y} {pixel:?}");
        }
    }

    #[test]
    fn lines_and_letters_leave_marks_and_nothing_outside_matters() {
        let mut drawing = drawing();
        let far = vec![[-1e6, 5.0], [1e6, 5.0]];
        drawing.shapes.push(Shape::Line(far, [255, 0, 0], 2.0));
        drawing.text([19.0, 2.0], Anchor::End, "i", [0, 0, 255]);
        let picture = render(&drawing);
        assert_eq!(*picture.get_pixel(0, 10), Rgb([255, 0, 0]));
        assert!(picture.pixels().any(|pixel| *pixel == Rgb([0, 0, 255])));
    }
}
