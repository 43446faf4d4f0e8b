//! Pictures given on the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, RgbImage};

/// The largest picture that is read, pixels a side: more than any camera takes, and less than fills the memory.
const LARGEST_SIDE: u32 = 16_384;

/// Reads a JPEG or PNG picture, turned upright as its EXIF orientation says, since phones store photos lying.
///
/// # Errors
/// Names the file, and says whether it cannot be read or is no such picture.
pub fn read(path: &Path) -> anyhow::Result<RgbImage> {
    let shown = path.display();
    let mut reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .with_context(|| format!("cannot read {shown}"))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    reader.limits(limits);
    let damaged = || format!("{shown} is not a whole JPEG or PNG picture");
    let mut decoder = reader.into_decoder().with_context(damaged)?;
    let orientation = decoder.orientation().with_context(damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).with_context(damaged)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
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
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("a.JPG"));
        RgbImage::new(3, 2).save_with_format(&path, image::ImageFormat::Png).unwrap();
        assert_eq!(read(&path).unwrap().dimensions(), (3, 2), "by content, not by name");
    }
}
