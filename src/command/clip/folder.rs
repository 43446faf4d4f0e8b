//! A folder of pictures as a clip.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ClipFrame;
use crate::capture::picture;

/// Pictures in the order of their numbers or, if they have none, of their names.
pub struct FolderClip {
    /// Each with the number of its frame.
    paths: std::vec::IntoIter<(u64, PathBuf)>,
    fps: f64,
    broken: u64,
}

impl FolderClip {
    /// The clip that a folder's JPEG and PNG files make, `fps` of them a second.
    pub fn open(folder: &Path, fps: f64) -> anyhow::Result<Self> {
        let paths = numbered(picture::in_folder(folder)?).into_iter();
        Ok(Self { paths, fps, broken: 0 })
    }

    /// The next picture that can be read; the others are reported and counted.
    pub fn next(&mut self) -> Option<ClipFrame> {
        for (number, path) in self.paths.by_ref() {
            match picture::read(&path) {
                Ok(picture) => {
                    let time = Duration::from_secs_f64((number - 1) as f64 / self.fps);
                    return Some(ClipFrame { number, time, picture });
                }
                Err(error) => {
                    self.broken += 1;
                    log::error!("{error:#}");
                }
            }
        }
        None
    }

    /// How many pictures could not be read so far.
    pub fn broken(&self) -> u64 {
        self.broken
    }
}

/// Each picture with the number of its frame, from 1. If every name ends in a number of its own, that is it (and one more
/// if they count from 0), so that a missing picture is a missing frame.
fn numbered(paths: Vec<PathBuf>) -> Vec<(u64, PathBuf)> {
    let number = |path: &PathBuf| {
        let stem = path.file_stem()?.to_str()?.to_owned();
        let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        stem[stem.len() - digits..].parse::<u32>().ok().map(u64::from)
    };
    let mut found: Vec<_> = paths.iter().filter_map(|path| Some((number(path)?, path.clone()))).collect();
    found.sort();
    let unique = found.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if found.len() < paths.len() || !unique {
        return (1..).zip(paths).collect();
    }
    let shift = u64::from(found.first().is_some_and(|(number, _)| *number == 0));
    found.into_iter().map(|(number, path)| (number + shift, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(names: &[&str]) -> Vec<(u64, String)> {
        let paths = names.iter().map(PathBuf::from).collect();
        numbered(paths).into_iter().map(|(number, path)| (number, path.display().to_string())).collect()
    }

    #[test]
    fn a_number_in_the_name_is_the_number_of_the_frame() {
        let named = |number: u64, name: &str| (number, name.to_owned());
        assert_eq!(
            numbers(&["00003.jpg", "00001.jpg", "00010.jpg"]),
            [named(1, "00001.jpg"), named(3, "00003.jpg"), named(10, "00010.jpg")]
        );
        assert_eq!(
            numbers(&["f0.png", "f10.png", "f9.png"]),
            [named(1, "f0.png"), named(10, "f9.png"), named(11, "f10.png")]
        );
        assert_eq!(numbers(&["a.png", "b2.png"]), [named(1, "a.png"), named(2, "b2.png")]);
        assert_eq!(numbers(&["a1.png", "b1.png"]), [named(1, "a1.png"), named(2, "b1.png")], "not unique");
    }
}
