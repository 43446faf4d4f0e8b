//! The proof of privacy from outside: the built daemon under strace, over a minute of faces, with everything switched on.
//! No byte run of a picture leaves it, nothing is made but in its state folder, and it holds no descriptor it should not.
//! A leak planted under it shows that each of these would be noticed.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod needles;
mod pictures;
mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use needles::{Hit, Needles};
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use trace::{Trace, Traced};

const EMOTIOND: &str = env!("CARGO_BIN_EXE_emotiond");

/// Everything that the daemon can be told to say, it says.
const EVERYTHING: &str = r#"
device = "hall"
[summary]
window = "2s"
compound = "geometric"
[[trigger]]
name = "smile"
signal = "expression.happiness"
above = 0.1
[[trigger]]
name = "somebody"
signal = "faces"
above = 0.5
[[trigger]]
name = "door"
signal = "visit"
[[trigger]]
name = "stays"
signal = "dwell"
above = 2.0
"#;

/// A folder with a stream of faces, a configuration and a state folder.
struct Stage {
    folder: tempfile::TempDir,
    jpegs: &'static [Vec<u8>],
}

impl Stage {
    fn new(site: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (jpegs, _) = pictures::made();
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::write(folder.path().join("minute.mjpeg"), pictures::minute(jpegs)).unwrap();
        let config = format!("site = {site:?}\n{EVERYTHING}{rest}\n");
        fs::write(folder.path().join("emotiond.toml"), config).unwrap();
        Self { folder, jpegs }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts the daemon on the minute of faces as fast as it can.
    fn run(&self, more: &[&str], preload: Option<&Path>, change: impl FnOnce(&mut Command)) -> Traced {
        let (config, source) = (self.path("emotiond.toml"), format!("replay:{}", self.path("minute.mjpeg")));
        let mut program =
            vec![EMOTIOND, "-vvv", "run", "--config", &config, "--source", &source, "--pace", "fast"];
        program.extend(more);
        Traced::start(&program, preload, |strace| {
            let log = fs::File::create(self.path("log")).unwrap();
            strace
                .env("RUST_LOG", "trace")
                .env("STATE_DIRECTORY", self.path("state"))
                .env_remove("NOTIFY_SOCKET");
            strace.stdout(Stdio::null()).stderr(log);
            change(strace);
        })
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap()).into_owned()
    }

    /// Paths outside the state folder that were to be made or changed.
    fn strays(&self, trace: &Trace) -> Vec<PathBuf> {
        let state = self.path("state");
        trace.changed().into_iter().filter(|path| !path.starts_with(&state)).collect()
    }
}

