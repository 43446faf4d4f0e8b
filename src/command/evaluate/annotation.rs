//! Annotations of a clip in the text format of the ABAW challenges: a header, then a line for each frame.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::host::file;
use emotiond_core::report::expression::Expression;

/// The largest file, in bytes: four million frames, more than a day.
const LARGEST: u64 = 64 << 20;

/// The classes of ABAW in the order of its labels. It is another order than that of any model here, and the last one is
/// no expression: whatever is none of the others.
pub const CLASSES: [(&str, Option<Expression>); 8] = [
    ("neutral", Some(Expression::Neutral)),
    ("anger", Some(Expression::Anger)),
    ("disgust", Some(Expression::Disgust)),
    ("fear", Some(Expression::Fear)),
    ("happiness", Some(Expression::Happiness)),
    ("sadness", Some(Expression::Sadness)),
    ("surprise", Some(Expression::Surprise)),
    ("other", None),
];

/// What somebody saw in each frame, from the first on; `None` where nothing is annotated.
#[derive(Debug, PartialEq)]
pub enum Annotation {
    /// The place of the class in [`CLASSES`].
    Expression(Vec<Option<usize>>),
    /// Valence and arousal, -1..=1.
    Affect(Vec<Option<[f64; 2]>>),
    /// Action units, with a name for each column.
    Units {
        /// The names, as `AU12`.
        names: Vec<String>,
        /// Which of them are there.
        frames: Vec<Vec<Option<bool>>>,
    },
}

impl Annotation {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read or is no annotation.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = file::read_text(path, LARGEST).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text).with_context(|| format!("{shown} is no annotation in the format of ABAW"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines =
            text.trim_start_matches('\u{feff}').lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let header: Vec<String> = lines
            .next()
            .map(|(_, line)| line.split(',').map(|name| name.trim().to_lowercase()).collect())
            .unwrap_or_default();
        // Files end with an empty line or two.
        let lines = lines.filter(|(_, line)| !line.is_empty());
        if header == ["valence", "arousal"] {
            return Ok(Self::Affect(lines.map(|(at, line)| affect(at, line)).collect::<Result<_, _>>()?));
        }
        if header.iter().map(String::as_str).eq(CLASSES.iter().map(|(name, _)| *name)) {
            return Ok(Self::Expression(lines.map(|(at, line)| class(at, line)).collect::<Result<_, _>>()?));
        }
        let unit = |name: &String| name.starts_with("au") && name[2..].parse::<u8>().is_ok();
        if !header.is_empty() && header.iter().all(unit) {
            let names: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
            let frames = lines.map(|(at, line)| units(at, line, names.len())).collect::<Result<_, _>>()?;
            return Ok(Self::Units { names, frames });
        }
        bail!(
            "its first line has to be \"Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\", \
             \"valence,arousal\" or names of action units (\"AU1,AU2,…\")"
        );
    }

    /// The number of frames.
    pub fn len(&self) -> usize {
        match self {
            Self::Expression(frames) => frames.len(),
            Self::Affect(frames) => frames.len(),
            Self::Units { frames, .. } => frames.len(),
        }
    }
}

fn class(at: usize, line: &str) -> anyhow::Result<Option<usize>> {
    match line.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(label @ 0..8) => Ok(Some(label as usize)),
        _ => bail!("line {at}: {line:?} is no class; 0 to 7, or -1 where there is none"),
    }
}

fn affect(at: usize, line: &str) -> anyhow::Result<Option<[f64; 2]>> {
    let values = line.split(',').map(|value| value.trim().parse::<f64>().ok()).collect::<Option<Vec<_>>>();
    let Some([valence, arousal]) = values.as_deref() else {
        bail!("line {at}: {line:?} is not valence,arousal");
    };
    let annotated = |value: &f64| (-1.0..=1.0).contains(value);
    let missing = |value: &f64| *value <= -5.0;
    ensure!(
        [valence, arousal].into_iter().all(|value| annotated(value) || missing(value)),
        "line {at}: {line:?} is not in -1..=1; -5 where there is nothing"
    );
    Ok((annotated(valence) && annotated(arousal)).then_some([*valence, *arousal]))
}

fn units(at: usize, line: &str, columns: usize) -> anyhow::Result<Vec<Option<bool>>> {
    let cell = |value: &str| match value.trim() {
        "0" => Ok(Some(false)),
        "1" => Ok(Some(true)),
        "-1" => Ok(None),
        other => bail!("line {at}: {other:?} is neither 0, 1 nor -1"),
    };
    let cells = line.split(',').map(cell).collect::<Result<Vec<_>, _>>()?;
    ensure!(cells.len() == columns, "line {at} has {} columns where the header has {columns}", cells.len());
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPRESSIONS: &str = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n";

    #[test]
    fn each_kind_is_known_by_its_header() {
        assert_eq!(
            Annotation::parse(&format!("{EXPRESSIONS}4\n-1\r\n7\n\n")).unwrap(),
            Annotation::Expression(vec![Some(4), None, Some(7)])
        );
        assert_eq!(
            Annotation::parse("valence,arousal\n0.5,-0.25\n-5,-5\n-5.0,0.1\n").unwrap(),
            Annotation::Affect(vec![Some([0.5, -0.25]), None, None])
        );
        assert_eq!(
            Annotation::parse("AU1,AU12\n0,1\n-1,0\n").unwrap(),
            Annotation::Units {
                names: vec!["AU1".to_owned(), "AU12".to_owned()],
                frames: vec![vec![Some(false), Some(true)], vec![None, Some(false)]],
            }
        );
    }

    #[test]
    fn what_is_no_annotation_is_refused_with_its_line() {
        // The classes in another order would give other numbers without a word.
        let swapped = EXPRESSIONS.replace("Anger,Disgust", "Disgust,Anger");
        for (text, expected) in [
            (swapped.as_str(), "first line"),
            ("", "first line"),
            (&format!("{EXPRESSIONS}0\n8\n"), "line 3"),
            ("valence,arousal\n0.5\n", "line 2"),
            ("valence,arousal\n0.5,1.5\n", "line 2"),
            ("AU1,AU2\n0,2\n", "line 2"),
            ("AU1,AU2\n0\n", "line 2"),
        ] {
            let error = format!("{:#}", Annotation::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
