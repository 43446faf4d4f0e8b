//! The packets of MQTT 3.1.1 as a broker reads and writes them (OASIS Standard, 29 October 2014). Version 3.1 differs in
//! the protocol's name alone and is read as well.
//!
//! A packet borrows from the bytes that it was read from: what is kept of it is copied in its own size, so that a short
//! message never holds a large buffer.

use std::fmt;

/// A packet that a client sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP with its packet id.
    Ack(Ack, u16),
    /// The filters, each with the quality of service that is asked for.
    Subscribe(u16, Vec<(&'a str, QoS)>),
    Unsubscribe(u16, Vec<&'a str>),
    Ping,
    Disconnect,
}

/// The four kinds of acknowledgement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ack {
    Publish = 4,
    Received = 5,
    Release = 6,
    Complete = 7,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::enum_variant_names, reason = "the names of the standard")]
pub(super) enum QoS {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Connect<'a> {
    pub client_id: &'a str,
    pub clean_session: bool,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    pub will: Option<Will<'a>>,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub retain: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Publish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub retain: bool,
    /// 0 with [`QoS::AtMostOnce`].
    pub id: u16,
}

/// Why bytes are no packet that this broker takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PacketError {
    /// The reason, in the standard's terms.
    Malformed(&'static str),
    /// The whole packet has so many bytes.
    TooLarge(usize),
    /// CONNECT with a version of the protocol that is not spoken here.
    Version(u8),
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => f.write_str(reason),
            Self::TooLarge(bytes) => write!(f, "a packet of {bytes} bytes"),
            Self::Version(5) => f.write_str("MQTT 5: set the client to MQTT 3.1.1"),
            Self::Version(version) => write!(f, "unknown protocol version {version}"),
        }
    }
}

type Result<T> = std::result::Result<T, PacketError>;

/// Finds the first packet in `bytes`: its length including the fixed header, or `None` while not all of it is there.
///
/// # Errors
/// As soon as the header says that the packet is longer than `largest`, or if it is no header.
pub(super) fn frame(bytes: &[u8], largest: usize) -> Result<Option<usize>> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let whole = 2 + index + length;
            if whole > largest {
                return Err(PacketError::TooLarge(whole));
            }
            return Ok((bytes.len() >= whole).then_some(whole));
        }
    }
    if bytes.len() > 4 { Err(PacketError::Malformed("a remaining length of five bytes")) } else { Ok(None) }
}

/// Reads one whole packet, as [`frame`] has found it.
///
/// # Errors
/// If it is malformed, or one that no client may send.
pub(super) fn read(packet: &[u8]) -> Result<Packet<'_>> {
    let (&[first], rest) = packet.split_at_checked(1).ok_or(SHORT)? else { return Err(SHORT) };
    let header = rest.iter().position(|byte| byte & 0x80 == 0).ok_or(SHORT)? + 1;
    let mut body = PacketReader(rest.get(header..).ok_or(SHORT)?);
    let (kind, flags) = (first >> 4, first & 0x0f);
    let reserved = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
    if kind != 3 && flags != reserved {
        return Err(PacketError::Malformed("reserved flags of the fixed header are set"));
    }
    let packet = match kind {
        1 => Packet::Connect(connect(&mut body)?),
        3 => Packet::Publish(publish(flags, &mut body)?),
        4 => Packet::Ack(Ack::Publish, body.id()?),
        5 => Packet::Ack(Ack::Received, body.id()?),
        6 => Packet::Ack(Ack::Release, body.id()?),
        7 => Packet::Ack(Ack::Complete, body.id()?),
        8 => {
            let id = body.id()?;
            Packet::Subscribe(id, body.list(|body| Ok((body.text()?, qos(body.byte()?)?)))?)
        }
        10 => {
            let id = body.id()?;
            Packet::Unsubscribe(id, body.list(PacketReader::text)?)
        }
        12 => Packet::Ping,
        14 => Packet::Disconnect,
        _ => return Err(PacketError::Malformed("a packet type that no client sends")),
    };
    if body.0.is_empty() { Ok(packet) } else { Err(PacketError::Malformed("bytes after the packet's end")) }
}

const SHORT: PacketError = PacketError::Malformed("the packet ends early");

