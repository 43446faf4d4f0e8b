//! From what is written to what makes sense. Messages name the key, its value and what it may be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::keys::{address, credentials};
use super::{HomeAssistantSettings, Overrides, PrivacySettings, Settings, raw};
use crate::capture::frame::PixelFormat;
use crate::capture::frame::decode::raw_length;
use crate::capture::replay::{ReplaySettings, Speed};
use crate::capture::v4l2::negotiate::ModeRequest;
use crate::capture::{CameraSettings, Spec};
use crate::publish::is_topic_filter;
use crate::publish::settings::{Broker, ClientCertificate, DurableSettings, MqttSettings, TlsSettings};
use crate::vision::models::ModelSettings;
use emotiond_core::report::compound::CompoundMean;
use emotiond_core::report::payload::DeviceName;
use emotiond_core::report::policy::Policy;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, VALENCE_AROUSAL};

/// The most windows that are kept on disk.
const MOST_KEPT: f64 = 1e6;
/// The most filters of topics that clients of the embedded broker may publish on.
const MOST_TOPICS: usize = 64;
/// The most models that read sequences.
const MOST_SEQUENCES: usize = 8;

pub(super) fn settings(file: raw::File, path: &Path, overrides: &Overrides) -> Result<Settings> {
    let Some(site) = file.site else {
        bail!(
            "`site` is missing: say where the device stands, as the first line of the file: site = \"home\" \
             (or \"retail\", \"research\", \"education\", \"workplace\"); the law that applies depends on it"
        );
    };
    super::lengths::check(&file)?;
    let device = device(file.device)?;
    let min_people = within("privacy.min_people", file.privacy.min_people, 1, 1000)?;
    let legal_basis = file.privacy.legal_basis;
    ensure!(
        legal_basis.as_ref().is_none_or(|text| !text.trim().is_empty()),
        "`privacy.legal_basis` is empty: state the medical or safety reason, or leave the key out"
    );
    let mut policy = Policy::new(site, legal_basis.is_some(), file.privacy.facing, min_people);
    if let Some(watchers) = file.privacy.watchers {
        ensure!(
            !watchers || !site.forbids_emotion() || legal_basis.is_some(),
            "`privacy.watchers` is true, but `site` is {:?}: there it takes a `privacy.legal_basis` to measure how \
             long people look",
            site.name()
        );
        policy.watchers = watchers;
    }
    let privacy = PrivacySettings { site, legal_basis, policy };
    let camera = camera(&file.camera, overrides.speed())?;
    let summary = file.summary;
    let second = Duration::from_secs(1);
    let window = span("summary.window", summary.window, second, 3600 * second)?;
    Ok(Settings {
        path: path.to_owned(),
        publish: overrides.publish,
        models: ModelSettings {
            directory: file.models.directory.map_or_else(models_directory, Ok)?,
            detector: detector(file.models.detector)?,
            range: file.camera.range,
            emotion: file.models.emotion,
            blend: {
                let weight = within("models.blend_weight", file.models.blend_weight, 0.0, 1.0)? as f32;
                file.models.blend.map(|name| (name, weight))
            },
            sequences: sequences(file.models.sequences)?,
        },
        min_face: within("faces.min_size", file.faces.min_size, 8, 2000)? as f32,
        cores: file.camera.cpu.map(|cores| within("camera.cpu", cores, 0.05, 64.0)).transpose()?,
        window,
        compound: match summary.compound {
            raw::CompoundKey::Off => None,
            raw::CompoundKey::Geometric => Some(CompoundMean::Geometric),
            raw::CompoundKey::Arithmetic => Some(CompoundMean::Arithmetic),
        },
        smoothing: span("summary.smoothing", summary.smoothing, Duration::ZERO, 60 * second)?,
        smoothing_by_head: [
            (EXPRESSION, "summary.smoothing_expression", summary.smoothing_expression),
            (VALENCE_AROUSAL, "summary.smoothing_valence_arousal", summary.smoothing_valence_arousal),
            (ACTION_UNITS, "summary.smoothing_action_units", summary.smoothing_action_units),
        ]
        .into_iter()
        .filter_map(|(head, key, time)| Some((head, key, time?)))
        .map(|(head, key, time)| Ok((head.to_owned(), span(key, time, Duration::ZERO, 60 * second)?)))
        .collect::<Result<_>>()?,
        ambiguous: within("summary.ambiguous", summary.ambiguous, 0.0, 1.0)?,
        password_file: file.mqtt.password_file.clone(),
        mqtt: mqtt(file.mqtt, device.clone(), window)?,
        home_assistant: HomeAssistantSettings {
            discovery: file.home_assistant.discovery,
            prefix: topic_prefix(file.home_assistant.prefix)?,
            id: file
                .home_assistant
                .id
                .map(|id| id.parse().map_err(|error| anyhow!("`home_assistant.id`: {error}")))
                .transpose()?,
        },
        metrics: file
            .metrics
            .listen
            .map(|text| address("metrics.listen", &text, "127.0.0.1:9464"))
            .transpose()?,
        page: super::page::checked(file.page)?,
        triggers: super::triggers::checked(file.triggers)?,
        device,
        camera,
        privacy,
    })
}

