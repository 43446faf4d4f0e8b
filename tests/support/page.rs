//! A daemon with a page, and what a client of the page does.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use super::PATIENCE;
use super::daemon::{Daemon, configure};
use super::mosquitto::free_port;

const PHOTO: &str = concat!("replay:", env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// A daemon with a page, and where that listens.
pub struct Stage {
    pub folder: tempfile::TempDir,
    config: PathBuf,
    pub daemon: Daemon,
    pub port: u16,
}

impl Stage {
    /// A camera that is not there; `page`: further lines of that table.
    pub fn idle(page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "hunter2\n").unwrap();
        let broker = format!("listen = \"127.0.0.1:{}\"", free_port());
        let config = configure(folder.path(), "embedded", &broker);
        let page = page.replace("PASSWORD", &folder.path().join("password").display().to_string());
        Self::start(folder, config, &page)
    }

    /// One happy face. `more`: other tables.
    pub fn photo(site: &str, broker: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("emotiond.toml");
        let text = format!(
            "site = \"{site}\"\ndevice = \"hall\"\n[camera]\nsource = {PHOTO:?}\n[summary]\nwindow = \"1s\"\n\
             [mqtt]\nlisten = \"127.0.0.1:{broker}\"\n{more}\n"
        );
        fs::write(&config, text).unwrap();
        Self::start(folder, config, "url = \"http://hall.lan:9480\"")
    }

    fn start(folder: tempfile::TempDir, config: PathBuf, page: &str) -> Self {
        let port = free_port();
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}[page]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n{page}\n"))
            .unwrap();
        let daemon = Daemon::run(&config);
        daemon.wait_line(&["the page is on", &port.to_string()]);
        Self { folder, config, daemon, port }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to a request; `head` is what follows its first line.
    pub fn ask(&self, request: &str, head: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The status of the answer to a GET.
    pub fn status(&self, path: &str, head: &str) -> u16 {
        let answer = self.ask(&format!("GET {path}"), head);
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
    }

    pub fn stream(&self, head: &str) -> Events {
        let mut stream = self.connect();
        write!(stream, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{head}\r\n", self.port).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Events { head, reader }
    }

    /// Resident memory, KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn rewrite(&self, change: impl FnOnce(&str) -> String) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, change(&text)).unwrap();
        self.daemon.signal("HUP");
    }
}

/// Server-sent events, one by one.
pub struct Events {
    pub head: String,
    reader: BufReader<TcpStream>,
}

impl Iterator for Events {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => value.clone_into(&mut data),
                Some((key, _)) => assert_eq!(key, "retry"),
                None if line.is_empty() && !name.is_empty() => return Some((name, data)),
                None => assert!(line.is_empty() || line == ":", "{line:?}"),
            }
        }
    }
}
