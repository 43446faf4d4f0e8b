//! emotiond: camera to emotion summaries over MQTT, without ever storing or sending an image.
//!
//! One direction of data: `capture → vision → report (in emotiond-core) → publish`.
//! `ARCHITECTURE.md` states the invariants that hold between the modules.

pub mod capture;
pub mod command;
pub mod config;
pub mod exit;
pub mod host;
pub mod inference;
pub mod publish;
pub mod runtime;
pub mod sandbox;
pub mod vision;
