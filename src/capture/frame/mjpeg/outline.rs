//! What a decoder has to know of a frame before it decodes it.

use super::{Step, Walk};

/// The parts of a whole JPEG frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outline {
    /// Width in pixels, not 0.
    pub width: u32,
    /// Height in pixels, not 0.
    pub height: u32,
    /// Whether the frame is coded in successive scans of growing detail.
    pub progressive: bool,
    /// Number of scans; 1 in what cameras send.
    pub scans: u32,
    /// Whether the first scan has something of every component, of luma and chroma, as in what cameras send.
    pub interleaved: bool,
    /// Offset behind the EOI marker; what follows is padding.
    pub end: usize,
}

/// Reads a frame's outline.
///
/// # Errors
/// What is wrong, if the bytes are not one whole JPEG frame: no SOI at the start, a segment that overlaps the end, no
/// picture, or no EOI.
pub fn outline(bytes: &[u8]) -> Result<Outline, &'static str> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err("no start of image");
    }
    let mut outline = Outline::default();
    let mut components = None;
    let mut walk = Walk::new();
    let mut at = 2;
    let end = loop {
        let mut problem = None;
        let step = walk.step(bytes, at, &mut |segment| match segment.marker {
            0xc0..=0xcf if !matches!(segment.marker, 0xc4 | 0xc8 | 0xcc) && outline.width == 0 => {
                outline.progressive = segment.marker & 3 == 2;
                components = bytes.get(segment.at + 9);
                match bytes.get(segment.at + 5..segment.at + 9).and_then(<[u8]>::first_chunk) {
                    Some(&[h1, h0, w1, w0]) => {
                        outline.width = u32::from(u16::from_be_bytes([w1, w0]));
                        outline.height = u32::from(u16::from_be_bytes([h1, h0]));
                    }
                    None => problem = Some("cut in its header"),
                }
            }
            0xda => {
                outline.scans += 1;
                if outline.scans == 1 {
                    outline.interleaved = components.is_some() && bytes.get(segment.at + 4) == components;
                }
            }
            _ => {}
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        match step {
            Step::More(next) if next == at || next >= bytes.len() => {
                return Err("no end of image: the frame is cut");
            }
            Step::More(next) => at = next,
            Step::End(end) => break end,
            Step::Restart(_) => return Err("another frame starts in its middle"),
            Step::Broken(_) => return Err("not a marker where one must be"),
        }
    };
    if outline.width == 0 || outline.height == 0 {
        return Err("no picture size");
    }
    if outline.scans == 0 {
        return Err("no scan");
    }
    Ok(Outline { end, ..outline })
}

/// The EXIF data of a JPEG file, a TIFF structure, if it has any before its first scan.
#[must_use]
pub fn exif(bytes: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"Exif\0\0";
    let mut walk = Walk::new();
    let mut at = 2;
    loop {
        let mut found = None;
        let mut scan = false;
        let step = walk.step(bytes, at, &mut |segment| match segment.marker {
            0xe1 => found = bytes.get(segment.at + 4..segment.at + 4 + segment.length),
            0xda => scan = true,
            _ => {}
        });
        if let Some(data) = found.and_then(|content| content.strip_prefix(NAME)) {
            return Some(data);
        }
        match step {
            Step::More(next) if next > at && !scan => at = next,
            _ => return None,
        }
    }
}
