//! What a camera offers, as plain data.

use serde::Serialize;

use crate::capture::frame::PixelFormat;

/// One pixel format at one size, with the frame rates it comes at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mode {
    /// V4L2's four-character code of the pixel format.
    #[serde(serialize_with = "fourcc_as_text")]
    pub fourcc: [u8; 4],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second, highest first; empty if the driver does not say.
    pub rates: Vec<f64>,
}

impl Mode {
    /// How the frames of this mode would be decoded; `None` if they cannot be.
    #[must_use]
    pub fn format(&self) -> Option<PixelFormat> {
        PixelFormat::from_fourcc(self.fourcc)
    }
}

/// The mode that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// V4L2's four-character code, as the camera names the format.
    #[serde(serialize_with = "fourcc_as_text")]
    pub fourcc: [u8; 4],
    /// How its frames are decoded.
    #[serde(skip)]
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second to ask for; `None` leaves it to the driver.
    pub rate: Option<f64>,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{} {}", self.width, self.height, fourcc_text(self.fourcc))?;
        match self.rate {
            Some(rate) => write!(f, " at {} fps", rate_text(rate)),
            None => Ok(()),
        }
    }
}

/// A four-character code for a person: `MJPG`, with anything unprintable as `?`.
#[must_use]
pub fn fourcc_text(code: [u8; 4]) -> String {
    let printable = |byte: u8| if byte.is_ascii_graphic() { char::from(byte) } else { '?' };
    code.map(printable).iter().collect::<String>()
}

/// A frame rate for a person: `30`, `29.97`.
#[must_use]
pub fn rate_text(rate: f64) -> String {
    let text = format!("{rate:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn fourcc_as_text<S: serde::Serializer>(code: &[u8; 4], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fourcc_text(*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_rates_read_well() {
        assert_eq!(fourcc_text(*b"MJPG"), "MJPG");
        assert_eq!(fourcc_text(*b"Y16 "), "Y16?");
        assert_eq!(fourcc_text([0, 1, 0xff, b'A']), "???A");
        assert_eq!(rate_text(30.0), "30");
        assert_eq!(rate_text(30000.0 / 1001.0), "29.97");
        assert_eq!(rate_text(7.5), "7.5");
        assert_eq!(rate_text(100.0), "100");
    }
}
