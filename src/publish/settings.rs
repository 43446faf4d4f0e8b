//! The settings of the MQTT publisher, their types and their defaults.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::host::file;
use emotiond_core::report::payload::DeviceName;

/// A socket that listens already; it stays open as long as one of its clones. Two are equal if they are the same socket.
#[derive(Clone, Debug)]
pub struct OpenListener(Arc<TcpListener>);

impl From<TcpListener> for OpenListener {
    fn from(listener: TcpListener) -> Self {
        Self(Arc::new(listener))
    }
}

impl Deref for OpenListener {
    type Target = TcpListener;

    fn deref(&self) -> &TcpListener {
        &self.0
    }
}

impl PartialEq for OpenListener {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OpenListener {}

/// Everything the publisher needs to know about a broker and how to speak with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MqttSettings {
    /// Which broker.
    pub broker: Broker,
    /// The name of this device: a level of every topic, and part of the client id (`emotiond-<device>`). Two daemons
    /// with the same name on one broker disconnect each other.
    pub device: DeviceName,
    /// What the broker asks for, if it does. With the embedded broker: what it asks of every client.
    pub credentials: Option<Credentials>,
    /// Certificates; used with `mqtts://` only.
    pub tls: TlsSettings,
    /// Where the embedded broker listens; port 0 takes any free one. Used with [`Broker::Embedded`] only.
    pub embedded_listen: SocketAddr,
    /// The socket that listens there, if it was opened before the process gave up listening; else the publisher opens it.
    pub listener: Option<OpenListener>,
    /// Filters of topics that clients of the embedded broker may publish on, besides commands and Home Assistant's birth
    /// message. Those of this device are never among them.
    pub embedded_topics: Vec<String>,
    /// After how long without traffic the connection is tested, in whole seconds. A broker that stops responding is
    /// noticed within twice this time, and it notices us within one and a half.
    pub keep_alive: Duration,
    /// How many undelivered messages are kept in memory. A summary takes about 1 KiB.
    pub queue: usize,
    /// Where summaries are kept on disk; in memory alone if nowhere.
    pub durable: Option<DurableSettings>,
    /// The shortest and the longest wait between two attempts to connect.
    pub retry: (Duration, Duration),
    /// Whether `pause/set` and `request/…` are listened to.
    pub commands: bool,
}

impl MqttSettings {
    /// The default of [`Self::keep_alive`].
    pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
    /// The default of [`Self::queue`].
    pub const QUEUE: usize = 10_000;
    /// The default of [`Self::commands`].
    pub const COMMANDS: bool = true;

    /// Settings with everything at its default but the broker and the name.
    #[must_use]
    pub fn new(broker: Broker, device: DeviceName) -> Self {
        Self {
            broker,
            device,
            credentials: None,
            tls: TlsSettings::default(),
            embedded_listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
            listener: None,
            embedded_topics: Vec::new(),
            keep_alive: Self::KEEP_ALIVE,
            queue: Self::QUEUE,
            durable: None,
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
            commands: Self::COMMANDS,
        }
    }

    /// Where clients find the broker; of the embedded one where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        match &self.broker {
            Broker::Remote(address) => address.clone(),
            Broker::Embedded => Address {
                host: self.embedded_listen.ip().to_string(),
                port: self.embedded_listen.port(),
                tls: false,
            },
        }
    }
}

/// Where undelivered summaries are kept, and how many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DurableSettings {
    /// The state directory: the folder `queue` in it is ours alone.
    pub directory: PathBuf,
    /// The most summaries kept; beyond it the oldest go.
    pub limit: u64,
}

/// A user name and the password that goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password. There is no way to print it: `Debug` shows asterisks, `Display` does not exist.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(String);

impl Password {
    /// Passwords beyond this size are taken for a wrong file.
    const LONGEST: u64 = 4096;

    /// Takes a password as it is.
    #[must_use]
    pub fn new(password: String) -> Self {
        Self(password)
    }

    /// Reads the password from a file; one line break at its end is not part of it.
    ///
    /// # Errors
    /// If the file cannot be read, is empty, or is no text of reasonable size. No error shows what was read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = file::read(path, Self::LONGEST).with_context(|| {
            format!("failed to read the password from {shown}; check that password_file names it and that emotiond may read it (restart it if the file lies in another folder than at its start)")
        })?;
        // The error of the conversion holds the bytes: it must not become part of ours.
        let Ok(text) = String::from_utf8(bytes) else {
            bail!("{shown} is no password: it is not UTF-8 text");
        };
        let password = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
        if password.is_empty() {
            bail!("{shown} holds no password: it is empty");
        }
        Ok(Self(password.to_owned()))
    }

    /// The password itself, for whoever asks for it or compares it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether two texts are the same, in a time that depends on their lengths alone.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The certificates of a TLS connection, all of them PEM files. They are read at every attempt to connect, so that a
/// renewed certificate needs no restart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsSettings {
    /// The authority that signed the broker's certificate, and the only one believed then. `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate (chain) and the private key by which the broker knows us.
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    /// The certificate, followed by those between it and the authority, if any.
    pub certificate_file: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1), without a passphrase.
    pub key_file: PathBuf,
}

/// Which broker: `embedded`, `mqtt://host[:port]` (1883 by default) or `mqtts://host[:port]` (TLS, 8883 by default).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Broker {
    /// One inside this process.
    Embedded,
    /// One elsewhere.
    Remote(Address),
}

