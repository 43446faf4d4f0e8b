//! From the error of a connection to a line that says what is wrong and what to do.

use std::error::Error;
use std::fmt::{self, Write};
use std::io;
use std::net::ToSocketAddrs;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use rustls::{AlertDescription, CertificateError};

use crate::publish::settings::{Address, MqttSettings};
use emotiond_core::report::payload::DeviceName;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectFailure {
    /// The certificates on our side cannot be used.
    Certificates(anyhow::Error),
    /// The client could not connect, or lost the connection.
    Connection {
        error: Box<ConnectionError>,
        /// Whether the broker had accepted us before.
        established: bool,
    },
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnosis {
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

/// Explains a failure. May look the host name up, and so block for as long as that takes.
pub(super) fn diagnose(failure: &ConnectFailure, address: &Address, settings: &MqttSettings) -> Diagnosis {
    let (error, established) = match failure {
        ConnectFailure::Certificates(error) => {
            return Diagnosis {
                cause: format!("{error:#}"),
                remedy: "correct it in the section [mqtt]".into(),
            };
        }
        ConnectFailure::Connection { error, established } => (&**error, *established),
    };
    let (cause, remedy) = match error {
        ConnectionError::ConnectionRefused(code) => refused(*code, settings),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => (
            "no answer in time".into(),
            format!(
                "check that the machine is on, and that no firewall drops port {}{}",
                address.port,
                tls_hint(address)
            ),
        ),
        ConnectionError::NotConnAck(_) => (
            "what answers there does not speak MQTT".into(),
            format!("check the port {}{}", address.port, tls_hint(address)),
        ),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            ("the broker has stopped answering".into(), "check the network between here and there".into())
        }
        ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::Error::PayloadSizeLimitExceeded(bytes),
        )) => (
            format!("somebody sent a message of {bytes} bytes on a topic that is listened to"),
            "look for a retained message on the command topics and on Home Assistant's".into(),
        ),
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(established, address, settings),
        other => match (rustls_error(other), io_error(other)) {
            (Some(tls), _) => explain_tls(tls, address, settings),
            (None, Some(io)) => explain_io(io, established, address, settings),
            (None, None) => (chain(other), "check that the broker speaks MQTT 3.1.1".into()),
        },
    };
    Diagnosis { cause, remedy }
}

fn refused(code: ConnectReturnCode, settings: &MqttSettings) -> (String, String) {
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            match &settings.credentials {
                Some(credentials) => (
                    format!("the broker refuses the user name {:?} with its password", credentials.username),
                    "check username and password_file, and the broker's list of users".into(),
                ),
                None => (
                    "the broker asks for a user name and password".into(),
                    "set username and password_file".into(),
                ),
            }
        }
        ConnectReturnCode::BadClientId => (
            format!("the broker refuses the client id \"emotiond-{}\"", settings.device),
            "allow it there, or set another device name".into(),
        ),
        ConnectReturnCode::ServiceUnavailable => {
            ("the broker says that it is not available".into(), "see the broker's log".into())
        }
        ConnectReturnCode::RefusedProtocolVersion => {
            ("the broker refuses MQTT 3.1.1".into(), "allow this version of the protocol there".into())
        }
        ConnectReturnCode::Success => {
            ("the broker refuses the connection without a reason".into(), "see the broker's log".into())
        }
    }
}

fn closed(established: bool, address: &Address, settings: &MqttSettings) -> (String, String) {
    if established {
        let remedy = format!(
            "it was stopped or restarted, or another client uses the id {:?} (two devices of the same name)",
            client_id(&settings.device)
        );
        ("the broker closed the connection".into(), remedy)
    } else {
        let remedy = format!(
            "check that port {} is the right one{}, and username and password_file",
            address.port,
            tls_hint(address)
        );
        ("the broker closed the connection before answering".into(), remedy)
    }
}

/// The client id that goes with a device name.
pub(super) fn client_id(device: &DeviceName) -> String {
    format!("emotiond-{device}")
}

fn tls_hint(address: &Address) -> &'static str {
    if address.tls {
        " (mqtt:// is the scheme for a port without TLS)"
    } else {
        " (mqtts:// is the scheme for a port with TLS)"
    }
}

fn explain_io(
    error: &io::Error,
    established: bool,
    address: &Address,
    settings: &MqttSettings,
) -> (String, String) {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => (
            "connection refused".into(),
            format!(
                "nothing listens on port {} there: check that the broker runs, and its address",
                address.port
            ),
        ),
        Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            (chain(error), "check the network and the broker's address".into())
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            closed(established, address, settings)
        }
        _ => match (&*address.host, address.port).to_socket_addrs() {
            // Errors of a name lookup have no kind of their own: another lookup tells them apart.
            Err(lookup) => (
                format!("host {:?} not found ({lookup})", address.host),
                "check the broker's name and that this machine can resolve it, or use its IP address".into(),
            ),
            Ok(_) => (chain(error), "check the network and the broker's address".into()),
        },
    }
}