/// The pictures that were let out, by what they left through.
fn leaks(needles: &Needles, trace: &Trace) -> Vec<(String, Hit)> {
    trace.outgoing().into_iter().filter_map(|(to, bytes)| Some((to, needles.find(&bytes)?))).collect()
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_minute_of_faces_lets_no_picture_out() {
    let broker = Mosquitto::start();
    // With networks that keep seconds of each face: of its scores, and of its embeddings.
    let models = format!(
        "[models]\ndirectory = {:?}\nemotion = \"embedding\"\n\
         sequences = [\"emotiond-temporal\", \"engagement-drawn\", \"mimicry-drawn\"]\n",
        pictures::models_with_embedding()
    );
    let stage = Stage::new("home", &format!("{models}[mqtt]\nurl = \"{}\"\n", broker.url()));
    let (_, needles) = pictures::made();
    let all = Subscriber::new(broker.port(), "#");
    let supervisor = UnixDatagram::bind(stage.path("notify")).unwrap();
    // Read, as systemd does: a full socket would hold the daemon up.
    std::thread::spawn(move || while supervisor.recv(&mut [0; 512]).is_ok_and(|length| length > 0) {});
    let traced = stage.run(&[], None, |strace| {
        strace.env("NOTIFY_SOCKET", stage.path("notify")).env("WATCHDOG_USEC", "60000000");
    });

    // Everything it can be asked for is asked for, while it sees faces.
    all.message("emotiond/hall/summary", |_| true);
    for what in ["info", "health", "summary"] {
        all.say(&format!("emotiond/hall/request/{what}"), false, r#"{"transaction": "1"}"#);
        all.message(&format!("emotiond/hall/response/{what}"), |body| body.contains("\"ok\":true"));
    }
    all.say("emotiond/hall/request/picture", false, r#"{"transaction": "2"}"#);
    let descriptors = descriptors(traced.pid().unwrap());
    all.say("emotiond/hall/pause/set", false, "ON");
    all.message("emotiond/hall/pause/state", |body| body == "ON");
    all.say("emotiond/hall/pause/set", false, "OFF");
    all.message("emotiond/hall/event/smile", |_| true);
    all.message("emotiond/hall/event/somebody", |_| true);
    all.message("homeassistant/device/emotiond_hall/config", |_| true);
    all.message("emotiond/hall/status", |body| body == "offline");
    let (code, trace) = traced.wait();
    let log = stage.log();
    assert_eq!(code, Some(0), "{log}");

    // The trace holds what it should hold, or the rest would prove nothing.
    let outgoing = trace.outgoing();
    for words in
        ["\"dominant\":\"happiness\"", "emotiond/hall/response/health", "READY=1", "WATCHDOG=1", "DEBUG"]
    {
        let seen =
            outgoing.iter().any(|(_, bytes)| bytes.windows(words.len()).any(|run| run == words.as_bytes()));
        assert!(seen, "{words} is not in the trace");
    }
    let summaries = all.until("summaries", |all| {
        Some(all.iter().filter(|message| message.topic.ends_with("/summary")).count())
    });
    assert!(summaries >= 30, "{summaries} windows of 2 s in a minute");
    let sum: usize = outgoing.iter().map(|(_, bytes)| bytes.len()).sum();
    eprintln!(
        "{} windows of pictures looked for in {sum} bytes of {} calls",
        needles.len(),
        trace.calls().count()
    );

    nothing_of_tracks(&all);

    let leaks = leaks(needles, &trace);
    assert!(leaks.is_empty(), "{leaks:?}");
    assert_eq!(stage.strays(&trace), Vec::<PathBuf>::new());
    let mut stored = Vec::new();
    files(Path::new(&stage.path("state")), &mut stored);
    assert!(!stored.is_empty(), "nothing in the state folder: did the outage leave nothing there?");
    for path in stored {
        assert!(needles.find(&fs::read(&path).unwrap()).is_none(), "a picture in {}", path.display());
    }
    no_way_past_the_trace(&trace);
    if let Some(descriptors) = descriptors {
        eprintln!("descriptors: {descriptors:?}");
        let allowed = |name: &str| {
            ["/dev/null", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"].contains(&name)
                || name.starts_with("socket:")
                || name.starts_with("pipe:")
                || [stage.path("log"), stage.path("minute.mjpeg")].iter().any(|file| file == name)
                || name.starts_with(&stage.path("state"))
        };
        let strange: Vec<_> = descriptors.iter().filter(|name| !allowed(name)).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
}

/// What summaries and events say of those who were there: counts and lengths of time under names that are known, and
/// nothing else that could tell one track from another.
fn nothing_of_tracks(all: &Subscriber) {
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let bodies = |part: &str| {
        all.until(part, |all| {
            let of_part = all.iter().filter(|message| message.topic.contains(part));
            Some(
                of_part
                    .map(|message| serde_json::from_str(&message.body).unwrap())
                    .collect::<Vec<serde_json::Value>>(),
            )
        })
    };
    let faces = ["mean", "max", "people", "facing", "skipped", "visits", "watchers", "dwell", "facing_time"];
    let (mut visits, mut ended, mut spoken) = (0, 0, BTreeSet::new());
    for summary in bodies("hall/summary") {
        let seen: &serde_json::Value = &summary["faces"];
        if seen.is_null() {
            continue;
        }
        assert_eq!(keys(seen), [&faces[..], &["attraction", "longest"]].concat());
        for times in [&seen["dwell"], &seen["facing_time"]] {
            assert_eq!(keys(times), ["ended", "mean", "histogram"]);
        }
        visits += seen["visits"].as_u64().unwrap();
        ended += seen["dwell"]["ended"].as_u64().unwrap();
        if !summary["compound"].is_null() {
            assert_eq!(keys(&summary["compound"]).len(), 7);
        }
        // A mean for each label, and nothing of whose it is.
        if let Some(sequences) = summary["sequences"].as_object() {
            for (head, means) in sequences {
                spoken.insert(head.clone());
                assert!(["engagement", "expression", "mimicry"].contains(&&**head), "{head}");
                assert!(means.as_object().unwrap().values().all(serde_json::Value::is_number), "{means}");
            }
        }
    }
    assert_eq!(spoken.len(), 3, "{spoken:?}: not every network has spoken, so this proves little");
    assert!(visits > 0 && ended > 0, "{visits} visits, {ended} ended: this proves nothing");
    let events = bodies("/event/");
    for name in ["door", "stays"] {
        assert!(events.iter().any(|event| event["trigger"] == name), "no event of {name}");
    }
    for event in events {
        let names = ["schema", "device", "boot", "trigger", "signal", "phase", "time", "value", "seconds"];
        assert_eq!(keys(&event), names);
    }
}

/// What a process has open; `None` if this user may not know.
fn descriptors(pid: u32) -> Option<BTreeSet<String>> {
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => {
            let links = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
            let names: BTreeSet<_> = links.map(|link| link.display().to_string()).collect();
            assert!(names.len() > 4, "{names:?}");
            Some(names)
        }
        Err(error) => {
            eprintln!("SKIPPED: the descriptors of an undumpable process are for root to see ({error})");
            None
        }
    }
}

/// Whatever lets data out without a call that shows it.
fn no_way_past_the_trace(trace: &Trace) {
    let hidden = [
        "io_uring_setup",
        "splice",
        "tee",
        "vmsplice",
        "sendfile",
        "copy_file_range",
        "memfd_create",
        "shmget",
        "process_vm_writev",
        "ptrace",
        "fork",
        "vfork",
    ];
    let calls: Vec<_> = trace.named(&hidden).collect();
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!(trace.named(&["execve", "execveat"]).count(), 1, "the daemon itself, and no other program");
    let shared = trace.named(&["mmap"]).filter(|call| {
        let arguments = &call.arguments;
        arguments.contains("MAP_SHARED")
            && arguments.contains("PROT_WRITE")
            && !arguments.contains("MAP_ANONYMOUS")
    });
    assert_eq!(shared.map(|call| &call.arguments).collect::<Vec<_>>(), Vec::<&String>::new());
    let families = ["AF_UNIX", "AF_INET,", "AF_INET6", "AF_NETLINK"];
    for call in trace.named(&["socket"]) {
        assert!(families.iter().any(|family| call.arguments.starts_with(family)), "{call:?}");
    }
    // Nothing else refuses it anything. What its own filter refuses this trace cannot show; `tests/filter.rs` does.
    let refused: Vec<_> = trace.calls().filter(|call| call.result.contains("EPERM")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let files: Vec<_> = trace.calls().filter(|call| call.result.contains("EACCES")).collect();
    assert!(files.is_empty(), "{files:?}");
}

/// The library of `leak.c`, built beside the stage.
fn dishonest_library(stage: &Stage) -> PathBuf {
    let library = stage.folder.path().join("leak.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outside/leak.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status()
        .expect("a C compiler is there; scripts/setup installs it");
    assert!(built.success());
    library
}

#[test]
fn a_planted_leak_is_noticed_whatever_way_it_takes() {
    let broker = Mosquitto::start();
    let stage = Stage::new("home", &format!("[mqtt]\nurl = \"{}\"\n", broker.url()));
    let (_, needles) = pictures::made();
    // A few seconds of faces are enough.
    let stream: Vec<u8> = (0..75).flat_map(|frame| &stage.jpegs[frame / 25]).copied().collect();
    fs::write(stage.path("minute.mjpeg"), stream).unwrap();
    let library = dishonest_library(&stage);
    let kept = stage.path("state/thumbnail");
    let detector = 256 * 192 * 3;
    let crop = pictures::crop_bytes();
    for (what, size, way, of, written) in [
        ("input", detector, "raw", "input of the detector", "raw"),
        ("input", detector, "drip", "input of the detector", "raw"),
        ("input", crop, "hex", "crop", "hex"),
        ("input", crop, "base64", "crop", "base64"),
        ("input", crop, "numbers", "crop", "numbers"),
        ("input", crop, "udp", "crop", "raw"),
        ("input", crop, &kept, "crop", "raw"),
        ("file", 0, "raw", "JPEG", "raw"),
    ] {
        // Without a broker there is no queue, and the state folder is closed as well.
        let destination = if way == kept { "mqtt" } else { "stdout" };
        let traced = stage.run(&["--publish", destination], Some(&library), |strace| {
            strace.env("LEAK_WHAT", what).env("LEAK_SIZE", size.to_string()).env("LEAK_WAY", way);
        });
        let (code, trace) = traced.wait();
        assert_eq!(code, Some(0), "{}", stage.log());
        let leaks = leaks(needles, &trace);
        let noticed = leaks.iter().any(|(_, hit)| hit.of.starts_with(of) && hit.written == written);
        assert!(noticed, "{what} of {size} bytes by {way}: {leaks:?}");
    }

    // Elsewhere than in the state folder the attempt is noticed, and Landlock, where there is one, lets nothing come of it.
    let elsewhere = stage.path("thumbnail");
    // With a queue's folder: without one the filter of system calls refuses to open anything for writing, and strace,
    // which looks on from a filter of its own, does not see what another filter refuses.
    let traced = stage.run(&["--publish", "mqtt"], Some(&library), |strace| {
        strace.env("LEAK_WHAT", "input").env("LEAK_SIZE", crop.to_string()).env("LEAK_WAY", &elsewhere);
    });
    let (_, trace) = traced.wait();
    assert!(stage.strays(&trace).iter().any(|path| *path == Path::new(&elsewhere)));
    if stage.log().contains("confined: Landlock") {
        assert!(!Path::new(&elsewhere).exists(), "Landlock let a file be made");
    }
}

#[test]
fn where_the_law_forbids_it_the_emotion_model_is_not_opened() {
    let opened = |site: &str, rest: &str| {
        let stage = Stage::new(site, rest);
        fs::write(stage.path("minute.mjpeg"), &stage.jpegs[0]).unwrap();
        let (code, trace) = stage.run(&["--publish", "stdout"], None, |_| {}).wait();
        assert_eq!(code, Some(0), "{}", stage.log());
        let opened = trace.opened();
        assert!(opened.iter().any(|path| path.ends_with("emotiond-face.tflite")), "{opened:?}");
        let emotion = opened.into_iter().filter(|path| path.contains("emotiond-mtl")).collect::<Vec<_>>();
        emotion
            .iter()
            .map(|path| Path::new(path).extension().unwrap().to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for site in ["education", "workplace"] {
        assert!(opened(site, "").is_empty(), "{site}");
        let basis = "[privacy]\nlegal_basis = \"fatigue of crane drivers\"\n";
        // The network for all faces, and that for crowds.
        let both = ["toml", "tflite", "toml", "tflite"];
        assert_eq!(opened(site, basis), both, "{site} with a legal basis");
    }
}
