//! The filter of system calls, tried out from inside the daemon: a preloaded library (`support/inside.c`) does what somebody
//! would who has taken it over.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::daemon::emotiond;
use support::mosquitto::Mosquitto;
use support::preload;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// A daemon's folder, its configuration, and something of the same user to reach for.
struct Stage {
    folder: tempfile::TempDir,
    library: PathBuf,
    publish: &'static str,
    elsewhere: TcpListener,
    _socket: UnixListener,
}

impl Stage {
    /// `mqtt`: the lines of that section.
    fn new(publish: &'static str, mqtt: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("state")).unwrap();
        std::fs::write(path("state/file"), "").unwrap();
        let state = path("state").display().to_string();
        let text =
            format!("site = \"home\"\ndevice = \"hall\"\n[mqtt]\n{mqtt}\nstate_directory = {state:?}\n");
        std::fs::write(path("emotiond.toml"), text).unwrap();
        let library = preload::build_of("inside.c", folder.path());
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        Self { folder, library, publish, elsewhere, _socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the library has written of a daemon that shows a photo, line by line, those that begin with `kind`.
    fn run(&self, what: &str, kind: &str) -> Vec<(String, String)> {
        self.run_on(&format!("replay:{PHOTO}"), what, kind)
    }

    fn run_on(&self, source: &str, what: &str, kind: &str) -> Vec<(String, String)> {
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let output = emotiond()
            .args(["run", "--publish", self.publish, "--source", source, "--config"])
            .arg(self.path("emotiond.toml"))
            .env("LD_PRELOAD", &self.library)
            .env("INSIDE", what)
            .env("INSIDE_PORT", self.elsewhere.local_addr().unwrap().port().to_string())
            .env("INSIDE_SOCKET", self.path("socket"))
            .env("INSIDE_FILE", self.path("state/file"))
            .env("INSIDE_PROCESS", other.id().to_string())
            .stdout(Stdio::null())
            .output()
            .unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains("system calls filtered") && log.contains("inside: done"), "{log}");
        let lines = log.lines().filter_map(|line| {
            let mut words = line.split(' ');
            (words.next()? == kind).then(|| Some((words.next()?.to_owned(), words.next()?.to_owned())))?
        });
        lines.collect()
    }

    /// Fails unless these attempts, and no others, came to something.
    fn only(&self, allowed: &[&str]) {
        let attempts = self.run("attempts", "attempt");
        assert!(attempts.len() > 50, "{attempts:?}");
        let succeeded: Vec<_> =
            attempts.iter().filter(|(_, outcome)| outcome == "ok").map(|(name, _)| &**name).collect();
        assert_eq!(succeeded, allowed);
        let refused = ["EPERM", "EACCES", "ENOSYS", "EBADF"];
        let other: Vec<_> = attempts
            .iter()
            .filter(|(_, outcome)| outcome != "ok" && !refused.contains(&&**outcome))
            .collect();
        assert!(other.is_empty(), "they failed for other reasons, and show nothing: {other:?}");
    }
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What needs no configuration: reading one's own limits, signalling oneself, pairs of sockets that wake threads.
const OWN: [&str; 2] = ["prlimit-own-read", "signal-self"];

#[test]
fn a_broker_by_its_address_leaves_tcp_and_nothing_else() {
    let stage = Stage::new("mqtt", &format!("url = \"mqtt://127.0.0.1:{}\"", free_port()));
    stage.only(&["tcp-socket", "unix-stream-pair", OWN[0], OWN[1]]);
}

#[test]
fn a_broker_by_its_name_leaves_udp_and_no_unix_socket() {
    let stage = Stage::new("mqtt", &format!("url = \"mqtt://localhost:{}\"", free_port()));
    stage.only(&[
        "tcp-socket",
        "udp-socket",
        "udp-send",
        "netlink-route-socket",
        "unix-stream-pair",
        OWN[0],
        OWN[1],
    ]);
}

#[test]
fn a_name_of_multicast_dns_leaves_unix_sockets_too() {
    let stage = Stage::new("mqtt", &format!("url = \"mqtt://emotiond-test.local:{}\"", free_port()));
    stage.only(&[
        "tcp-socket",
        "udp-socket",
        "udp-send",
        "netlink-route-socket",
        "unix-stream-socket",
        // A filter does not see the path: whoever may connect to a name service may connect to any socket.
        "unix-connect",
        "unix-stream-pair",
        OWN[0],
        OWN[1],
    ]);
}

#[test]
fn without_a_broker_there_is_no_socket() {
    let stage = Stage::new("stdout", "url = \"mqtt://localhost\"");
    stage.only(&["unix-stream-pair", OWN[0], OWN[1]]);
}

#[test]
fn beside_the_embedded_broker_nothing_listens() {
    let stage = Stage::new("mqtt", &format!("listen = \"127.0.0.1:{}\"", free_port()));
    stage.only(&["tcp-socket", "unix-stream-pair", OWN[0], OWN[1]]);
}

#[test]
fn beside_the_page_nothing_listens() {
    let stage = Stage::new("stdout", "url = \"mqtt://localhost\"");
    let config = stage.path("emotiond.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let page = format!("[page]\nenabled = true\nlisten = \"127.0.0.1:{}\"\n", free_port());
    std::fs::write(&config, text + &page).unwrap();
    stage.only(&["unix-stream-pair", OWN[0], OWN[1]]);
}

#[test]
fn of_a_camera_what_is_used_is_asked_and_nothing_else() {
    let stage = Stage::new("stdout", "url = \"mqtt://localhost\"");
    let passed = |source: &str| {
        let requests = stage.run_on(source, "camera", "camera");
        assert_eq!(requests.len(), 27, "{requests:?}");
        // There is no such descriptor, which is what the kernel says of those that reach it.
        let passed = requests.into_iter().filter(|(_, outcome)| outcome == "EBADF");
        passed.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    let used = "QUERYCAP ENUM_FMT G_FMT S_FMT REQBUFS QUERYBUF QBUF DQBUF STREAMON STREAMOFF G_PARM S_PARM \
                ENUM_FRAMESIZES ENUM_FRAMEINTERVALS";
    assert_eq!(passed("v4l2:/dev/emotiond-none"), used);
    assert_eq!(passed(&format!("replay:{PHOTO}")), "");
}

/// The daemon's own calls that failed as a filter makes calls fail, from a run over a photo. Without `--seccomp-bpf`, or
/// strace would not see what another filter refuses.
fn refused(publish: &str, mqtt: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let state = path("state");
    let text = format!("site = \"home\"\ndevice = \"hall\"\n[mqtt]\n{mqtt}\nstate_directory = {state:?}\n");
    std::fs::write(path("emotiond.toml"), text).unwrap();
    let program = emotiond();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "signal=none", "-e", "status=failed", "-o", &path("trace"), "--"]);
    strace.arg(program.get_program()).args(["run", "--publish", publish, "--pace", "fast"]);
    strace.args(["--source", &format!("replay:{PHOTO}"), "--config", &path("emotiond.toml")]);
    strace
        .env_remove("NOTIFY_SOCKET")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = strace.output().expect("strace is there; scripts/setup --tests installs it");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains("system calls filtered"), "{log}");
    let trace = std::fs::read_to_string(path("trace")).unwrap();
    let refused = trace.lines().filter(|line| ["EPERM", "EACCES", "ENOSYS"].iter().any(|e| line.contains(e)));
    // The number of the thread stands before the call.
    refused.map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned()).collect()
}

