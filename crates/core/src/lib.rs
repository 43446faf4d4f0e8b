//! The part of emotiond that decides: who is who from frame to frame, what a window says, when a trigger fires, how it
//! reads on the wire.
//!
//! Time comes in as an argument. The crate does without the standard library, so that the compiler refuses a thread, a
//! file, a socket or a clock in it.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod backoff;
pub mod budget;
pub mod geometry;
pub mod moment;
pub mod report;
pub mod schedule;
pub mod sequence;
pub mod smooth;
pub mod track;

pub use moment::Moment;