fn camera(camera: &raw::CameraTable, speed: Speed) -> Result<CameraSettings> {
    let source: Spec = camera.source.parse().map_err(|error: String| anyhow!("`camera.source`: {error}"))?;
    let format = camera.format.as_deref().map(pixel_format).transpose()?;
    let mode = ModeRequest {
        width: within("camera.width", camera.width, 64, 8192)?,
        height: within("camera.height", camera.height, 64, 8192)?,
        rate: within("camera.rate", camera.rate, 0.1, 60.0)?,
        format,
    };
    let raw_frames = matches!(source, Spec::Stream(_)) && format.is_some_and(|f| f != PixelFormat::Mjpeg);
    ensure!(
        camera.stride == 0 || raw_frames,
        "`camera.stride` is for raw frames of a stream: leave it out, or set `camera.source` to stream:… and \
         `camera.format` to one of the raw formats"
    );
    if let (true, Some(format)) = (raw_frames, format) {
        let stride = within("camera.stride", camera.stride, 0, 65_536)?;
        ensure!(
            raw_length(format, mode.width, mode.height, stride).is_some(),
            "`camera.stride` is {stride}, and a row of {} pixels in {format} takes more bytes",
            mode.width
        );
    }
    Ok(CameraSettings {
        source,
        mode,
        stride: camera.stride,
        timeout: span("camera.timeout", camera.timeout, Duration::from_millis(500), Duration::from_secs(30))?,
        replay: ReplaySettings {
            fps: within("camera.replay_fps", camera.replay_fps, 0.1, 240.0)?,
            speed,
            duration: None,
        },
    })
}

fn pixel_format(text: &str) -> Result<PixelFormat> {
    let code = text.to_ascii_uppercase();
    <[u8; 4]>::try_from(code.as_bytes()).ok().and_then(PixelFormat::from_fourcc).with_context(|| {
        let names: Vec<_> = PixelFormat::ALL.iter().map(|format| format.name()).collect();
        format!("`camera.format` is {text:?}; it may be {}", names.join(", "))
    })
}

fn device(configured: Option<String>) -> Result<DeviceName> {
    let (name, from) = match configured {
        Some(name) => (name, "`device`"),
        None => {
            let name =
                std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host name is unknown")?;
            (name.trim().to_owned(), "`device` is not set, and the host name cannot stand in for it")
        }
    };
    name.parse().context(from)
}

fn mqtt(mqtt: raw::MqttTable, device: DeviceName, window: Duration) -> Result<MqttSettings> {
    let broker: Broker = mqtt.url.parse().context("`mqtt.url`")?;
    let credentials = credentials("mqtt", mqtt.username, mqtt.password_file)?;
    let client = match (mqtt.client_certificate_file, mqtt.client_key_file) {
        (Some(certificate_file), Some(key_file)) => Some(ClientCertificate { certificate_file, key_file }),
        (None, None) => None,
        _ => bail!("`mqtt.client_certificate_file` and `mqtt.client_key_file` go together"),
    };
    let tls = TlsSettings { ca_file: mqtt.ca_file, client };
    let encrypted = matches!(&broker, Broker::Remote(address) if address.tls);
    ensure!(
        encrypted || (tls.ca_file.is_none() && tls.client.is_none()),
        "`mqtt.url` is {:?}, which is not encrypted, but certificates are given; write mqtts://",
        mqtt.url
    );
    let listen: Option<SocketAddr> = match &mqtt.listen {
        Some(text) => Some(text.parse().with_context(|| {
            format!("`mqtt.listen` is {text:?}; write an address and a port, for example \"127.0.0.1:1883\"")
        })?),
        None => None,
    };
    ensure!(
        listen.is_none() || broker == Broker::Embedded,
        "`mqtt.listen` is for the embedded broker; `mqtt.url` is {:?}",
        mqtt.url
    );
    let durable = durable(mqtt.keep, mqtt.state_directory, window)?;
    let mut settings = MqttSettings::new(broker, device);
    if let Some(listen) = listen {
        ensure!(
            listen.ip().is_loopback() || credentials.is_some(),
            "`mqtt.listen` is {listen}, which others can reach: set `mqtt.username` and `mqtt.password_file`, \
             or listen on 127.0.0.1"
        );
        settings.embedded_listen = listen;
    }
    ensure!(
        mqtt.embedded_topics.is_empty() || settings.broker == Broker::Embedded,
        "`mqtt.embedded_topics` is for the embedded broker; `mqtt.url` is {:?}",
        mqtt.url
    );
    ensure!(
        mqtt.embedded_topics.len() <= MOST_TOPICS,
        "`mqtt.embedded_topics` has {} filters; {MOST_TOPICS} at most",
        mqtt.embedded_topics.len()
    );
    for filter in &mqtt.embedded_topics {
        ensure!(
            is_topic_filter(filter),
            "`mqtt.embedded_topics` contains {filter:?}, which is no topic filter; write for example \"kitchen/#\""
        );
    }
    settings.embedded_topics = mqtt.embedded_topics;
    settings.credentials = credentials;
    settings.tls = tls;
    settings.keep_alive =
        span("mqtt.keep_alive", mqtt.keep_alive, Duration::from_secs(5), Duration::from_secs(3600))?;
    settings.queue = within("mqtt.queue", mqtt.queue, 16, 1_000_000)?;
    // The embedded broker takes everything at once: there is nothing to wait for.
    settings.durable = durable.filter(|_| settings.broker != Broker::Embedded);
    settings.commands = mqtt.commands;
    Ok(settings)
}

