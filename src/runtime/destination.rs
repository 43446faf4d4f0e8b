//! Where messages go, and what Home Assistant is told of it: opened at the start, kept over a reload that does not
//! concern it.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use emotiond_core::report::payload::{Info, Message};

use super::event::Event;
use super::health::temperature;
use crate::config::{Destination, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::publish::Publisher;
use crate::publish::home_assistant::{Announced, Discovery, discovery, withdrawal};
use crate::publish::mqtt::inbox::refused;
use crate::publish::mqtt::{Announcement, MqttPublisher};
use crate::publish::page::PageSettings;
use crate::publish::settings::{Broker, MqttSettings};
use crate::publish::stdout::LinePublisher;

/// A publisher, and the settings that it cannot change while it runs.
pub struct OpenPublisher {
    /// The publisher.
    pub publisher: Box<dyn Publisher>,
    settings: Option<FixedSettings>,
}

/// What a publisher has to be started anew for.
#[derive(Eq, PartialEq)]
struct FixedSettings {
    mqtt: MqttSettings,
    /// Where others may tell the embedded broker that Home Assistant has started.
    birth: Option<String>,
}

impl FixedSettings {
    fn of(settings: &Settings) -> Option<Self> {
        let home_assistant = &settings.home_assistant;
        let embedded = settings.mqtt.broker == Broker::Embedded;
        (settings.publish == Destination::Mqtt).then(|| Self {
            mqtt: settings.mqtt.clone(),
            birth: (embedded && home_assistant.discovery).then(|| home_assistant.prefix.clone()),
        })
    }
}

impl OpenPublisher {
    /// Takes the publisher of the configuration before, if these settings change nothing about it: its connection stays,
    /// and nobody sees the device go. Otherwise a new one is started, whose commands go to `events`. Either way `states`
    /// are published, and before the device is said to be online.
    ///
    /// # Errors
    /// If the destination cannot be used at all.
    pub fn open(
        settings: &Settings,
        info: &Info,
        health_interval: Duration,
        before: Option<Self>,
        states: Vec<Message>,
        events: &SyncSender<Event>,
    ) -> Result<Self, Failure> {
        let home_assistant = || tell_home_assistant(settings, info, health_interval);
        if let Some(mut kept) = before.filter(|kept| kept.serves(settings)) {
            kept.publisher.announce(Some(home_assistant()?));
            for message in states {
                kept.publisher.publish(message).or_exit(Code::Unavailable)?;
            }
            return Ok(kept);
        }
        let publisher: Box<dyn Publisher> = match settings.publish {
            Destination::Stdout => Box::new(LinePublisher::stdout()),
            Destination::Mqtt => Box::new(mqtt(settings, states, home_assistant()?, events.clone())?),
        };
        Ok(Self { publisher, settings: FixedSettings::of(settings) })
    }

    /// Whether it is a broker's.
    pub fn has_broker(&self) -> bool {
        self.settings.is_some()
    }

    /// Whether it is what a start with these settings would open.
    pub fn serves(&self, settings: &Settings) -> bool {
        self.settings == FixedSettings::of(settings)
    }
}

fn mqtt(
    settings: &Settings,
    states: Vec<Message>,
    discovery: Discovery,
    events: SyncSender<Event>,
) -> Result<MqttPublisher, Failure> {
    let mqtt = settings.mqtt.clone();
    if mqtt.durable.is_none() && mqtt.broker != Broker::Embedded {
        log::warn!(
            "no state directory: what the broker has not taken is kept in memory alone and lost by a restart; set \
             mqtt.state_directory, or StateDirectory= in the unit"
        );
    }
    let announcement = Announcement { status: true, states, discovery: Some(discovery) };
    let commands = Box::new(move |command| events.try_send(Event::Command(command)).map_err(refused));
    MqttPublisher::start(mqtt, announcement, commands).or_exit(Code::Config)
}

/// What Home Assistant is told: of the device, or that there is none any more.
fn tell_home_assistant(
    settings: &Settings,
    info: &Info,
    health_interval: Duration,
) -> Result<Discovery, Failure> {
    let home_assistant = &settings.home_assistant;
    let (prefix, device) = (home_assistant.prefix.as_str(), &settings.device);
    let id = home_assistant.id.as_ref().unwrap_or(device);
    if !home_assistant.discovery {
        return withdrawal(prefix, device, id).or_exit(Code::Config);
    }
    let capabilities = &info.capabilities;
    discovery(&Announced {
        prefix,
        device,
        id,
        window: settings.window,
        health_interval,
        expressions: &capabilities.expressions,
        valence_arousal: capabilities.valence_arousal,
        action_units: &capabilities.action_units,
        sequences: &capabilities.sequences,
        facing: settings.privacy.policy.facing,
        watchers: settings.privacy.policy.watchers,
        temperature: temperature().is_some(),
        triggers: &info.triggers,
        commands: settings.mqtt.commands,
        page: settings.page.as_ref().and_then(PageSettings::address_for_others),
    })
    .or_exit(Code::Config)
}
