//! The embedded broker against hostile clients.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::PATIENCE;
use support::daemon::Daemon;
use support::mosquitto::free_port;
use support::subscriber::Subscriber;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// CONNECT of MQTT 3.1.1 with a client id that rumqttd refuses.
const REFUSED: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03a#b";

#[test]
fn a_client_that_makes_it_panic_does_not_end_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emotiond.toml");
    let port = free_port();
    let text = format!(
        "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"replay:{PHOTO}\"\n[summary]\nwindow = \"1s\"\n\
         [mqtt]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut daemon = Daemon::run(&config);
    daemon.wait_line(&["the embedded broker listens on"]);

    // The first leaves a trace in rumqttd over which the second makes it panic.
    for _ in 0..2 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(REFUSED).unwrap();
        let hung_up = client.read(&mut [0; 16]);
        assert!(!matches!(hung_up, Ok(1..)), "it was let in");
    }
    daemon.wait_line(&["ERROR", "the embedded broker is restarted", "made it panic"]);
    daemon.line("the embedded broker listens", 1);

    // A new broker, and the same daemon, which announces itself again.
    let subscriber = Subscriber::new(port, "emotiond/hall/#");
    subscriber.message("emotiond/hall/status", |body| body == "online");
    subscriber.message("emotiond/hall/info", |_| true);
    subscriber.message("emotiond/hall/summary", |_| true);
    assert!(daemon.child.try_wait().unwrap().is_none(), "{}", daemon.log());
    daemon.signal("TERM");
    assert!(daemon.ended().success(), "{}", daemon.log());
}
