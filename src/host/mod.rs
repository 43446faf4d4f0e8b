//! What everything above asks of the machine: its clocks, its files, read within bounds, and its memory, wiped.

pub mod clock;
pub mod file;
pub mod wipe;
