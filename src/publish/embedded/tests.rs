use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::*;

fn settings(listen: SocketAddr, credentials: Option<Credentials>) -> EmbeddedSettings {
    EmbeddedSettings {
        listen,
        listener: None,
        credentials,
        device: "hall".parse().unwrap(),
        commands: true,
        birth_topic: None,
        topics: Vec::new(),
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn open_to_the_network_only_with_credentials() {
    let error = EmbeddedBroker::start(settings("0.0.0.0:0".parse().unwrap(), None)).unwrap_err();
    assert!(error.to_string().contains("password_file"), "{error:#}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = EmbeddedBroker::start(settings(listen, None)).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains(&listen.to_string()) && error.contains("in use"), "{error}");
}

#[test]
fn ends_and_frees_its_port() {
    let credentials = Credentials { username: "a".into(), password: Password::new("b".into()) };
    let broker = EmbeddedBroker::start(settings(loopback(), Some(credentials))).unwrap();
    let listen = broker.listen;
    let _client = TcpStream::connect(listen).unwrap();
    drop(broker);
    assert!(TcpStream::connect(listen).is_err());
    // At once again, as after a reload, although connections have just been closed.
    EmbeddedBroker::start(settings(listen, None)).unwrap();
}

/// Sends bytes and gives what comes back until so many bytes or the end of the stream.
fn exchange(stream: &mut TcpStream, bytes: &[u8], count: usize) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match stream.read(&mut answer[filled..]).unwrap() {
            0 => break,
            more => filled += more,
        }
    }
    answer.truncate(filled);
    answer
}

/// CONNECT with a client id, without a password.
fn connect(client_id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, (12 + client_id.len()) as u8];
    packet.extend(b"\x00\x04MQTT\x04\x02\x00\x3c\x00");
    packet.push(client_id.len() as u8);
    packet.extend(client_id.as_bytes());
    packet
}

#[test]
fn answers_as_the_standard_says() {
    let broker = EmbeddedBroker::start(settings(loopback(), None)).unwrap();
    let mut client = TcpStream::connect(broker.listen).unwrap();
    assert_eq!(exchange(&mut client, &connect("a#b"), 4), [0x20, 2, 0, 0], "no session is ever present");
    // Ping; subscribe at 2, which is granted as 1, and to what is no filter; unsubscribe.
    assert_eq!(exchange(&mut client, b"\xc0\x00", 2), [0xd0, 0]);
    let subscribe = b"\x82\x0c\x00\x07\x00\x03a/#\x02\x00\x01#\x00";
    assert_eq!(exchange(&mut client, subscribe, 6), [0x90, 4, 0, 7, 1, 0]);
    assert_eq!(exchange(&mut client, b"\x82\x07\x00\x08\x00\x02a#\x00", 5), [0x90, 3, 0, 8, 0x80]);
    // A command at QoS 2 comes once although it is sent twice, and at QoS 1.
    let command = b"\x34\x1d\x00\x17emotiond/hall/pause/set\x00\x05ON";
    assert_eq!(exchange(&mut client, command, 4)[..4], [0x50, 2, 0, 5]);
    let delivered = exchange(&mut client, b"", 29);
    assert_eq!(delivered, [b"\x30\x1b\x00\x17emotiond/hall/pause/set", &b"ON"[..]].concat());
    assert_eq!(exchange(&mut client, command, 4), [0x50, 2, 0, 5]);
    assert_eq!(exchange(&mut client, b"\x62\x02\x00\x05", 4), [0x70, 2, 0, 5]);
    // The same client id again: the first connection ends.
    let mut second = TcpStream::connect(broker.listen).unwrap();
    assert_eq!(exchange(&mut second, &connect("a#b"), 4), [0x20, 2, 0, 0]);
    assert!(exchange(&mut client, b"", 1).is_empty());
    // Another version of the protocol is told so.
    let mut newer = TcpStream::connect(broker.listen).unwrap();
    let version5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00";
    assert_eq!(exchange(&mut newer, version5, 9), [0x20, 3, 0, 0x84, 0]);
}

