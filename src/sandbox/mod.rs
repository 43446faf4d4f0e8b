//! What the process gives up of itself, so that no picture can leave it through the back door and nobody who takes it
//! over gets further than it does.
//!
//! Argued in `docs/decisions/0004-confinement.md`. The systemd unit says much of it once more from the outside.

mod access;
mod calls;
mod landlock;
mod names;
mod syscalls;

use std::fmt;
use std::io;

use anyhow::Context as _;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

pub use access::Access;
pub use landlock::Landlock;

/// Makes the memory of this process unreadable from outside: no core dump, on disk or through a crash handler, and
/// no debugger of the same user.
///
/// # Errors
/// If the kernel refuses, which no kernel should.
pub fn forbid_dumps() -> anyhow::Result<()> {
    // A pipe in core_pattern (systemd-coredump, apport) is limited by dumpability, not by the resource limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("failed to make the process undumpable")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .context("failed to set the limit of core dumps to 0")
}

/// What [`confine`] has achieved on this machine. `Display` is one line for a person.
#[derive(Debug)]
pub struct Confinement {
    /// What may still be reached.
    reach: Access,
    landlock: Landlock,
    filter: Result<(), String>,
    memory: Memory,
}

/// Whether memory can be swapped out to a disk.
#[derive(Debug)]
enum Memory {
    Locked,
    /// `RLIMIT_MEMLOCK` in bytes. A limit would make the allocation that reaches it fail, which ends the process.
    Limited(u64),
    Refused(io::Error),
}

/// Gives up everything beyond `reach`, for good: Landlock, a filter of system calls, no new privileges, memory that is
/// not swapped. What the kernel does not know is left out and told by the result.
///
/// Only this thread and those it starts from now on are confined: to be called before any other thread is.
#[must_use]
pub fn confine(reach: Access) -> Confinement {
    let landlock = landlock::enforce(&reach);
    let memory = lock_memory();
    // Last: it allows none of the calls of the other two.
    let filter = syscalls::allow(&reach).map_err(|error| format!("{error:#}"));
    Confinement { reach, landlock, filter, memory }
}

impl Confinement {
    /// Whether every part of it is in force, on this kernel's terms.
    #[must_use]
    pub fn complete(&self) -> bool {
        matches!(self.landlock, Landlock::Enforced { .. }) && self.filter.is_ok()
    }

    /// What `wanted` needs that has been given up; a restart alone can bring it back.
    #[must_use]
    pub fn objection(&self, wanted: &Access) -> Option<String> {
        let beyond = match self.landlock {
            Landlock::Enforced { abi } => self.reach.beyond(wanted, abi >= landlock::NETWORK),
            Landlock::Missing(_) => None,
        };
        let filtered = || self.reach.beyond_filter(wanted).filter(|_| self.filter.is_ok());
        beyond.or_else(filtered).map(|what| {
            format!(
                "{what} is out of reach of the running process, which confined itself at its start: restart emotiond \
                 (systemctl restart emotiond)"
            )
        })
    }

    /// Says in the log what is in force.
    pub fn log(&self) {
        if self.complete() { log::info!("confined: {self}") } else { log::warn!("confined in part: {self}") }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.landlock)?;
        match &self.filter {
            Ok(()) => write!(f, "; system calls filtered")?,
            Err(error) => write!(f, "; system calls not filtered ({error})")?,
        }
        match &self.memory {
            Memory::Locked => write!(f, "; memory never swapped")?,
            Memory::Limited(bytes) => {
                write!(f, "; memory may be swapped (its lock is limited to {} KiB)", bytes >> 10)?;
            }
            Memory::Refused(error) => write!(f, "; memory may be swapped ({error})")?,
        }
        if self.filter.is_ok() {
            write!(
                f,
                "; refused because this configuration needs none: {}",
                self.reach.refused().join(", ")
            )?;
        }
        Ok(())
    }
}

fn lock_memory() -> Memory {
    if let Some(bytes) = getrlimit(Resource::Memlock).current {
        return Memory::Limited(bytes);
    }
    // As pages come into use: locking whole thread stacks and arenas would multiply the memory taken.
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => Memory::Locked,
        Err(error) => Memory::Refused(error.into()),
    }
}
