//! Where messages go: an MQTT broker or standard output. Beside it, what browsers and Prometheus are shown.

mod embedded;
#[cfg(any(test, feature = "harness"))]
pub mod fuzz;
pub mod home_assistant;
mod http;
pub mod metrics;
pub mod mqtt;
pub mod page;
mod queue;
pub mod settings;
mod socket;
pub mod stdout;

use std::time::Duration;

use emotiond_core::report::payload::Message;
use home_assistant::Discovery;

pub use embedded::{is_topic_filter, listen};
pub use queue::{Disk, Dropped};

/// Beginnings of the targets of log records of the MQTT crates themselves, which log an error for every client that
/// disconnects. This module reports what matters once and in words: a logger should turn these off unless somebody
/// debugs those crates.
pub const NOISY_LOG_TARGETS: [&str; 1] = ["rumqttc"];

/// What a destination has done so far, for `health`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Messages the destination has taken: acknowledged by the broker, or written out.
    pub delivered: u64,
    /// Messages handed over and not delivered yet, those on disk included.
    pub waiting: usize,
    /// The condition of the disk behind the queue.
    pub disk: Disk,
    /// Summaries that wait on disk; `None` if there is no disk or it cannot be read.
    pub on_disk: Option<u64>,
    /// Messages dropped because the queue was full.
    pub dropped: Dropped,
    /// Whether the destination can be reached at the moment.
    pub connected: bool,
    /// How many times a connection has been made.
    pub connections: u64,
}

/// A destination of messages.
pub trait Publisher: Send {
    /// Hands a message over. Never blocks on the network: what cannot be sent now is queued within a bound, and what
    /// the bound drops is counted.
    ///
    /// # Errors
    /// If the destination is closed for good (standard output's reader has gone).
    fn publish(&mut self, message: Message) -> anyhow::Result<()>;

    /// Waits until everything handed over has been delivered, or until `within` has passed. Returns the number
    /// of messages left undelivered.
    ///
    /// # Errors
    /// If the destination is closed for good.
    fn flush(&mut self, within: Duration) -> anyhow::Result<usize>;

    /// Delivers what it can within `within` and closes. Returns the number of messages that are lost by it: neither
    /// delivered nor on disk.
    ///
    /// # Errors
    /// If the destination is closed for good.
    fn close(&mut self, within: Duration) -> anyhow::Result<usize> {
        self.flush(within)
    }

    /// Tells Home Assistant of the device anew, after a reload of the configuration. Of no effect where nobody is told.
    fn announce(&mut self, _discovery: Option<Discovery>) {}

    /// What has been done so far.
    fn counters(&self) -> Counters;
}
