//! Brokers that announce themselves on the local network: one question by multicast DNS (RFC 6762, from a port of our own,
//! so that answers come to us alone), for services named after RFC 6763.
//!
//! Anybody on the network may answer anything. What comes is bounded, only host names and addresses are taken of it, and
//! nothing is sent to a broker that nobody has chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

/// Where multicast DNS is asked.
pub const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);

/// The services, and whether they are encrypted.
const SERVICES: [(&str, bool); 2] = [("_mqtt._tcp.local", false), ("_secure-mqtt._tcp.local", true)];
/// The most brokers that are offered, answers that are read, and records that are read of one.
const MOST_BROKERS: usize = 8;
const MOST_ANSWERS: usize = 64;
const MOST_RECORDS: usize = 64;
/// The most addresses of this machine that it is asked from: each takes a thread.
const MOST_ADDRESSES: usize = 16;
/// The longest name in letters, and the most jumps within one.
const LONGEST: usize = 255;
const MOST_JUMPS: usize = 16;

const A: u16 = 1;
const PTR: u16 = 12;
const SRV: u16 = 33;
const INTERNET: u16 = 1;

/// A broker that announces itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AnnouncedBroker {
    /// Its address in the configuration, `mqtt://host:port`.
    pub url: String,
}

/// What answers have said so far.
#[derive(Default)]
struct Known {
    /// Instances of a service, with whether it is encrypted.
    instances: BTreeMap<String, bool>,
    /// Hosts and ports by instance.
    places: BTreeMap<String, (String, u16)>,
    /// Addresses by host.
    addresses: BTreeMap<String, Ipv4Addr>,
}

/// Asks `group` from each of these addresses at once and collects what is answered within a time. A question from an
/// address goes out to its network, whatever the routes say; without one, only where the default route leads.
pub fn brokers(group: SocketAddr, from: &[Ipv4Addr], within: Duration) -> Vec<AnnouncedBroker> {
    let resolves = |host: &str| (host, 1883).to_socket_addrs().is_ok_and(|mut found| found.next().is_some());
    let asked = |address| {
        let mut known = Known::default();
        if let Err(error) = ask(group, address, within, &mut known) {
            log::debug!("no answer by multicast DNS to {address}: {error}");
        }
        known.brokers(resolves)
    };
    let found: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = from.iter().map(|address| scope.spawn(|| asked(*address))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    found.into_iter().take(MOST_BROKERS).collect()
}

/// The addresses of this machine from which its networks are asked: those that are not the loopback's, or that one if
/// there are no others, or any if the system does not say.
pub fn addresses() -> Vec<Ipv4Addr> {
    addresses_in(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default())
}

fn addresses_in(trie: &str) -> Vec<Ipv4Addr> {
    // An address, and on the next line what it is.
    let lines = trie.lines().zip(trie.lines().skip(1)).filter(|(_, kind)| kind.trim() == "/32 host LOCAL");
    let local = lines.filter_map(|(address, _)| address.trim().strip_prefix("|-- ")?.parse().ok());
    let (loopback, others): (BTreeSet<Ipv4Addr>, BTreeSet<_>) = local.partition(Ipv4Addr::is_loopback);
    let chosen = if others.is_empty() { loopback } else { others };
    if chosen.is_empty() {
        return vec![Ipv4Addr::UNSPECIFIED];
    }
    chosen.into_iter().take(MOST_ADDRESSES).collect()
}

fn ask(group: SocketAddr, from: Ipv4Addr, within: Duration, known: &mut Known) -> std::io::Result<()> {
    let socket = UdpSocket::bind((from, 0))?;
    let id = fastrand::u16(..);
    for (service, _) in SERVICES {
        socket.send_to(&question(id, service, PTR), group)?;
    }
    let deadline = Instant::now() + within;
    let mut asked = BTreeSet::new();
    let mut packet = [0; 9000];
    for _ in 0..MOST_ANSWERS {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let Ok((length, _)) = socket.recv_from(&mut packet) else { continue };
        known.read(&packet[..length], id);
        // Some say where an instance is only when they are asked for it.
        let open = known.instances.keys().filter(|instance| !known.places.contains_key(*instance));
        for instance in open.cloned().collect::<Vec<_>>() {
            if asked.insert(instance.clone()) {
                socket.send_to(&question(id, &instance, SRV), group)?;
            }
        }
    }
    Ok(())
}

fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = Vec::with_capacity(64);
    packet.extend(id.to_be_bytes());
    // A question of one record, nothing else.
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(label.len().min(63) as u8);
        packet.extend(label.bytes().take(63));
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(INTERNET.to_be_bytes());
    packet
}

