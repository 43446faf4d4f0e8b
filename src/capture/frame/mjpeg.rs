//! The structure of JPEG, as far as it takes to find frames in a stream of bytes.
//!
//! A frame runs from an SOI marker to its EOI marker. Looking for these two alone finds thumbnails inside APPn segments
//! and bytes that merely look like markers, so the segments are walked by their lengths and the entropy-coded data by the
//! rule that `FF` is followed there by `00`, a restart marker, or the next segment (ITU-T T.81, B.1).

mod outline;
mod splitter;

pub use outline::{Outline, exif, outline};
pub use splitter::{MAX_FRAME, Splitter};

/// How far a walk has got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// Everything so far is sound; go on at this offset when there are more bytes.
    More(usize),
    /// The frame ends before this offset.
    End(usize),
    /// A new frame starts at this offset, though the last one has not ended.
    Restart(usize),
    /// What is at this offset cannot be JPEG.
    Broken(usize),
}

/// Where in a frame a walk stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Between segments: a marker is next.
    Marker,
    /// In entropy-coded data.
    Entropy,
}

/// Walks a frame from one place to the next, one segment or one run of entropy-coded data a step.
#[derive(Clone, Copy, Debug)]
struct Walk {
    place: Place,
}

/// What a step passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct JpegSegment {
    /// The marker's second byte.
    marker: u8,
    /// Offset of the marker's first byte.
    at: usize,
    /// Length of the segment's content, without marker and length field.
    length: usize,
}

impl Walk {
    /// Behind an SOI marker.
    fn new() -> Self {
        Self { place: Place::Marker }
    }

    /// Takes one step at `at`. `seen` is told of each segment with a length, before its content is known to be there.
    fn step(&mut self, bytes: &[u8], at: usize, seen: &mut impl FnMut(JpegSegment)) -> Step {
        match self.place {
            Place::Marker => self.marker(bytes, at, seen),
            Place::Entropy => self.entropy(bytes, at, seen),
        }
    }

    fn marker(&mut self, bytes: &[u8], at: usize, seen: &mut impl FnMut(JpegSegment)) -> Step {
        let Some(&[first, marker]) = bytes.get(at..at + 2).and_then(<[u8]>::first_chunk) else {
            return Step::More(at);
        };
        match (first, marker) {
            // FF may be repeated before a marker.
            (0xff, 0xff) => Step::More(at + 1),
            (0xff, 0xd8) => Step::Restart(at),
            (0xff, 0xd9) => Step::End(at + 2),
            // TEM and stray restart markers stand alone.
            (0xff, 0x01 | 0xd0..=0xd7) => Step::More(at + 2),
            (0xff, 0xc0..=0xfe) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4).and_then(<[u8]>::first_chunk) else {
                    return Step::More(at);
                };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length < 2 {
                    return Step::Broken(at + 2);
                }
                seen(JpegSegment { marker, at, length: length - 2 });
                if marker == 0xda {
                    self.place = Place::Entropy;
                }
                Step::More(at + 2 + length)
            }
            _ => Step::Broken(at + 1),
        }
    }

    fn entropy(&mut self, bytes: &[u8], at: usize, seen: &mut impl FnMut(JpegSegment)) -> Step {
        let mut at = at;
        while let Some(found) = bytes.get(at..).and_then(find_ff) {
            at += found;
            match bytes.get(at + 1) {
                None => return Step::More(at),
                Some(0x00 | 0xd0..=0xd7) => at += 2,
                Some(0xff) => at += 1,
                Some(_) => {
                    self.place = Place::Marker;
                    return self.marker(bytes, at, seen);
                }
            }
        }
        Step::More(at.max(bytes.len()))
    }
}

/// Where the first FF is. Most of a frame is passed over here, 32 bytes at a time.
fn find_ff(bytes: &[u8]) -> Option<usize> {
    let (chunks, _) = bytes.as_chunks::<32>();
    let without = chunks.iter().take_while(|chunk| chunk.iter().fold(0, |most, byte| most.max(*byte)) < 0xff);
    let mut at = 32 * without.count();
    let (words, rest) = bytes[at..].as_chunks::<8>();
    for word in words {
        // The lowest bit that is set belongs to the first FF; those above it may be set by a borrow.
        let zero_at_ff = !u64::from_le_bytes(*word);
        let found = zero_at_ff.wrapping_sub(0x0101_0101_0101_0101) & !zero_at_ff & 0x8080_8080_8080_8080;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    rest.iter().position(|&byte| byte == 0xff).map(|found| at + found)
}

#[cfg(test)]
#[path = "mjpeg_tests.rs"]
mod tests;