fn connect<'a>(body: &mut PacketReader<'a>) -> Result<Connect<'a>> {
    let (name, version) = (body.bytes()?, body.byte()?);
    match (name, version) {
        (b"MQTT", 4) | (b"MQIsdp", 3) => {}
        (b"MQTT" | b"MQIsdp", version) => return Err(PacketError::Version(version)),
        _ => return Err(PacketError::Malformed("CONNECT of another protocol")),
    }
    let flags = body.byte()?;
    let keep_alive = body.number()?;
    let client_id = body.text()?;
    let (will, will_qos, will_retain) = (flags & 4 != 0, flags >> 3 & 3, flags & 0x20 != 0);
    let (username, password) = (flags & 0x80 != 0, flags & 0x40 != 0);
    if flags & 1 != 0 || (!will && (will_qos != 0 || will_retain)) || (password && !username) {
        return Err(PacketError::Malformed("flags of CONNECT that exclude each other"));
    }
    let will = match will {
        true => Some(Will {
            topic: body.text()?,
            payload: body.bytes()?,
            qos: qos(will_qos)?,
            retain: will_retain,
        }),
        false => None,
    };
    Ok(Connect {
        client_id,
        clean_session: flags & 2 != 0,
        keep_alive,
        will,
        username: if username { Some(body.text()?) } else { None },
        password: if password { Some(body.bytes()?) } else { None },
    })
}

fn publish<'a>(flags: u8, body: &mut PacketReader<'a>) -> Result<Publish<'a>> {
    let qos = qos(flags >> 1 & 3)?;
    let topic = body.text()?;
    let id = if qos == QoS::AtMostOnce { 0 } else { body.id()? };
    Ok(Publish { topic, payload: std::mem::take(&mut body.0), qos, retain: flags & 1 != 0, id })
}

fn qos(number: u8) -> Result<QoS> {
    match number {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(PacketError::Malformed("a quality of service beyond 2")),
    }
}

/// What is left of a packet's body.
struct PacketReader<'a>(&'a [u8]);

impl<'a> PacketReader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u16> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn id(&mut self) -> Result<u16> {
        match self.number()? {
            0 => Err(PacketError::Malformed("a packet id of 0")),
            id => Ok(id),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    fn text(&mut self) -> Result<&'a str> {
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => Err(PacketError::Malformed("a text that is not UTF-8 or contains U+0000")),
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            items.push(item(self)?);
        }
        if items.is_empty() { Err(PacketError::Malformed("a list of no filters")) } else { Ok(items) }
    }
}

/// The answer to CONNECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectCode {
    Accepted = 0,
    BadClientId = 2,
    Unavailable = 3,
    BadCredentials = 4,
    NotAuthorized = 5,
}

/// CONNACK; no session is ever present.
pub(super) fn connack(code: ConnectCode) -> [u8; 4] {
    [0x20, 2, 0, code as u8]
}

/// What a client of another version understands: "unsupported protocol version".
pub(super) fn wrong_version(version: u8) -> &'static [u8] {
    if version >= 5 { &[0x20, 3, 0, 0x84, 0] } else { &[0x20, 2, 0, 1] }
}

pub(super) const PINGRESP: [u8; 2] = [0xd0, 0];
/// In SUBACK: this filter has been refused.
pub(super) const REFUSED_FILTER: u8 = 0x80;

pub(super) fn ack(kind: Ack, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    let flags = if kind == Ack::Release { 2 } else { 0 };
    [(kind as u8) << 4 | flags, 2, high, low]
}

/// Appends SUBACK with one code for each filter.
pub(super) fn write_suback(out: &mut Vec<u8>, id: u16, codes: &[u8]) {
    out.push(0x90);
    write_length(out, 2 + codes.len());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(codes);
}

pub(super) fn unsuback(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0xb0, 2, high, low]
}

