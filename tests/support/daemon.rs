//! The built program as a process, with its log read along.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;

type Log = Arc<(Mutex<String>, Condvar)>;

/// A running emotiond. It is killed when dropped.
pub struct Daemon {
    pub child: Child,
    log: Log,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    /// `emotiond run` with debug messages, on a configuration file.
    pub fn run(config: &Path) -> Self {
        Self::spawn(Self::command(config))
    }

    /// The command that [`Self::run`] starts, to be changed first.
    pub fn command(config: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
        command.args(["run", "--config"]).arg(config);
        command.env("RUST_LOG", "emotiond=debug").env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
        command
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
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

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
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
