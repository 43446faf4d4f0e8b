//! The built program as a process, with its log read along.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;

type Log = Arc<(Mutex<String>, Condvar)>;

/// `emotiond`, with nothing of the environment that changes what it does.
pub fn emotiond() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    for name in
        ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "STATE_DIRECTORY"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running emotiond. It is killed when dropped.
pub struct Daemon {
    pub child: Child,
    log: Log,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    /// `emotiond run` with debug messages, on a configuration file.
    pub fn run(config: &Path) -> Self {
        Self::start(&mut Self::command(config))
    }

    /// The command that [`Self::run`] starts, to be changed first.
    pub fn command(config: &Path) -> Command {
        let mut command = emotiond();
        command.args(["run", "--config"]).arg(config).env("RUST_LOG", "emotiond=debug");
        command
    }

    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Log::default();
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.0.lock().unwrap().push_str(&(line + "\n"));
                written.1.notify_all();
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// Waits until the log so far satisfies `done`.
    pub fn wait_log(&self, what: &str, done: impl Fn(&str) -> bool) -> String {
        let log = self.log.0.lock().unwrap();
        let (log, _) = self.log.1.wait_timeout_while(log, PATIENCE, |log| !done(log)).unwrap();
        assert!(done(&log), "waited in vain for {what} in\n{log}");
        log.clone()
    }

    /// Waits until a line with all of `words` has been logged, and gives it.
    pub fn wait_line(&self, words: &[&str]) -> String {
        let line = |log: &str| {
            log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        };
        let log = self.wait_log(&words.join(" … "), |log| line(log).is_some());
        line(&log).unwrap()
    }

    /// Waits until the log holds `count` lines with these words, and gives the last of them.
    pub fn line(&self, words: &str, count: usize) -> String {
        let found =
            |log: &str| log.lines().filter(|line| line.contains(words)).nth(count - 1).map(str::to_owned);
        let log = self.wait_log(words, |log| found(log).is_some());
        found(&log).unwrap()
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// SIGKILL; gives the log.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        self.log()
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.end_within(PATIENCE)
    }

    /// Waits for the process to end by itself, and no longer than that.
    pub fn end_within(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10)); // between two looks
        }
        panic!("still running after {within:?}:\n{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}

/// Writes a configuration of a device `hall` with windows of a second and a camera that is not there, so that every
/// window says `lost` and none costs any work; gives its path. `mqtt` follows in the section of that name.
pub fn configure(folder: &Path, broker: &str, mqtt: &str) -> PathBuf {
    let path = folder.join("emotiond.toml");
    let config = format!(
        "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"v4l2:/dev/emotiond-none\"\n[summary]\nwindow = \"1s\"\n\
         [mqtt]\nurl = \"{broker}\"\n{mqtt}\n[home_assistant]\ndiscovery = false\n"
    );
    std::fs::write(&path, config).unwrap();
    path
}
