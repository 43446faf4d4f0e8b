//! What `emotiond cameras` tells of the machine's video devices.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::csi::{self, CameraPort};
use super::device::{Opened, objection};
use super::mode::{Choice, Mode, fourcc_text, rate_text};
use super::negotiate::{ModeRequest, negotiate};
use crate::capture::SourceError;

/// All video devices of the machine. `Display` writes it for a person.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CameraList {
    /// Devices, by the number of their node.
    pub devices: Vec<Camera>,
    /// Raspberry Pi camera ports, whose pictures come through libcamera.
    pub camera_ports: Vec<CameraPort>,
}

/// A video device.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Camera {
    /// Its node, `/dev/video0`.
    pub path: PathBuf,
    /// Names of the same node that stay when devices are plugged in another order.
    pub by_id: Vec<PathBuf>,
    /// Kernel driver; empty if the device could not be asked.
    pub driver: String,
    /// The name the maker gave it.
    pub card: String,
    /// Where it is connected.
    pub bus: String,
    /// What it offers.
    pub modes: Vec<Mode>,
    /// What emotiond would capture from it.
    pub choice: Option<Choice>,
    /// Why it cannot be used, and what to do about it.
    pub unusable: Option<String>,
}

/// Looks at all video devices. Opens each for a moment, which no camera's light shows.
#[must_use]
pub fn list(requested: &ModeRequest) -> CameraList {
    CameraList { camera_ports: csi::ports(), ..list_in(Path::new("/dev"), requested) }
}

fn list_in(dev: &Path, requested: &ModeRequest) -> CameraList {
    let links = by_id(dev);
    let mut nodes: Vec<(u32, PathBuf)> = entries(dev)
        .filter_map(|path| Some((path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()?, path)))
        .collect();
    nodes.sort();
    let devices = nodes.into_iter().map(|(_, path)| {
        let by_id = links.get(&path).cloned().unwrap_or_default();
        Camera { by_id, ..look_at(path, requested) }
    });
    CameraList { devices: devices.collect(), ..CameraList::default() }
}

/// Looks at one video device.
#[must_use]
pub fn look_at(path: PathBuf, requested: &ModeRequest) -> Camera {
    let mut camera = Camera { path, ..Camera::default() };
    let outcome = Opened::open(&camera.path).and_then(|opened| {
        let identity = opened.identity()?;
        let objection = objection(&opened.what, &identity);
        camera.driver = identity.driver;
        camera.card = identity.card;
        camera.bus = identity.bus;
        match objection {
            Some(error) => Err(error),
            None => opened.modes(),
        }
    });
    match outcome {
        Ok(modes) => {
            camera.choice = negotiate(&modes, requested);
            camera.modes = modes;
            if camera.choice.is_none() {
                camera.unusable = Some("it offers no format that emotiond can decode".to_owned());
            }
        }
        // Which device it is about stands above it.
        Err(SourceError::Unsupported { reason, remedy, .. }) => {
            camera.unusable = Some(format!("{reason}; {remedy}"));
        }
        Err(error) => camera.unusable = Some(error.to_string()),
    }
    camera
}