#[test]
fn the_daemon_itself_is_refused_nothing_that_has_no_substitute() {
    let broker = Mosquitto::start();
    let (port, listen) = (broker.port(), free_port());
    for (publish, mqtt) in [
        ("mqtt", format!("url = \"mqtt://localhost:{port}\"")),
        ("mqtt", format!("url = \"mqtt://127.0.0.1:{port}\"")),
        ("mqtt", format!("listen = \"127.0.0.1:{listen}\"")),
        ("stdout", "url = \"mqtt://localhost\"".to_owned()),
    ] {
        let refused = refused(publish, &mqtt);
        assert!(
            refused.iter().any(|call| call.starts_with("clone3(")),
            "the trace shows refusals: {refused:?}"
        );
        // The C library looks for nscd, which keeps names at hand, before it resolves one itself.
        let looks_for_nscd =
            |call: &str| call.starts_with("socket(AF_UNIX, SOCK_STREAM") && mqtt.contains("localhost");
        let others: Vec<_> =
            refused.iter().filter(|call| !call.starts_with("clone3(") && !looks_for_nscd(call)).collect();
        assert!(others.is_empty(), "{publish}, {mqtt}: {others:?}");
    }
}

/// The calls that no argument makes fail, when everything is configured that adds some. The rest have to be refused with
/// the arguments of the walk, which are all -1. By number, what this machine's headers may be too old to name: shadow
/// stacks, the futex calls of Linux 6.7, mseal.
#[rustfmt::skip]
const ALLOWED: &str = "
    brk munmap mremap madvise mincore msync 453 462
    gettid getpid getppid set_tid_address set_robust_list rseq membarrier
    futex futex_waitv 454 455 456
    sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
    getpriority getcpu
    rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait sigaltstack
    getuid geteuid getgid getegid getgroups uname sysinfo getrlimit getrusage times getrandom
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday
    timerfd_create timerfd_settime timerfd_gettime
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek fadvise64 readahead
    close close_range dup dup3 pipe2 eventfd2 ppoll pselect6
    epoll_create1 epoll_ctl epoll_pwait epoll_pwait2
    recvfrom recvmsg recvmmsg shutdown getsockname getpeername getsockopt
    connect accept accept4
    fstat newfstatat statx statfs fstatfs faccessat faccessat2 readlinkat getdents64 getcwd openat
    mkdirat unlinkat renameat renameat2 ftruncate fallocate fsync fdatasync flock
    stat lstat access readlink poll select epoll_create epoll_wait eventfd pipe dup2 time arch_prctl
    open mkdir rmdir unlink rename