fn explain_tls(error: &rustls::Error, address: &Address, settings: &MqttSettings) -> (String, String) {
    match error {
        rustls::Error::InvalidCertificate(problem) => explain_certificate(problem, address, settings),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
            | AlertDescription::DecryptError,
        ) => match &settings.tls.client {
            Some(client) => (
                format!(
                    "the broker refuses the client certificate {} ({error})",
                    client.certificate_file.display()
                ),
                "have it signed by an authority that the broker trusts, and check that it has not expired"
                    .into(),
            ),
            None => (
                format!("the broker refuses the TLS handshake ({error})"),
                "it probably asks for a client certificate: set client_certificate and client_key".into(),
            ),
        },
        rustls::Error::InvalidMessage(_) => (
            "what answers there does not speak TLS".into(),
            format!("check the port {} (mqtt:// is the scheme for a port without TLS)", address.port),
        ),
        other => (format!("TLS failed: {other}"), "check the TLS settings of the broker".into()),
    }
}

fn explain_certificate(
    problem: &CertificateError,
    address: &Address,
    settings: &MqttSettings,
) -> (String, String) {
    match problem {
        CertificateError::UnknownIssuer => {
            let remedy = match &settings.tls.ca_file {
                Some(path) => format!("check that {} is the authority that signed it", path.display()),
                None => "set ca_file to the certificate of the authority that signed it".into(),
            };
            ("the broker's certificate is signed by an unknown authority".into(), remedy)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("the broker's certificate has expired ({problem})"),
            format!("renew it; if it is good, this machine's clock is wrong: it says {}", today()),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            format!("the broker's certificate is not valid yet ({problem})"),
            format!(
                "this machine's clock says {}, which is probably wrong: see that it is synchronized (timedatectl \
                 shows it)",
                today()
            ),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the broker's certificate is not for {:?} ({problem})", address.host),
            "use the name that stands in the certificate, or have one made for this name".into(),
        ),
        other => (format!("the broker's certificate is not accepted: {other}"), "replace it".into()),
    }
}

/// The date by this machine's clock, UTC.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(io)
        | ConnectionError::Tls(TlsError::Io(io))
        | ConnectionError::MqttState(
            StateError::Io(io) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(io)),
        ) => Some(io),
        _ => None,
    }
}

fn rustls_error(error: &ConnectionError) -> Option<&rustls::Error> {
    match error {
        ConnectionError::Tls(TlsError::TLS(tls)) => Some(tls),
        other => io_error(other)?.get_ref()?.downcast_ref(),
    }
}

/// An error with all that lies behind it, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            let _infallible = write!(text, ": {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::settings::{Broker, Credentials, Password};

    fn explain(error: ConnectionError) -> String {
        let address = Address { host: "localhost".into(), port: 8883, tls: true };
        let mut settings = MqttSettings::new(Broker::Remote(address.clone()), "hall".parse().unwrap());
        settings.credentials =
            Some(Credentials { username: "porter".into(), password: Password::new("hunter2".into()) });
        diagnose(&ConnectFailure::Connection { error: error.into(), established: false }, &address, &settings)
            .to_string()
    }

    fn tls(error: rustls::Error) -> ConnectionError {
        ConnectionError::Tls(TlsError::Io(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    #[test]
    fn every_line_has_its_cause_and_its_remedy_and_no_password() {
        use rustls::Error::{AlertReceived, InvalidCertificate};
        let refused = ConnectionError::ConnectionRefused;
        for (error, cause, remedy) in [
            (ConnectionError::Io(io::ErrorKind::ConnectionRefused.into()), "connection refused", "port 8883"),
            (refused(ConnectReturnCode::NotAuthorized), "\"porter\"", "password_file"),
            (refused(ConnectReturnCode::BadClientId), "emotiond-hall", "device name"),
            (ConnectionError::NetworkTimeout, "no answer", "firewall"),
            (ConnectionError::MqttState(StateError::ConnectionAborted), "before answering", "mqtt://"),
            (tls(InvalidCertificate(CertificateError::UnknownIssuer)), "unknown authority", "ca_file"),
            (tls(InvalidCertificate(CertificateError::Expired)), "expired", "clock is wrong"),
            (tls(InvalidCertificate(CertificateError::NotValidYet)), "not valid yet", "synchronized"),
            (
                tls(InvalidCertificate(CertificateError::NotValidForName)),
                "\"localhost\"",
                "name that stands in",
            ),
            (tls(AlertReceived(AlertDescription::CertificateRequired)), "refuses", "client_certificate"),
        ] {
            let line = explain(error);
            assert!(line.contains(cause) && line.contains(remedy), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
