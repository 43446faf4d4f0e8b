//! Frames out of a stream of bytes. Pure.

use zeroize::Zeroizing;

use crate::capture::frame::PixelFormat;
use crate::capture::frame::decode::raw_length;
use crate::capture::frame::encoded::EncodedPicture;
use crate::capture::frame::mjpeg::Splitter;

/// Puts frames together from pieces of any length.
pub(super) enum Assembler {
    /// Motion JPEG, whose frames mark their beginning and end.
    Jpeg { splitter: Splitter, broken: u64 },
    /// Raw frames, of which every `length` bytes are one.
    Raw(Raw),
}

pub(super) struct Raw {
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: u32,
    length: usize,
    /// The frames that have arrived whole, and the beginning of the next; at most one piece more than a frame.
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes still to come of a frame that is thrown away.
    skip: usize,
}

impl Assembler {
    /// For frames of this encoding; the size of Motion JPEG is what its frames say.
    pub(super) fn new(format: PixelFormat, width: u32, height: u32, stride: u32) -> Self {
        match raw_length(format, width, height, stride) {
            None => Self::Jpeg { splitter: Splitter::default(), broken: 0 },
            Some(length) => {
                let buffer = empty(length);
                Self::Raw(Raw { format, width, height, stride, length, buffer, skip: 0 })
            }
        }
    }

    /// Forgets what has arrived of frames. If the same stream `continues`, the rest of a frame that has begun is thrown
    /// away as it comes; else the next byte is a frame's first.
    pub(super) fn restart(&mut self, continues: bool) {
        match self {
            Self::Jpeg { splitter, .. } => *splitter = Splitter::default(),
            Self::Raw(raw) => {
                let begun = raw.buffer.len() % raw.length;
                raw.skip = match (continues, begun) {
                    (false, _) => 0,
                    (true, 0) => raw.skip,
                    (true, begun) => raw.length - begun,
                };
                raw.buffer = empty(raw.length);
            }
        }
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match self {
            Self::Jpeg { splitter, .. } => splitter.push(piece),
            Self::Raw(raw) => {
                let skipped = raw.skip.min(piece.len());
                raw.skip -= skipped;
                raw.buffer.extend_from_slice(&piece[skipped..]);
            }
        }
    }

    /// Throws a piece away, and with it every frame that it belongs to.
    pub(super) fn skip(&mut self, piece: &[u8]) {
        self.push(piece);
        self.restart(true);
    }

    /// The next whole frame; `None` if it has not arrived yet.
    pub(super) fn next(&mut self) -> Option<EncodedPicture> {
        match self {
            Self::Jpeg { splitter, broken } => loop {
                match EncodedPicture::jpeg(splitter.next_frame()?) {
                    Ok(picture) => return Some(picture),
                    Err(_) => *broken += 1,
                }
            },
            Self::Raw(raw) => {
                if raw.buffer.len() < raw.length {
                    return None;
                }
                let mut rest = empty(raw.length);
                rest.extend_from_slice(&raw.buffer[raw.length..]);
                raw.buffer.truncate(raw.length);
                let bytes = std::mem::replace(&mut raw.buffer, rest);
                let (format, width, height, stride) = (raw.format, raw.width, raw.height, raw.stride);
                Some(EncodedPicture { format, width, height, stride, bytes })
            }
        }
    }

    /// Frames given up since the last call: cut, damaged or too large.
    pub(super) fn take_broken(&mut self) -> u64 {
        match self {
            Self::Jpeg { splitter, broken } => std::mem::take(broken) + splitter.take_broken(),
            Self::Raw(_) => 0,
        }
    }

    /// What the frames are, for a log line.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Jpeg { .. } => "Motion JPEG".to_owned(),
            Self::Raw(raw) => format!("raw {}×{} {} frames", raw.width, raw.height, raw.format),
        }
    }
}

/// Room for a frame and a piece: a buffer that grows leaves what it held in freed memory.
fn empty(length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(length + super::CHUNK))
}
