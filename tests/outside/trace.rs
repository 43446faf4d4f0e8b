//! A program under strace, and what it let out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// System calls that bring data in or carry none. All others are traced, the unknown ones too.
const NOT_OUT: &str = "trace=!read,pread64,readv,preadv,preadv2,recvfrom,recvmsg,recvmmsg,getdents64,readlink,readlinkat,\
    futex,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,epoll_pwait2,epoll_ctl,clock_gettime,clock_nanosleep,nanosleep,\
    sched_yield,madvise,munmap,brk,lseek,close,rt_sigprocmask,getrandom,newfstatat,statx,fstat,lstat,stat,access,faccessat2";

/// A call of the system: its name, its arguments as strace writes them, and the bytes that were in them.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub arguments: String,
    /// Each string of the arguments, in order.
    pub strings: Vec<Vec<u8>>,
    pub result: String,
}

/// A program under strace. It is ended when dropped.
pub struct Traced {
    strace: Child,
    folder: tempfile::TempDir,
}

impl Traced {
    /// Starts a program; `change` sets the environment of strace, which hands it on but for `LD_PRELOAD`.
    pub fn start(program: &[&str], preload: Option<&Path>, change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("strace");
        command.args([
            "-ff",
            "--seccomp-bpf",
            "--quiet=all",
            "--strings-in-hex=all",
            "-s",
            "1048576",
            "-e",
            NOT_OUT,
            "-o",
        ]);
        command.arg(folder.path().join("trace"));
        if let Some(library) = preload {
            command.arg("-E").arg(format!("LD_PRELOAD={}", library.display()));
        }
        command.arg("--").args(program).stdin(Stdio::null());
        change(&mut command);
        let strace = command.spawn().expect("strace is there; scripts/setup --tests installs it");
        Self { strace, folder }
    }

    /// The process that is traced, once it is there.
    pub fn pid(&self) -> Option<u32> {
        let tracer = self.strace.id();
        let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Waits for its end; gives its exit code and all its calls, thread by thread.
    pub fn wait(mut self) -> (Option<i32>, Trace) {
        let code = self.strace.wait().unwrap().code();
        (code, Trace::read(self.folder.path()))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // strace takes what it traces with it.
        let _ended_before = self.strace.kill();
        let _ended_before = self.strace.wait();
    }
}

/// All calls, by thread.
pub struct Trace {
    pub threads: Vec<Vec<Call>>,
}

impl Trace {
    fn read(folder: &Path) -> Self {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let threads = paths.iter().map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().filter_map(call).collect()
        });
        Self { threads: threads.collect() }
    }

    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.threads.iter().flatten()
    }

    pub fn named<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Call> {
        self.calls().filter(|call| names.contains(&&*call.name))
    }

    /// Everything that was let out: the strings of each call as they are, and, because a run may be spread over calls, all
    /// that each thread wrote to each descriptor, in one.
    pub fn outgoing(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for thread in &self.threads {
            let mut streams: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
            for call in thread {
                let joined = call.strings.concat();
                let descriptor = call.arguments.split(',').next().unwrap_or_default();
                if call.name.contains("write") || call.name.starts_with("send") {
                    streams.entry(descriptor).or_default().extend(&joined);
                }
                all.push((format!("{}({descriptor}, …)", call.name), joined));
            }
            all.extend(streams.into_iter().map(|(to, bytes)| (format!("all writes to {to}"), bytes)));
        }
        all
    }

    /// Paths at which something was to be made or changed, whether or not that was allowed.
    pub fn changed(&self) -> Vec<PathBuf> {
        let opens = |call: &&Call| {
            let open = matches!(&*call.name, "open" | "openat" | "openat2" | "creat");
            let changes = ["O_CREAT", "O_TRUNC", "O_TMPFILE", "O_WRONLY", "O_RDWR"];
            open && (call.name == "creat" || changes.iter().any(|flag| call.arguments.contains(flag)))
        };
        let makes = |call: &&Call| {
            [
                "mkdir", "mknod", "symlink", "link", "rename", "unlink", "rmdir", "truncate", "chmod",
                "fchmodat", "chown", "setxattr", "mount",
            ]
            .iter()
            .any(|name| call.name.starts_with(name))
        };
        let paths = self.calls().filter(|call| opens(call) || makes(call)).flat_map(|call| &call.strings);
        paths.map(|bytes| PathBuf::from(String::from_utf8_lossy(bytes).into_owned())).collect()
    }

    /// Paths that were opened, or tried.
    pub fn opened(&self) -> Vec<String> {
        let opens = self.named(&["open", "openat", "openat2"]);
        opens.filter_map(|call| Some(String::from_utf8_lossy(call.strings.first()?).into_owned())).collect()
    }
}

fn call(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None; // a signal, or the end of the thread
    }
    let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
    assert!(!arguments.contains("\"..."), "{name}: strace has cut a string short");
    let quoted = arguments.split('"').skip(1).step_by(2);
    let strings = quoted.map(|text| {
        let digits: Vec<_> = text.split("\\x").skip(1).collect();
        digits.iter().map(|two| u8::from_str_radix(two, 16).unwrap_or_else(|_| panic!("{line}"))).collect()
    });
    let strings = strings.collect();
    Some(Call { name: name.to_owned(), arguments: arguments.to_owned(), strings, result: result.to_owned() })
}
