//! The filter of system calls: what is allowed from now on, everything else fails.
//!
//! Which calls, and with which arguments, stands in [`super::calls`] and here in [`rules`]; how the list was made and what
//! is done about C libraries that change what they call, in `docs/decisions/0004-confinement.md`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use libc::c_long;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

use super::Access;
use super::calls;

/// The newest system call that the list was made in view of (`file_setattr`, Linux 6.17). The C library tries those after
/// it like a kernel that has them not, and does without.
const NEWEST: u32 = 469;

/// Why a call is refused, as the caller is told. Never the process's end: a library that tries and does without goes on.
const REFUSED: u32 = libc::EPERM as u32;
const UNKNOWN: u32 = libc::ENOSYS as u32;

/// The protocol of netlink that tells of addresses and routes; the crate `libc` does not name it on Linux.
const NETLINK_ROUTE: i32 = 0;

/// Calls that the C library replaces by older ones, whose arguments a filter can see, if the kernel has them not.
const REPLACEABLE: [c_long; 2] = [libc::SYS_clone3, libc::SYS_openat2];

/// Lets this thread and those it starts from now on call only what `access` needs, and sets `no_new_privs`.
pub(super) fn allow(access: &Access) -> anyhow::Result<()> {
    let program = program(access).context("the filter cannot be made")?;
    apply_filter(&program).context("the kernel refused the filter")
}

