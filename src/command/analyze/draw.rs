//! `--draw`: boxes and labels on a copy of the user's own picture. The only place of the program that writes a picture; the
//! daemon neither calls it nor could: its confinement lets it write its state folder alone.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage};

use super::font::{extent, fill, write};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{EXPRESSION, Scores};

const LINE: Rgb<u8> = Rgb([64, 224, 208]);
const PAPER: Rgb<u8> = Rgb([16, 24, 32]);

/// Draws each face's box and, above or below it, what is read of it.
pub fn draw(picture: &mut RgbImage, found: &[(Face, Option<Scores>)]) {
    // Lines and letters of a picture of 640 pixels are one and two pixels wide, of a larger one in proportion.
    let scale = (picture.width().max(picture.height()) / 400).max(1);
    for (face, scores) in found {
        let bounds = &face.bounds;
        let (left, top) = (bounds.x.round() as i64, bounds.y.round() as i64);
        let (width, height) = (bounds.width.round().max(1.0) as u32, bounds.height.round().max(1.0) as u32);
        frame(picture, (left, top), (width, height), scale);
        for point in &face.keypoints {
            let corner =
                (point.x.round() as i64 - i64::from(scale), point.y.round() as i64 - i64::from(scale));
            fill(picture, corner, (2 * scale, 2 * scale), LINE);
        }
        labels(picture, &lines(scores.as_ref()), (left, top, i64::from(height)), scale);
    }
}

/// The two likeliest expressions, valence and arousal.
fn lines(scores: Option<&Scores>) -> Vec<String> {
    let Some(scores) = scores else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some((labels, values)) = scores.head(EXPRESSION) {
        let mut ranked: Vec<_> = labels.iter().zip(values).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        lines.extend(ranked.iter().take(2).map(|(label, share)| format!("{label} {:.0}%", 100.0 * *share)));
    }
    if let (Some(valence), Some(arousal)) = (scores.get("valence"), scores.get("arousal")) {
        lines.push(format!("v {valence:+.2} a {arousal:+.2}"));
    }
    lines
}

fn frame(picture: &mut RgbImage, (x, y): (i64, i64), (width, height): (u32, u32), line: u32) {
    let (right, bottom) = (x + i64::from(width) - i64::from(line), y + i64::from(height) - i64::from(line));
    fill(picture, (x, y), (width, line), LINE);
    fill(picture, (x, bottom), (width, line), LINE);
    fill(picture, (x, y), (line, height), LINE);
    fill(picture, (right, y), (line, height), LINE);
}

/// Lines of text on a dark ground above the box, or below it where there is no room above.
fn labels(picture: &mut RgbImage, lines: &[String], (left, top, height): (i64, i64, i64), scale: u32) {
    let Some(widest) = lines.iter().map(|line| extent(line, scale).0).max() else { return };
    let (gap, step) = (i64::from(2 * scale), i64::from(extent("", scale).1 + 3 * scale));
    let tall = step * lines.len() as i64 + gap;
    let y = if top >= tall { top - tall } else { top + height };
    // Moved to the left as far as it takes to be seen whole.
    let room = i64::from(picture.width()) - i64::from(widest) - 2 * gap;
    let x = left.min(room).max(0);
    fill(picture, (x, y), (widest + 4 * scale, tall as u32), PAPER);
    for (place, line) in lines.iter().enumerate() {
        write(picture, line, (x + gap, y + gap + step * place as i64), scale, LINE);
    }
}

/// Writes the picture as a PNG file that was not there before, readable by its owner alone.
///
/// # Errors
/// If the file is there, cannot be made, or cannot be written.
pub fn save(picture: &RgbImage, path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| {
        format!("cannot make {shown} (nothing is overwritten: choose a name that does not exist yet)")
    })?;
    let mut out = BufWriter::new(file);
    let (width, height) = picture.dimensions();
    PngEncoder::new(&mut out)
        .write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
        .with_context(|| format!("cannot write {shown}"))?;
    out.flush().with_context(|| format!("cannot write {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use emotiond_core::geometry::{Point, Rect};
    use emotiond_core::report::score::{ScoreHead, Vocabulary};
    use std::sync::Arc;

    fn face(x: f32, y: f32, size: f32) -> Face {
        let keypoints = [Point { x: x + size / 2.0, y: y + size / 2.0 }; 6];
        Face { bounds: Rect { x, y, width: size, height: size }, keypoints, score: 0.9 }
    }

    fn scores() -> Scores {
        let expressions = ["neutral".parse().unwrap(), "happiness".parse().unwrap()];
        let heads = vec![ScoreHead::expression(&expressions), ScoreHead::valence_arousal()];
        Scores::new(Arc::new(Vocabulary::new(heads)), vec![0.25, 0.75, 0.5, -0.5])
    }

    #[test]
    fn the_label_says_what_was_read() {
        assert_eq!(lines(Some(&scores())), ["happiness 75%", "neutral 25%", "v +0.50 a -0.50"]);
        assert!(lines(None).is_empty());
    }

    #[test]
    fn a_box_and_a_label_are_drawn_wherever_the_face_is() {
        for (x, y, size) in [
            (100.0, 100.0, 60.0),
            (0.0, 0.0, 320.0),
            (-50.0, -50.0, 80.0),
            (300.0, 220.0, 90.0),
            (1e9, 1e9, 1e9),
        ] {
            let mut picture = RgbImage::new(320, 240);
            draw(&mut picture, &[(face(x, y, size), Some(scores())), (face(x, y, size), None)]);
            let drawn = picture.pixels().any(|pixel| *pixel == LINE);
            assert_eq!(drawn, x < 1e6, "{x} {y} {size}");
        }
        let mut picture = RgbImage::new(320, 240);
        draw(&mut picture, &[(face(100.0, 100.0, 60.0), Some(scores()))]);
        for (x, y, colour) in [(100, 130, LINE), (159, 130, LINE), (130, 159, LINE), (130, 115, Rgb([0; 3]))]
        {
            assert_eq!(*picture.get_pixel(x, y), colour, "{x} {y}");
        }
        assert_eq!(*picture.get_pixel(100, 80), PAPER, "the label is above");
    }

    #[test]
    fn a_file_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        save(&RgbImage::from_pixel(3, 2, LINE), &path).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8(), RgbImage::from_pixel(3, 2, LINE));
        let error = format!("{:#}", save(&RgbImage::new(1, 1), &path).unwrap_err());
        assert!(error.contains("out.png") && error.contains("nothing is overwritten"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
