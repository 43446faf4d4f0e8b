//! Landlock: the kernel holds this process to a [`Access`], whatever user it runs as.

use std::fmt;

use anyhow::Context as _;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};

use super::Access;

/// The newest rights that are held back. Later ones are to be looked at before they are: they may be in use.
const KNOWN: ABI = ABI::V6;

/// From this version of the kernel's interface on, ports are held to.
pub(super) const NETWORK: i32 = 4;

/// Whether Landlock is in force. `Display` is a part of a line for a person.
#[derive(Debug)]
pub enum Landlock {
    /// It is, as far as this version of the kernel's interface goes (1: files; 2: renaming between folders; 3:
    /// truncation; 4: TCP ports; 5: control of devices; 6: signals and abstract sockets).
    Enforced {
        /// The version.
        abi: i32,
    },
    /// It is not, and why.
    Missing(String),
}

/// Confines this thread and those it starts from now on, and sets `no_new_privs`.
pub(super) fn enforce(reach: &Access) -> Landlock {
    for folder in &reach.write {
        if let Err(error) = std::fs::create_dir_all(folder) {
            log::warn!("{} cannot be made: {error}; nothing can be kept there", folder.display());
        }
    }
    match restrict(reach) {
        Ok(status) => status.into(),
        Err(error) => Landlock::Missing(format!("Landlock failed: {error:#}")),
    }
}

fn restrict(reach: &Access) -> anyhow::Result<RestrictionStatus> {
    let all = AccessFs::from_all(KNOWN);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // No right to execute anywhere: there is no other program to start.
    let keep = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let devices = if reach.devices { AccessFs::WriteFile | AccessFs::IoctlDev } else { BitFlags::EMPTY };
    let mut ruleset = Ruleset::default().handle_access(all)?.scope(Scope::Signal)?;
    // systemd of old listens on an abstract socket, as container managers do.
    if !std::env::var("NOTIFY_SOCKET").is_ok_and(|socket| socket.starts_with('@')) {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    ruleset = ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
    let mut created = ruleset.create()?.add_rules(path_beneath_rules(&reach.read, read))?;
    created = created.add_rules(path_beneath_rules(&reach.write, keep))?;
    if !devices.is_empty() {
        created = created.add_rules(path_beneath_rules(["/dev"], devices))?;
    }
    // No port may be bound: what listens does so already.
    for &port in &reach.connect {
        created = created.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    created.restrict_self().context("the kernel refused")
}

impl From<RestrictionStatus> for Landlock {
    fn from(status: RestrictionStatus) -> Self {
        match (status.ruleset, status.landlock) {
            (
                RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
                LandlockStatus::Available { effective_abi, .. },
            ) => Self::Enforced { abi: effective_abi as i32 },
            (_, LandlockStatus::NotEnabled) => Self::Missing(
                "Landlock is switched off in this kernel: boot with landlock in lsm=, as /sys/kernel/security/lsm lists them"
                    .to_owned(),
            ),
            _ => Self::Missing("this kernel has no Landlock, or a filter of system calls hides it".to_owned()),
        }
    }
}

impl fmt::Display for Landlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abi = match self {
            Self::Enforced { abi } => *abi,
            Self::Missing(why) => return write!(f, "{why}; the systemd unit alone holds the daemon's files"),
        };
        write!(f, "Landlock {abi} (files")?;
        for (since, what) in [(NETWORK, "TCP ports"), (5, "devices"), (6, "signals")] {
            if abi >= since {
                write!(f, ", {what}")?;
            }
        }
        f.write_str(")")
    }
}
