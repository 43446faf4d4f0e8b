//! Splits a stream of bytes into JPEG frames as it arrives.

use zeroize::Zeroize;

use super::{Step, Walk};

/// The largest frame: beyond any camera's (a 4K JPEG is about 2 MB), and the bound of what endless input that never ends
/// a frame can make the splitter hold.
pub const MAX_FRAME: usize = 16 << 20;

/// Finds whole JPEG frames in a stream that arrives in pieces, and gets over whatever lies between them.
///
/// Holds at most [`MAX_FRAME`] bytes and one piece. Reads each byte once, whatever the input.
pub struct Splitter {
    buffer: Vec<u8>,
    /// Where the current frame starts in the buffer; what is before it is done with.
    start: usize,
    /// Where to go on reading; may lie beyond the buffer's end, inside a segment still to come.
    at: usize,
    /// `None` while looking for the start of a frame.
    walk: Option<Walk>,
    max_frame: usize,
    broken: u64,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::with_max_frame(MAX_FRAME)
    }
}

impl Splitter {
    /// A splitter that gives up frames of more than `max_frame` bytes.
    #[must_use]
    pub fn with_max_frame(max_frame: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, at: 0, walk: None, max_frame, broken: 0 }
    }

    /// Takes the next piece of the stream. Call [`Splitter::next_frame`] until it returns `None` before the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame, from SOI to EOI; `None` if there is none in what has arrived.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(walk) = &mut self.walk else {
                if !self.find_start() {
                    return None;
                }
                continue;
            };
            let step = walk.step(&self.buffer, self.at, &mut |_| {});
            // Where a frame that is too large is left must not depend on how much has arrived: at its bound exactly.
            let bound = self.start + self.max_frame;
            let (Step::More(reached) | Step::End(reached) | Step::Restart(reached) | Step::Broken(reached)) =
                step;
            if reached > bound {
                if self.buffer.len() < bound {
                    // Inside a segment that is announced and still to come.
                    self.at = reached;
                    return None;
                }
                self.give_up(bound);
                continue;
            }
            match step {
                Step::More(at) => {
                    let stuck = at == self.at;
                    self.at = at;
                    if stuck || at >= self.buffer.len() {
                        return None;
                    }
                }
                Step::End(end) => {
                    let frame = self.buffer[self.start..end].to_vec();
                    self.seek(end);
                    return Some(frame);
                }
                Step::Restart(at) | Step::Broken(at) => self.give_up(at),
            }
        }
    }

    /// Frames given up since the last call: cut, damaged or too large.
    pub fn take_broken(&mut self) -> u64 {
        std::mem::take(&mut self.broken)
    }

    /// Ends the stream: a frame that is still open was cut.
    pub fn finish(&mut self) {
        if self.walk.is_some() {
            self.give_up(self.buffer.len());
        }
        self.compact();
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Moves to the next SOI that is followed by a marker; false if there is none yet.
    fn find_start(&mut self) -> bool {
        let rest = &self.buffer[self.start..];
        if let Some(found) = rest.windows(3).position(|three| three == [0xff, 0xd8, 0xff]) {
            self.start += found;
            self.at = self.start + 2;
            self.walk = Some(Walk::new());
            return true;
        }
        // The last two bytes may be the beginning of one.
        self.start += rest.len().saturating_sub(2);
        false
    }

    fn give_up(&mut self, at: usize) {
        self.broken += 1;
        self.seek(at);
    }

    fn seek(&mut self, at: usize) {
        self.walk = None;
        self.start = at;
        self.at = at;
    }

    /// Lets go of what is done with.
    fn compact(&mut self) {
        let kept = self.buffer.len() - self.start;
        self.buffer.copy_within(self.start.., 0);
        self.buffer[kept..].zeroize();
        self.buffer.truncate(kept);
        self.at = self.at.saturating_sub(self.start);
        self.start = 0;
    }
}

impl Drop for Splitter {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}