impl Known {
    /// Takes in what a packet answers; one that is cut or malformed counts as far as it can be read.
    fn read(&mut self, packet: &[u8], id: u16) {
        let _cut = self.records(packet, id);
    }

    fn records(&mut self, packet: &[u8], id: u16) -> Option<()> {
        let word = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        // Answers have the number of the question, and a bit that says that they are one.
        if word(0)? != id || word(2)? & 0x8000 == 0 {
            return None;
        }
        let questions = usize::from(word(4)?).min(MOST_RECORDS);
        let records = usize::from(word(6)?) + usize::from(word(8)?) + usize::from(word(10)?);
        let mut at = 12;
        for _ in 0..questions {
            at = name(packet, at)?.1 + 4;
        }
        for _ in 0..records.min(MOST_RECORDS) {
            let (owner, after) = name(packet, at)?;
            let (kind, length) = (word(after)?, usize::from(word(after + 8)?));
            let data = after + 10;
            at = data + length;
            packet.get(data..at)?;
            match kind {
                PTR => {
                    let service = SERVICES.into_iter().find(|(service, _)| *service == owner);
                    if let (Some((_, tls)), true) = (service, self.instances.len() < MOST_BROKERS) {
                        self.instances.insert(name(packet, data)?.0, tls);
                    }
                }
                SRV if self.places.len() < MOST_RECORDS => {
                    let (port, host) = (word(data + 4)?, name(packet, data + 6)?.0);
                    if port != 0 && is_host(&host) {
                        self.places.insert(owner, (host, port));
                    }
                }
                A if length == 4 && self.addresses.len() < MOST_RECORDS => {
                    let bytes: [u8; 4] = packet[data..at].try_into().ok()?;
                    self.addresses.insert(owner, bytes.into());
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Those of which a place is known: by name if this machine can resolve it, since addresses change.
    fn brokers(&self, resolves: impl Fn(&str) -> bool) -> Vec<AnnouncedBroker> {
        let of = |(instance, tls): (&String, &bool)| {
            let (host, port) = self.places.get(instance)?;
            let scheme = if *tls { "mqtts" } else { "mqtt" };
            let host = if resolves(host) { host.clone() } else { self.addresses.get(host)?.to_string() };
            Some(AnnouncedBroker { url: format!("{scheme}://{host}:{port}") })
        };
        let found: BTreeSet<_> = self.instances.iter().filter_map(of).collect();
        found.into_iter().collect()
    }
}

/// A name at a place in the packet, in lower case, and where what follows it begins. `None` if it is malformed.
fn name(packet: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut after, mut jumps) = (String::new(), start, None, 0);
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((text.to_lowercase(), after.unwrap_or(at + 1))),
            0xc0.. => {
                jumps += 1;
                if jumps > MOST_JUMPS {
                    return None;
                }
                after = after.or(Some(at + 2));
                at = (length & 0x3f) << 8 | usize::from(*packet.get(at + 1)?);
            }
            1..=63 => {
                let label = packet.get(at + 1..at + 1 + length)?;
                if !text.is_empty() {
                    text.push('.');
                }
                text += &String::from_utf8_lossy(label);
                if text.len() > LONGEST {
                    return None;
                }
                at += 1 + length;
            }
            _ => return None,
        }
    }
}

/// Whether a name may be a host's: nothing else goes into a configuration.
fn is_host(name: &str) -> bool {
    let good = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(name: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            name.split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).collect();
        bytes.push(0);
        bytes
    }

    fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let head =
            [&kind.to_be_bytes()[..], &[0x80, 1, 0, 0, 0, 120], &(data.len() as u16).to_be_bytes()].concat();
        [owner, &head, data].concat()
    }

    fn answer(id: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let count = (records.len() as u16).to_be_bytes();
        let head = [&id.to_be_bytes()[..], &[0x84, 0, 0, 0], &count, &[0, 0, 0, 0]].concat();
        [head, records.concat()].concat()
    }

    /// What Avahi says of a Mosquitto: the instance's name ends in a jump to the service's.
    fn mosquitto(id: u16, host: &str) -> Vec<u8> {
        let service = labels("_mqtt._tcp.local");
        let instance = [&[9][..], b"Mosquitto", &[0xc0, 12]].concat();
        let srv = [&[0, 0, 0, 0][..], &1883_u16.to_be_bytes(), &labels(host)].concat();
        let owner = labels("Mosquitto._mqtt._tcp.local");
        answer(
            id,
            &[
                record(&service, PTR, &instance),
                record(&owner, SRV, &srv),
                record(&labels(host), A, &[192, 0, 2, 7]),
            ],
        )
    }

    fn urls(packet: &[u8], resolves: bool) -> Vec<String> {
        let mut known = Known::default();
        known.read(packet, 7);
        known.brokers(|_| resolves).into_iter().map(|broker| broker.url).collect()
    }

    #[test]
    fn a_broker_is_named_by_what_this_machine_can_reach() {
        let packet = mosquitto(7, "Pi.local");
        assert_eq!(urls(&packet, true), ["mqtt://pi.local:1883"]);
        assert_eq!(urls(&packet, false), ["mqtt://192.0.2.7:1883"]);
        assert!(urls(&mosquitto(8, "pi.local"), true).is_empty(), "the answer to another question");
        for cut in 0..packet.len() {
            assert!(urls(&packet[..cut], true).len() <= 1);
        }
    }

    #[test]
    fn only_hosts_come_out_of_it() {
        for host in ["pi\u{1b}[2J.local", "a b.local", "pi/x", "\"x"] {
            assert!(urls(&mosquitto(7, host), true).is_empty(), "{host:?}");
        }
        // A name that jumps to itself.
        let looped = answer(7, &[record(&[0xc0, 12], PTR, &[0xc0, 12])]);
        assert!(urls(&looped, true).is_empty());
        let many: Vec<_> = (0..500)
            .flat_map(|n| {
                let instance = labels(&format!("b{n}._mqtt._tcp.local"));
                let srv = [&[0, 0, 0, 0, 7, 91][..], &labels(&format!("h{n}.local"))].concat();
                [record(&labels("_mqtt._tcp.local"), PTR, &instance), record(&instance, SRV, &srv)]
            })
            .collect();
        assert_eq!(urls(&answer(7, &many), true).len(), MOST_BROKERS);
    }

    #[test]
    fn every_network_of_the_machine_is_asked() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 10.0.0.2\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        let loopback =
            "     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let both =
            format!("{trie}{loopback}Local:\n{loopback}     |-- 192.0.2.1\n        /32 host LOCAL\n{trie}");
        assert_eq!(addresses_in(&both), [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(192, 0, 2, 1)]);
        assert_eq!(addresses_in(loopback), [Ipv4Addr::LOCALHOST]);
        assert_eq!(addresses_in("?"), [Ipv4Addr::UNSPECIFIED]);
        assert!(addresses().len() <= MOST_ADDRESSES && !addresses().is_empty());
    }

    #[test]
    fn a_responder_is_asked_and_heard() {
        let responder = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = responder.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 512];
            let mut asked = Vec::new();
            // The two services, then where the instance is.
            for _ in 0..3 {
                let (length, from) = responder.recv_from(&mut packet).unwrap();
                let id = u16::from_be_bytes([packet[0], packet[1]]);
                let (name, after) = name(&packet[..length], 12).unwrap();
                let service = labels("_mqtt._tcp.local");
                let instance = labels("broker._mqtt._tcp.local");
                let reply = match u16::from_be_bytes([packet[after], packet[after + 1]]) {
                    SRV => record(&instance, SRV, &[&[0, 0, 0, 0, 7, 91][..], &labels("localhost")].concat()),
                    _ if name == "_mqtt._tcp.local" => record(&service, PTR, &instance),
                    _ => record(&labels("other.local"), A, &[1, 2, 3, 4]),
                };
                asked.push(name);
                responder.send_to(&answer(id, &[reply]), from).unwrap();
            }
            asked
        });
        let found = brokers(address, &[Ipv4Addr::LOCALHOST], Duration::from_secs(2));
        assert_eq!(found, [AnnouncedBroker { url: "mqtt://localhost:1883".to_owned() }]);
        assert_eq!(
            thread.join().unwrap(),
            ["_mqtt._tcp.local", "_secure-mqtt._tcp.local", "broker._mqtt._tcp.local"]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_in_bounds(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), change in any::<(u8, u8)>()) {
            let mut packet = mosquitto(7, "pi.local");
            let place = usize::from(change.0) % packet.len();
            packet[place] = change.1;
            for url in urls(&packet, true) {
                prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            if bytes.len() > 3 {
                bytes[..4].copy_from_slice(&[0, 7, 0x84, 0]);
            }
            urls(&bytes, true);
        }
    }
}