/// Where a broker listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// A host name or an IP address; IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether the connection is encrypted and the broker's certificate checked.
    pub tls: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// What is wrong with a broker's address or a device's name. None of these repeats a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SettingsError {
    #[error(
        "the broker's address {0:?} has no scheme: write mqtt://{0}, or mqtts://{0} for TLS, or \"embedded\" for the built-in broker"
    )]
    NoScheme(String),
    #[error("unknown scheme {0:?} in the broker's address: use mqtt:// or mqtts:// (TLS){1}")]
    Scheme(String, &'static str),
    #[error(
        "the broker's address must not contain a user name or password, where logs and process lists would show them: set username and password_file instead"
    )]
    UserInfo,
    #[error("the broker's address names no host: write it as mqtt://host or mqtt://host:port")]
    NoHost,
    #[error(
        "the broker's address ends in {0:?}, which means nothing to MQTT: write only scheme, host and port"
    )]
    Trailing(String),
    #[error("the broker's address cannot be read: {0}")]
    Url(url::ParseError),
}

impl FromStr for Broker {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            // Without a scheme there may still be a password before an @.
            let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
            return Err(SettingsError::NoScheme(host.to_owned()));
        };
        let tls = match &*scheme.to_ascii_lowercase() {
            "mqtt" => false,
            "mqtts" => true,
            "tcp" => return Err(SettingsError::Scheme(scheme.into(), "; tcp:// is mqtt:// here")),
            "ssl" | "tls" => return Err(SettingsError::Scheme(scheme.into(), "; TLS is mqtts:// here")),
            "ws" | "wss" => return Err(SettingsError::Scheme(scheme.into(), "; WebSocket is not supported")),
            _ => return Err(SettingsError::Scheme(scheme.into(), "")),
        };
        if rest.contains('@') {
            return Err(SettingsError::UserInfo);
        }
        if rest.is_empty() || rest.starts_with([':', '/']) {
            return Err(SettingsError::NoHost);
        }
        let url = url::Url::parse(text).map_err(SettingsError::Url)?;
        let trailing = &url[url::Position::BeforePath..];
        if !matches!(trailing, "" | "/") {
            return Err(SettingsError::Trailing(trailing.to_owned()));
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            _ => return Err(SettingsError::NoHost),
        };
        let port = url.port().unwrap_or(if tls { 8883 } else { 1883 });
        Ok(Self::Remote(Address { host, port, tls }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Address {
        match text.parse() {
            Ok(Broker::Remote(address)) => address,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refusal(text: &str) -> String {
        text.parse::<Broker>().unwrap_err().to_string()
    }

    #[test]
    fn reads_addresses() {
        assert_eq!("embedded".parse(), Ok(Broker::Embedded));
        for (text, host, port, tls, shown) in [
            ("mqtt://broker.lan", "broker.lan", 1883, false, "mqtt://broker.lan:1883"),
            ("mqtts://broker.lan/", "broker.lan", 8883, true, "mqtts://broker.lan:8883"),
            ("MQTTS://broker.lan:443", "broker.lan", 443, true, "mqtts://broker.lan:443"),
            ("mqtt://10.0.0.7:1884", "10.0.0.7", 1884, false, "mqtt://10.0.0.7:1884"),
            ("mqtt://[::1]:1884", "::1", 1884, false, "mqtt://[::1]:1884"),
        ] {
            let address = remote(text);
            assert_eq!((&*address.host, address.port, address.tls), (host, port, tls), "{text}");
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn refuses_with_a_remedy() {
        assert!(refusal("broker.lan:1883").contains("write mqtt://broker.lan:1883"));
        assert!(refusal("tcp://broker.lan").contains("tcp:// is mqtt:// here"));
        assert!(refusal("wss://broker.lan").contains("WebSocket is not supported"));
        assert!(refusal("http://broker.lan").contains("\"http\""));
        assert!(refusal("mqtt://").contains("names no host"));
        assert!(refusal("mqtt://:1883").contains("names no host"));
        assert!(refusal("mqtt://broker.lan/topic?x=1").contains("\"/topic?x=1\""));
        assert!(refusal("mqtt://broker.lan:99999").contains("port"));
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for text in
            ["mqtt://hall:hunter2@broker.lan", "mqtts://hunter2@broker.lan:1", "hall:hunter2@broker.lan"]
        {
            let refusal = refusal(text);
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
        assert!(refusal("mqtt://hall:hunter2@broker.lan").contains("password_file"));
    }

    #[test]
    fn names_of_devices() {
        for good in ["hall", "pi-4.lan", "A_1"] {
            assert_eq!(good.parse::<DeviceName>().unwrap().to_string(), good);
        }
        for bad in ["", "a/b", "a+b", "#", "a b", "flür", &"x".repeat(65)] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_read_without_its_line_break_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, password) in
            [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), (" a b ", " a b "), ("x\n\n", "x\n")]
        {
            std::fs::write(&path, content).unwrap();
            let read = Password::read(&path).unwrap();
            assert_eq!(read.expose(), password);
            let credentials = Credentials { username: "hall".into(), password: read };
            assert_eq!(
                format!("{credentials:?}"),
                "Credentials { username: \"hall\", password: Password(***) }"
            );
        }
        for bad in [b"\n".as_slice(), b"", b"hunter2\xff", &[b'x'; 5000]] {
            std::fs::write(&path, bad).unwrap();
            let error = format!("{:#}", Password::read(&path).unwrap_err());
            assert!(
                error.contains("password") && !error.contains("hunter2") && !error.contains("xxx"),
                "{error}"
            );
        }
        let error = format!("{:#}", Password::read(&folder.path().join("absent")).unwrap_err());
        assert!(error.contains("absent") && error.contains("No such file"), "{error}");
    }
}
