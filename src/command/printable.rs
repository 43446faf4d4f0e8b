//! What others wrote (names of files and devices, drivers' names, a broker's messages), made fit for a terminal or a log.
//!
//! Control characters can move the cursor, change colours, hide lines or make up new ones; characters that turn the
//! direction of writing can show a line as another. They are written as JSON writes them (`\u001b`), which leaves JSON
//! valid: outside of its strings it has none.

use std::borrow::Cow;

/// The longest text of a log record in bytes. A line that is longer helps nobody, and ten of 10 MB fill a journal.
const LONGEST: usize = 4096;
/// How much of a longer one is kept at its end, where messages say what to do.
const TAIL: usize = 1024;

/// Text of several lines: all that could do something is escaped but line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// A part of a line: line breaks and tabs are escaped too.
pub fn word(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// A log record. Lines after the first are indented, so that a line break in a name cannot make up a record; of a text
/// that is too long beginning and end are kept.
pub fn record(text: &str) -> String {
    lines(&shortened(text)).replace('\n', "\n  ")
}

/// Control characters, line separators, and what turns the direction of writing.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, odd: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&odd) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if odd(c) {
            out += &format!("\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.into()
}

fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    let head = text.floor_char_boundary(LONGEST - TAIL);
    let tail = text.ceil_char_boundary(text.len() - TAIL);
    format!("{}… ({} bytes more) …{}", &text[..head], tail - head, &text[tail..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_the_rest_is_left() {
        assert!(matches!(lines("Größe: 3 °C\n\t→ 😀"), Cow::Borrowed(_)));
        assert_eq!(lines("a\u{1b}[2Jb\rc\u{9b}d\u{7f}\0\n"), "a\\u001b[2Jb\\u000dc\\u009bd\\u007f\\u0000\n");
        assert_eq!(lines("gpj.\u{202e}exe"), "gpj.\\u202eexe");
        assert_eq!(word("a\nb\tc"), "a\\u000ab\\u0009c");
    }

    #[test]
    fn json_stays_json() {
        let name = "a\u{1b}\u{9b}\u{7f}\u{202e}\n";
        let json = serde_json::to_string(name).unwrap();
        let shown = lines(&json);
        assert!(shown.chars().all(|c| !acts(c)), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), name);
    }

    #[test]
    fn a_record_is_bounded_keeps_its_end_and_cannot_look_like_two() {
        let text = format!("cannot read {}; check the path", "é".repeat(5_000_000));
        let shown = record(&text);
        assert!(shown.len() < LONGEST + 64, "{} bytes", shown.len());
        assert!(shown.starts_with("cannot read é") && shown.ends_with("; check the path"), "{shown}");
        assert!(shown.contains("… (9995"), "{shown}");
        assert_eq!(record("a\n<3>ERROR b"), "a\n  <3>ERROR b");
    }
}
