//! Turning a picture upright.

use image::RgbImage;
use image::metadata::Orientation;

/// Turns a picture as its EXIF orientation says. Takes a third of the picture's memory besides it: one colour at a time is
/// set aside and put back where it belongs.
#[must_use]
pub fn turned(picture: RgbImage, orientation: Orientation) -> RgbImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut samples = picture.into_raw();
    let sideways = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (new_width, new_height) = if sideways { (height, width) } else { (width, height) };
    if orientation != Orientation::NoTransforms {
        let mut colour = vec![0; width * height];
        for channel in 0..3 {
            for (kept, pixel) in colour.iter_mut().zip(samples.chunks_exact(3)) {
                *kept = pixel[channel];
            }
            for (index, pixel) in samples.chunks_exact_mut(3).enumerate() {
                let (x, y) = (index % new_width, index / new_width);
                let (right, down) = (new_width - 1 - x, new_height - 1 - y);
                let (from_x, from_y) = match orientation {
                    Orientation::NoTransforms => (x, y),
                    Orientation::FlipHorizontal => (right, y),
                    Orientation::Rotate180 => (right, down),
                    Orientation::FlipVertical => (x, down),
                    Orientation::Rotate90FlipH => (y, x),
                    Orientation::Rotate90 => (y, right),
                    Orientation::Rotate270FlipH => (down, right),
                    Orientation::Rotate270 => (down, x),
                };
                pixel[channel] = colour[from_y * width + from_x];
            }
        }
    }
    RgbImage::from_raw(new_width as u32, new_height as u32, samples).expect("as many samples as before")
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;

    use super::*;

    #[test]
    fn every_orientation_is_as_the_image_crate_has_it() {
        let picture = RgbImage::from_fn(7, 4, |x, y| image::Rgb([x as u8, y as u8, (10 * x + y) as u8]));
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut expected = DynamicImage::from(picture.clone());
            expected.apply_orientation(orientation);
            assert_eq!(turned(picture.clone(), orientation), expected.into_rgb8(), "{exif}");
        }
    }
}
