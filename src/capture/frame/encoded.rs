//! A picture whose moment is not known yet.

use std::io::{BufRead, Seek};

use zeroize::Zeroizing;

use super::decode::DecodeError;
use super::decode::png::png;
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
    /// Of a JPEG file.
    ///
    /// # Errors
    /// If it is cut or has no outline of a JPEG; the rest of it is looked at when it is decoded.
    pub fn jpeg(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let bytes = Zeroizing::new(bytes);
        let outline = outline(&bytes).map_err(|reason| DecodeError::Jpeg(reason.to_owned()))?;
        let (width, height) = (outline.width, outline.height);
        Ok(Self { format: PixelFormat::Mjpeg, width, height, stride: 0, bytes })
    }

    /// Of a PNG file, as it is stored.
    ///
    /// # Errors
    /// See [`png()`].
    pub fn png(source: impl BufRead + Seek) -> Result<Self, DecodeError> {
        let (image, _orientation) = png(source)?;
        let (width, height) = image.dimensions();
        let bytes = Zeroizing::new(image.into_raw());
        Ok(Self { format: PixelFormat::Rgb3, width, height, stride: 0, bytes })
    }

    /// The frame of that moment.
    #[must_use]
    pub fn into_frame(mut self, at: Moment) -> Frame {
        let bytes = std::mem::take(&mut *self.bytes);
        let (format, width, height, stride) = (self.format, self.width, self.height, self.stride);
        Frame { format, width, height, stride, bytes, at }
    }
}
