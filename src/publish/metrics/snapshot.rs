//! The numbers at one moment, and their names: base units, `_total` for what only rises, few labels with few values.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use serde_json::Value;

/// How long one stage took, over the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageHistogram {
    /// The stage.
    pub stage: &'static str,
    /// Seconds, all runs together.
    pub sum: f64,
    /// Runs.
    pub count: u64,
    /// Upper bounds in seconds, the last of them infinite, and the runs that took no longer than that and longer than the
    /// bound before.
    pub buckets: Vec<(f64, u64)>,
}

/// What the last summary said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastWindow {
    people: Option<f64>,
    faces: Option<f64>,
    facing: Option<f64>,
    expressions: Vec<(String, f64)>,
    valence: Option<f64>,
    arousal: Option<f64>,
}

impl LastWindow {
    /// Reads a summary as it went on the wire.
    #[must_use]
    pub fn of(summary: &Value) -> Self {
        let shares = summary["expression"]["distribution"].as_object().into_iter().flatten();
        Self {
            people: summary["faces"]["people"].as_f64(),
            faces: summary["faces"]["mean"].as_f64(),
            facing: summary["faces"]["facing"].as_f64(),
            expressions: shares.filter_map(|(name, share)| Some((name.clone(), share.as_f64()?))).collect(),
            valence: summary["valence"]["mean"].as_f64(),
            arousal: summary["arousal"]["mean"].as_f64(),
        }
    }
}

/// The numbers at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The program's version.
    pub version: &'static str,
    /// The device's name.
    pub device: String,
    /// Seconds since the start.
    pub uptime: f64,
    /// The camera's state: `ok`, `blind`, `lost` or `paused`.
    pub camera: &'static str,
    /// Frames that the source delivered.
    pub captured: u64,
    /// Frames that were not analysed.
    pub dropped: u64,
    /// Frames that arrived damaged.
    pub corrupt: u64,
    /// How long the stages took.
    pub stages: Vec<StageHistogram>,
    /// Windows closed.
    pub windows: u64,
    /// The last of them.
    pub window: LastWindow,
    /// Whether there is a connection to the broker.
    pub connected: bool,
    /// Connections made.
    pub connections: u64,
    /// Messages that the broker has acknowledged.
    pub published: u64,
    /// Messages that wait for it.
    pub queued: u64,
    /// Summaries among them on disk.
    pub on_disk: Option<u64>,
    /// The disk's condition: `ok`, `failing`, `replaced` or `off`.
    pub disk: &'static str,
    /// Messages given up, by kind.
    pub lost: [(&'static str, u64); 3],
    /// Whether the wall clock is set.
    pub clock_synchronized: bool,
    /// Resident memory, bytes.
    pub memory: Option<u64>,
    /// °C.
    pub temperature: Option<f64>,
}

impl Snapshot {
    /// All of it, to be encoded.
    pub(super) fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix("emotiond");
        registry.register_collector(Box::new(self));
        registry
    }

    fn frames(&self, names: &mut Names) -> Result<(), Error> {
        names.one_of(
            "camera_state",
            "State of the camera",
            "state",
            &["ok", "blind", "lost", "paused"],
            self.camera,
        )?;
        names.counter("frames_captured", "Frames that the source delivered", self.captured)?;
        names.counter("frames_dropped", "Frames captured or due, but not analysed", self.dropped)?;
        names.counter("frames_corrupt", "Frames that arrived damaged", self.corrupt)?;
        let help = "Time of a stage: decode, detect and frame once a frame, emotion once a face";
        let mut family = names.family("stage_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for stage in &self.stages {
            family.encode_family(&[("stage", stage.stage)])?.encode_histogram::<NoLabelSet>(
                stage.sum,
                stage.count,
                &stage.buckets,
                None,
            )?;
        }
        Ok(())
    }

    fn last_window(&self, names: &mut Names) -> Result<(), Error> {
        names.counter("windows", "Windows closed", self.windows)?;
        let window = &self.window;
        names.gauge("window_people", "Distinct people in the last window", None, window.people)?;
        names.gauge("window_faces", "Mean number of faces in the last window", None, window.faces)?;
        let ratio = Unit::Other("ratio".to_owned());
        let ratio = Some(&ratio);
        names.gauge(
            "window_facing",
            "Share of faces turned to the camera in the last window",
            ratio,
            window.facing,
        )?;
        names.gauge(
            "window_valence",
            "Mean valence in the last window, from -1 to 1",
            None,
            window.valence,
        )?;
        names.gauge(
            "window_arousal",
            "Mean arousal in the last window, from -1 to 1",
            None,
            window.arousal,
        )?;
        let help = "Share of each expression in the last window";
        let mut family = names.family("window_expression", help, ratio, MetricType::Gauge)?;
        for (name, share) in &window.expressions {
            family.encode_family(&[("expression", name.as_str())])?.encode_gauge(share)?;
        }
        Ok(())
    }

    fn broker(&self, names: &mut Names) -> Result<(), Error> {
        names.flag("broker_connected", "Whether there is a connection to the broker", self.connected)?;
        names.counter("broker_connections", "Connections made to the broker", self.connections)?;
        names.counter("messages_published", "Messages that the broker has acknowledged", self.published)?;
        names.gauge(
            "messages_queued",
            "Messages that wait for the broker",
            None,
            Some(self.queued as f64),
        )?;
        let on_disk = self.on_disk.map(|count| count as f64);
        names.gauge("summaries_on_disk", "Summaries that wait for the broker on disk", None, on_disk)?;
        let states = ["ok", "failing", "replaced", "off"];
        names.one_of(
            "queue_disk_state",
            "Condition of the disk behind the queue",
            "state",
            &states,
            self.disk,
        )?;
        let help =
            "Messages given up because the queue was full; a summary is a window that no consumer sees";
        let mut family = names.family("messages_dropped", help, None, MetricType::Counter)?;
        for (kind, count) in self.lost {
            family.encode_family(&[("kind", kind)])?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        Ok(())
    }

    fn machine(&self, names: &mut Names) -> Result<(), Error> {
        let uptime = Some(self.uptime);
        names.gauge("uptime", "Time since the start", Some(&Unit::Seconds), uptime)?;
        names.flag("clock_synchronized", "Whether the wall clock is set", self.clock_synchronized)?;
        let memory = self.memory.map(|bytes| bytes as f64);
        names.gauge("resident_memory", "Resident memory", Some(&Unit::Bytes), memory)?;
        names.gauge("temperature", "Hottest sensor of the machine", Some(&Unit::Celsius), self.temperature)
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut names = Names(encoder);
        names
            .family("build", "What runs", None, MetricType::Info)?
            .encode_info(&[("version", self.version), ("device", self.device.as_str())])?;
        self.frames(&mut names)?;
        self.last_window(&mut names)?;
        self.broker(&mut names)?;
        self.machine(&mut names)
    }
}

/// Writes metrics; the registry puts its prefix before their names.
struct Names<'a>(DescriptorEncoder<'a>);

