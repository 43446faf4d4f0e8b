//! The broker: does it answer, by TLS, does it let us in, publish and receive.

use std::io;
use std::net::{IpAddr, TcpListener};

use super::table::Finding;
use crate::publish::mqtt::probe::{self, Reception};
use crate::publish::settings::{Address, Broker, MqttSettings};

/// Whether the embedded broker could listen; `None` if there is none to listen. A confined process has given that up.
pub fn port(settings: &MqttSettings) -> Option<io::Result<()>> {
    let embedded = settings.broker == Broker::Embedded && settings.embedded_listen.port() != 0;
    embedded.then(|| TcpListener::bind(settings.embedded_listen).map(drop))
}

/// Tries the broker that the configuration names. `port` is what [`port`] has found.
pub fn broker(settings: &MqttSettings, port: Option<io::Result<()>>) -> Finding {
    let address = settings.address();
    match settings.broker {
        Broker::Remote(_) => match probe::probe(settings, &address) {
            Ok(reception) => judge(settings, &address, reception),
            Err(diagnosis) => {
                Finding::failed("broker", format!("{address}: {}", diagnosis.cause), diagnosis.remedy)
            }
        },
        Broker::Embedded => embedded(settings, &address, port),
    }
}

fn judge(settings: &MqttSettings, address: &Address, reception: Reception) -> Finding {
    let tls = if address.tls { "TLS, its certificate verified" } else { "no TLS" };
    let user = match &settings.credentials {
        Some(credentials) => format!("user {:?} let in", credentials.username),
        None => "let in without a password".to_owned(),
    };
    let mut detail = format!("{address}: {tls}; {user}");
    let device = &settings.device;
    if reception.commands == Some(false) {
        detail += "; it refuses the subscription to commands";
        let remedy = format!(
            "let this user read emotiond/{device}/pause/set and emotiond/{device}/request/+, or set mqtt.commands = false"
        );
        return Finding::warning("broker", detail, remedy);
    }
    let Some(round_trip) = reception.round_trip else {
        detail += "; what was published did not come back, so publishing or receiving may not work";
        let remedy = format!(
            "let this user write and read emotiond/{device}/# there (Mosquitto: `topic readwrite emotiond/{device}/#` in \
             its acl_file); the broker drops what it does not allow without saying so"
        );
        return Finding::warning("broker", detail, remedy);
    };
    detail += &format!("; published and received in {:.0} ms", 1000.0 * round_trip.as_secs_f64());
    if settings.credentials.is_some() && !address.tls && !is_here(&address.host) {
        let remedy = "use mqtts:// (TLS), or a network that nobody else is on";
        return Finding::warning("broker", detail + "; the password crosses the network readable", remedy);
    }
    Finding::ok("broker", detail)
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The embedded broker is not started: the daemon may run and hold the port. Who holds it is asked.
fn embedded(settings: &MqttSettings, address: &Address, port: Option<io::Result<()>>) -> Finding {
    let listen = settings.embedded_listen;
    match port {
        None => Finding::ok("broker", "embedded, to listen on a port that the system chooses"),
        Some(Ok(())) => Finding::ok("broker", format!("embedded, to listen on {listen}, which is free")),
        Some(Err(error)) if error.kind() == io::ErrorKind::AddrInUse => {
            match probe::online(settings, address) {
                Ok(true) => {
                    Finding::ok("broker", format!("embedded; this device's daemon runs it on {listen}"))
                }
                Ok(false) => taken(settings, "a broker that is not this device's"),
                Err(diagnosis) => taken(settings, &format!("something else ({})", diagnosis.cause)),
            }
        }
        Some(Err(error)) => Finding::failed(
            "broker",
            format!("embedded, and cannot listen on {listen}: {error}"),
            "correct mqtt.listen: an address of this machine, and a port of 1024 or more",
        ),
    }
}

fn taken(settings: &MqttSettings, by: &str) -> Finding {
    let listen = settings.embedded_listen;
    let remedy = format!(
        "to use that broker, set mqtt.url = \"mqtt://{listen}\"; to have one of your own, another port in mqtt.listen"
    );
    Finding::failed("broker", format!("embedded, and {by} holds {listen}"), remedy)
}
