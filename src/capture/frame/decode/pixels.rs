//! What all decoders share: the picture that is filled, and YUV to RGB.

use image::RgbImage;

use super::{DecodeError, MAX_PIXELS};

/// Gives `picture` the wanted size, reusing its memory; returns its samples.
pub(super) fn resize(picture: &mut RgbImage, width: u32, height: u32) -> Result<&mut [u8], DecodeError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge { width, height, most: MAX_PIXELS });
    }
    if picture.dimensions() != (width, height) {
        let mut samples = std::mem::take(picture).into_raw();
        samples.resize(width as usize * height as usize * 3, 0);
        *picture = RgbImage::from_raw(width, height, samples).expect("three samples a pixel were made");
    }
    Ok(picture)
}

/// The chroma part of BT.601 in limited range, for all pixels that share it: what is added to red, green and blue, in
/// 1/256 and with the rounding half.
#[inline(always)]
pub(super) fn chroma(u: u8, v: u8) -> [i32; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [409 * v + 128, 128 - 100 * u - 208 * v, 516 * u + 128]
}

/// One pixel of BT.601 in limited range.
#[inline(always)]
pub(super) fn pixel(y: u8, chroma: [i32; 3]) -> [u8; 3] {
    let y = 298 * (i32::from(y) - 16);
    chroma.map(|c| ((y + c) >> 8).clamp(0, 255) as u8)
}
