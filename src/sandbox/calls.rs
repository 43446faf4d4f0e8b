//! The system calls of the list, by group, with the reason; those whose arguments matter stand in [`super::syscalls`].
//!
//! Besides what was seen (`docs/decisions/0004-confinement.md`) the groups hold what a C library may choose instead and
//! what cannot reach beyond this process, so that an upgrade does not run into the filter.

use libc::c_long;

/// Allowed with any arguments, whatever the configuration: they concern this process and what it has open.
#[rustfmt::skip]
pub(super) const HARMLESS: &[c_long] = &[
    // Memory. Not memfd_create: what is mapped as code comes from files.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_mincore, libc::SYS_msync,
    libc::SYS_mseal, MAP_SHADOW_STACK,
    // Threads.
    libc::SYS_exit, libc::SYS_exit_group, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_getppid,
    libc::SYS_set_tid_address, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_membarrier,
    libc::SYS_futex, libc::SYS_futex_waitv, FUTEX_WAKE, FUTEX_WAIT, FUTEX_REQUEUE,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_getparam, libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min, libc::SYS_getpriority, libc::SYS_getcpu,
    // Signals that arrive.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigpending, libc::SYS_rt_sigtimedwait, libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    // Who and where this is, and how much of it there is.
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getgroups,
    libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrlimit, libc::SYS_getrusage, libc::SYS_times,
    libc::SYS_getrandom,
    // Time, to read and to wait for.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime,
    // Open files, pipes and sockets.
    libc::SYS_read, libc::SYS_readv, libc::SYS_pread64, libc::SYS_preadv, libc::SYS_preadv2,
    libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64, libc::SYS_pwritev, libc::SYS_pwritev2,
    libc::SYS_lseek, libc::SYS_fadvise64, libc::SYS_readahead,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_eventfd2,
    libc::SYS_ppoll, libc::SYS_pselect6,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2,
    libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_recvmmsg, libc::SYS_shutdown,
    libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt,
    // What is in a folder.
    libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs,
    libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd,
    // Elder forms that x86-64 alone has, and its registers.
    #[cfg(target_arch = "x86_64")] libc::SYS_stat,
    #[cfg(target_arch = "x86_64")] libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")] libc::SYS_access,
    #[cfg(target_arch = "x86_64")] libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")] libc::SYS_poll,
    #[cfg(target_arch = "x86_64")] libc::SYS_select,
    #[cfg(target_arch = "x86_64")] libc::SYS_epoll_create,
    #[cfg(target_arch = "x86_64")] libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")] libc::SYS_eventfd,
    #[cfg(target_arch = "x86_64")] libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")] libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")] libc::SYS_pause,
    #[cfg(target_arch = "x86_64")] libc::SYS_time,
    #[cfg(target_arch = "x86_64")] libc::SYS_arch_prctl,
];

// What the crate `libc` does not name on both architectures. The numbers are the same on all.
const MAP_SHADOW_STACK: c_long = 453;
const FUTEX_WAKE: c_long = 454;
const FUTEX_WAIT: c_long = 455;
const FUTEX_REQUEUE: c_long = 456;
/// Reads what the kernel told this process at its start, as `/proc/self/auxv` does: how rustix finds the vDSO.
const PR_GET_AUXV: i32 = 0x4155_5856;
const PR_SVE_GET_VL: i32 = 51;
const PR_SME_GET_VL: i32 = 64;
const NETLINK_PKTINFO: i32 = 3;
const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_GET_STRICT_CHK: i32 = 12;

