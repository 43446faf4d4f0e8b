//! What the process gives up of itself, tried out: by code inside a confined process, and from outside on the daemon.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use emotiond::sandbox::{self, Access};
use serde_json::Value;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// Whether this kernel has Landlock, as the daemon's own check says.
fn landlock() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emotiond.toml");
    let text = format!("site = \"home\"\n[camera]\nsource = \"replay:{PHOTO}\"\n");
    fs::write(&config, text).unwrap();
    let output = emotiond().arg("check").arg("--config").arg(&config).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("sandbox")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("; system calls filtered; "), "{line}");
    let found = line.starts_with("ok ");
    assert_eq!(found, line.contains("Landlock ") && line.contains("(files"), "{line}");
    if !found {
        eprintln!("SKIPPED, because this machine cannot show it: {line}");
    }
    found
}

fn emotiond() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    command
        .env_remove("RUST_LOG")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null());
    command
}

#[test]
fn a_confined_process_reaches_what_it_was_left_and_nothing_else() {
    if !landlock() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["state", "config", "elsewhere"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("file"), name).unwrap();
    }
    let (open, closed) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let inside = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env("INSIDE_FOLDER", folder.path())
        .env("INSIDE_OPEN", open.local_addr().unwrap().port().to_string())
        .env("INSIDE_CLOSED", closed.local_addr().unwrap().port().to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && text.contains("1 passed"), "{text}");
    // It tried to write all over the place.
    let left = |name: &str| fs::read_dir(folder.path().join(name)).unwrap().count();
    assert_eq!((left("state"), left("config"), left("elsewhere")), (1, 1, 1));
    assert_eq!(fs::read_to_string(folder.path().join("elsewhere/file")).unwrap(), "elsewhere");
}

fn denied<T>(outcome: io::Result<T>, what: &str) {
    match outcome {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        Err(error) => panic!("{what} failed for another reason: {error}"),
        Ok(_) => panic!("{what} was allowed"),
    }
}

