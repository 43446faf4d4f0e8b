//! emotiond: camera to emotion summaries over MQTT, without ever storing or sending an image.
//!
//! One direction of data:
//! `source → faces → tracking → emotion → smoothing → summary → publish`.
//! `ARCHITECTURE.md` states the invariants that hold between the modules.

pub mod clock;
pub mod emotion;
pub mod faces;
pub mod frame;
pub mod geometry;
pub mod model;
pub mod observation;
pub mod payload;
pub mod publish;
pub mod smoothing;
pub mod source;
pub mod summary;
pub mod tracking;
pub mod trigger;
