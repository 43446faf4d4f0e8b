//! emotiond's command line.

fn main() {}