fn program(access: &Access) -> anyhow::Result<BpfProgram> {
    let filter = SeccompFilter::new(
        rules(access)?.0,
        SeccompAction::Errno(REFUSED),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    let list: BpfProgram = filter.try_into()?;
    Ok([unknown(), list].concat())
}

/// Instructions before those of the list, which knows one answer only: `ENOSYS` for calls that are to be taken for absent.
fn unknown() -> BpfProgram {
    // Of `struct seccomp_data` the first field, the number. Jumps count instructions from the next one on.
    let load = sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: 0 };
    let jump = |compare: u32, k: u32, jt: u8, jf: u8| sock_filter {
        code: (libc::BPF_JMP | compare | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let absent = libc::SECCOMP_RET_ERRNO | UNKNOWN;
    let answer = sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: absent };
    let [first, second] = REPLACEABLE.map(|call| call as u32);
    vec![
        load,
        jump(libc::BPF_JEQ, first, 2, 0),
        jump(libc::BPF_JEQ, second, 1, 0),
        jump(libc::BPF_JGT, NEWEST, 0, 1),
        answer,
    ]
}

/// Calls, and of each the arguments with which it is allowed: any of the rules, none for any arguments.
struct Rules(BTreeMap<c_long, Vec<SeccompRule>>);

/// An argument, by its position, and what it has to be.
type Argument = (u8, SeccompCmpOp, u64);

impl Rules {
    fn any(&mut self, calls: &[c_long]) {
        self.0.extend(calls.iter().map(|&call| (call, Vec::new())));
    }

    /// Allows a call if all these arguments, of 32 bits each, are as said.
    fn when(&mut self, call: c_long, arguments: &[Argument]) -> anyhow::Result<()> {
        self.rule(call, &SeccompCmpArgLen::Dword, arguments)
    }

    /// The same for arguments of 64 bits, pointers.
    fn when_wide(&mut self, call: c_long, arguments: &[Argument]) -> anyhow::Result<()> {
        self.rule(call, &SeccompCmpArgLen::Qword, arguments)
    }

    fn rule(
        &mut self,
        call: c_long,
        length: &SeccompCmpArgLen,
        arguments: &[Argument],
    ) -> anyhow::Result<()> {
        let condition = |(argument, is, value): &Argument| {
            SeccompCondition::new(*argument, length.clone(), is.clone(), *value)
        };
        let conditions = arguments.iter().map(condition).collect::<Result<_, _>>()?;
        self.0.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    }

    /// Allows a call if none of these bits of an argument is set.
    fn without(&mut self, call: c_long, argument: u8, bits: i64) -> anyhow::Result<()> {
        self.when(call, &[(argument, MaskedEq(bits as u64 & 0xffff_ffff), 0)])
    }

    fn one_of<T: Copy + TryInto<u64>>(
        &mut self,
        call: c_long,
        argument: u8,
        values: &[T],
    ) -> anyhow::Result<()> {
        for &value in values {
            let value = value.try_into().ok().context("a value for the filter is negative")?;
            self.when(call, &[(argument, Eq, value)])?;
        }
        Ok(())
    }
}

fn rules(access: &Access) -> anyhow::Result<Rules> {
    let mut rules = Rules(BTreeMap::new());
    rules.any(calls::HARMLESS);
    own_process(&mut rules)?;
    files(&mut rules, access)?;
    descriptors(&mut rules, access)?;
    sockets(&mut rules, access)?;
    Ok(rules)
}

/// Threads, memory, limits and signals: of this process, and of no other.
fn own_process(rules: &mut Rules) -> anyhow::Result<()> {
    // Threads and no processes, in the namespaces of this one.
    let thread = libc::CLONE_THREAD | libc::CLONE_VM;
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWCGROUP;
    let mask = (thread | namespaces).cast_unsigned();
    rules.when(libc::SYS_clone, &[(0, MaskedEq(mask.into()), thread as u64)])?;
    // Memory is written or executed, never both. Libraries are mapped from files.
    for protection in [0, libc::PROT_WRITE, libc::PROT_EXEC] {
        let both = (libc::PROT_WRITE | libc::PROT_EXEC) as u64;
        rules.when(libc::SYS_mmap, &[(2, MaskedEq(both), protection as u64)])?;
    }
    rules.without(libc::SYS_mprotect, 2, libc::PROT_EXEC.into())?;
    // Limits are read, and those of this process: its number is 0 to itself, a null pointer the new limit.
    rules.when_wide(libc::SYS_prlimit64, &[(0, MaskedEq(0xffff_ffff), 0), (2, Eq, 0)])?;
    // `abort` and the threads of the C library signal themselves.
    rules.one_of(libc::SYS_tgkill, 0, &[std::process::id()])?;
    rules.one_of(libc::SYS_prctl, 0, calls::PRCTL)
}

/// Files are opened for writing, made, renamed and removed only if there is a folder for it; Landlock says which.
fn files(rules: &mut Rules, access: &Access) -> anyhow::Result<()> {
    // O_TMPFILE is a bit of its own, and O_DIRECTORY.
    let making = libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    let refused = match (access.write.is_empty(), access.devices) {
        (false, _) => None,
        (true, true) => Some(making),
        (true, false) => Some(making | libc::O_ACCMODE),
    };
    for &(call, flags) in calls::OPEN {
        match refused {
            Some(refused) => rules.without(call, flags, refused.into())?,
            None => rules.any(&[call]),
        }
    }
    if !access.write.is_empty() {
        rules.any(calls::KEEP);
    }
    Ok(())
}

/// What is done with descriptors besides reading and writing.
fn descriptors(rules: &mut Rules, access: &Access) -> anyhow::Result<()> {
    rules.one_of(libc::SYS_fcntl, 1, calls::FCNTL)?;
    rules.one_of(libc::SYS_ioctl, 1, calls::IOCTL)?;
    if access.devices {
        rules.one_of(libc::SYS_ioctl, 1, &calls::V4L2)?;
    }
    if access.resolve {
        rules.one_of(libc::SYS_ioctl, 1, calls::INTERFACES)?;
    }
    Ok(())
}

/// Sockets of the families and protocols that the configuration needs, and no way past Landlock's ports.
fn sockets(rules: &mut Rules, access: &Access) -> anyhow::Result<()> {
    let of = |family: i32, kind: i32, protocol: i32| -> [Argument; 3] {
        // The other bits of the kind are SOCK_CLOEXEC and SOCK_NONBLOCK.
        [(0, Eq, family as u64), (1, MaskedEq(0xf), kind as u64), (2, Eq, protocol as u64)]
    };
    let mut families = Vec::new();
    if access.network() {
        for family in [libc::AF_INET, libc::AF_INET6] {
            // No MPTCP, which Landlock does not hold to ports.
            families.extend([0, libc::IPPROTO_TCP].map(|protocol| of(family, libc::SOCK_STREAM, protocol)));
            if access.resolve {
                families
                    .extend([0, libc::IPPROTO_UDP].map(|protocol| of(family, libc::SOCK_DGRAM, protocol)));
            }
        }
    }
    if access.resolve {
        // How the C library learns which addresses the machine has, to choose among the broker's.
        let kinds = [libc::SOCK_RAW, libc::SOCK_DGRAM];
        families.extend(kinds.map(|kind| of(libc::AF_NETLINK, kind, NETLINK_ROUTE)));
    }
    if access.unix_streams() {
        families.push(of(libc::AF_UNIX, libc::SOCK_STREAM, 0));
    }
    if access.supervised {
        families.push(of(libc::AF_UNIX, libc::SOCK_DGRAM, 0));
    }
    for family in &families {
        rules.when(libc::SYS_socket, family)?;
    }
    if !families.is_empty() {
        rules.any(&[libc::SYS_connect]);
    }
    if access.accept || !families.is_empty() {
        for &(level, options) in calls::SOCKET_OPTIONS {
            for &option in options {
                rules.when(libc::SYS_setsockopt, &[(1, Eq, level as u64), (2, Eq, option as u64)])?;
            }
        }
    }
    // Pairs that wake threads. Streams, because a datagram's end could be pointed at another socket.
    rules.when(libc::SYS_socketpair, &of(libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
    // With MSG_FASTOPEN a message makes a connection that Landlock does not see.
    for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        rules.without(call, flags, libc::MSG_FASTOPEN.into())?;
    }
    if access.accept {
        // On the socket that listens already. No other will: neither `listen` nor `bind` to a port is allowed.
        rules.any(&[libc::SYS_accept, libc::SYS_accept4]);
    }
    if access.resolve {
        // Only addresses of netlink are as short.
        rules.one_of(libc::SYS_bind, 2, &[size_of::<libc::sockaddr_nl>()])?;
    }
    Ok(())
}
