//! What is published beside the stages' own outcomes; numbers and stamps what goes on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use emotiond_core::report::observation::CameraState;
use emotiond_core::report::payload::{
    Capabilities, Encoder, Health, Info, Latency, Message, ModelInfo, PrivacyInfo, ReadingRate,
};
use emotiond_core::report::score::Vocabulary;
use emotiond_core::report::summary::Summary;
use emotiond_core::report::trigger::TriggerEvent;

use super::health::{resident_bytes, temperature};
use super::status::Status;
use crate::config::Settings;
use crate::host::clock::Clock;
use crate::publish::{Counters, Disk};
use crate::vision::StageTimes;

/// Numbers and stamps what is published, and remembers the last window. Outlives a reload of the configuration, so that
/// sequence numbers go on.
pub struct Reports {
    encoder: Encoder,
    started: Instant,
    last_summary: Option<String>,
}

impl Reports {
    /// The reports of one run of the process.
    ///
    /// # Errors
    /// If the system has no random numbers to name the run by.
    pub fn new(device: &str) -> anyhow::Result<Self> {
        let encoder = Encoder::new(device.to_owned(), boot_id()?);
        Ok(Self { encoder, started: Instant::now(), last_summary: None })
    }

    /// A window, as it goes on the wire.
    pub fn summary(&mut self, summary: &Summary, clock: &dyn Clock) -> Message {
        let message = self.encoder.summary(summary, &clock.stamp());
        self.last_summary = Some(message.body.clone());
        message
    }

    /// An event, as it goes on the wire.
    #[must_use]
    pub fn event(&self, event: &TriggerEvent, clock: &dyn Clock) -> Message {
        self.encoder.event(event, &clock.stamp())
    }

    /// The encoder, for reports that are answered or published as they are.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The last window as it went on the wire.
    #[must_use]
    pub fn last_summary(&self) -> Option<serde_json::Value> {
        self.last_summary.as_ref().and_then(|body| serde_json::from_str(body).ok())
    }

    /// How the daemon is: rates and latencies of the last minute, counters of the whole run.
    #[must_use]
    pub fn health(&self, status: &Status, counters: &Counters, clock: &dyn Clock) -> Health {
        let now = Instant::now();
        let (recent, (totals, camera)) = (status.recent(now), status.totals());
        let timing = &recent.timing;
        let stages = [
            ("decode", &timing.decode),
            ("detect", &timing.detect),
            ("emotion", &timing.emotion),
            ("frame", &timing.frame),
        ];
        let stamp = clock.stamp();
        Health {
            time: stamp.date(stamp.now),
            uptime: now.duration_since(self.started).as_secs_f64(),
            camera: camera.unwrap_or(CameraState::Lost),
            captured_fps: recent.captured as f64 / recent.seconds,
            fps: timing.frame.count() as f64 / recent.seconds,
            readings: ReadingRate::of(&recent.readings),
            cpu: recent.cpu.as_secs_f64() / recent.seconds,
            latency: stages.into_iter().filter_map(latency).collect::<BTreeMap<_, _>>(),
            dropped: totals.losses.dropped,
            corrupt: totals.losses.corrupt,
            published: counters.delivered,
            queued: counters.waiting as u64,
            queue_on_disk: counters.on_disk,
            queue_disk: match counters.disk {
                Disk::Off => "off",
                Disk::Ok => "ok",
                Disk::Replaced => "replaced",
                Disk::Failing => "failing",
            },
            dropped_messages: counters.dropped.total(),
            dropped_summaries: counters.dropped.summaries,
            temperature: temperature(),
            memory: resident_bytes().map(|bytes| bytes as f64 / 1_048_576.0),
            clock_synchronized: stamp.synchronized,
        }
    }
}

/// What this device is.
#[must_use]
pub fn info(settings: &Settings, models: Vec<ModelInfo>, vocabulary: &Arc<Vocabulary>) -> Info {
    let privacy = &settings.privacy;
    let capabilities = Capabilities::from(vocabulary.as_ref());
    let sequences: Vec<String> = capabilities.sequences.keys().cloned().collect();
    Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models,
        site: privacy.site.name().to_owned(),
        privacy: PrivacyInfo {
            policy: privacy.policy,
            legal_basis: privacy.legal_basis.clone(),
            notice: privacy.notice(settings.window, &sequences),
        },
        window: settings.window.as_secs_f64(),
        capabilities,
        triggers: settings.triggers.iter().map(|trigger| trigger.name.clone()).collect(),
    }
}

fn latency((name, times): (&'static str, &StageTimes)) -> Option<(&'static str, Latency)> {
    let (mean, max) = times.mean_max()?;
    Some((name, Latency { mean: 1000.0 * mean.as_secs_f64(), max: 1000.0 * max.as_secs_f64() }))
}

/// 128 random bits that tell this run of the process from all others. Not the kernel's boot id: a restart of the
/// daemon begins its sequence numbers anew.
fn boot_id() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context("failed to get random numbers from the kernel")?;
    anyhow::ensure!(filled == bytes.len(), "the kernel gave {filled} of {} random bytes", bytes.len());
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
