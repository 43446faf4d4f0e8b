//! PNG, which recordings and photographs come as.

use std::io::{BufRead, Seek, SeekFrom};

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder as _, RgbImage};

use super::{DecodeError, MAX_PIXELS};
use crate::exit::panics;

/// What a PNG file begins with.
pub const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The most memory for the decoded samples and the RGB made of them, in bytes.
const MOST_MEMORY: u64 = 200_000_000;

/// Decodes a whole PNG; also says how the picture is to be turned to stand upright.
///
/// # Errors
/// [`DecodeError::Png`] if it is cut, damaged or none; [`DecodeError::TooLarge`] before memory is taken for it.
pub fn png(mut source: impl BufRead + Seek) -> Result<(RgbImage, Orientation), DecodeError> {
    // The decoder takes a file that ends in time for its last pixel as whole; what comes last says that it is.
    ends(&mut source).map_err(|_| DecodeError::Png("it is cut: its end is missing".to_owned()))?;
    let damaged = |error: image::ImageError| DecodeError::Png(error.to_string());
    let outcome = panics::contain(|| {
        let mut decoder = PngDecoder::new(source).map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        let samples = u64::from(decoder.color_type().bytes_per_pixel());
        let copied = if decoder.color_type() == ColorType::Rgb8 { 0 } else { 3 };
        let most = MAX_PIXELS.min(MOST_MEMORY / (samples + copied));
        if u64::from(width) * u64::from(height) > most {
            return Err(DecodeError::TooLarge { width, height, most });
        }
        let orientation = decoder.orientation().map_err(damaged)?;
        let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        Ok((picture.into_rgb8(), orientation))
    });
    outcome.unwrap_or_else(|panic| Err(DecodeError::Png(format!("the decoder gave up: {panic}"))))
}

/// Follows the chunks to the last one, IEND, and goes back to the start. An error: they lead out of the file.
fn ends(source: &mut (impl BufRead + Seek)) -> std::io::Result<()> {
    source.seek(SeekFrom::Start(SIGNATURE.len() as u64))?;
    loop {
        let mut head = [0; 8];
        source.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        // Behind the content stands a checksum.
        source.seek_relative(i64::from(u32::from_be_bytes([a, b, c, d])))?;
        source.read_exact(&mut [0; 4])?;
        if kind == *b"IEND" {
            return source.rewind();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn encoded(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_cut_or_changed_png_is_damaged_wherever_that_is() {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 5, y as u8 * 7, (x * y) as u8]));
        let whole = encoded(&picture.clone().into());
        assert_eq!(png(Cursor::new(&whole)).unwrap().0, picture);
        for length in 0..whole.len() {
            let error = png(Cursor::new(&whole[..length])).unwrap_err();
            assert!(error.to_string().starts_with("damaged PNG"), "cut to {length}: {error}");
        }
        let middle = whole.len() / 2;
        let changed: Vec<_> = whole.iter().enumerate().map(|(i, b)| b ^ u8::from(i == middle)).collect();
        assert!(matches!(png(Cursor::new(&changed)), Err(DecodeError::Png(_))));
    }

    #[test]
    fn a_large_one_is_refused_before_memory_is_taken() {
        let mut bytes = encoded(&RgbImage::new(2, 2).into());
        // IHDR: width and height, then its checksum anew.
        bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        let checksum = crc32fast::hash(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = png(Cursor::new(&bytes)).unwrap_err();
        assert_eq!(error, DecodeError::TooLarge { width: 16384, height: 16384, most: MAX_PIXELS });
        assert!(error.to_string().contains("16384×16384") && error.to_string().contains("48.0 megapixels"));
    }
}
