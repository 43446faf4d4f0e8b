//! A filter of system calls that emotiond never needs: those that start or look into other programs, those whose data no
//! observer sees, and those that change the machine.
//!
//! A list of what is forbidden and not of what is allowed: the C library and TensorFlow Lite change what they call from
//! one release to the next, and a filter that ends the daemon after an upgrade would be switched off. The unit's
//! `SystemCallFilter=` lists what is allowed, from outside, where systemd keeps the list.

use anyhow::Context as _;
use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Never called. By group, with the reason.
#[rustfmt::skip]
const FORBIDDEN: &[c_long] = &[
    // No other program is started, and none is looked into.
    libc::SYS_execve, libc::SYS_execveat,
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd, libc::SYS_kcmp,
    // Ways for data to leave that show neither in this filter nor in a trace of the process.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_splice, libc::SYS_tee, libc::SYS_vmsplice,
    // Memory and messages that other processes share, and that outlive this one.
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_msgget, libc::SYS_semget, libc::SYS_mq_open,
    // Parts of the kernel with a history of holes.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd,
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    // Another view of the file system, or a way around paths.
    libc::SYS_unshare, libc::SYS_setns, libc::SYS_chroot, libc::SYS_pivot_root,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_mount_setattr, libc::SYS_move_mount, libc::SYS_open_tree,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at,
    // The machine: modules, clock, name, power, swap.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_reboot,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex,
    libc::SYS_sethostname, libc::SYS_setdomainname,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl,
];

/// Families of sockets that are in use: the supervisor and name services, the broker, addresses of the machine.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Lets this thread and those it starts from now on get `EPERM` for what is forbidden, and sets `no_new_privs`.
pub(super) fn forbid() -> anyhow::Result<()> {
    let program = program().context("the filter cannot be made")?;
    apply_filter(&program).context("the kernel refused the filter")
}

fn program() -> anyhow::Result<BpfProgram> {
    let other_families = FAMILIES
        .iter()
        .map(|&family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family as u64))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rules: std::collections::BTreeMap<_, _> =
        FORBIDDEN.iter().map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other_families)?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        // An error and not the end: a library that tries and does without goes on.
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    Ok(filter.try_into()?)
}
