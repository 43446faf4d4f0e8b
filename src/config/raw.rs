//! The configuration file as it is written: TOML in, nothing checked yet but spelling and types.

use std::path::PathBuf;
use std::time::Duration;

use emotiond_core::report::policy::Site;
use emotiond_core::report::summary::SummarySettings;
use serde::{Deserialize, Deserializer};

use crate::publish::settings::MqttSettings;
use crate::vision::detect::CameraRange;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub site: Option<Site>,
    pub device: Option<String>,
    #[serde(default)]
    pub camera: CameraTable,
    #[serde(default)]
    pub models: ModelsTable,
    #[serde(default)]
    pub faces: FacesTable,
    #[serde(default)]
    pub summary: SummaryTable,
    #[serde(default)]
    pub privacy: PrivacyTable,
    #[serde(default)]
    pub mqtt: MqttTable,
    #[serde(default)]
    pub home_assistant: HomeAssistantTable,
    #[serde(default)]
    pub metrics: MetricsTable,
    #[serde(default)]
    pub page: PageTable,
    #[serde(default, rename = "trigger")]
    pub triggers: Vec<TriggerTable>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CameraTable {
    pub source: String,
    pub width: u32,
    pub height: u32,
    pub rate: f64,
    pub range: CameraRange,
    pub cpu: Option<f64>,
    pub timeout: Span,
    pub format: Option<String>,
    pub stride: u32,
    pub replay_fps: f64,
}

impl Default for CameraTable {
    fn default() -> Self {
        Self {
            source: "v4l2:/dev/video0".to_owned(),
            width: 640,
            height: 480,
            rate: 5.0,
            range: CameraRange::Room,
            cpu: None,
            timeout: Span(Duration::from_secs(5)),
            format: None,
            stride: 0,
            replay_fps: 25.0,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ModelsTable {
    pub directory: Option<PathBuf>,
    pub detector: String,
    pub emotion: String,
    pub blend: Option<String>,
    pub blend_weight: f64,
    pub sequences: Vec<String>,
}

impl Default for ModelsTable {
    fn default() -> Self {
        Self {
            directory: None,
            detector: "emotiond-face".to_owned(),
            emotion: "emotiond-mtl".to_owned(),
            blend: None,
            blend_weight: 0.5,
            sequences: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FacesTable {
    pub min_size: u32,
}

impl Default for FacesTable {
    fn default() -> Self {
        Self { min_size: 40 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SummaryTable {
    pub window: Span,
    pub smoothing: Span,
    pub ambiguous: f64,
    pub compound: CompoundKey,
    pub smoothing_expression: Option<Span>,
    pub smoothing_valence_arousal: Option<Span>,
    pub smoothing_action_units: Option<Span>,
}

/// How compound expressions are read, if at all.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CompoundKey {
    #[default]
    Off,
    Geometric,
    Arithmetic,
}

impl Default for SummaryTable {
    fn default() -> Self {
        Self {
            window: Span(Duration::from_secs(10)),
            smoothing: Span(Duration::from_secs(1)),
            ambiguous: SummarySettings::default().ambiguous,
            compound: CompoundKey::Off,
            smoothing_expression: None,
            smoothing_valence_arousal: None,
            smoothing_action_units: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrivacyTable {
    pub min_people: u32,
    pub legal_basis: Option<String>,
    pub facing: Option<bool>,
    pub watchers: Option<bool>,
}

impl Default for PrivacyTable {
    fn default() -> Self {
        Self { min_people: 1, legal_basis: None, facing: None, watchers: None }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MqttTable {
    pub url: String,
    pub listen: Option<String>,
    pub embedded_topics: Vec<String>,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub client_certificate_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    pub keep_alive: Span,
    pub queue: usize,
    pub keep: Span,
    pub state_directory: Option<PathBuf>,
    pub commands: bool,
}

impl Default for MqttTable {
    fn default() -> Self {
        Self {
            url: "embedded".to_owned(),
            listen: None,
            embedded_topics: Vec::new(),
            username: None,
            password_file: None,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            keep_alive: Span(MqttSettings::KEEP_ALIVE),
            queue: MqttSettings::QUEUE,
            keep: Span(Duration::from_secs(7 * 24 * 3600)),
            state_directory: None,
            commands: MqttSettings::COMMANDS,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HomeAssistantTable {
    pub discovery: bool,
    pub prefix: String,
    pub id: Option<String>,
}

impl Default for HomeAssistantTable {
    fn default() -> Self {
        Self { discovery: true, prefix: "homeassistant".to_owned(), id: None }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsTable {
    pub listen: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageTable {
    pub enabled: bool,
    pub listen: Option<String>,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub url: Option<String>,
    pub origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerTable {
    pub name: String,
    pub signal: String,
    pub above: Option<f64>,
    pub below: Option<f64>,
    #[serde(default, rename = "for")]
    pub hold: Span,
    pub hysteresis: Option<f64>,
    #[serde(default)]
    pub cooldown: Span,
    #[serde(default = "yes")]
    pub end: bool,
}

fn yes() -> bool {
    true
}

/// A duration written as `"10s"`, `"1m 30s"` or `"250ms"`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!(
                "{text:?} is not a duration ({error}); write for example \"10s\""
            ))
        })
    }
}
