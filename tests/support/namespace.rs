//! A network namespace with a cable to this one, made by the test.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

/// A namespace and a pair of virtual interfaces between it and ours. Removed when dropped.
pub struct Namespace {
    name: String,
    /// Our end of the cable.
    near: String,
    number: u8,
}

impl Namespace {
    /// Makes one. `None`, with a line that says why, where that is not allowed.
    pub fn new() -> Option<Self> {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let id = std::process::id();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (name, near, far) = (format!("emotiond-{id}-{number}"), format!("ed{id}-{number}"), "cable");
        if let Err(error) = ip(&["netns", "add", &name]) {
            // Not `eprintln`, which the test harness would keep to itself.
            let line = format!("skipped: no network namespace can be made here (it needs root): {error}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let namespace = Self { name, near, number };
        let (near, name) = (&*namespace.near, &*namespace.name);
        let near_address = format!("{}/30", namespace.near_address());
        let far_address = format!("{}/30", namespace.far_address());
        for arguments in [
            &["link", "add", near, "type", "veth", "peer", "name", far, "netns", name][..],
            &["address", "add", &near_address, "dev", near],
            &["link", "set", near, "up"],
            &["-n", name, "address", "add", &far_address, "dev", far],
            &["-n", name, "link", "set", far, "up"],
        ] {
            ip(arguments).unwrap();
        }
        Some(namespace)
    }

    /// Our address as seen from the namespace.
    pub fn near_address(&self) -> Ipv4Addr {
        self.address(1)
    }

    fn far_address(&self) -> Ipv4Addr {
        self.address(2)
    }

    /// Two programs of tests may run at a time.
    fn address(&self, end: u8) -> Ipv4Addr {
        Ipv4Addr::new(169, 254, (1 + std::process::id() % 254) as u8, 4 * self.number + end)
    }

    /// The same command inside.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = enter(&self.name);
        inside.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(key, value),
                None => inside.env_remove(key),
            };
        }
        inside
    }

    /// Pulls or plugs the cable.
    pub fn plug(&self, plugged: bool) {
        ip(&["link", "set", &self.near, if plugged { "up" } else { "down" }]).unwrap();
    }

    /// Makes every packet vanish without a word, as a dead router or a firewall does, or lets them through again. Each
    /// end sends to an Ethernet address that nobody has.
    pub fn swallow(&self, swallow: bool) {
        let (near, far) = (self.near_address().to_string(), self.far_address().to_string());
        for (namespace, device, address) in [(None, &*self.near, &*far), (Some(&*self.name), "cable", &*near)]
        {
            let mut arguments = namespace.map_or(Vec::new(), |name| vec!["-n", name]);
            if swallow {
                arguments.extend(["neighbor", "replace", address, "lladdr", "02:00:00:00:00:99"]);
                arguments.extend(["dev", device, "nud", "permanent"]);
            } else {
                arguments.extend(["neighbor", "del", address, "dev", device]);
            }
            ip(&arguments).unwrap();
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone_with_the_namespace = ip(&["link", "del", &self.near]);
        let _gone_before = ip(&["netns", "del", &self.name]);
    }
}

/// A command that starts another in a namespace. Not `ip netns exec` nor `ip -n`: they make mounts anew, which a root
/// folder that is no mount point, as in a chroot, does not allow.
fn enter(namespace: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}"));
    command
}

/// `ip`, in another namespace after `-n` and its name.
fn ip(arguments: &[&str]) -> Result<(), String> {
    let mut command = match arguments {
        ["-n", namespace, rest @ ..] => {
            let mut command = enter(namespace);
            command.arg("ip").args(rest);
            command
        }
        _ => {
            let mut command = Command::new("ip");
            command.args(arguments);
            command
        }
    };
    let output = command.output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
