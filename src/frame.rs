//! A captured picture and its decoding. A [`Frame`] is never serialized, and no module that can write or send imports it.

pub mod warp;

use crate::clock::Moment;

/// How the bytes of a [`Frame`] encode its pixels (V4L2's names in the comments).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PixelFormat {
    /// Motion JPEG, one JPEG file a frame (`MJPG`, also `JPEG`).
    Mjpeg,
    /// Packed 4:2:2, Y0 U Y1 V (`YUYV`).
    Yuyv,
    /// Packed 4:2:2, U Y0 V Y1 (`UYVY`).
    Uyvy,
    /// Planar luma, then interleaved chroma 4:2:0 (`NV12`).
    Nv12,
    /// Three planes 4:2:0 (`YU12`, I420).
    Yu12,
    /// Luma alone, 8 bits (`GREY`).
    Grey,
    /// Packed R, G, B, 8 bits each (`RGB3`).
    Rgb3,
}

/// One captured picture, still encoded.
pub struct Frame {
    /// How `bytes` are to be read.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 for JPEG.
    pub stride: u32,
    /// The encoded picture.
    pub bytes: Vec<u8>,
    /// When it was captured.
    pub at: Moment,
}
