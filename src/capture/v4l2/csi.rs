//! The Raspberry Pi's own cameras, on its CSI ports: recognized, and left to libcamera.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What brings such a camera's pictures to emotiond (`emotiond-rpicam.socket` of the package).
pub(super) const REMEDY: &str = "run `sudo systemctl enable --now emotiond-rpicam.socket` and write \
                                 source = \"stream:/run/emotiond/camera\" in the configuration, or use a USB (UVC) camera";

/// The socket of `REMEDY`.
pub const SOCKET: &str = "/run/emotiond/camera";

/// A camera port of a Raspberry Pi.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CameraPort {
    /// Its media controller, `/dev/media0`.
    pub path: PathBuf,
    /// What the kernel calls it: `unicam` (Raspberry Pi 4 and older) or `rp1-cfe` (Raspberry Pi 5).
    pub model: String,
}

/// The camera ports of this machine. Anybody may look: nothing is opened but files of `/sys`.
#[must_use]
pub fn ports() -> Vec<CameraPort> {
    ports_in(Path::new("/sys/bus/media/devices"))
}

fn ports_in(devices: &Path) -> Vec<CameraPort> {
    let entries = fs::read_dir(devices).into_iter().flatten().flatten();
    let mut ports: Vec<_> = entries
        .filter_map(|entry| {
            let model = fs::read_to_string(entry.path().join("model")).ok()?.trim().to_owned();
            let path = Path::new("/dev").join(entry.file_name());
            is_raspberry_pi_sensor(&model).then_some(CameraPort { path, model })
        })
        .collect();
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    ports
}

/// The drivers of the Raspberry Pi's CSI ports: they list formats, and cannot stream one that is of use.
pub(super) fn is_raspberry_pi_sensor(driver: &str) -> bool {
    driver == "unicam" || driver.starts_with("rp1-cfe") || driver.starts_with("rp1_cfe")
}

/// What to do about the camera ports, if there are any; one line.
#[must_use]
pub fn advice(ports: &[CameraPort]) -> Option<String> {
    let port = ports.first()?;
    Some(format!("a Raspberry Pi camera port ({}, {}) is here: {REMEDY}", port.path.display(), port.model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camera_ports_are_known_by_their_media_controller() {
        let devices = tempfile::tempdir().unwrap();
        for (name, model) in [
            ("media3", "rp1-cfe\n"),
            ("media1", "unicam\n"),
            ("media0", "bcm2835-isp\n"),
            ("media2", "Virtual UVC\n"),
        ] {
            fs::create_dir(devices.path().join(name)).unwrap();
            fs::write(devices.path().join(name).join("model"), model).unwrap();
        }
        fs::create_dir(devices.path().join("media4")).unwrap();
        let found: Vec<_> =
            ports_in(devices.path()).into_iter().map(|port| (port.path, port.model)).collect();
        let expected = [("/dev/media1", "unicam"), ("/dev/media3", "rp1-cfe")];
        assert_eq!(found, expected.map(|(path, model)| (path.into(), model.to_owned())));
        let advice = advice(&ports_in(devices.path())).unwrap();
        assert!(advice.contains("/dev/media1") && advice.contains(SOCKET), "{advice}");
        assert!(super::advice(&[]).is_none());
        assert!(ports_in(Path::new("/nowhere")).is_empty());
    }
}
