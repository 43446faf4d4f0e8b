//! How Home Assistant learns of this device: one retained message on `<prefix>/device/<id>/config`.
//!
//! The format is that of Home Assistant 2024.11 and later
//! (<https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>). [`discovery`] makes it of what
//! there is, `entities` says how each of it looks there, the `Announcer` what has to be sent so
//! that nothing stays behind of what there was before.

mod announced;
pub(in crate::publish) mod announcer;
mod discovery;
mod entities;

pub use announced::Announced;
pub use discovery::{Discovery, discovery, withdrawal};
