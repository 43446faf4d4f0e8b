//! What a subscriber of the broker receives.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{Client, Connection, Event, Outgoing, Packet, QoS, SubscribeReasonCode};

use super::diagnosis::{ConnectFailure, diagnose};
use super::probe;
use crate::publish::settings::{Address, MqttSettings};

/// How long it waits for the next message.
const SILENCE: Duration = Duration::from_secs(24 * 3600);
/// How long it waits before it connects again.
const AGAIN: Duration = Duration::from_secs(2);
/// The largest message that is read. A larger one ends the connection.
const LARGEST: usize = 256 * 1024;

/// Subscribes to everything below `emotiond/<device>/` as a client of its own and calls `see` with the topic and body of
/// each message, until that returns false.
///
/// # Errors
/// If the broker cannot be reached or disconnects, or `see` fails.
pub fn watch(
    settings: &MqttSettings,
    mut see: impl FnMut(&str, &str) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let address = settings.address();
    let (client, mut connection) = client(settings, &address)?;
    client.subscribe(of_device(settings), QoS::AtLeastOnce)?;
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

fn client(settings: &MqttSettings, address: &Address) -> anyhow::Result<(Client, Connection)> {
    let client_id = format!("emotiond-{}-watch-{}", settings.device, std::process::id());
    let mut options = probe::options(settings, address, client_id)?;
    options.set_max_packet_size(LARGEST, LARGEST);
    Ok(Client::new(options, 10))
}

fn of_device(settings: &MqttSettings) -> String {
    format!("emotiond/{}/#", settings.device)
}

/// What a follower is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Update {
    /// The broker has let us in.
    Connected,
    /// There is no connection, or not what was asked for: why, and what to do. It is tried again.
    Trouble(String),
    /// A message of any device.
    Message {
        /// Its topic.
        topic: String,
        /// Its body; what is no UTF-8 in it is replaced.
        body: String,
    },
}

/// A subscriber of all devices in a thread of its own, which connects again and again.
pub struct Follower {
    client: Client,
}

impl Follower {
    /// Starts the thread and returns at once. If the broker does not let us subscribe to all devices, the one of these
    /// settings is followed. The thread ends when nobody takes its updates any more.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn start(settings: &MqttSettings, updates: SyncSender<Update>) -> anyhow::Result<Self> {
        let address = settings.address();
        let (client, connection) = client(settings, &address)?;
        let (settings, handle) = (settings.clone(), client.clone());
        std::thread::Builder::new()
            .name("follower".into())
            .spawn(move || follow(connection, &handle, &settings, &address, &updates))
            .context("failed to start the follower's thread")?;
        Ok(Self { client })
    }

    /// Takes leave of the broker, if there is a connection.
    pub fn stop(self) {
        let _not_connected = self.client.try_disconnect();
    }
}

fn follow(
    mut connection: Connection,
    client: &Client,
    settings: &MqttSettings,
    address: &Address,
    updates: &SyncSender<Update>,
) {
    let mut filter = "emotiond/+/#".to_owned();
    let mut established = false;
    while let Ok(event) = connection.recv() {
        let update = match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                established = true;
                let _full = client.try_subscribe(&filter, QoS::AtLeastOnce);
                Update::Connected
            }
            Ok(Event::Incoming(Packet::SubAck(ack)))
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                if filter == of_device(settings) {
                    Update::Trouble(format!("the broker refuses the subscription to {filter}"))
                } else {
                    filter = of_device(settings);
                    let _full = client.try_subscribe(&filter, QoS::AtLeastOnce);
                    continue;
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => Update::Message {
                body: String::from_utf8_lossy(&message.payload).into_owned(),
                topic: message.topic,
            },
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => {
                let failure = ConnectFailure::Connection { error: error.into(), established };
                established = false;
                if updates.send(Update::Trouble(diagnose(&failure, address, settings).cause)).is_err() {
                    return;
                }
                std::thread::sleep(AGAIN);
                continue;
            }
        };
        if updates.send(update).is_err() {
            return;
        }
    }
}
