//! Questions and answers, a line each.

use std::io::{BufRead, Read as _, Write};

use anyhow::{Context as _, bail};

/// The longest answer in bytes.
const LONGEST: u64 = 4096;
/// So many wrong answers to one question are no misunderstanding any more.
const PATIENCE: usize = 10;

/// Somebody who answers.
pub struct Dialog<R, W> {
    input: R,
    out: W,
}

impl<R: BufRead, W: Write> Dialog<R, W> {
    /// Reads answers from `input`, writes to `out`.
    pub fn new(input: R, out: W) -> Self {
        Self { input, out }
    }

    /// Says something. What others named is to be escaped before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{text}").context("the answers cannot be asked for")
    }

    /// Asks until `check` takes the answer. An empty answer is the default.
    ///
    /// # Errors
    /// If there is no answer, or none that `check` takes.
    pub fn ask<T>(
        &mut self,
        question: &str,
        default: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        for _ in 0..PATIENCE {
            write!(self.out, "{question} [{default}]: ").context("the question cannot be asked")?;
            self.out.flush().context("the question cannot be asked")?;
            let mut line = String::new();
            let read = (&mut self.input).take(LONGEST).read_line(&mut line).context("there is no answer")?;
            if read == 0 {
                bail!(
                    "there is nobody to answer; give the answers as options, and --yes for the defaults of the others"
                );
            }
            let answer = line.trim();
            match check(if answer.is_empty() { default } else { answer }) {
                Ok(answer) => return Ok(answer),
                Err(reason) => self.say(&format!("  {reason}"))?,
            }
        }
        bail!("{PATIENCE} answers could not be used; the last reasons stand above")
    }
}

/// Yes or no.
///
/// # Errors
/// Says what may be answered.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match &*text.to_lowercase() {
        "y" | "yes" | "true" => Ok(true),
        "n" | "no" | "false" => Ok(false),
        _ => Err("answer yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_again_until_it_understands_and_an_empty_line_is_the_default() {
        let mut out = Vec::new();
        let mut dialog = Dialog::new("maybe\n\nNO\n".as_bytes(), &mut out);
        assert!(dialog.ask("Sure?", "yes", yes_or_no).unwrap());
        assert!(!dialog.ask("Sure?", "yes", yes_or_no).unwrap());
        let end = dialog.ask("Sure?", "yes", yes_or_no).unwrap_err().to_string();
        assert!(end.contains("--yes"), "{end}");
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("Sure? [yes]: ").count(), 4);
        assert!(text.contains("answer yes or no"));
        let stubborn = "x\n".repeat(1000);
        let mut dialog = Dialog::new(stubborn.as_bytes(), Vec::new());
        assert!(dialog.ask("Sure?", "yes", yes_or_no).is_err());
    }
}
