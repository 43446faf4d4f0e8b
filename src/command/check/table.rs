//! The table that `check` prints: a line for each thing, with what to do about those that are not well.

use std::fmt::Write as _;

use crate::command::printable;

/// How a thing does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It works.
    Ok,
    /// The daemon runs with it, and not as well as it could.
    Warning,
    /// The daemon needs it and it does not work.
    Failed,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at, one word.
    pub thing: &'static str,
    /// How it does.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    /// It works.
    pub fn ok(thing: &'static str, detail: impl Into<String>) -> Self {
        Self { thing, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    /// The daemon runs with it.
    pub fn warning(thing: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { thing, verdict: Verdict::Warning, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub fn failed(thing: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { thing, verdict: Verdict::Failed, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work, for a reason that says after a semicolon what to do; if it does not, `otherwise` is.
    pub fn error(thing: &'static str, error: &anyhow::Error, otherwise: &str) -> Self {
        let text = format!("{error:#}");
        match text.split_once("; ") {
            Some((detail, remedy)) => Self::failed(thing, detail, remedy),
            None => Self::failed(thing, text, otherwise),
        }
    }
}

/// How the table is to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Columns of the terminal: longer lines are broken between words. `None`: one line for each finding, for programs.
    pub width: Option<usize>,
    /// Whether the states have colours.
    pub colours: bool,
}

/// Columns before the detail: a state of 7 letters, a thing of up to 8, two spaces after each.
const INDENT: usize = 19;

/// The table. What others named is escaped.
pub fn table(findings: &[Finding], style: Style) -> String {
    let mut text = String::new();
    for finding in findings {
        let (state, colour) = match finding.verdict {
            Verdict::Ok => ("ok", 32),
            Verdict::Warning => ("warning", 33),
            Verdict::Failed => ("failed", 31),
        };
        let cell = format!("{state:<7}");
        let cell = if style.colours { format!("\u{1b}[{colour}m{cell}\u{1b}[0m") } else { cell };
        let _infallible =
            writeln!(text, "{cell}  {:<8}  {}", finding.thing, broken(&finding.detail, INDENT, style.width));
        if let Some(remedy) = &finding.remedy {
            let _infallible = writeln!(text, "{:INDENT$}→ {}", "", broken(remedy, INDENT + 2, style.width));
        }
    }
    text
}

/// A text in lines that fit beside an indent. A word that is longer than a line has one of its own.
fn broken(text: &str, indent: usize, width: Option<usize>) -> String {
    let text = printable::word(text);
    let Some(room) = width.map(|width| width.saturating_sub(indent).max(20)) else {
        return text.into_owned();
    };
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > room {
            let _infallible = write!(out, "\n{:indent$}", "");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_one_line_a_finding_and_a_person_no_more_than_fits() {
        let findings = [
            Finding::ok("law", "site home"),
            Finding::error("camera", &anyhow::anyhow!("a is not there; plug it in; then try"), "see the log"),
            Finding::error("broker", &anyhow::anyhow!("it\u{1b}[2J went"), "see the log"),
        ];
        let expected = "ok       law       site home\n\
                        failed   camera    a is not there\n                   → plug it in; then try\n\
                        failed   broker    it\\u001b[2J went\n                   → see the log\n";
        assert_eq!(table(&findings, Style::default()), expected);

        let long = [Finding::warning("clock", "word ".repeat(30).trim(), "x".repeat(60))];
        let shown = table(&long, Style { width: Some(40), colours: true });
        assert!(
            shown.starts_with("\u{1b}[33mwarning\u{1b}[0m  clock     word word word word\n"),
            "{shown:?}"
        );
        let plain = shown.replace("\u{1b}[33m", "").replace("\u{1b}[0m", "");
        for line in plain.lines().filter(|line| !line.contains('x')) {
            assert!(line.chars().count() <= 40, "{line:?}");
        }
        assert_eq!(plain.matches("word").count(), 30);
    }
}
