//! Which clip an annotation is of.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// Whom of a clip with several people an annotation is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// The one with the largest face.
    Largest,
    /// The one farthest to the left of the picture.
    Left,
    /// The one farthest to the right.
    Right,
}

/// An annotation and its clip.
#[derive(Debug, PartialEq)]
pub struct Pair {
    /// The file of the annotation.
    pub annotation: PathBuf,
    /// The video, or the folder of pictures.
    pub clip: PathBuf,
    /// Whom it is about.
    pub subject: Subject,
}

impl Pair {
    /// The annotation's name, for messages.
    pub fn name(&self) -> String {
        stem(&self.annotation)
    }
}

/// One annotation with its clip, or every annotation (`.txt`) of a folder with the clip of the same name in another.
///
/// # Errors
/// If there is nothing to evaluate, or a clip is missing.
pub fn pairs(annotations: &Path, clips: &Path) -> anyhow::Result<Vec<Pair>> {
    ensure!(clips.exists(), "{} is not there", clips.display());
    if !annotations.is_dir() {
        ensure!(annotations.exists(), "{} is not there", annotations.display());
        let subject = subject(&stem(annotations)).1;
        return Ok(vec![Pair { annotation: annotations.to_owned(), clip: clips.to_owned(), subject }]);
    }
    ensure!(
        clips.is_dir(),
        "{} is a folder of annotations, so that a folder of clips is needed",
        annotations.display()
    );
    let available = entries(clips)?;
    let mut pairs = Vec::new();
    for annotation in entries(annotations)? {
        if annotation.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("txt")) {
            continue;
        }
        let name = stem(&annotation);
        let (base, subject) = subject(&name);
        // `video1_left` may be a clip of its own, cut out already.
        let find = |name: &str| {
            available
                .iter()
                .find(|path| path.is_dir() && file_name(path) == name || !path.is_dir() && stem(path) == name)
        };
        let (clip, subject) = match (find(&name), find(base)) {
            (Some(own), _) => (own, Subject::Largest),
            (None, Some(shared)) => (shared, subject),
            (None, None) => {
                anyhow::bail!("{} has no clip of its name in {}", annotation.display(), clips.display())
            }
        };
        pairs.push(Pair { annotation, clip: clip.clone(), subject });
    }
    ensure!(!pairs.is_empty(), "{} holds no annotation (.txt)", annotations.display());
    Ok(pairs)
}

/// The name of the video, and whom of it an annotation is about.
fn subject(name: &str) -> (&str, Subject) {
    match (name.strip_suffix("_left"), name.strip_suffix("_right")) {
        (Some(base), _) => (base, Subject::Left),
        (_, Some(base)) => (base, Subject::Right),
        _ => (name, Subject::Largest),
    }
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(cannot)?;
    let mut paths =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(cannot)?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_finds_its_clip_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (annotations, clips) = (folder.path().join("a"), folder.path().join("c"));
        std::fs::create_dir(&annotations).unwrap();
        std::fs::create_dir_all(clips.join("9-15-1920x1080")).unwrap();
        std::fs::create_dir(clips.join("two_right")).unwrap();
        for name in ["a/9-15-1920x1080.txt", "a/two_left.txt", "a/two_right.txt", "a/notes.md", "c/two.mp4"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found: Vec<_> =
            pairs(&annotations, &clips).unwrap().into_iter().map(|p| (p.clip, p.subject)).collect();
        assert_eq!(
            found,
            [
                (clips.join("9-15-1920x1080"), Subject::Largest),
                (clips.join("two.mp4"), Subject::Left),
                (clips.join("two_right"), Subject::Largest),
            ]
        );
        std::fs::write(annotations.join("gone.txt"), "").unwrap();
        let error = pairs(&annotations, &clips).unwrap_err().to_string();
        assert!(error.contains("gone.txt has no clip"), "{error}");
        assert!(pairs(&clips, &clips).unwrap_err().to_string().contains("no annotation"));
    }
}
