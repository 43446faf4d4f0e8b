//! A camera's frame of any format, size and content: a picture of the right size or an error, never a panic.
#![no_main]

use emotiond_core::moment::Moment;
use emotiond::capture::frame::decode::decode;
use emotiond::capture::frame::luma::Luma;
use emotiond::capture::frame::{Frame, PixelFormat};
use emotiond::capture::frame::mjpeg::outline;
use image::RgbImage;
use libfuzzer_sys::fuzz_target;

/// Pixels from which a picture only costs time: a JPEG of a few bytes may claim millions.
const LARGEST: u64 = 1 << 18;

// Format, width, height and stride in the first seven bytes, so that seeds can be made by hand; then the frame's bytes.
fuzz_target!(|data: &[u8]| {
    let Some((head, bytes)) = data.split_first_chunk::<7>() else { return };
    let [format, width @ .., _, _, _, _] = *head;
    let width = u32::from(u16::from_le_bytes(width)) % 1024;
    let height = u32::from(u16::from_le_bytes([head[3], head[4]])) % 1024;
    let stride = u32::from(u16::from_le_bytes([head[5], head[6]]));
    let format = PixelFormat::ALL[usize::from(format) % PixelFormat::ALL.len()];
    if format == PixelFormat::Mjpeg {
        if let Ok(outline) = outline(bytes) {
            if u64::from(outline.width) * u64::from(outline.height) > LARGEST {
                return;
            }
        }
    }
    let frame = Frame { format, width, height, stride, bytes: bytes.to_vec(), at: Moment::ZERO };
    let mut picture = RgbImage::default();
    if decode(&frame, &mut picture).is_ok() {
        assert!(picture.width() > 0 && picture.height() > 0);
        if format != PixelFormat::Mjpeg {
            assert_eq!((picture.width(), picture.height()), (width, height));
        }
        assert!(Luma::of(&picture).is_some());
    }
    // What a decoder keeps from one frame must not change the next.
    let first = picture.clone();
    let again = decode(&frame, &mut picture);
    if again.is_ok() {
        assert!(first == picture, "the same frame decoded to two pictures");
    }
});
