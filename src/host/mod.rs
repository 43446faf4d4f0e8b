//! What everything above asks of the machine: its clocks, and its files, read within bounds.

pub mod clock;
pub mod file;
