//! A real Mosquitto on the loopback, with its configuration in a folder of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;

/// How to start a broker.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The one user who may connect, and the password; anybody if there is none.
    pub user: Option<(&'static str, &'static str)>,
    /// Certificate, key, and the authority of client certificates, which are required if it is given.
    pub tls: Option<(PathBuf, PathBuf, Option<PathBuf>)>,
    /// The lines of an access list; everything is allowed if there is none.
    pub acl: Option<&'static str>,
    /// Another address to listen on, besides the loopback; without TLS.
    pub also_on: Option<Ipv4Addr>,
}

/// What has been logged, and a signal that there is more.
type Log = Arc<(Mutex<String>, Condvar)>;

/// A running broker. It is killed when dropped.
pub struct Mosquitto {
    port: u16,
    folder: TempDir,
    child: Child,
    log: Log,
}

impl Mosquitto {
    /// A broker for anybody, without TLS.
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    pub fn start_with(options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another program may take the port between its choice and its use.
        for _ in 0..5 {
            let port = free_port();
            configure(folder.path(), port, options);
            let log = Log::default();
            if let Ok(child) = launch(folder.path(), port, &log) {
                return Self { port, folder, child, log };
            }
        }
        panic!("Mosquitto has not started; is the package mosquitto installed?");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mqtt://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends the broker as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
    }

    /// Starts a killed broker again, on its port and with nothing of its past.
    pub fn restart(&mut self) {
        self.child = launch(self.folder.path(), self.port, &self.log).expect("Mosquitto starts again");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// Waits until it has logged `words`.
    pub fn wait_log(&self, words: &str) {
        let log = self.log.0.lock().unwrap();
        let (log, _) = self.log.1.wait_timeout_while(log, PATIENCE, |log| !log.contains(words)).unwrap();
        assert!(log.contains(words), "waited in vain for {words:?} in {log}");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configure(folder: &Path, port: u16, options: &Options) {
    let mut config = format!("listener {port} 127.0.0.1\npersistence false\nlog_dest stderr\nlog_type all\n");
    if let Some((user, password)) = options.user {
        let passwords = folder.join("passwords");
        std::fs::write(&passwords, format!("{user}:{password}\n")).unwrap();
        let hashed = Command::new("mosquitto_passwd").arg("-U").arg(&passwords).status().unwrap();
        assert!(hashed.success());
        config += &format!("allow_anonymous false\npassword_file {}\n", passwords.display());
    } else {
        config += "allow_anonymous true\n";
    }
    if let Some((certificate, key, clients)) = &options.tls {
        config += &format!("certfile {}\nkeyfile {}\n", certificate.display(), key.display());
        if let Some(authority) = clients {
            config += &format!("cafile {}\nrequire_certificate true\n", authority.display());
        }
    }
    if let Some(acl) = options.acl {
        let path = folder.join("acl");
        std::fs::write(&path, acl).unwrap();
        config += &format!("acl_file {}\n", path.display());
    }
    if let Some(address) = options.also_on {
        config += &format!("listener {port} {address}\n");
    }
    // Started by root, Mosquitto becomes another user, who could not read the certificates of the test.
    config += "user root\n";
    std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
}

fn launch(folder: &Path, port: u16, log: &Log) -> Result<Child, String> {
    let program =
        ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| Path::new(path).exists());
    let mut child = Command::new(program.unwrap_or("mosquitto"))
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            log.0.lock().unwrap().push_str(&(line + "\n"));
            log.1.notify_all();
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && child.try_wait().unwrap().is_none() {
            return Ok(child);
        }
        if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
            let _ended_before = child.kill();
            let _ended_before = child.wait();
            return Err("not listening".into());
        }
        std::thread::sleep(Duration::from_millis(10)); // between two looks, not instead of one
    }
}
