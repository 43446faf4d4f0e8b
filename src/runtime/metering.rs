//! What the daemon shows to Prometheus: keeps the last window, and puts the numbers on the board every second.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use emotiond_core::report::payload::Health;
use serde_json::Value;

use super::status::Totals;
use crate::publish::Counters;
use crate::publish::metrics::{Board, LastWindow, MetricsListener, Snapshot, StageHistogram};
use crate::vision::StageTimes;

/// The board, who shows it, and what is on it besides the counters. Outlives a reload of the configuration.
#[derive(Default)]
pub struct Metering {
    board: Arc<Board>,
    listener: Option<MetricsListener>,
    windows: u64,
    window: LastWindow,
}

impl Metering {
    /// Answers on a socket that was opened before the confinement.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(&mut self, socket: TcpListener) -> anyhow::Result<()> {
        self.listener = Some(MetricsListener::start(socket, Arc::clone(&self.board))?);
        Ok(())
    }

    /// Closes the socket, if the settings want none any more.
    pub fn keep(&mut self, wanted: Option<SocketAddr>) {
        if wanted.is_none() {
            self.listener = None;
        }
    }

    /// Whether anybody can ask.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.listener.is_some()
    }

    /// A window has closed, and went on the wire like this.
    pub fn closed(&mut self, summary: &str) {
        self.windows += 1;
        if self.is_on() {
            self.window = serde_json::from_str::<Value>(summary)
                .map(|value| LastWindow::of(&value))
                .unwrap_or_default();
        }
    }

    /// Puts the numbers of this moment on the board.
    pub fn post(
        &self,
        device: &str,
        health: &Health,
        totals: &Totals,
        counters: &Counters,
        trouble: Option<&'static str>,
    ) {
        let timing = &totals.timing;
        let stages = [
            ("decode", &timing.decode),
            ("detect", &timing.detect),
            ("emotion", &timing.emotion),
            ("frame", &timing.frame),
        ];
        let snapshot = Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            device: device.to_owned(),
            uptime: health.uptime,
            camera: health.camera.name(),
            captured: totals.captured,
            dropped: totals.losses.dropped,
            corrupt: totals.losses.corrupt,
            stages: stages.map(|(stage, times)| histogram(stage, times)).into(),
            windows: self.windows,
            window: self.window.clone(),
            connected: counters.connected,
            connections: counters.connections,
            published: counters.delivered,
            queued: counters.waiting as u64,
            on_disk: counters.on_disk,
            disk: health.queue_disk,
            lost: [
                ("summary", counters.dropped.summaries),
                ("event", counters.dropped.events),
                ("other", counters.dropped.others),
            ],
            clock_synchronized: health.clock_synchronized,
            memory: health.memory.map(|mebibytes| (mebibytes * 1_048_576.0) as u64),
            temperature: health.temperature,
        };
        self.board.post(snapshot, trouble);
    }
}

fn histogram(stage: &'static str, times: &StageTimes) -> StageHistogram {
    StageHistogram {
        stage,
        sum: times.total().as_secs_f64(),
        count: times.count(),
        buckets: times.classes().collect(),
    }
}