#[test]
#[ignore = "runs in the process that the test above starts"]
fn inside() {
    let folder = PathBuf::from(std::env::var_os("INSIDE_FOLDER").expect("started by the test above"));
    let port = |name| std::env::var(name).unwrap().parse::<u16>().unwrap();
    let (open, closed) = (port("INSIDE_OPEN"), port("INSIDE_CLOSED"));
    let (state, config, elsewhere) = (folder.join("state"), folder.join("config"), folder.join("elsewhere"));
    let confinement = sandbox::confine(Access {
        read: ["/usr".into(), "/etc".into(), "/proc".into(), config.clone()].into(),
        write: [state.clone()].into(),
        connect: [open].into(),
        ..Access::default()
    });
    assert!(confinement.complete(), "{confinement}");

    // A thread that is started later is confined like the one that starts it.
    std::thread::scope(|scope| {
        scope.spawn(|| denied(fs::write(elsewhere.join("thread"), ""), "writing from a thread"));
    });

    // The state folder can be used as a queue's folder is.
    fs::write(state.join("new"), "1").unwrap();
    fs::rename(state.join("new"), state.join("file")).unwrap();
    fs::create_dir(state.join("sub")).unwrap();
    fs::remove_dir(state.join("sub")).unwrap();

    // A configuration is read again even if another file has taken its place since, but it cannot be written.
    assert_eq!(fs::read_to_string(config.join("file")).unwrap(), "config");
    denied(fs::write(config.join("file"), "mine"), "writing the configuration");
    denied(fs::write(config.join("new"), ""), "writing beside the configuration");
    denied(fs::remove_file(config.join("file")), "removing the configuration");

    denied(fs::read(elsewhere.join("file")), "reading elsewhere");
    denied(fs::read_dir(&elsewhere), "listing elsewhere");
    denied(fs::write(elsewhere.join("new"), ""), "making a file elsewhere");
    denied(fs::create_dir(elsewhere.join("new")), "making a folder elsewhere");
    denied(fs::OpenOptions::new().append(true).open(elsewhere.join("file")), "appending elsewhere");
    denied(std::os::unix::fs::symlink("/", elsewhere.join("link")), "making a link elsewhere");
    denied(
        std::os::unix::net::UnixListener::bind(state.join("socket")),
        "making a socket in the state folder",
    );
    denied(fs::write("/dev/shm/emotiond-test", ""), "writing to shared memory");

    denied(Command::new("/bin/true").status(), "starting a program");
    TcpStream::connect(("127.0.0.1", open)).unwrap();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    if confinement.to_string().contains("TCP ports") {
        denied(TcpStream::connect(("127.0.0.1", closed)), "connecting to another port");
        denied(TcpListener::bind("127.0.0.1:0"), "listening");
    }
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _ended_before = self.0.wait();
    }
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut command = emotiond();
        command.args(["run", "--source", &format!("replay:{PHOTO}"), "--config"]).arg(config);
        Self(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends it and gives its log.
    fn end(mut self) -> String {
        self.signal("-TERM");
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

#[test]
fn every_thread_of_the_daemon_is_confined() {
    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emotiond.toml");
    let text = format!(
        "site = \"home\"\ndevice = \"hall\"\n[summary]\nwindow = \"1s\"\n[mqtt]\nurl = \"{}\"\n",
        broker.url()
    );
    fs::write(&config, text).unwrap();
    let summaries = Subscriber::new(broker.port(), "emotiond/hall/summary");
    let daemon = Daemon::start(&config);
    // All threads run, the library's own included, once there are summaries.
    summaries.message("emotiond/hall/summary", |_| true);
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", daemon.0.id())).unwrap().collect();
    assert!(tasks.len() >= 4, "main, signals, camera, vision, publisher: {}", tasks.len());
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    }
    let log = daemon.end();
    let confined: Vec<_> = log.lines().filter(|line| line.contains(" confined")).collect();
    assert_eq!(confined.len(), 1, "{log}");
    if landlock() {
        assert!(confined[0].contains("INFO  confined: Landlock"), "{log}");
    }
}

/// Somebody who is not root: this user, or one who owns nothing.
fn ordinary(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;
    // What the test itself owns has root's number, if it runs as root.
    if fs::metadata("/proc/self/environ").unwrap().uid() == 0 { command.uid(65534) } else { command }
}

#[test]
fn the_same_user_cannot_read_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = folder.path().join("emotiond.toml");
    fs::write(&config, "site = \"home\"\n").unwrap();
    let mut command = emotiond();
    command.args(["run", "--publish", "stdout", "--source", "stream:-", "--config"]).arg(&config);
    ordinary(&mut command).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut daemon = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED, because an ordinary user cannot start what root has built here");
            return;
        }
        started => Daemon(started.unwrap()),
    };
    let mut log = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains(" confined")), "it does not start");
    let other = Daemon(ordinary(Command::new("sleep").arg("600")).spawn().unwrap());
    let reads = |process: u32| {
        // The first page of the program: where it lies stands in a file that is as closed as the memory.
        let script = format!(
            "m=$(head -n 1 /proc/{process}/maps) && a=$((0x${{m%%-*}} / 4096)) && \
             dd if=/proc/{process}/mem bs=4096 skip=$a count=1 status=none | grep -q ELF"
        );
        ordinary(Command::new("sh").args(["-c", &script])).output().unwrap()
    };
    let (own, closed) = (reads(other.0.id()), reads(daemon.0.id()));
    if !own.status.success() {
        eprintln!("SKIPPED: this machine lets nobody read any process: {own:?}");
        return;
    }
    let said = String::from_utf8_lossy(&closed.stderr);
    assert!(!closed.status.success() && said.contains("Permission denied"), "{closed:?}");
}

#[test]
fn a_reload_that_needs_more_than_was_left_is_refused_before_anything_stops() {
    if !landlock() {
        return;
    }
    let broker = Mosquitto::start();
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = folder.path().join("emotiond.toml");
    let write = |window: u32, models: &Path| {
        let text = format!(
            "site = \"home\"\ndevice = \"hall\"\n[summary]\nwindow = \"{window}s\"\n[mqtt]\nurl = \"{}\"\n[models]\ndirectory = {models:?}\n",
            broker.url()
        );
        // In another file's place, as editors and configuration management do.
        fs::write(folder.path().join("new"), text).unwrap();
        fs::rename(folder.path().join("new"), &config).unwrap();
    };
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let info = Subscriber::new(broker.port(), "emotiond/hall/#");
    let window = |body: &str| serde_json::from_str::<Value>(body).unwrap()["window"].as_f64();
    write(1, &models);
    let daemon = Daemon::start(&config);
    info.message("emotiond/hall/info", |body| window(body) == Some(1.0));
    write(2, elsewhere.path());
    daemon.signal("-HUP");
    // The refusal changes nothing: summaries go on, and the next reload is obeyed.
    info.take();
    info.message("emotiond/hall/summary", |_| true);
    write(3, &models);
    daemon.signal("-HUP");
    info.message("emotiond/hall/info", |body| window(body) == Some(3.0));
    let log = daemon.end();
    let refusal = log.lines().find(|line| line.contains("stays in force")).unwrap_or_else(|| panic!("{log}"));
    let folder = elsewhere.path().display().to_string();
    assert!(refusal.contains(&folder) && refusal.contains("restart emotiond"), "{refusal}");
}
