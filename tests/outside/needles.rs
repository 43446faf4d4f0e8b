//! Byte runs of pictures, and the search for them in what a process lets out.

use std::collections::HashMap;

/// Bytes of a window. 16 bytes that agree by chance do not occur in a lifetime of tests.
const WINDOW: usize = 16;
/// A window starts at every so many bytes of a picture: any run of `WINDOW + STRIDE - 1` = 23 bytes holds a whole one.
const STRIDE: usize = 8;
/// Windows with fewer different bytes are of flat areas, which any data may hold.
const DIFFERENT: usize = 8;

type Window = [u8; WINDOW];

/// Windows of pictures, and of which.
#[derive(Default)]
pub struct Needles {
    windows: HashMap<Window, usize>,
    labels: Vec<String>,
}

/// A run of a picture's bytes.
#[derive(Debug)]
pub struct Hit {
    /// Of which picture and form.
    pub of: String,
    /// How it was written: `raw`, `hex`, `base64`, `numbers`.
    pub written: &'static str,
}

impl Needles {
    pub fn add(&mut self, label: &str, bytes: &[u8]) {
        let number = self.labels.len();
        self.labels.push(label.to_owned());
        let mut kept = 0;
        for window in bytes.windows(WINDOW).step_by(STRIDE) {
            let window: Window = window.try_into().unwrap();
            if telling(&window) {
                self.windows.entry(window).or_insert(number);
                kept += 1;
            }
        }
        assert!(kept > 100, "{label}: only {kept} of {} bytes can be told from anything else", bytes.len());
    }

    /// The same of bytes that are few, such as the numbers of an embedding.
    pub fn add_short(&mut self, label: &str, bytes: &[u8]) {
        let number = self.labels.len();
        self.labels.push(label.to_owned());
        let windows: Vec<Window> = bytes
            .windows(WINDOW)
            .step_by(4)
            .map(|window| window.try_into().unwrap())
            .filter(telling)
            .collect();
        assert!(!windows.is_empty(), "{label}: {bytes:?} cannot be told from anything else");
        for window in windows {
            self.windows.entry(window).or_insert(number);
        }
    }

    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// The first run in some bytes, written as it is or as text.
    pub fn find(&self, bytes: &[u8]) -> Option<Hit> {
        let found = |written, bytes: &[u8]| self.raw(bytes).map(|of| Hit { of, written });
        found("raw", bytes)
            .or_else(|| {
                texts(bytes, |c| c.is_ascii_hexdigit()).find_map(|run| {
                    (0..2).find_map(|phase| found("hex", &from_digits(&run[phase.min(run.len())..], 4)))
                })
            })
            .or_else(|| {
                texts(bytes, |c| base64(c).is_some()).find_map(|run| {
                    (0..4).find_map(|phase| found("base64", &from_digits(&run[phase.min(run.len())..], 6)))
                })
            })
            .or_else(|| found("numbers", &numbers(bytes)))
    }

    fn raw(&self, bytes: &[u8]) -> Option<String> {
        bytes.windows(WINDOW).find_map(|window| {
            let window: &Window = window.try_into().unwrap();
            self.windows.get(window).map(|&number| self.labels[number].clone())
        })
    }
}

fn telling(window: &Window) -> bool {
    let mut sorted = *window;
    sorted.sort_unstable();
    let different = 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let steps: Vec<_> = window.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    // Not a mere count from one value to another, as tables have.
    different >= DIFFERENT && steps.iter().any(|step| *step != steps[0])
}

/// Runs of the characters of an alphabet, long enough to hold a window.
fn texts(bytes: &[u8], of: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    bytes.split(move |&c| !of(c)).filter(|run| run.len() >= 4 * WINDOW / 3)
}

fn base64(c: u8) -> Option<u8> {
    Some(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The bytes that digits of 4 bits (hexadecimal) or 6 (base64) stand for.
fn from_digits(text: &[u8], bits: u32) -> Vec<u8> {
    let (mut bytes, mut store, mut held) = (Vec::new(), 0_u32, 0);
    for &c in text {
        let digit =
            if bits == 4 { char::from(c).to_digit(16).unwrap() } else { u32::from(base64(c).unwrap()) };
        store = store << bits | digit;
        held += bits;
        if held >= 8 {
            held -= 8;
            bytes.push((store >> held) as u8);
        }
    }
    bytes
}

/// All decimal numbers of a text that fit a byte, signed ones by their bit pattern.
fn numbers(bytes: &[u8]) -> Vec<u8> {
    let number = |text: &[u8]| {
        let value: i32 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (-128..256).contains(&value).then_some(value as u8)
    };
    bytes.split(|c| !c.is_ascii_digit() && *c != b'-').filter_map(number).collect()
}

#[test]
fn a_run_is_found_however_it_is_written() {
    let picture: Vec<u8> = (0..4000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut needles = Needles::default();
    needles.add("noise", &picture);
    // The shortest run that is found wherever it starts.
    for start in 1000..1016 {
        let run = &picture[start..start + WINDOW + STRIDE - 1];
        let hex: String = run.iter().map(|byte| format!("{byte:02X}")).collect();
        let list = run.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: String = run.iter().map(|byte| format!("{byte:08b}")).collect();
        let sextets = bits
            .as_bytes()
            .chunks_exact(6)
            .map(|six| digits[usize::from_str_radix(std::str::from_utf8(six).unwrap(), 2).unwrap()]);
        let base64 = String::from_utf8(sextets.collect()).unwrap();
        for (written, text) in [("hex", hex), ("numbers", list), ("base64", base64)] {
            let hit = needles.find(format!("{{\"thumb\": \"{text}\"}}").as_bytes());
            // The last digits of base64 hold half a byte, so that its run may be a byte short.
            if written != "base64" || start % STRIDE != 1 {
                assert_eq!(hit.unwrap_or_else(|| panic!("{written} at {start}")).written, written);
            }
        }
        let raw = [b"some text before ".as_slice(), run, b"\0 and after"].concat();
        assert_eq!(needles.find(&raw).unwrap().written, "raw");
    }
    let summary =
        br#"{"schema":1,"boot":"397d8ca190c0fae5250bf0d839ad0544","mean":0.002,"codes":[1,2,3,4,5,6,7,8,9]}"#;
    assert!(needles.find(summary).is_none());
    assert!(needles.find(&[0; 4096]).is_none());
}
