//! Numbers for Prometheus: what the daemon does, in the formats that it scrapes, and whether it is alive.
//!
//! The daemon puts a [`Snapshot`] on a [`Board`] every second; the [`MetricsListener`] shows the last one to whoever asks.
//! So a slow or hostile reader costs a thread of its own and nothing else. Only what is published anyway is shown: the
//! values of the last window are read from its summary, as privacy left it.

mod board;
mod snapshot;

pub use board::{Board, MetricsListener, listen};
pub use snapshot::{LastWindow, Snapshot, StageHistogram};
