//! The built daemon as a process, and its log.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// `emotiond`, with nothing of the environment that changes what it does.
pub fn emotiond() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    for name in ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running daemon. It is killed when dropped.
pub struct Daemon {
    pub child: Child,
    log: Arc<(Mutex<String>, Condvar)>,
}

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::<(Mutex<String>, Condvar)>::default();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.0.lock().unwrap().push_str(&(line + "\n"));
                written.1.notify_all();
            }
        });
        Self { child, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// Waits until the log holds `count` lines with these words, and gives the last of them.
    pub fn line(&self, words: &str, count: usize) -> String {
        let found =
            |log: &str| log.lines().filter(|line| line.contains(words)).nth(count - 1).map(str::to_owned);
        let log = self.log.0.lock().unwrap();
        let (log, _) = self.log.1.wait_timeout_while(log, PATIENCE, |log| found(log).is_none()).unwrap();
        found(&log).unwrap_or_else(|| panic!("{words:?} is not {count} times in the log:\n{log}"))
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20)); // between two looks
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}