/// Calls that open files, and the position of their flags.
pub(super) const OPEN: &[(c_long, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// What the queue's folder takes: files and folders that are made, cut, renamed and removed, and the disk waited for.
#[rustfmt::skip]
pub(super) const KEEP: &[c_long] = &[
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_renameat2,
    libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_flock,
    #[cfg(target_arch = "x86_64")] libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")] libc::SYS_rename,
];

/// Names of threads and of memory, and what can be asked of this process. Nothing that makes it readable to others.
pub(super) const PRCTL: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_SECCOMP,
    libc::PR_CAPBSET_READ,
    PR_GET_AUXV,
    // How wide arm64's vectors are, which XNNPACK asks.
    PR_SVE_GET_VL,
    PR_SME_GET_VL,
];

/// Flags, copies and locks of descriptors; no signals to other processes (`F_SETOWN`).
pub(super) const FCNTL: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
];

/// Whether something is a terminal (TCGETS, TCGETS2) and how wide (TIOCGWINSZ); waiting and inheritance of descriptors
/// (FIONBIO, FIONREAD, FIONCLEX, FIOCLEX).
pub(super) const IOCTL: &[u32] = &[0x5401, 0x802c_542a, 0x5413, 0x5421, 0x541b, 0x5450, 0x5451];

/// The number of an interface and its name, for addresses with a scope: SIOCGIFNAME, SIOCGIFINDEX.
pub(super) const INTERFACES: &[u32] = &[0x8910, 0x8933];

/// What `capture::v4l2` asks of a camera through the crate `v4l`.
pub(super) const V4L2: [u32; 14] = [
    v4l2(READ, 0, 104),          // VIDIOC_QUERYCAP
    v4l2(READ | WRITE, 2, 64),   // VIDIOC_ENUM_FMT
    v4l2(READ | WRITE, 4, 208),  // VIDIOC_G_FMT
    v4l2(READ | WRITE, 5, 208),  // VIDIOC_S_FMT
    v4l2(READ | WRITE, 8, 20),   // VIDIOC_REQBUFS
    v4l2(READ | WRITE, 9, 88),   // VIDIOC_QUERYBUF
    v4l2(READ | WRITE, 15, 88),  // VIDIOC_QBUF
    v4l2(READ | WRITE, 17, 88),  // VIDIOC_DQBUF
    v4l2(WRITE, 18, 4),          // VIDIOC_STREAMON
    v4l2(WRITE, 19, 4),          // VIDIOC_STREAMOFF
    v4l2(READ | WRITE, 21, 204), // VIDIOC_G_PARM
    v4l2(READ | WRITE, 22, 204), // VIDIOC_S_PARM
    v4l2(READ | WRITE, 74, 44),  // VIDIOC_ENUM_FRAMESIZES
    v4l2(READ | WRITE, 75, 52),  // VIDIOC_ENUM_FRAMEINTERVALS
];

const WRITE: u32 = 1;
const READ: u32 = 2;

/// A request of V4L2: the direction of its data, its number, and the size of its data in bytes.
const fn v4l2(direction: u32, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | (b'V' as u32) << 8 | number
}

/// Options of sockets that may be set, by level: buffers, time-outs, keep-alive and the like. None that makes another
/// protocol of a socket or gives it a filter program.
#[rustfmt::skip]
pub(super) const SOCKET_OPTIONS: &[(i32, &[i32])] = &[
    (libc::SOL_SOCKET, &[
        libc::SO_REUSEADDR, libc::SO_REUSEPORT, libc::SO_SNDBUF, libc::SO_RCVBUF, libc::SO_KEEPALIVE, libc::SO_LINGER,
        libc::SO_RCVTIMEO, libc::SO_SNDTIMEO, libc::SO_PASSCRED, libc::SO_TIMESTAMP,
    ]),
    (libc::IPPROTO_TCP, &[
        libc::TCP_NODELAY, libc::TCP_MAXSEG, libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_KEEPCNT,
        libc::TCP_USER_TIMEOUT, libc::TCP_QUICKACK,
    ]),
    (libc::IPPROTO_IP, &[libc::IP_TOS, libc::IP_MTU_DISCOVER, libc::IP_RECVERR]),
    (libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY, libc::IPV6_MTU_DISCOVER, libc::IPV6_RECVERR, libc::IPV6_TCLASS]),
    (libc::SOL_NETLINK, &[NETLINK_PKTINFO, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]),
];
