//! TLS against a real Mosquitto, with certificates made by the test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use emotiond::publish::Publisher;
use emotiond::publish::mqtt::{Announcement, MqttPublisher};
use emotiond::publish::settings::{ClientCertificate, MqttSettings, TlsSettings};
use tempfile::TempDir;

use support::certificates::{Authority, Validity};
use support::mosquitto::{Mosquitto, Options};
use support::{PATIENCE, log};

struct Site {
    folder: TempDir,
    authority: Authority,
}

impl Site {
    fn new() -> Self {
        log::capture();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        Self { folder, authority }
    }

    /// A broker with a certificate for `host`; if `clients` is given, it demands certificates of that authority.
    fn broker(&self, host: &str, validity: Validity, clients: Option<&Authority>) -> Mosquitto {
        let (certificate, key) = self.authority.sign(host, validity);
        let tls = Some((certificate, key, clients.map(Authority::certificate)));
        Mosquitto::start_with(&Options { tls, ..Options::default() })
    }

    fn other_authority(&self) -> Authority {
        Authority::new(self.folder.path(), "other")
    }
}

fn publisher(
    broker: &Mosquitto,
    ca_file: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
) -> MqttPublisher {
    publisher_to(broker.port(), ca_file, client)
}

fn publisher_to(port: u16, ca_file: Option<PathBuf>, client: Option<(PathBuf, PathBuf)>) -> MqttPublisher {
    let url = format!("mqtts://127.0.0.1:{port}");
    let mut settings = MqttSettings::new(url.parse().unwrap(), "hall".parse().unwrap());
    settings.retry = (Duration::from_millis(50), Duration::from_millis(200));
    settings.tls = TlsSettings {
        ca_file,
        client: client.map(|(certificate_file, key_file)| ClientCertificate { certificate_file, key_file }),
    };
    MqttPublisher::start(
        settings,
        Announcement { status: true, ..Announcement::default() },
        support::command_sink(1).0,
    )
    .unwrap()
}

/// The log line that says why there is no connection.
fn failure(publisher: &MqttPublisher) -> String {
    let line = log::line(&["ERROR", &publisher.address().to_string()]);
    assert_eq!(publisher.counters().connections, 0);
    line
}

#[test]
fn believes_its_own_authority() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, None);
    let mut publisher = publisher(&broker, Some(site.authority.certificate()), None);
    assert!(publisher.wait_connected(PATIENCE), "{}", broker.log());
    assert_eq!(publisher.close(PATIENCE).unwrap(), 0);
}

#[test]
fn believes_no_other() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, None);
    let other = site.other_authority().certificate();
    let line = failure(&publisher(&broker, Some(other.clone()), None));
    assert!(line.contains("unknown authority") && line.contains(other.to_str().unwrap()), "{line}");
}

#[test]
fn does_not_find_its_own_authority_among_the_system_s() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, None);
    let line = failure(&publisher(&broker, None, None));
    assert!(line.contains("unknown authority") && line.contains("set ca_file"), "{line}");
}

#[test]
fn believes_nothing_expired() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Past, None);
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), None));
    assert!(line.contains("has expired") && line.contains("clock"), "{line}");
}

#[test]
fn believes_nothing_of_the_future_and_suspects_the_clock() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Future, None);
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), None));
    assert!(line.contains("not valid yet") && line.contains("synchronized"), "{line}");
}

#[test]
fn believes_no_other_name() {
    let site = Site::new();
    let broker = site.broker("broker.example", Validity::Now, None);
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), None));
    assert!(line.contains("is not for \"127.0.0.1\"") && line.contains("broker.example"), "{line}");
}

/// The versions of TLS that the first message of a handshake offers, by their numbers; none if it does not list them.
fn offered(hello: &[u8]) -> Vec<u16> {
    let number = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    // Headers of record and handshake, the elder version, random bytes; then session id, ciphers, compression.
    let ciphers = 44 + usize::from(hello[43]);
    let compression = ciphers + 2 + usize::from(number(ciphers));
    let mut at = compression + 1 + usize::from(hello[compression]) + 2;
    while at + 4 <= hello.len() {
        let (extension, length) = (number(at), usize::from(number(at + 2)));
        if extension == 43 {
            return (0..usize::from(hello[at + 4]) / 2).map(|index| number(at + 5 + 2 * index)).collect();
        }
        at += 4 + length;
    }
    Vec::new()
}

#[test]
fn offers_nothing_older_than_tls_1_2() {
    let site = Site::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let publisher = publisher_to(port, Some(site.authority.certificate()), None);
    let (mut connection, _) = server.accept().unwrap();
    let mut hello = vec![0; 5];
    connection.read_exact(&mut hello).unwrap();
    hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
    connection.read_exact(&mut hello[5..]).unwrap();
    assert_eq!((hello[0], hello[5]), (22, 1), "a handshake's first message");
    let mut offered = offered(&hello);
    offered.sort_unstable();
    assert_eq!(offered, [0x0303, 0x0304], "TLS 1.2 and 1.3");
    // Who answers with TLS 1.1 all the same is refused: the record that does, with the version of its first message.
    let answer = [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    connection.write_all(&answer).unwrap();
    let mut alert = [0; 7];
    connection.read_exact(&mut alert).unwrap();
    assert_eq!((alert[0], alert[6]), (21, 70), "the alert protocol_version");
    assert_eq!(publisher.counters().connections, 0);
}

#[test]
fn shows_its_certificate() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, Some(&site.authority));
    let client = site.authority.sign("hall", Validity::Now);
    let mut publisher = publisher(&broker, Some(site.authority.certificate()), Some(client));
    assert!(publisher.wait_connected(PATIENCE), "{}", broker.log());
    assert_eq!(publisher.close(PATIENCE).unwrap(), 0);
}

#[test]
fn says_that_a_certificate_is_asked_for() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, Some(&site.authority));
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), None));
    assert!(line.contains("set client_certificate"), "{line}");
}

#[test]
fn says_that_its_certificate_is_refused() {
    let site = Site::new();
    let broker = site.broker("127.0.0.1", Validity::Now, Some(&site.authority));
    let client = site.other_authority().sign("hall", Validity::Now);
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), Some(client.clone())));
    assert!(
        line.contains("refuses the client certificate") && line.contains(client.0.to_str().unwrap()),
        "{line}"
    );
}

#[test]
fn a_wrong_scheme_is_suspected() {
    let site = Site::new();
    let broker = Mosquitto::start();
    let line = failure(&publisher(&broker, Some(site.authority.certificate()), None));
    assert!(line.contains("mqtt:// is the scheme"), "{line}");
}

#[test]
fn certificates_that_cannot_be_read_stop_the_start() {
    let site = Site::new();
    let mut settings = MqttSettings::new("mqtts://127.0.0.1:1".parse().unwrap(), "hall".parse().unwrap());
    settings.tls.ca_file = Some(site.folder.path().join("absent.pem"));
    let error = MqttPublisher::start(
        settings,
        Announcement { status: true, ..Announcement::default() },
        support::command_sink(1).0,
    )
    .err()
    .expect("refused");
    assert!(format!("{error:#}").contains("absent.pem"), "{error:#}");
}
