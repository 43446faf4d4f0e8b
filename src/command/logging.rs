//! Log lines for a person: what happened, to what, what to do.

use std::io::Write as _;

use env_logger::{Builder, Env};
use log::LevelFilter;

use super::printable;
use crate::publish::NOISY_LOG_TARGETS;

/// Starts logging to standard error. `verbose` counts `-v`; `RUST_LOG` wins over it.
///
/// Every record passes through `printable::record`: names that others chose reach neither terminal nor journal raw.
///
/// Under systemd's journal a line carries its priority (`<4>`) and no time of its own, since the journal stamps it.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    // Libraries speak up when something is wrong, and only then; at -vv they may say everything.
    builder.filter_level(if verbose > 1 { LevelFilter::Debug } else { LevelFilter::Warn });
    builder.filter_module("emotiond", level);
    builder.parse_env(Env::new().filter("RUST_LOG"));
    // The MQTT crates report ordinary hang-ups as errors; the publisher says the same once and in words. Off even where
    // RUST_LOG asks for them: at trace level they would write out whole packets.
    for target in NOISY_LOG_TARGETS {
        builder.filter_module(target, LevelFilter::Off);
    }
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.format(|out, record| {
            let priority = match record.level() {
                log::Level::Error => 3,
                log::Level::Warn => 4,
                log::Level::Info => 6,
                log::Level::Debug | log::Level::Trace => 7,
            };
            writeln!(out, "<{priority}>{}", printable::record(&record.args().to_string()))
        });
    } else {
        builder.format(|out, record| {
            let time = out.timestamp_seconds();
            let style = out.default_level_style(record.level());
            let text = printable::record(&record.args().to_string());
            writeln!(out, "{time} {style}{:<5}{style:#} {text}", record.level())
        });
    }
    builder.init();
}
