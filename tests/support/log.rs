//! What the code under test logs, for tests about messages to people.

use std::sync::{Condvar, Mutex};
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

use super::PATIENCE;

struct Capture {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

static CAPTURE: Capture = Capture { lines: Mutex::new(Vec::new()), more: Condvar::new() };

impl Log for Capture {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        self.lines.lock().unwrap().push(line);
        self.more.notify_all();
    }

    fn flush(&self) {}
}

/// Notes everything from here on, at every level and from every crate.
pub fn capture() {
    // Tests of one program share the logger: the first sets it.
    let _set_before = log::set_logger(&CAPTURE);
    log::set_max_level(LevelFilter::Trace);
}

/// All lines so far.
pub fn lines() -> Vec<String> {
    CAPTURE.lines.lock().unwrap().clone()
}

/// Waits for a line with all of `words` and gives it.
pub fn line(words: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut lines = CAPTURE.lines.lock().unwrap();
    loop {
        if let Some(line) = lines.iter().find(|line| words.iter().all(|word| line.contains(word))) {
            return line.clone();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let ours: Vec<_> = lines.iter().filter(|line| line.contains("emotiond")).collect();
        assert!(!left.is_zero(), "waited in vain for {words:?} in {ours:#?}");
        lines = CAPTURE.more.wait_timeout(lines, left).unwrap().0;
    }
}
