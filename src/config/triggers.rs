//! `[[trigger]]` tables.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail, ensure};

use super::raw;
use emotiond_core::report::trigger::{Level, Signal, TriggerSettings};

/// Hysteresis of a signal between 0 and 1, or -1 and 1, if none is given.
const HYSTERESIS: f64 = 0.1;

pub(super) fn checked(tables: Vec<raw::TriggerTable>) -> Result<Vec<TriggerSettings>> {
    let mut names = BTreeSet::new();
    tables
        .into_iter()
        .map(|table| {
            let settings = trigger(table)?;
            ensure!(names.insert(settings.name.clone()), "two triggers are called {:?}", settings.name);
            Ok(settings)
        })
        .collect()
}

fn trigger(table: raw::TriggerTable) -> Result<TriggerSettings> {
    let name = table.name;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    ensure!(
        (1..=64).contains(&name.len()) && name.chars().all(good),
        "`trigger.name` is {name:?}; it becomes a topic: 1 to 64 letters, digits, '-' and '_'"
    );
    let signal: Signal =
        table.signal.parse().map_err(|error| anyhow!("`trigger.signal` of {name:?}: {error}"))?;
    let level = match (table.above, table.below) {
        (None, None) if signal == Signal::Visit && table.hysteresis.is_none() => Level::Presence,
        _ if signal == Signal::Visit => bail!(
            "the trigger {name:?} watches visits, which start and end by themselves: leave out `above`, `below` and \
             `hysteresis`"
        ),
        (Some(level), None) => Level::Above(finite(&name, "above", level)?),
        (None, Some(level)) => Level::Below(finite(&name, "below", level)?),
        _ => bail!("the trigger {name:?} needs one of `above` and `below`"),
    };
    let hysteresis = finite(&name, "hysteresis", table.hysteresis.unwrap_or(HYSTERESIS))?;
    ensure!(hysteresis >= 0.0, "`trigger.hysteresis` of {name:?} is {hysteresis}; it must not be negative");
    let (hold, cooldown) = (table.hold.0, table.cooldown.0);
    Ok(TriggerSettings { name, signal, level, hold, hysteresis, cooldown, end: table.end })
}

fn finite(name: &str, key: &str, value: f64) -> Result<f64> {
    ensure!(value.is_finite(), "`trigger.{key}` of {name:?} is {value}; write a number");
    Ok(value)
}
