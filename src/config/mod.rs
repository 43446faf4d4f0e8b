//! Configuration: the TOML file, checked into [`Settings`], which can only be built valid.

mod keys;
mod lengths;
mod page;
mod raw;
#[cfg(test)]
mod tests;
mod triggers;
mod validate;
mod vision;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::CameraSettings;
use crate::capture::replay::Speed;
use crate::host::file;
use crate::publish::page::PageSettings;
use crate::publish::settings::MqttSettings;
use crate::vision::models::ModelSettings;
use emotiond_core::report::compound::CompoundMean;
use emotiond_core::report::payload::DeviceName;
use emotiond_core::report::policy::{Policy, Site};
use emotiond_core::report::trigger::TriggerSettings;

/// Where the configuration is looked for if none is named.
pub const DEFAULT_PATH: &str = "/etc/emotiond/emotiond.toml";

/// The commented default configuration, as `emotiond config` prints it and packages install it.
pub const EXAMPLE: &str = include_str!("../../systemd/emotiond.toml");

/// The largest configuration, in bytes: some hundred times what all keys and triggers take.
const LARGEST: u64 = 1 << 20;

/// Where summaries go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Destination {
    /// The broker that the configuration names.
    #[default]
    Mqtt,
    /// Standard output, one JSON line a summary.
    Stdout,
}

/// What may be said of people at this site, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrivacySettings {
    /// Where the device is installed.
    pub site: Site,
    /// Why emotions may be inferred in education or at work.
    pub legal_basis: Option<String>,
    /// What follows from both, and from what the operator wants withheld.
    pub policy: Policy,
}

impl PrivacySettings {
    /// What the device does, for the notice on the wall: in plain words, from these settings. `sequences` are the names of
    /// what is read off the last seconds of each face.
    #[must_use]
    pub fn notice(&self, window: Duration, sequences: &[String]) -> String {
        let window = humantime::format_duration(window);
        let Policy { emotion, facing, watchers, min_people } = self.policy;
        let mut notice = "A camera counts faces here and how long each stays".to_owned();
        if watchers {
            notice += ", notes whether and how long they are turned to it,";
        } else if facing {
            notice += ", notes whether they are turned to it,";
        }
        notice += if emotion {
            " and estimates the expressions they show."
        } else {
            " and does not estimate what they show."
        };
        if emotion && !sequences.is_empty() {
            notice +=
                &format!(" From the last seconds of each face it also estimates: {}.", sequences.join(", "));
        }
        if let Some(basis) = self.exemption() {
            notice += &format!(" Why expressions may be estimated here: {}.", basis.trim_end_matches('.'));
        }
        if emotion && min_people > 1 {
            notice += &format!(" Expressions are published only of {min_people} or more people at once.");
        }
        if min_people > 1 {
            notice +=
                &format!(" Lengths of stay are published only of {min_people} or more visits together.");
        }
        notice += &format!(
            " Numbers about {window} at a time leave the device, and events. No picture is stored or sent, and nobody is \
             recognized. Site: {}.",
            self.site.name()
        );
        notice
    }

    /// The legal basis that the operator claims, where emotion would be forbidden without one.
    #[must_use]
    pub fn exemption(&self) -> Option<&str> {
        self.legal_basis.as_deref().filter(|_| self.site.forbids_emotion())
    }
}

/// Home Assistant's MQTT discovery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HomeAssistantSettings {
    /// Whether to announce the device.
    pub discovery: bool,
    /// The first level of Home Assistant's topics.
    pub prefix: String,
    /// By what Home Assistant knows the device; its name if there is none.
    pub id: Option<DeviceName>,
}

/// Everything the daemon needs to know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they were read from.
    pub path: PathBuf,
    /// Where summaries go.
    pub publish: Destination,
    /// Topic level and client id.
    pub device: DeviceName,
    /// The camera or its stand-in.
    pub camera: CameraSettings,
    /// Which models.
    pub models: ModelSettings,
    /// Faces with a shorter side than this, in pixels, are counted but not classified.
    pub min_face: f32,
    /// Processor time that the process may use, in cores; without it no bound.
    pub cores: Option<f64>,
    /// Length of a summary's window.
    pub window: Duration,
    /// Time constant of the smoothing.
    pub smoothing: Duration,
    /// Time constants of heads that have one of their own, by name.
    pub smoothing_by_head: BTreeMap<String, Duration>,
    /// The probability that one expression has to reach for a face not to count as ambiguous, 0..=1.
    pub ambiguous: f64,
    /// How compound expressions are read; `None` for none.
    pub compound: Option<CompoundMean>,
    /// Site and law.
    pub privacy: PrivacySettings,
    /// The broker. Home Assistant's announcement is made later, when the models are known.
    pub mqtt: MqttSettings,
    /// Where the password was read from: a reload reads it again.
    pub password_file: Option<PathBuf>,
    /// Home Assistant.
    pub home_assistant: HomeAssistantSettings,
    /// Where metrics can be read, if anywhere; port 0 takes any free one.
    pub metrics: Option<SocketAddr>,
    /// The page, if there is one.
    pub page: Option<PageSettings>,
    /// Events.
    pub triggers: Vec<TriggerSettings>,
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {error}; `emotiond config` prints one to start from")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not TOML, or has a key or type that does not exist.
    #[error("the configuration {path} is not valid:\n{message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// TOML's own message with the line.
        message: String,
    },
    /// A value makes no sense.
    #[error("the configuration {path} is not valid: {message}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key, what it was, what it may be.
        message: String,
    },
}

/// Overrides from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Replaces `camera.source`.
    pub source: Option<String>,
    /// Replaces `summary.window`.
    pub window: Option<Duration>,
    /// Whether no configuration file is needed: a trial at home, which publishes nothing but standard output.
    pub trial: bool,
    /// Where summaries go.
    pub publish: Destination,
    /// How fast a recording is played; without it at full speed to standard output, and in real time over MQTT.
    pub speed: Option<Speed>,
}

impl Overrides {
    fn speed(&self) -> Speed {
        self.speed.unwrap_or(match self.publish {
            Destination::Stdout => Speed::Full,
            Destination::Mqtt => Speed::RealTime,
        })
    }
}

impl Settings {
    /// Reads and checks the configuration at `path`, or at [`DEFAULT_PATH`].
    ///
    /// # Errors
    /// Names the file, the key and the remedy.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let (path, explicit) = path.map_or((Path::new(DEFAULT_PATH), false), |path| (path, true));
        match file::read_text(path, LARGEST) {
            Ok(text) => Self::parse(&text, path, overrides),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !explicit && overrides.trial => {
                log::warn!(
                    "no configuration at {DEFAULT_PATH}: a trial with the defaults and site = \"home\"; \
                     `emotiond config` prints a configuration to start from"
                );
                Self::parse("site = \"home\"\n", Path::new("(built-in trial)"), overrides)
            }
            Err(error) => Err(ConfigError::Unreadable { path: path.to_owned(), error }),
        }
    }

    /// Checks the text of a configuration; `path` is for messages and for relative file names.
    ///
    /// # Errors
    /// Names the file, the key and the remedy.
    pub fn parse(text: &str, path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut file: raw::File = toml::from_str(text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        if let Some(source) = &overrides.source {
            file.camera.source.clone_from(source);
        }
        if let Some(window) = overrides.window {
            file.summary.window = raw::Span(window);
        }
        validate::settings(file, path, overrides)
            .map_err(|message| ConfigError::Value { path: path.to_owned(), message: format!("{message:#}") })
    }
}
