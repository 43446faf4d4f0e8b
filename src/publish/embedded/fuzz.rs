//! Hostile clients without sockets: bytes become packets and what the hub makes of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::hub::{Close, Hub, SessionId};
use super::limits::{
    INFLIGHT, LARGEST_CONNECT, LARGEST_PACKET, OUTPUT, QUEUE_BYTES, RETAINED_BYTES, SESSIONS,
};
use super::packet::{Packet, frame, read, write_publish};
use super::rights::Rights;
use crate::publish::settings::{Credentials, Password};

/// One packet of a client: what is read says the same when it is written and read again.
///
/// # Panics
/// Over a packet that is not what it was written as.
pub fn packet(bytes: &[u8]) {
    let Ok(Some(length)) = frame(bytes, LARGEST_PACKET) else { return };
    assert!((2..=bytes.len().min(LARGEST_PACKET)).contains(&length));
    match read(&bytes[..length]) {
        Ok(Packet::Publish(publish)) => {
            let mut written = Vec::new();
            write_publish(&mut written, &publish);
            assert_eq!(frame(&written, LARGEST_PACKET), Ok(Some(written.len())));
            assert_eq!(read(&written), Ok(Packet::Publish(publish)));
        }
        Ok(Packet::Connect(connect)) => {
            let will = connect.will.map_or(0, |will| will.topic.len() + will.payload.len());
            assert!(connect.client_id.len() + will < length);
        }
        Ok(Packet::Subscribe(_, filters)) => assert!(!filters.is_empty() && filters.len() * 3 < length),
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A client and what it has sent and not read.
struct Peer {
    session: Option<SessionId>,
    address: IpAddr,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Peer {
    fn new(host: u8) -> Self {
        Self {
            session: None,
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// As [`super::connection`] does it: whole packets are handled while the output has room and the client may send.
    fn send(&mut self, hub: &mut Hub, bytes: &[u8], now: Instant) {
        self.input.extend_from_slice(bytes);
        loop {
            // Evicted, or taken over by another with the same client id.
            if self.session.is_some_and(|id| hub.session(id).is_none()) {
                *self = Self { address: self.address, ..Self::new(0) };
                return;
            }
            let largest = self.session.map_or(LARGEST_CONNECT, |id| hub.largest(id));
            let waits = |id| hub.session(id).is_some_and(|session| session.pause(now).is_some());
            if self.output.len() >= OUTPUT || self.session.is_some_and(waits) {
                return;
            }
            let length = match frame(&self.input, largest) {
                Ok(Some(length)) => length,
                Ok(None) => return,
                Err(_) => return self.close(hub, Close::Lost, now),
            };
            let taken: Vec<u8> = self.input.drain(..length).collect();
            let outcome = match (read(&taken), self.session) {
                (Ok(Packet::Connect(connect)), None) => match hub.connect(&connect, self.address, now) {
                    Ok(id) => {
                        self.session = Some(id);
                        Ok(())
                    }
                    Err(_) => Err(Close::Lost),
                },
                (Ok(packet), Some(id)) => hub.receive(id, packet, &mut self.output, now),
                _ => Err(Close::Lost),
            };
            if let Err(close) = outcome {
                return self.close(hub, close, now);
            }
        }
    }

    fn close(&mut self, hub: &mut Hub, close: Close, now: Instant) {
        if let Some(id) = self.session.take() {
            hub.close(id, close, now);
        }
        *self = Self { address: self.address, ..Self::new(0) };
    }

    /// What the client reads, each packet one that another implementation takes as well.
    fn receive(&mut self, hub: &mut Hub, now: Instant) -> Vec<(String, Vec<u8>)> {
        let Some(id) = self.session else { return Vec::new() };
        hub.fill(id, &mut self.output, now);
        assert!(self.output.len() < OUTPUT + 2 * LARGEST_PACKET, "{} bytes to send", self.output.len());
        let mut stream = self.output.as_slice().into();
        self.output.clear();
        let mut published = Vec::new();
        loop {
            match rumqttc::Packet::read(&mut stream, usize::MAX) {
                Ok(rumqttc::Packet::Publish(publish)) => {
                    published.push((publish.topic, publish.payload.to_vec()));
                }
                Ok(_) => {}
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => break,
                Err(error) => panic!("the broker has sent what is no packet: {error}"),
            }
        }
        assert!(stream.is_empty(), "the broker has sent a part of a packet");
        published
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// CONNECT, with a user name and a password if there are any.
fn connect(client_id: &str, credentials: Option<&Credentials>) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
    text(&mut body, client_id);
    if let Some(credentials) = credentials {
        body[7] |= 0xc0;
        text(&mut body, &credentials.username);
        text(&mut body, credentials.password.expose());
    }
    [&[0x10, body.len() as u8], &*body].concat()
}

/// Four hostile clients on three hosts, beside the daemon and an honest subscriber: whatever the clients do, the broker
/// holds little, speaks the protocol, and nobody but the daemon speaks for the device.
///
/// # Panics
/// If that is broken.
pub fn clients(data: &[u8]) {
    let own = Credentials { username: "emotiond".into(), password: Password::new("secret".into()) };
    let device = "hall".parse().expect("a device name");
    let topics = vec!["kitchen/#".into(), "+/x".into()];
    let rights = Rights::new(&device, true, Some("homeassistant/status".into()), topics);
    let mut hub = Hub::new(rights, own.clone(), None);
    let mut now = Instant::now();
    let (mut daemon, mut honest) = (Peer::new(1), Peer::new(2));
    daemon.send(&mut hub, &connect("emotiond-hall", Some(&own)), now);
    honest.send(&mut hub, &connect("honest", None), now);
    honest.send(&mut hub, b"\x82\x06\x00\x01\x00\x01#\x01", now);
    let mut others = [3, 4, 4, 5].map(Peer::new);
    let mut rest = data;
    while let Some((&[what, amount], after)) = rest.split_first_chunk() {
        let peer = &mut others[usize::from(what & 3)];
        rest = after;
        match what >> 2 & 7 {
            0..4 => {
                let bytes = rest.split_off(..usize::from(amount).min(rest.len())).unwrap_or_default();
                peer.send(&mut hub, bytes, now);
            }
            4 | 5 => {
                peer.receive(&mut hub, now);
                peer.send(&mut hub, b"", now);
            }
            6 => now += Duration::from_millis(u64::from(amount) * 50),
            _ => peer.close(&mut hub, Close::Lost, now),
        }
        let (count, bytes) = hub.held();
        assert!(count <= SESSIONS, "{count} clients");
        let most = RETAINED_BYTES + (count + 1) * (QUEUE_BYTES + LARGEST_PACKET + 16_384 + 4 * INFLIGHT);
        assert!(bytes <= most, "{bytes} bytes held for {count} clients");
        assert!(others.iter().all(|peer| peer.input.len() <= LARGEST_PACKET + 256));
        daemon.send(&mut hub, b"\xc0\x00", now);
        daemon.receive(&mut hub, now);
        assert!(daemon.session.is_some_and(|id| hub.session(id).is_some()), "the daemon is disconnected");
        assert!(honest.session.is_some_and(|id| hub.session(id).is_some()), "a subscriber is disconnected");
        for (topic, _) in honest.receive(&mut hub, now) {
            let spoken = topic.strip_prefix("emotiond/hall/");
            let command = spoken.is_none_or(|of| of == "pause/set" || of.starts_with("request/"));
            assert!(command, "somebody has spoken for the device on {topic:?}");
            let acks: Vec<u8> = (1..=u16::MAX)
                .take(64)
                .flat_map(|id| {
                    let [high, low] = id.to_be_bytes();
                    [0x40, 2, high, low]
                })
                .collect();
            honest.send(&mut hub, &acks, now);
        }
    }
    for peer in &mut others {
        peer.close(&mut hub, Close::Lost, now);
    }
    assert_eq!(hub.held().0, 1, "sessions are left behind");
}
