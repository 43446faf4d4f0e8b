//! The one video format that the camera offers while it is plugged in.

/// Width of the frames in pixels.
pub const WIDTH: u16 = 640;

/// Height of the frames in pixels.
pub const HEIGHT: u16 = 480;

/// Frame intervals in units of 100 ns: 30, 15, 10 and 5 frames a second.
pub const INTERVALS: [u32; 4] = [333_333, 666_666, 1_000_000, 2_000_000];

/// How the frames are encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Motion JPEG.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
}
