//! Decoding a [`Frame`] to RGB.
//!
//! Every size is checked before a byte is read: a truncated frame is an error, never a panic and never half a picture.
//! YUV is BT.601 in limited range (luma 16..=235, chroma 16..=240), V4L2's default for cameras; JPEG is in full range,
//! as JFIF has it; `GREY` is taken as it is, 0..=255.

mod jpeg;
mod packed;
mod pixels;
mod planar;
pub mod png;

use image::RgbImage;

use super::{Frame, PixelFormat};
pub use jpeg::orientation;
use pixels::resize;

/// The largest picture that is decoded, in pixels: 48 megapixels, beyond any camera that streams, so that a crafted JPEG
/// of a few hundred bytes cannot ask for gigabytes.
pub const MAX_PIXELS: u64 = 48_000_000;

/// The largest JPEG of several scans (a progressive one), in pixels: the decoder holds all of it twice as large as it is.
pub const MAX_PIXELS_IN_SCANS: u64 = 20_000_000;

/// Why a frame could not be decoded. The frame is to be counted as corrupt and skipped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the format and the size need.
    #[error("truncated {format} frame: {found} bytes where {expected} are needed")]
    Truncated {
        /// The frame's format.
        format: PixelFormat,
        /// Bytes needed at least.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Width or height is zero, or rows overlap.
    #[error("impossible frame size {width}×{height} with {stride} bytes a row")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes from row to row.
        stride: u32,
    },
    /// More than `most` pixels.
    #[error(
        "a picture of {width}×{height} is too large to decode: one of its kind may have {:.1} megapixels",
        *most as f64 / 1e6
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The most pixels: [`MAX_PIXELS`], or fewer where decoding takes more memory for each.
        most: u64,
    },
    /// A JPEG of another size than the camera was set to.
    #[error("a JPEG of {found_width}×{found_height} where {width}×{height} was agreed on")]
    OtherSize {
        /// Width agreed on, in pixels.
        width: u32,
        /// Height agreed on, in pixels.
        height: u32,
        /// The JPEG's width in pixels.
        found_width: u32,
        /// The JPEG's height in pixels.
        found_height: u32,
    },
    /// The JPEG is cut, damaged or of a kind that cannot be decoded.
    #[error("damaged JPEG: {0}")]
    Jpeg(String),
    /// The PNG is cut, damaged or of a kind that cannot be decoded.
    #[error("damaged PNG: {0}")]
    Png(String),
}

/// Decodes a frame into `picture`, which takes on the frame's size. A JPEG may be larger by less than a block of 16
/// pixels, since some cameras pad; if the frame's size is zero, it may have any.
/// Allocates nothing for the picture if the size is that of the last one.
///
/// # Errors
/// See [`DecodeError`]; `picture` then holds nothing of use.
pub fn decode(frame: &Frame, picture: &mut RgbImage) -> Result<(), DecodeError> {
    if frame.format == PixelFormat::Mjpeg {
        return jpeg::decode(frame, picture);
    }
    let layout = Layout::of(frame)?;
    let rgb = resize(picture, frame.width, frame.height)?;
    match frame.format {
        PixelFormat::Yuyv => packed::yuyv(&layout, &frame.bytes, rgb),
        PixelFormat::Uyvy => packed::uyvy(&layout, &frame.bytes, rgb),
        PixelFormat::Grey => packed::grey(&layout, &frame.bytes, rgb),
        PixelFormat::Rgb3 => packed::rgb(&layout, &frame.bytes, rgb),
        PixelFormat::Nv12 => planar::nv12(&layout, &frame.bytes, rgb),
        PixelFormat::Yu12 => planar::yu12(&layout, &frame.bytes, rgb),
        PixelFormat::Mjpeg => unreachable!("handled above"),
    }
    Ok(())
}

/// Bytes of one uncompressed frame as programs write them to a pipe, every row padded to `stride` (0: packed rows).
/// `None` for JPEG, whose frames differ in length, and for a size or stride that cannot be.
#[must_use]
pub fn raw_length(format: PixelFormat, width: u32, height: u32, stride: u32) -> Option<usize> {
    let (w, h) = (u64::from(width), u64::from(height));
    let packed = match format {
        PixelFormat::Mjpeg => return None,
        PixelFormat::Yuyv | PixelFormat::Uyvy => w.div_ceil(2) * 4,
        PixelFormat::Rgb3 => w * 3,
        PixelFormat::Nv12 => w.next_multiple_of(2),
        PixelFormat::Yu12 | PixelFormat::Grey => w,
    };
    let stride = if stride == 0 { packed } else { u64::from(stride) };
    let chroma = match format {
        PixelFormat::Nv12 => stride * h.div_ceil(2),
        PixelFormat::Yu12 => 2 * stride.div_ceil(2) * h.div_ceil(2),
        _ => 0,
    };
    if w == 0 || h == 0 || stride < packed || w * h > MAX_PIXELS {
        return None;
    }
    usize::try_from(stride * h + chroma).ok()
}

/// Where the rows of an uncompressed frame are; a `Layout` exists only if the frame holds them all.
struct Layout {
    width: usize,
    height: usize,
    /// Bytes from row to row of the first plane.
    stride: usize,
    /// Bytes used of a row of the first plane.
    row: usize,
}

impl Layout {
    fn of(frame: &Frame) -> Result<Self, DecodeError> {
        let (width, height) = (u64::from(frame.width), u64::from(frame.height));
        let row = match frame.format {
            PixelFormat::Yuyv | PixelFormat::Uyvy => width.div_ceil(2) * 4,
            PixelFormat::Rgb3 => width * 3,
            PixelFormat::Nv12 | PixelFormat::Yu12 | PixelFormat::Grey | PixelFormat::Mjpeg => width,
        };
        // The interleaved chroma of an odd width is one byte wider than the luma.
        let packed = if frame.format == PixelFormat::Nv12 { width.next_multiple_of(2) } else { row };
        let stride = if frame.stride == 0 { packed } else { u64::from(frame.stride) };
        if width == 0 || height == 0 || stride < packed {
            return Err(DecodeError::Size { width: frame.width, height: frame.height, stride: frame.stride });
        }
        // The last row of the last plane may end without its padding.
        let chroma_rows = height.div_ceil(2);
        let expected = match frame.format {
            PixelFormat::Nv12 => stride * height + stride * (chroma_rows - 1) + width.div_ceil(2) * 2,
            PixelFormat::Yu12 => {
                stride * height + stride.div_ceil(2) * (2 * chroma_rows - 1) + width.div_ceil(2)
            }
            _ => stride * (height - 1) + row,
        };
        let found = frame.bytes.len() as u64;
        if found < expected {
            return Err(DecodeError::Truncated { format: frame.format, expected, found });
        }
        // The bytes are in memory, so what they hold fits usize.
        Ok(Self {
            width: width as usize,
            height: height as usize,
            stride: stride as usize,
            row: row as usize,
        })
    }

    /// The rows of the first plane, each with its row of output.
    fn rows<'a>(
        &self,
        bytes: &'a [u8],
        rgb: &'a mut [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> + use<'a> {
        let row = self.row;
        let lines = bytes.chunks(self.stride).take(self.height).map(move |line| &line[..row]);
        lines.zip(rgb.chunks_exact_mut(self.width * 3))
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