#[test]
fn a_wrong_password_is_refused_with_a_code() {
    let credentials = Credentials { username: "a".into(), password: Password::new("b".into()) };
    let broker = EmbeddedBroker::start(settings(loopback(), Some(credentials))).unwrap();
    let mut client = TcpStream::connect(broker.listen).unwrap();
    assert_eq!(exchange(&mut client, &connect("x"), 9), [0x20, 2, 0, 4]);
    let mut client = TcpStream::connect(broker.listen).unwrap();
    let right = b"\x10\x12\x00\x04MQTT\x04\xc2\x00\x3c\x00\x00\x00\x01a\x00\x01b";
    assert_eq!(exchange(&mut client, right, 4), [0x20, 2, 0, 0]);
}

/// What the broker has sent within the time, of which a client that is served gets something.
fn heard(client: &mut TcpStream, within: Duration) -> Vec<u8> {
    client.set_read_timeout(Some(within)).unwrap();
    let mut bytes = [0; 4096];
    let read = client.read(&mut bytes).unwrap_or(0);
    bytes[..read].to_vec()
}

#[test]
fn a_client_that_is_silent_beyond_its_keep_alive_is_disconnected() {
    let broker = EmbeddedBroker::start(settings(loopback(), None)).unwrap();
    let connect = |seconds: u8| {
        let mut client = TcpStream::connect(broker.listen).unwrap();
        let connect =
            [b"\x10\x0d\x00\x04MQTT\x04\x02\x00".as_slice(), &[seconds], b"\x00\x01", &[b'a' + seconds]];
        assert_eq!(exchange(&mut client, &connect.concat(), 4), [0x20, 2, 0, 0]);
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    };
    let (mut silent, mut patient) = (connect(1), connect(20));
    let begin = std::time::Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0, "it is closed");
    let taken = begin.elapsed();
    // One and a half times the keep-alive, as the standard says.
    assert!(taken >= Duration::from_millis(1400) && taken < Duration::from_secs(15), "{taken:?}");
    assert_eq!(exchange(&mut patient, b"\xc0\x00", 2), [0xd0, 0], "the other goes on");
}

#[test]
fn a_client_may_publish_what_is_its_own_to_say_and_nothing_else() {
    let settings = EmbeddedSettings {
        birth_topic: Some("homeassistant/status".into()),
        topics: vec!["kitchen/#".into()],
        ..settings(loopback(), None)
    };
    let publish = |topic: &str| {
        let mut packet = vec![0x33, topic.len() as u8 + 5, 0, topic.len() as u8];
        packet.extend(topic.as_bytes());
        packet.extend([0, 1, b'x']);
        packet
    };
    for (commands, allowed) in [
        (
            true,
            ["emotiond/hall/pause/set", "emotiond/hall/request/info", "homeassistant/status", "kitchen/a/b"]
                .as_slice(),
        ),
        (false, &["homeassistant/status", "kitchen/a/b"]),
    ] {
        let broker = EmbeddedBroker::start(EmbeddedSettings { commands, ..settings.clone() }).unwrap();
        let mut subscriber = TcpStream::connect(broker.listen).unwrap();
        let subscribe = [connect("sub").as_slice(), b"\x82\x06\x00\x01\x00\x01#\x00"].concat();
        assert_eq!(exchange(&mut subscriber, &subscribe, 9), [0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]);
        let mut client = TcpStream::connect(broker.listen).unwrap();
        assert_eq!(exchange(&mut client, &connect("pub"), 4), [0x20, 2, 0, 0]);
        for topic in [
            "emotiond/hall/pause/set",
            "emotiond/hall/request/info",
            "homeassistant/status",
            "kitchen/a/b",
            "emotiond/hall/status",
            "emotiond/hall/summary",
            "emotiond/hall/request/a/b",
            "emotiond/garden/pause/set",
            "kitchens",
            "$SYS/x",
        ] {
            // Acknowledged in any case: MQTT 3.1.1 has no other answer than to close the connection.
            assert_eq!(exchange(&mut client, &publish(topic), 4), [0x40, 2, 0, 1], "{topic}");
            let sent = heard(
                &mut subscriber,
                Duration::from_millis(if allowed.contains(&topic) { 5000 } else { 100 }),
            );
            let named = sent.windows(topic.len()).any(|part| part == topic.as_bytes());
            assert_eq!(named, allowed.contains(&topic), "commands {commands}, {topic}: {sent:?}");
        }
    }
}
