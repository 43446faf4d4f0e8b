//! Whether resolving the broker's name takes Unix sockets: those of Avahi, SSSD, systemd-resolved and the like.
//!
//! A filter of system calls cannot see which socket is connected to, so a process that may connect to a name service may
//! connect to a container engine too. Most names need none: the C library itself reads `/etc/hosts` and asks DNS.

use std::path::Path;

use crate::host::file;

/// Where the C library is told who resolves names.
const CONFIGURATION: &str = "/etc/nsswitch.conf";
/// The most of it that is read, in bytes; a usual one has 500.
const LARGEST: u64 = 64 * 1024;

/// Modules of the C library that resolve names without a Unix socket. Those of multicast DNS connect to Avahi, but the
/// minimal ones only for names that end in `.local`.
const WITHOUT_SOCKETS: [&str; 6] =
    ["files", "dns", "myhostname", "mdns_minimal", "mdns4_minimal", "mdns6_minimal"];

/// What this machine says of how names are resolved; empty if it says nothing.
pub(super) fn configuration() -> String {
    let bytes = file::read(Path::new(CONFIGURATION), LARGEST).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a host of this name can only be found with a Unix socket, by a machine with this `nsswitch.conf`. If in doubt,
/// it is assumed: a broker that is not found is worse than a socket that somebody inside could connect to.
pub(super) fn takes_sockets(host: &str, configuration: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let ends_in =
        |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if ends_in("localhost") {
        return false; // `/etc/hosts`
    }
    if ends_in("local") {
        return true; // multicast DNS
    }
    let lines = configuration.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    // Without such a line the C library reads `/etc/hosts` and asks DNS.
    let hosts = lines.filter_map(|line| line.split_once(':')).filter(|(what, _)| what.trim() == "hosts");
    // What stands in brackets says what follows from an answer: `[NOTFOUND=return]`.
    let mut in_brackets = false;
    hosts.flat_map(|(_, modules)| modules.split_whitespace()).any(|word| {
        in_brackets |= word.starts_with('[');
        let module = !in_brackets;
        in_brackets &= !word.ends_with(']');
        module && !WITHOUT_SOCKETS.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "passwd: files systemd\nhosts:          files dns\nnetworks: files\n";

    #[test]
    fn names_of_hosts_and_dns_take_no_socket() {
        let desktop = "# of Raspberry Pi OS\nhosts: files mdns4_minimal [NOTFOUND=return] dns # last\n";
        let spaced = "hosts: files mdns_minimal [ !UNAVAIL=return NOTFOUND=return ] myhostname dns";
        for configuration in ["", DEBIAN, desktop, spaced, "passwd: files sss\n"] {
            for host in ["broker", "broker.example.org", "mqtt.lan", "localhost", "notlocal"] {
                assert!(!takes_sockets(host, configuration), "{host} with {configuration}");
            }
        }
    }

    #[test]
    fn names_of_multicast_dns_and_of_other_services_take_one() {
        for host in ["homeassistant.local", "Broker.LOCAL.", "local"] {
            assert!(takes_sockets(host, DEBIAN), "{host}");
        }
        for configuration in [
            "hosts: files sss dns",
            "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns",
            "hosts:\tfiles mdns4 dns",
            "hosts: files [NOTFOUND=continue] wins dns",
            "hosts: files dns\nhosts: ldap",
        ] {
            assert!(takes_sockets("broker", configuration), "{configuration}");
            assert!(!takes_sockets("localhost", configuration), "{configuration}");
        }
    }
}
