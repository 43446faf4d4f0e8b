//! Prints summaries as an MQTT subscriber receives them: `subscribe HOST:PORT DEVICE COUNT`.
//!
//! The smallest consumer there can be; `make demo` runs it.

#![allow(clippy::print_stdout, reason = "printing is what this example does")]

use std::time::Duration;

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(device), Some(count)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        anyhow::bail!("usage: subscribe HOST:PORT DEVICE COUNT");
    };
    let count: usize = count.parse()?;
    let (host, port) = address.rsplit_once(':').ok_or_else(|| anyhow::anyhow!("{address} has no port"))?;
    let mut options = MqttOptions::new(format!("subscribe-{}", std::process::id()), host, port.parse()?);
    options.set_keep_alive(Duration::from_secs(10));
    let (client, mut connection) = Client::new(options, 10);
    client.subscribe(format!("emotiond/{device}/summary"), QoS::AtLeastOnce)?;
    let mut received = 0;
    while received < count {
        match connection.recv_timeout(Duration::from_secs(60)) {
            Ok(Ok(Event::Incoming(Packet::Publish(message)))) => {
                println!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
                received += 1;
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => anyhow::bail!("the broker at {address} cannot be used: {error}"),
            Err(_) => anyhow::bail!("no summary within a minute"),
        }
    }
    client.disconnect()?;
    Ok(())
}
