//! A picture whose moment is not known yet.

use zeroize::Zeroizing;

use super::mjpeg::outline;
use super::{Frame, PixelFormat};
use emotiond_core::Moment;

/// A picture that becomes a [`Frame`] once its moment is known. Its bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct EncodedPicture {
    /// How `bytes` are to be read.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// See [`Frame::stride`].
    pub stride: u32,
    /// The encoded picture.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl EncodedPicture {
    /// Of a JPEG file; `None` if it is damaged.
    #[must_use]
    pub fn jpeg(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let outline = outline(&bytes).ok()?;
        let (width, height) = (outline.width, outline.height);
        Some(Self { format: PixelFormat::Mjpeg, width, height, stride: 0, bytes })
    }

    /// Of a PNG file; `None` if it is damaged.
    #[must_use]
    pub fn png(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let image = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png).ok()?.into_rgb8();
        let (width, height) = image.dimensions();
        let bytes = Zeroizing::new(image.into_raw());
        Some(Self { format: PixelFormat::Rgb3, width, height, stride: 0, bytes })
    }

    /// The frame of that moment.
    #[must_use]
    pub fn into_frame(mut self, at: Moment) -> Frame {
        let bytes = std::mem::take(&mut *self.bytes);
        let (format, width, height, stride) = (self.format, self.width, self.height, self.stride);
        Frame { format, width, height, stride, bytes, at }
    }
}
