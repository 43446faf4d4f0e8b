//! What the process gives up of itself, so that no picture can leave it through the back door.

use anyhow::Context as _;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the memory of this process unreadable from outside: no core dump, on disk or through a crash handler, and
/// no debugger of the same user. The systemd unit says the same once more from the outside.
///
/// # Errors
/// If the kernel refuses, which no kernel should.
pub fn forbid_dumps() -> anyhow::Result<()> {
    // A pipe in core_pattern (systemd-coredump, apport) is limited by dumpability, not by the resource limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("failed to make the process undumpable")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .context("failed to set the limit of core dumps to 0")
}