impl Names<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &'s str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.family(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// A gauge; left out while there is no value, because 0 would be one.
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: Option<f64>,
    ) -> Result<(), Error> {
        let Some(value) = value else { return Ok(()) };
        self.family(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn flag(&mut self, name: &str, help: &str, value: bool) -> Result<(), Error> {
        self.gauge(name, help, None, Some(f64::from(u8::from(value))))
    }

    /// A gauge for each state, 1 for the one that holds.
    fn one_of(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        states: &[&str],
        holds: &str,
    ) -> Result<(), Error> {
        let mut family = self.family(name, help, None, MetricType::Gauge)?;
        for state in states {
            family.encode_family(&[(label, *state)])?.encode_gauge(&f64::from(u8::from(*state == holds)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use serde_json::json;

    use super::*;

    fn text(snapshot: Snapshot) -> String {
        let mut text = String::new();
        encode(&mut text, &snapshot.registry()).unwrap();
        text
    }

    #[test]
    fn a_window_is_shown_as_far_as_its_summary_says() {
        let summary = json!({"faces": {"mean": 1.5, "people": 2, "facing": null}, "valence": null, "arousal": {"mean": 0.25},
            "expression": {"distribution": {"happiness": 0.75, "anger": 0.25}}});
        let text = text(Snapshot {
            window: LastWindow::of(&summary),
            camera: "blind",
            windows: 3,
            ..Snapshot::default()
        });
        for line in [
            "emotiond_windows_total 3",
            "emotiond_window_people 2.0",
            "emotiond_window_faces 1.5",
            "emotiond_window_arousal 0.25",
            "emotiond_window_expression_ratio{expression=\"happiness\"} 0.75",
            "emotiond_camera_state{state=\"blind\"} 1.0",
            "emotiond_camera_state{state=\"ok\"} 0.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        for absent in ["facing", "valence", "temperature", "on_disk"] {
            assert!(!text.contains(absent), "{absent} is in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        // Nobody seen, or nothing told: no number.
        let nothing = LastWindow::of(&json!({"faces": null, "expression": null}));
        assert_eq!(nothing, LastWindow::default());
    }

    #[test]
    fn a_histogram_adds_its_buckets_up() {
        let stage = StageHistogram {
            stage: "frame",
            sum: 0.5,
            count: 3,
            buckets: vec![(0.1, 1), (0.25, 1), (f64::INFINITY, 1)],
        };
        let text = text(Snapshot { stages: vec![stage], ..Snapshot::default() });
        for line in [
            "emotiond_stage_duration_seconds_sum{stage=\"frame\"} 0.5",
            "emotiond_stage_duration_seconds_count{stage=\"frame\"} 3",
            "emotiond_stage_duration_seconds_bucket{le=\"0.25\",stage=\"frame\"} 2",
            "emotiond_stage_duration_seconds_bucket{le=\"+Inf\",stage=\"frame\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
