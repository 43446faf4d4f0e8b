//! What the machine says of itself: memory, temperature.

use std::path::Path;

/// Resident memory of this process in bytes, from `/proc/self/status`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The hottest thermal zone in °C, if the machine has any.
#[must_use]
pub fn temperature() -> Option<f64> {
    let zones = std::fs::read_dir("/sys/class/thermal").ok()?;
    zones.flatten().filter_map(|zone| zone_temperature(&zone.path())).reduce(f64::max)
}

fn zone_temperature(zone: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(zone.join("temp")).ok()?;
    let millidegrees: f64 = text.trim().parse().ok()?;
    // Unconnected sensors report nonsense such as 0 K.
    Some(millidegrees / 1000.0).filter(|celsius| (-40.0..150.0).contains(celsius) && *celsius != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let bytes = resident_bytes().unwrap();
        assert!(bytes > 100_000, "{bytes}");
    }

    #[test]
    fn a_zone_is_read_in_degrees_and_nonsense_is_left_out() {
        let zone = tempfile::tempdir().unwrap();
        let temp = |text: &str| {
            std::fs::write(zone.path().join("temp"), text).unwrap();
            zone_temperature(zone.path())
        };
        assert_eq!(temp("48312\n"), Some(48.312));
        assert_eq!(temp("-273150\n"), None);
        assert_eq!(temp("broken\n"), None);
    }
}