/// Where summaries wait that the broker has not taken, and how many at most.
fn durable(
    keep: raw::Span,
    configured: Option<PathBuf>,
    window: Duration,
) -> Result<Option<DurableSettings>> {
    let day = Duration::from_secs(24 * 3600);
    let keep = span("mqtt.keep", keep, Duration::from_secs(60), 366 * day)?;
    let limit = keep.as_secs_f64() / window.as_secs_f64();
    ensure!(
        limit <= MOST_KEPT,
        "`mqtt.keep` is {}, which is {limit:.0} windows of {}; {MOST_KEPT:.0} at most are kept (about 1.2 GB): \
         shorten it, or lengthen `summary.window`",
        humantime::format_duration(keep),
        humantime::format_duration(window)
    );
    // systemd separates several directories by colons; the first is the queue's.
    let systemd = || std::env::var("STATE_DIRECTORY").ok()?.split(':').next().map(PathBuf::from);
    let directory = configured.or_else(systemd).filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = &directory {
        ensure!(
            directory.is_absolute(),
            "`mqtt.state_directory` is {}; write the whole path, beginning with /",
            directory.display()
        );
    }
    Ok(directory.map(|directory| DurableSettings { directory, limit: limit.ceil() as u64 }))
}

fn topic_prefix(prefix: String) -> Result<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    ensure!(
        !prefix.is_empty() && prefix.chars().all(good) && !prefix.starts_with('/') && !prefix.ends_with('/'),
        "`home_assistant.prefix` is {prefix:?}; it is the start of a topic: letters, digits, '-', '_' and inner '/'"
    );
    Ok(prefix)
}

/// The detector's name or path, unless it is a name that earlier versions knew.
fn detector(name: String) -> Result<String> {
    ensure!(
        name != "auto" && !name.starts_with("blazeface-"),
        "`models.detector` is {name:?}, a BlazeFace detector of earlier versions, and emotiond has these no longer; \
         leave the key out for \"emotiond-face\", which finds more faces at a lower cost"
    );
    Ok(name)
}

/// Names of models that read sequences: a handful, since each keeps seconds of every face in memory.
fn sequences(names: Vec<String>) -> Result<Vec<String>> {
    ensure!(
        names.len() <= MOST_SEQUENCES,
        "`models.sequences` names {} models; {MOST_SEQUENCES} at most",
        names.len()
    );
    Ok(names)
}

/// The models' folder of this installation: beside the program as packages put it, or of the source tree that
/// the program was built in.
fn models_directory() -> Result<PathBuf> {
    let program =
        std::env::current_exe().context("the program's own path is unknown; set `models.directory`")?;
    let beside = program.parent().into_iter().flat_map(|folder| {
        ["../share/emotiond/models", "../../models", "../../../models"].map(|path| folder.join(path))
    });
    let mut candidates = beside.chain([PathBuf::from("/usr/share/emotiond/models")]);
    let found = candidates.find(|path| path.join("emotiond-face.toml").is_file());
    found.and_then(|path| path.canonicalize().ok()).context(
        "no models found beside the program or in /usr/share/emotiond/models; set `models.directory` to the folder \
         with the manifests (*.toml)",
    )
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(key: &str, value: T, least: T, most: T) -> Result<T> {
    ensure!(value >= least && value <= most, "`{key}` is {value}; it may be {least} to {most}");
    Ok(value)
}

fn span(key: &str, span: raw::Span, least: Duration, most: Duration) -> Result<Duration> {
    ensure!(
        span.0 >= least && span.0 <= most,
        "`{key}` is {}; it may be {} to {}",
        humantime::format_duration(span.0),
        humantime::format_duration(least),
        humantime::format_duration(most)
    );
    Ok(span.0)
}