/// The links of `/dev/v4l/by-id`, by the node they lead to.
fn by_id(dev: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut links: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for link in entries(&dev.join("v4l/by-id")) {
        if let Ok(node) = fs::canonicalize(&link) {
            links.entry(node).or_default().push(link);
        }
    }
    links.values_mut().for_each(|links| links.sort());
    links
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

impl fmt::Display for CameraList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.devices.iter().any(|camera| camera.choice.is_some()) {
            if self.devices.is_empty() {
                writeln!(f, "no V4L2 device found")?;
            } else {
                writeln!(f, "no usable camera among {} V4L2 devices", self.devices.len())?;
            }
            if self.camera_ports.is_empty() {
                writeln!(f, "  plug in a USB (UVC) camera; `dmesg` says what the kernel makes of it")?;
            }
            writeln!(
                f,
                "  without a camera: `emotiond run --source replay:PATH` (image, folder, Motion JPEG file)"
            )?;
        }
        if let Some(advice) = csi::advice(&self.camera_ports) {
            writeln!(f, "{advice}")?;
        }
        for camera in &self.devices {
            write!(f, "{camera}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.card.is_empty() { "unknown device" } else { &self.card };
        writeln!(f, "{}  {name}", self.path.display())?;
        if !self.driver.is_empty() {
            writeln!(f, "  driver {}, bus {}", self.driver, self.bus)?;
        }
        for link in &self.by_id {
            writeln!(f, "  also {}", link.display())?;
        }
        if let Some(reason) = &self.unusable {
            writeln!(f, "  not usable: {reason}")?;
        }
        if let Some(choice) = &self.choice {
            writeln!(f, "  emotiond takes {choice}")?;
        }
        // A sensor's raw modes would only mislead.
        if csi::is_raspberry_pi_sensor(&self.driver) {
            return Ok(());
        }
        for mode in &self.modes {
            let rates: Vec<_> = mode.rates.iter().map(|rate| rate_text(*rate)).collect();
            let size = format!("{}×{}", mode.width, mode.height);
            write!(f, "    {}  {size:<9}", fourcc_text(mode.fourcc))?;
            match (rates.is_empty(), mode.format()) {
                (_, None) => writeln!(f, "  (cannot be decoded)")?,
                (true, _) => writeln!(f)?,
                (false, _) => writeln!(f, "  {} fps", rates.join(", "))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame::PixelFormat;

    #[test]
    fn without_a_camera_it_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let list = list_in(empty.path(), &ModeRequest::default());
        let text = list.to_string();
        assert!(text.starts_with("no V4L2 device found\n"), "{text}");
        assert!(text.contains("replay:PATH"), "{text}");
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"devices":[],"camera_ports":[]}"#);
    }

    #[test]
    fn a_raspberry_pi_s_camera_port_comes_with_the_command_that_sets_it_up() {
        let port = CameraPort { path: "/dev/media1".into(), model: "rp1-cfe".to_owned() };
        let text = CameraList { camera_ports: vec![port], ..CameraList::default() }.to_string();
        assert!(text.contains("sudo systemctl enable --now emotiond-rpicam.socket"), "{text}");
        assert!(!text.contains("plug in"), "{text}");
    }

    #[test]
    fn nodes_are_sorted_by_number_and_linked() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "videoX", "vide0", "radio0"] {
            fs::write(dev.path().join(name), "").unwrap();
        }
        let links = dev.path().join("v4l/by-id");
        fs::create_dir_all(&links).unwrap();
        std::os::unix::fs::symlink("../../video10", links.join("usb-maker-index0")).unwrap();
        std::os::unix::fs::symlink("../../video99", links.join("usb-gone-index0")).unwrap();
        let list = list_in(&dev.path().canonicalize().unwrap(), &ModeRequest::default());
        let names: Vec<_> = list.devices.iter().map(|camera| camera.path.file_name().unwrap()).collect();
        assert_eq!(names, ["video2", "video10"]);
        assert_eq!(list.devices[1].by_id.len(), 1);
        let text = list.to_string();
        assert!(text.starts_with("no usable camera among 2 V4L2 devices"), "{text}");
        assert!(text.contains("usb-maker-index0"), "{text}");
        assert!(text.contains("it is not a video device"), "{text}");
    }

    #[test]
    fn a_camera_as_people_and_programs_read_it() {
        let mode = Mode { fourcc: *b"YUYV", width: 640, height: 480, rates: vec![30.0, 7.5] };
        let other = Mode { fourcc: *b"H264", width: 1920, height: 1080, rates: vec![30.0] };
        let choice =
            Choice { fourcc: *b"YUYV", format: PixelFormat::Yuyv, width: 640, height: 480, rate: Some(30.0) };
        let camera = Camera {
            path: "/dev/video0".into(),
            driver: "uvcvideo".into(),
            card: "C920".into(),
            bus: "usb-0000:00:14.0-1".into(),
            modes: vec![mode, other],
            choice: Some(choice),
            ..Camera::default()
        };
        let expected = "/dev/video0  C920\n  driver uvcvideo, bus usb-0000:00:14.0-1\n  \
            emotiond takes 640×480 YUYV at 30 fps\n    YUYV  640×480    30, 7.5 fps\n    \
            H264  1920×1080  (cannot be decoded)\n";
        assert_eq!(camera.to_string(), expected);
        let json = serde_json::to_value(&camera).unwrap();
        assert_eq!(json["choice"]["fourcc"], "YUYV");
        assert_eq!(json["modes"][1]["width"], 1920);
    }
}
