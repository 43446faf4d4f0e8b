//! emotiond: camera to emotion summaries over MQTT, without ever storing or sending an image.
//!
//! One direction of data:
//! `source → faces → tracking → emotion → smoothing → summary → publish`.
//! `ARCHITECTURE.md` states the invariants that hold between the modules.

pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod emotion;
pub mod exit;
pub mod faces;
pub mod frame;
pub mod geometry;
pub mod guard;
pub mod health;
pub mod logging;
pub mod model;
pub mod observation;
pub mod payload;
pub mod privacy;
pub mod publish;
pub mod smoothing;
pub mod source;
pub mod summary;
pub mod systemd;
pub mod tracking;
pub mod trigger;
pub mod vision;
pub mod zoo;
