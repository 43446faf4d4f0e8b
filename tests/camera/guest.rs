//! The virtual machine, seen from the host: a folder shared with it, its console, and its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, frames};

/// After how many seconds the machine is ended, whatever it is doing.
const LIMIT: u32 = 600;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A running machine. It is ended when dropped.
pub struct Guest {
    share: TempDir,
    rig: Child,
}

impl Guest {
    /// Boots a machine that runs `guest.sh` with this configuration, and reaches the broker on `port` of the host.
    pub fn boot(port: u16, config: &str) -> Self {
        Self::boot_with(port, config, include_str!("guest.sh"), |_| {})
    }

    /// The same with another script; `prepare` puts what that needs besides into the shared folder.
    pub fn boot_with(port: u16, config: &str, script: &str, prepare: impl FnOnce(&Path)) -> Self {
        let prepared = rig().arg("prepare").status().unwrap();
        assert!(
            prepared.success(),
            "the virtual machine cannot be made; `scripts/setup --tests` installs its parts"
        );

        let share = tempfile::tempdir().unwrap();
        let root = share.path();
        install(&root.join("installed"));
        let scene = frames::scene();
        frames::write(root, "mjpg", &[frames::mjpg(&scene)]);
        frames::write(root, "yuyv", &[frames::yuyv(&scene)]);
        fs::write(root.join("emotiond.toml"), config).unwrap();
        fs::write(root.join("guest.sh"), script).unwrap();
        fs::write(root.join("state"), "mjpg").unwrap();
        prepare(root);
        let mut run = rig();
        run.arg("run").arg(root).args(["guest.sh", &port.to_string(), &LIMIT.to_string()]);
        let rig = run.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Self { share, rig }
    }

    /// Tells the camera what to do.
    pub fn camera(&self, state: &str) {
        eprintln!("camera: {state}");
        self.tell("state", state);
    }

    /// Writes a file that the guest's script looks at.
    pub fn tell(&self, file: &str, text: &str) {
        // In one step: the guest may be reading.
        let new = self.share.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.share.path().join(file)).unwrap();
    }

    /// What the guest has written to a file so far.
    pub fn read(&self, file: &str) -> String {
        fs::read(self.share.path().join(file))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until the daemon's log holds `count` lines with these words, and gives the last.
    pub fn log(&mut self, words: &str, count: usize) -> String {
        self.line("emotiond.log", words, count)
    }

    /// The same of any file.
    pub fn line(&mut self, file: &str, words: &str, count: usize) -> String {
        let line = self.until(words, |guest| {
            let log = guest.read(file);
            // A line without its end is still being written.
            let whole = &log[..log.rfind('\n').unwrap_or(0)];
            whole.lines().filter(|line| line.contains(words)).nth(count - 1).map(str::to_owned)
        });
        eprintln!("{file}: {line}");
        line
    }

    /// Tells the daemon to end, and waits for the end of the machine.
    pub fn end(&mut self) -> ExitStatus {
        self.tell("end", "");
        self.ended()
    }

    /// Waits for the end of the machine.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.rig.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the machine has not ended within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }

    pub fn until<T>(&mut self, what: &str, found: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(self.rig.try_wait().unwrap().is_none(), "the machine has ended; waited for {what:?}");
            assert!(Instant::now() < deadline, "waited in vain for {what:?}");
            // Between two looks: a network file system does not tell of changes.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let files = fs::read_dir(self.share.path()).into_iter().flatten().flatten();
            for name in files.filter_map(|file| file.file_name().into_string().ok()) {
                if name.ends_with(".log") {
                    eprintln!("---- {name}\n{}", self.read(&name));
                }
            }
        }
        if matches!(self.rig.try_wait(), Ok(None)) {
            let _ended_before = Command::new("kill").arg(self.read("qemu.pid").trim()).status();
            let _ended_before = self.rig.wait();
        }
    }
}

fn rig() -> Command {
    let mut command = Command::new(Path::new(REPOSITORY).join("tests/camera/rig.sh"));
    command.stdin(Stdio::null());
    command
}

/// Puts the built programs, the library and the models where an installation has them, seen from `root`.
fn install(root: &Path) {
    let repository = Path::new(REPOSITORY);
    let library = repository.join("third_party/tflite/lib").join(std::env::consts::ARCH);
    copy(Path::new(env!("CARGO_BIN_EXE_emotiond")), &root.join("bin"));
    copy(&virtual_camera(), &root.join("bin"));
    copy(&library.join("libtensorflowlite_c.so"), &root.join("lib/emotiond"));
    for entry in fs::read_dir(repository.join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tflite" || extension == "toml") {
            copy(&path, &root.join("share/emotiond/models"));
        }
    }
}

fn copy(file: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::copy(file, folder.join(file.file_name().unwrap())).unwrap_or_else(|error| {
        panic!("{}: {error}; has scripts/setup run?", file.display());
    });
}

/// Builds the virtual camera, which cargo does not do for the sake of one test, and gives its path.
fn virtual_camera() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--package", "vuvc", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What cargo tells this test of its package would count as a change to packages that watch it, and have them built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "OUT_DIR" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    let output = build.current_dir(REPOSITORY).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the virtual camera cannot be built");
    let messages = String::from_utf8(output.stdout).unwrap();
    let artifact = messages
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "vuvc");
    artifact.unwrap()["executable"].as_str().unwrap().into()
}
