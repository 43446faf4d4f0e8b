//! What a subscriber of the broker receives.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS, Transport};

use super::tls;
use crate::publish::settings::{Address, Broker, MqttSettings};

/// How long it waits for the next message.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// Subscribes to everything below `emotiond/<device>/` as a client of its own and calls `see` with the topic and body of
/// each message, until that returns false.
///
/// # Errors
/// If the broker cannot be reached or disconnects, or `see` fails.
pub fn watch(
    settings: &MqttSettings,
    mut see: impl FnMut(&str, &str) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let address = match &settings.broker {
        Broker::Remote(address) => address.clone(),
        Broker::Embedded => Address {
            host: settings.embedded_listen.ip().to_string(),
            port: settings.embedded_listen.port(),
            tls: false,
        },
    };
    let client_id = format!("emotiond-{}-watch-{}", settings.device, std::process::id());
    let mut options = MqttOptions::new(client_id, &address.host, address.port);
    options.set_keep_alive(settings.keep_alive);
    if let Some(credentials) = &settings.credentials {
        options.set_credentials(&credentials.username, credentials.password.expose());
    }
    if address.tls {
        options.set_transport(Transport::tls_with_config(tls::client_config(&settings.tls)?.into()));
    }
    let (client, mut connection) = Client::new(options, 10);
    client.subscribe(format!("emotiond/{}/#", settings.device), QoS::AtLeastOnce)?;
    loop {
        match connection.recv_timeout(SILENCE) {
            Ok(Ok(Event::Incoming(Packet::Publish(message)))) => {
                if !see(&message.topic, &String::from_utf8_lossy(&message.payload))? {
                    // With DISCONNECT, so that the broker does not log a lost client.
                    return client.disconnect().context("failed to disconnect from the broker");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => bail!("{address} cannot be watched: {error}; `emotiond check` says more"),
            Err(_) => bail!("{address} has sent nothing for a day"),
        }
    }
}
