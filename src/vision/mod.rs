//! From a frame to tracked faces with scores.

mod blindness;
mod damage;
pub mod detect;
pub mod emotion;
pub mod models;
mod pipeline;
mod reading;
mod timing;

pub use pipeline::{Outcome, Vision, VisionSettings};
pub use timing::{StageTimes, Timing};
