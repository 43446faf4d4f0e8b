//! JPEG, one frame of a Motion JPEG stream at a time: by libjpeg-turbo, as MozJPEG carries it ([decision
//! 20](../../../../docs/decisions/0020-jpeg-decoder.md)).
//!
//! Two habits of webcams need care. Many leave out the Huffman tables, which Motion JPEG fixes to those of Annex K: the
//! library puts them in. And a frame that lost data on the bus often still ends in its EOI marker: the library fills the
//! rest of the picture with grey then, and warns. So a warning about the picture's data is an error here. A warning about
//! what comes before them is none, because a camera that writes a questionable header writes it into every frame. Bytes
//! between the last block and EOI are passed over, since some cameras pad there; so what was lost is noticed if too few
//! data are left for the picture, or if they cannot be read.

use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::ptr;

use image::RgbImage;
use image::metadata::Orientation;
use mozjpeg::decompress::DecompressBuilder;
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, msg_parm_union};

use super::pixels::resize;
use super::{DecodeError, MAX_PIXELS, MAX_PIXELS_IN_SCANS};
use crate::capture::frame::Frame;
use crate::capture::frame::mjpeg::{self, Outline};
use crate::exit::panics;

/// JPEG is made of blocks of 8 or 16 pixels a side; some cameras say the size of whole ones.
const BLOCK: u32 = 16;

/// Each scan passes over the whole picture, though it may say nothing of it in a few bytes. Encoders write about ten.
const MAX_SCANS: u32 = 100;

pub(super) fn decode(frame: &Frame, picture: &mut RgbImage) -> Result<(), DecodeError> {
    let outline = mjpeg::outline(&frame.bytes).map_err(|reason| DecodeError::Jpeg(reason.to_owned()))?;
    let (width, height) = (outline.width, outline.height);
    let most = if in_scans(&outline) { MAX_PIXELS_IN_SCANS } else { MAX_PIXELS };
    if u64::from(width) * u64::from(height) > most {
        return Err(DecodeError::TooLarge { width, height, most });
    }
    if outline.scans > MAX_SCANS {
        return Err(DecodeError::Jpeg(format!(
            "{} scans, where {MAX_SCANS} are read at most",
            outline.scans
        )));
    }
    let agreed = |found: u32, said: u32| said == 0 || (said..said + BLOCK).contains(&found);
    if !agreed(width, frame.width) || !agreed(height, frame.height) {
        return Err(DecodeError::OtherSize {
            width: frame.width,
            height: frame.height,
            found_width: width,
            found_height: height,
        });
    }
    let rgb = resize(picture, width, height)?;
    // The library's errors come back as panics, and a Rust panic within it costs one frame as well.
    let outcome = panics::contain(|| decompress(&frame.bytes[..outline.end], &outline, rgb));
    STRICT.set(false);
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(DecodeError::Jpeg(error.to_string())),
        Err(reason) => Err(DecodeError::Jpeg(reason)),
    }
}

/// Whether the library reads the whole file before the first line comes out of it.
fn in_scans(outline: &Outline) -> bool {
    outline.progressive || outline.scans > 1 || !outline.interleaved
}

/// Fills `rgb`, which is of the outline's size. Errors of the library unwind with their reason.
fn decompress(bytes: &[u8], outline: &Outline, rgb: &mut [u8]) -> io::Result<()> {
    STRICT.set(false);
    // A decompressor for each frame: what it keeps of a picture goes back to the allocator with it.
    let mut decompressor = DecompressBuilder::new().with_err(errors()).from_mem(bytes)?;
    // The outline is ours; the library may have read another size from the same bytes.
    if decompressor.size() != (outline.width as usize, outline.height as usize) {
        return Err(io::Error::other("two frame headers of different size"));
    }
    // Chroma is repeated rather than interpolated.
    decompressor.do_fancy_upsampling(false);
    STRICT.set(in_scans(outline));
    let mut started = decompressor.rgb()?;
    STRICT.set(true);
    started.read_scanlines_into(rgb)?;
    Ok(())
}

thread_local! {
    /// Whether the decoder of this thread has come to the data of a picture, where a warning is an error.
    static STRICT: Cell<bool> = const { Cell::new(false) };
}

/// How the library says what is wrong: errors, and warnings about data, leave it by unwinding.
fn errors() -> jpeg_error_mgr {
    jpeg_error_mgr {
        error_exit: Some(failed),
        emit_message: Some(warned),
        output_message: Some(silent),
        format_message: Some(unformatted),
        reset_error_mgr: Some(silent),
        msg_code: 0,
        msg_parm: msg_parm_union::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

extern "C-unwind" fn failed(_: &mut jpeg_common_struct) {
    let reason = if STRICT.get() {
        "its data cannot be read"
    } else {
        "its header cannot be read, or is of a kind of JPEG that is not decoded (arithmetic coding, CMYK, lossless, 12 bits)"
    };
    // Not `panic!`: nothing is wrong with the program, so no hook is to hear of it.
    std::panic::resume_unwind(Box::new(reason.to_owned()));
}

/// Told of warnings (`level` below 0) and of what a debugger may want to know.
extern "C-unwind" fn warned(_: &mut jpeg_common_struct, level: c_int) {
    if level < 0 && STRICT.get() {
        std::panic::resume_unwind(Box::new("a part of its data is missing or damaged".to_owned()));
    }
}

extern "C-unwind" fn silent(_: &mut jpeg_common_struct) {}

extern "C-unwind" fn unformatted(_: &mut jpeg_common_struct, _: &[u8; 80]) {}

/// How the picture of a JPEG file is to be turned to stand upright, as its EXIF data say: phones store photos lying.
#[must_use]
pub fn orientation(bytes: &[u8]) -> Orientation {
    // What is wrong with the file is for decoding to say.
    mjpeg::exif(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}
