//! Pictures given on the command line.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use image::RgbImage;

use super::frame::decode::png::{SIGNATURE, png};
use super::frame::decode::{decode, orientation};
use super::frame::encoded::EncodedPicture;
use super::frame::turn::turned;
use crate::host::file;
use emotiond_core::Moment;

/// The largest JPEG file, in bytes: whole it is held in memory, twice. With the decoders' own bounds a picture takes 300 MB
/// at most; of the costliest that were tried, a progressive JPEG took 254 MiB (`tests/process.rs`).
pub const LARGEST: u64 = 32 << 20;

/// Reads a JPEG or PNG picture, turned upright as its EXIF orientation says, since phones store photos lying.
///
/// # Errors
/// Names the file, and says whether it cannot be read, is no such picture, is damaged or is too large.
pub fn read(path: &Path) -> anyhow::Result<RgbImage> {
    let shown = path.display();
    let cannot = || format!("cannot read {shown}");
    let mut file = BufReader::new(file::open(path).with_context(cannot)?);
    let head = file.fill_buf().with_context(cannot)?;
    if head.starts_with(&SIGNATURE) {
        let (picture, orientation) = png(file).with_context(|| shown.to_string())?;
        return Ok(turned(picture, orientation));
    }
    anyhow::ensure!(head.starts_with(&[0xff, 0xd8]), "{shown} is neither a JPEG nor a PNG picture");
    let bytes = file::read(path, LARGEST).with_context(cannot)?;
    let orientation = orientation(&bytes);
    let frame = EncodedPicture::jpeg(bytes).with_context(|| shown.to_string())?.into_frame(Moment::ZERO);
    let mut picture = RgbImage::default();
    decode(&frame, &mut picture).with_context(|| shown.to_string())?;
    drop(frame);
    Ok(turned(picture, orientation))
}

/// The JPEG and PNG files of a folder, sorted by name.
///
/// # Errors
/// If the folder cannot be read, or has none.
pub fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {shown}"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {shown}"))?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if extension.is_some_and(|e| matches!(&*e, "jpg" | "jpeg" | "png")) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "the folder {shown} holds no .jpg, .jpeg or .png file");
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(in_folder(folder.path()).unwrap_err().to_string().contains("holds no"));
        let path = folder.path().join("a.JPG");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(in_folder(folder.path()).unwrap(), [path.as_path()]);
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("a.JPG is neither a JPEG nor a PNG"), "{error}");
        RgbImage::new(3, 2).save_with_format(&path, image::ImageFormat::Png).unwrap();
        assert_eq!(read(&path).unwrap().dimensions(), (3, 2), "by content, not by name");
    }
    #[test]
    fn a_cut_picture_is_damaged_wherever_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let picture = RgbImage::from_fn(160, 120, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        for format in [image::ImageFormat::Jpeg, image::ImageFormat::Png] {
            picture.save_with_format(&path, format).unwrap();
            let whole = std::fs::read(&path).unwrap();
            assert_eq!(read(&path).unwrap().dimensions(), (160, 120));
            for tenths in 1..10 {
                std::fs::write(&path, &whole[..whole.len() * tenths / 10]).unwrap();
                let error = format!("{:#}", read(&path).unwrap_err());
                assert!(error.contains("damaged"), "{format:?} cut at {tenths}/10: {error}");
            }
            // What viewers and the bus of a camera do with a cut one: it ends well.
            if format == image::ImageFormat::Jpeg {
                std::fs::write(&path, [&whole[..whole.len() / 2], &[0xff, 0xd9]].concat()).unwrap();
                let error = format!("{:#}", read(&path).unwrap_err());
                assert!(error.contains("damaged JPEG"), "{error}");
            }
        }
    }

    #[test]
    fn a_photo_that_lies_is_turned_upright() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        RgbImage::new(32, 16).save(&path).unwrap();
        let plain = std::fs::read(&path).unwrap();
        // Behind SOI: APP1 with one entry, orientation 6.
        let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let length = (2 + 6 + tiff.len()) as u16;
        let head = [&[0xff, 0xd8, 0xff, 0xe1], &length.to_be_bytes()[..], b"Exif\0\0", tiff].concat();
        std::fs::write(&path, [&head, &plain[2..]].concat()).unwrap();
        assert_eq!(read(&path).unwrap().dimensions(), (16, 32));
    }
}
