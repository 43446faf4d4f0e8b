//! A client that speaks MQTT badly on purpose: raw bytes on a socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A raw connection to the loopback.
pub struct Hostile {
    pub stream: TcpStream,
}

impl Hostile {
    /// Connects without a word.
    pub fn silent(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The broker may stop reading: then the attacker has to notice.
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self { stream }
    }

    /// Connects and sends CONNECT; the answer is not waited for.
    pub fn client(port: u16, client_id: &str) -> Self {
        let mut client = Self::silent(port);
        client.send(&connect(client_id));
        client
    }

    /// Sends bytes; false if the broker has closed the connection or does not read.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Whether the broker has closed the connection, or does so within a second; what it says before is skipped.
    pub fn closed(&mut self) -> bool {
        let mut skipped = [0; 4096];
        for _ in 0..5 {
            match self.stream.read(&mut skipped) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// CONNECT of MQTT 3.1.1 with a keep-alive of a minute.
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
    text(&mut body, client_id);
    packet(0x10, &body)
}

/// PUBLISH at QoS 0.
pub fn publish(topic: &str, retain: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    body.extend(payload);
    packet(0x30 | u8::from(retain), &body)
}

/// SUBSCRIBE at QoS 1.
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    text(&mut body, filter);
    body.push(1);
    packet(0x82, &body)
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    while length >= 128 {
        packet.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}

/// Malformed variants of good packets, always the same ones: bytes changed, cut off, put in, and lengths that lie.
pub fn malformed(count: usize) -> Vec<Vec<u8>> {
    let good = [
        connect("attacker"),
        publish("emotiond/hall/pause/set", true, b"ON"),
        subscribe("emotiond/#"),
        b"\x10\x27\x00\x04MQTT\x04\xce\x00\x0a\x00\x04test\x00\x02/a\x00\x07offline\x00\x04rumq\x00\x02mq"
            .to_vec(),
        b"\xa2\x07\x00\x01\x00\x03a/#".to_vec(),
        b"\x34\x09\x00\x03a/b\x00\x05ON".to_vec(),
        b"\x62\x02\x00\x05".to_vec(),
        b"\x40\x02\x00\x05".to_vec(),
    ];
    let mut random = fastrand::Rng::with_seed(147);
    (0..count)
        .map(|number| {
            let mut bytes = good[number % good.len()].clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(0..bytes.len());
                match random.u8(0..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.insert(at, random.u8(..)),
                    _ => bytes[1.min(at)] = random.u8(..),
                }
            }
            bytes
        })
        .collect()
}