";

/// The system calls of this machine's headers, by number.
fn names(folder: &Path) -> BTreeMap<String, String> {
    let source = folder.join("names.c");
    std::fs::write(&source, "#include <asm/unistd.h>\n").unwrap();
    let output = Command::new("cc").args(["-E", "-dM"]).arg(source).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let defined: BTreeMap<_, _> =
        text.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' ')).collect();
    let numbers = defined.iter().filter_map(|(name, value)| {
        // On arm64 some are defined by another name.
        let number = defined.get(value).unwrap_or(value);
        Some(((*number).to_owned(), name.strip_prefix("__NR_")?.to_owned()))
    });
    numbers.collect()
}

#[test]
fn no_call_passes_that_is_not_on_the_list() {
    let stage = Stage::new("mqtt", &format!("listen = \"127.0.0.1:{}\"", free_port()));
    let names = names(stage.folder.path());
    assert!(names.len() > 300, "{names:?}");
    let allowed: BTreeSet<_> = ALLOWED.split_whitespace().collect();
    let walked = stage.run("walk", "call");
    assert!(walked.len() > 1000, "{walked:?}");
    let name = |number: &str| names.get(number).cloned().unwrap_or_else(|| number.to_owned());
    let passed: Vec<_> = walked
        .iter()
        .filter(|(_, outcome)| outcome != "EPERM" && outcome != "ENOSYS")
        .map(|(number, outcome)| (number, name(number), outcome))
        .filter(|(number, name, _)| !allowed.contains(&***number) && !allowed.contains(&**name))
        .collect();
    assert!(passed.is_empty(), "{passed:?}");
    // A call that is there is refused, one that is not is unknown, and so is one that the C library can replace.
    let outcome = |wanted: &str| {
        let found = walked.iter().find(|(number, _)| number == wanted || name(number) == wanted);
        found.map(|(_, outcome)| outcome.clone())
    };
    for (call, expected) in [
        ("execve", "EPERM"),
        ("ptrace", "EPERM"),
        ("io_uring_setup", "EPERM"),
        ("clone", "EPERM"),
        ("clone3", "ENOSYS"),
        ("470", "ENOSYS"),
        ("1100", "ENOSYS"),
    ] {
        assert_eq!(outcome(call).as_deref(), Some(expected), "{call}");
    }
    assert!(walked.iter().filter(|(_, outcome)| outcome == "EPERM").count() > 150);
}
