//! From what was seen in a frame to what a message says.

pub mod compound;
pub mod expression;
pub mod observation;
pub mod payload;
pub mod policy;
pub mod reading;
pub mod score;
pub mod summary;
pub mod trigger;
pub mod visits;
