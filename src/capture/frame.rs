//! A captured picture and its decoding. A [`Frame`] is never serialized, and no module that can write or send imports it.

pub mod blur;
pub mod decode;
pub mod encoded;
pub mod luma;
pub mod mjpeg;
pub mod scale;
pub mod turn;
pub mod warp;

use crate::host::wipe::wipe_all;
use emotiond_core::Moment;

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

impl PixelFormat {
    /// All formats that can be decoded.
    pub const ALL: [Self; 7] =
        [Self::Mjpeg, Self::Yuyv, Self::Uyvy, Self::Nv12, Self::Yu12, Self::Grey, Self::Rgb3];

    /// The format that a V4L2 four-character code stands for, if it is one that can be decoded.
    #[must_use]
    pub fn from_fourcc(code: [u8; 4]) -> Option<Self> {
        if code == *b"JPEG" {
            return Some(Self::Mjpeg);
        }
        Self::ALL.into_iter().find(|format| format.name().as_bytes() == code)
    }

    /// V4L2's four-character name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mjpeg => "MJPG",
            Self::Yuyv => "YUYV",
            Self::Uyvy => "UYVY",
            Self::Nv12 => "NV12",
            Self::Yu12 => "YU12",
            Self::Grey => "GREY",
            Self::Rgb3 => "RGB3",
        }
    }
}

impl std::fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One captured picture, still encoded. Its bytes are wiped when it is dropped.
pub struct Frame {
    /// How `bytes` are to be read.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 for JPEG, and where the rows are packed without padding.
    pub stride: u32,
    /// The encoded picture.
    pub bytes: Vec<u8>,
    /// When it was captured.
    pub at: Moment,
}

/// Without the picture: what is logged must not show anybody.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { format, width, height, stride, bytes, at } = self;
        write!(f, "Frame({width}×{height} {format}, stride {stride}, {} bytes, at {at:?})", bytes.len())
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // Faces must not outlive their use in freed memory, where a core dump or a bug elsewhere could show them.
        wipe_all(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in PixelFormat::ALL {
            let code: [u8; 4] = format.name().as_bytes().try_into().unwrap();
            assert_eq!(PixelFormat::from_fourcc(code), Some(format));
        }
        assert_eq!(PixelFormat::from_fourcc(*b"JPEG"), Some(PixelFormat::Mjpeg));
        assert_eq!(PixelFormat::from_fourcc(*b"H264"), None);
        assert_eq!(PixelFormat::from_fourcc([0xff; 4]), None);
    }
}
