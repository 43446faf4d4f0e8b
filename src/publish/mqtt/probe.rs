//! A try of the broker by a client of its own: is it there, does it let us in, may we publish, do messages come.
//!
//! MQTT 3.1.1 cannot refuse a message: a broker acknowledges what it then drops. So the only proof that publishing works
//! is a message that comes back.

use std::time::{Duration, Instant};

use rumqttc::{
    Client, Connection, Event, MqttOptions, NetworkOptions, Packet, QoS, SubscribeFilter,
    SubscribeReasonCode, Transport,
};

use super::diagnosis::{ConnectFailure, Diagnosis, diagnose};
use super::inbox::Inbox;
use super::tls;
use crate::publish::settings::{Address, MqttSettings};
use emotiond_core::report::payload::{DeviceName, Topic};

/// How long the broker may take for the name lookup, the connection, TLS and its answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a message may be on its way to the broker and back.
const ROUND_TRIP: Duration = Duration::from_secs(3);

/// What a broker that let us in lets us do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reception {
    /// How long a message took to the broker and back; `None` if it did not come back.
    pub round_trip: Option<Duration>,
    /// Whether it lets us subscribe to commands; `None` if the settings turn commands off.
    pub commands: Option<bool>,
}

/// Connects as the daemon would, under another client id, so that a running daemon is not thrown off; publishes a message
/// on `emotiond/<device>/response/check`, without retaining it, and waits for it there.
///
/// # Errors
/// Why there is no connection, and what to do about it.
pub fn probe(settings: &MqttSettings, address: &Address) -> Result<Reception, Diagnosis> {
    let (client, mut connection) = connect(settings, address)?;
    let device = &settings.device;
    let echo = Topic::Response("check".to_owned()).path(device);
    let token = format!("{:016x}", fastrand::u64(..));
    let mut filters = vec![echo.clone()];
    if settings.commands {
        filters.extend(Inbox::filters_of(device));
    }
    let filters = filters.into_iter().map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
    let _full = client.try_subscribe_many(filters);
    let mut found = Reception { round_trip: None, commands: None };
    let mut sent = None;
    let mut deadline = Instant::now() + ROUND_TRIP;
    while let Some(event) = next(&mut connection, deadline) {
        let event = event.map_err(|error| failed(error, true, settings, address))?;
        match event {
            Event::Incoming(Packet::SubAck(ack)) => {
                let granted = |code: &SubscribeReasonCode| *code != SubscribeReasonCode::Failure;
                found.commands = settings.commands.then(|| ack.return_codes.iter().skip(1).all(granted));
                let now = Instant::now();
                (sent, deadline) = (Some(now), now + ROUND_TRIP);
                let _full = client.try_publish(&echo, QoS::AtLeastOnce, false, token.as_bytes());
            }
            Event::Incoming(Packet::Publish(message))
                if message.topic == echo && message.payload == token.as_bytes() =>
            {
                found.round_trip = sent.map(|sent: Instant| sent.elapsed());
                break;
            }
            _ => {}
        }
    }
    leave(&client, &mut connection);
    Ok(found)
}

/// Whether the broker at this address says that this device's daemon is online. For the embedded broker, which takes no
/// message of its device from anybody but the daemon.
///
/// # Errors
/// Why there is no connection, and what to do about it.
pub fn online(settings: &MqttSettings, address: &Address) -> Result<bool, Diagnosis> {
    let (client, mut connection) = connect(settings, address)?;
    let status = Topic::Status.path(&settings.device);
    let _full = client.try_subscribe(&status, QoS::AtLeastOnce);
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut online = false;
    while let Some(event) = next(&mut connection, deadline) {
        match event.map_err(|error| failed(error, true, settings, address))? {
            Event::Incoming(Packet::Publish(message)) if message.topic == status => {
                online = &*message.payload == b"online";
                break;
            }
            _ => {}
        }
    }
    leave(&client, &mut connection);
    Ok(online)
}

/// The options of a client beside the daemon's own.
pub(super) fn options(
    settings: &MqttSettings,
    address: &Address,
    client_id: String,
) -> anyhow::Result<MqttOptions> {
    let mut options = MqttOptions::new(client_id, &address.host, address.port);
    options.set_keep_alive(settings.keep_alive);
    if let Some(credentials) = &settings.credentials {
        options.set_credentials(&credentials.username, credentials.password.expose());
    }
    if address.tls {
        options.set_transport(Transport::tls_with_config(tls::client_config(&settings.tls)?.into()));
    }
    Ok(options)
}

/// A client that the broker has let in.
fn connect(settings: &MqttSettings, address: &Address) -> Result<(Client, Connection), Diagnosis> {
    let id = probe_id(&settings.device);
    let options = options(settings, address, id)
        .map_err(|error| diagnose(&ConnectFailure::Certificates(error), address, settings))?;
    let (client, mut connection) = Client::new(options, 10);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT.as_secs());
    connection.eventloop.set_network_options(network);
    // A little more than the client's own limit, which says what is wrong.
    let deadline = Instant::now() + CONNECT + Duration::from_secs(1);
    loop {
        match next(&mut connection, deadline) {
            Some(Ok(Event::Incoming(Packet::ConnAck(_)))) => return Ok((client, connection)),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(failed(error, false, settings, address)),
            None => {
                return Err(failed(rumqttc::ConnectionError::NetworkTimeout, false, settings, address));
            }
        }
    }
}

fn probe_id(device: &DeviceName) -> String {
    format!("emotiond-{device}-check-{}", std::process::id())
}

/// The next event; `None` when the time is over.
fn next(connection: &mut Connection, deadline: Instant) -> Option<Result<Event, rumqttc::ConnectionError>> {
    let left = deadline.saturating_duration_since(Instant::now());
    connection.recv_timeout(left).ok()
}

fn failed(
    error: rumqttc::ConnectionError,
    established: bool,
    settings: &MqttSettings,
    address: &Address,
) -> Diagnosis {
    diagnose(&ConnectFailure::Connection { error: error.into(), established }, address, settings)
}

/// With DISCONNECT, so that the broker does not log a lost client.
fn leave(client: &Client, connection: &mut Connection) {
    let _full = client.try_disconnect();
    let deadline = Instant::now() + Duration::from_secs(1);
    while let Some(Ok(event)) = next(connection, deadline) {
        if matches!(event, Event::Outgoing(rumqttc::Outgoing::Disconnect)) {
            break;
        }
    }
}