/// Appends PUBLISH. The topic has been read from a packet, so its length fits.
pub(super) fn write_publish(out: &mut Vec<u8>, publish: &Publish<'_>) {
    out.push(0x30 | (publish.qos as u8) << 1 | u8::from(publish.retain));
    let id = publish.id.to_be_bytes();
    let id: &[u8] = if publish.qos == QoS::AtMostOnce { &[] } else { &id };
    write_length(out, 2 + publish.topic.len() + id.len() + publish.payload.len());
    out.extend_from_slice(&(publish.topic.len() as u16).to_be_bytes());
    out.extend_from_slice(publish.topic.as_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(publish.payload);
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONNECT: &[u8] =
        b"\x10\x27\x00\x04MQTT\x04\xce\x00\x0a\x00\x04test\x00\x02/a\x00\x07offline\x00\x04rumq\x00\x02mq";

    fn whole(bytes: &[u8]) -> Result<Packet<'_>> {
        assert_eq!(frame(bytes, 1000), Ok(Some(bytes.len())), "{bytes:?}");
        read(bytes)
    }

    #[test]
    fn reads_connect_with_all_of_its_parts() {
        let will = Will { topic: "/a", payload: b"offline", qos: QoS::AtLeastOnce, retain: false };
        let expected = Connect {
            client_id: "test",
            clean_session: true,
            keep_alive: 10,
            will: Some(will),
            username: Some("rumq"),
            password: Some(b"mq"),
        };
        assert_eq!(whole(CONNECT), Ok(Packet::Connect(expected)));
        let mut other = CONNECT.to_vec();
        other[8] = 5;
        assert_eq!(whole(&other), Err(PacketError::Version(5)));
    }

    #[test]
    fn what_it_writes_it_reads() {
        for (qos, id) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 7), (QoS::ExactlyOnce, 65535)] {
            for length in [0, 1, 120, 200, 20_000] {
                let payload = vec![7; length];
                let publish = Publish { topic: "a/b", payload: &payload, qos, retain: length == 1, id };
                let mut out = Vec::new();
                write_publish(&mut out, &publish);
                assert_eq!(frame(&out, 1 << 20), Ok(Some(out.len())));
                assert_eq!(read(&out), Ok(Packet::Publish(publish)));
            }
        }
        for kind in [Ack::Publish, Ack::Received, Ack::Release, Ack::Complete] {
            assert_eq!(whole(&ack(kind, 258)), Ok(Packet::Ack(kind, 258)));
        }
        let mut out = Vec::new();
        write_suback(&mut out, 9, &[1, REFUSED_FILTER]);
        assert_eq!(out, [0x90, 4, 0, 9, 1, 0x80]);
    }

    #[test]
    fn says_what_is_wrong_with_a_packet() {
        for (bytes, word) in [
            (&b"\x00\x00"[..], "no client"),
            (b"\x20\x02\x00\x00", "no client"),
            (b"\x82\x02\x00\x01", "no filters"),
            (b"\x80\x06\x00\x01\x00\x01a\x00", "reserved"),
            (b"\x82\x06\x00\x01\x00\x01a\x03", "beyond 2"),
            (b"\x82\x06\x00\x00\x00\x01a\x01", "id of 0"),
            (b"\x30\x03\x00\x01\xff", "UTF-8"),
            (b"\x30\x03\x00\x01\x00", "U+0000"),
            (b"\x30\x02\x00\x05", "ends early"),
            (b"\xc0\x01\x00", "after the packet's end"),
            (b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x3c\x00\x00", "another protocol"),
            (b"\x10\x0c\x00\x04MQTT\x04\x42\x00\x3c\x00\x00", "exclude"),
        ] {
            let error = whole(bytes).unwrap_err().to_string();
            assert!(error.contains(word), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn a_long_packet_is_refused_by_its_header() {
        assert_eq!(frame(b"\x30\xff\xff\xff\x7f", 1000), Err(PacketError::TooLarge(268_435_460)));
        assert!(matches!(frame(b"\x30\xff\xff\xff\xff", 1000), Err(PacketError::Malformed(_))));
        for unfinished in [&b""[..], b"\x30", b"\x30\xff", b"\x30\x80\x01", b"\x30\x02\x00"] {
            assert_eq!(frame(unfinished, 1000), Ok(None), "{unfinished:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(length)) = frame(&bytes, 64) {
                let _either = read(&bytes[..length]);
            }
            let _either = read(&bytes);
        }

        #[test]
        fn a_changed_connect_is_a_packet_or_an_error(at in 0..CONNECT.len(), byte in any::<u8>()) {
            let mut bytes = CONNECT.to_vec();
            bytes[at] = byte;
            let _either = read(&bytes);
        }
    }
}
