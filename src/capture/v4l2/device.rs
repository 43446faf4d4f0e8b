//! A V4L2 device before it streams: opening it, asking what it is and what it offers.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use v4l::capability::Flags;
use v4l::format::FourCC;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;
use v4l::{Device, Fraction};

use super::csi;
use super::mode::Mode;
use crate::capture::SourceError;

/// Sizes tried where a driver scales to any size.
const USUAL_SIZES: [(u32, u32); 8] =
    [(640, 480), (160, 120), (320, 240), (640, 360), (800, 600), (1024, 768), (1280, 720), (1920, 1080)];

/// Who a device says it is.
pub(super) struct Identity {
    pub(super) driver: String,
    pub(super) card: String,
    pub(super) bus: String,
    capabilities: Flags,
}

/// An open device.
pub(super) struct Opened {
    pub(super) what: String,
    path: PathBuf,
    pub(super) device: Device,
}

impl Opened {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let what = path.display().to_string();
        let device = Device::with_path(path).map_err(|error| explain(path, &what, error))?;
        Ok(Self { what, path: path.to_owned(), device })
    }

    /// Asks the driver something through `v4l`, which panics on answers it does not know (a card name cut in the middle
    /// of a character, a colour space newer than the crate): such a device cannot be used, and the daemon must live on.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Device) -> io::Result<T>) -> Result<T, SourceError> {
        match crate::exit::panics::contain(|| question(&self.device)) {
            Ok(answer) => answer.map_err(|error| self.explain(error)),
            Err(_) => Err(SourceError::Unsupported {
                what: self.what.clone(),
                reason: "its driver gives answers that are not understood".to_owned(),
                remedy: "try another camera or a newer kernel".to_owned(),
            }),
        }
    }

    pub(super) fn explain(&self, error: io::Error) -> SourceError {
        explain(&self.path, &self.what, error)
    }

    pub(super) fn identity(&self) -> Result<Identity, SourceError> {
        let found = self.ask(Device::query_caps).map_err(|error| match error {
            // Not a V4L2 device at all: a file, a terminal.
            SourceError::Io { what, error } if Errno::from_io_error(&error) == Some(Errno::NOTTY) => {
                SourceError::unsupported(
                    what,
                    "it is not a video device",
                    "`emotiond cameras` lists those there are",
                )
            }
            other => other,
        })?;
        Ok(Identity {
            driver: one_line(&found.driver),
            card: one_line(&found.card),
            bus: one_line(&found.bus),
            capabilities: found.capabilities,
        })
    }

    /// All modes, in the driver's order.
    pub(super) fn modes(&self) -> Result<Vec<Mode>, SourceError> {
        let formats = self.ask(Capture::enum_formats)?;
        let mut modes = Vec::new();
        for format in formats {
            for (width, height) in self.sizes(format.fourcc)? {
                let rates = self.rates(format.fourcc, width, height)?;
                modes.push(Mode { fourcc: format.fourcc.repr, width, height, rates });
            }
        }
        Ok(modes)
    }

    fn sizes(&self, fourcc: FourCC) -> Result<Vec<(u32, u32)>, SourceError> {
        let listed = match self.ask(|device| device.enum_framesizes(fourcc)) {
            Ok(listed) => listed,
            Err(gone @ (SourceError::Gone { .. } | SourceError::Unsupported { .. })) => return Err(gone),
            // Some drivers (old capture cards) list no sizes and have only the one that is set.
            Err(_) => {
                let current = self.ask(Capture::format)?;
                return Ok(vec![(current.width, current.height)]);
            }
        };
        let mut sizes = Vec::new();
        for size in listed {
            match size.size {
                FrameSizeEnum::Discrete(size) => sizes.push((size.width, size.height)),
                FrameSizeEnum::Stepwise(range) => {
                    let fits = |&(width, height): &(u32, u32)| {
                        on_grid(width, range.min_width, range.max_width, range.step_width)
                            && on_grid(height, range.min_height, range.max_height, range.step_height)
                    };
                    sizes.extend(USUAL_SIZES.into_iter().filter(fits));
                    sizes.push((range.max_width, range.max_height));
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        sizes.retain(|size| seen.insert(*size));
        Ok(sizes)
    }

    fn rates(&self, fourcc: FourCC, width: u32, height: u32) -> Result<Vec<f64>, SourceError> {
        let listed = match self.ask(|device| device.enum_frameintervals(fourcc, width, height)) {
            Ok(listed) => listed,
            Err(gone @ (SourceError::Gone { .. } | SourceError::Unsupported { .. })) => return Err(gone),
            Err(_) => return Ok(Vec::new()),
        };
        let mut rates: Vec<f64> = listed
            .iter()
            .flat_map(|entry| match &entry.interval {
                FrameIntervalEnum::Discrete(interval) => vec![rate(*interval)],
                FrameIntervalEnum::Stepwise(range) => {
                    let (slowest, fastest) = (rate(range.max), rate(range.min));
                    let usual = [60.0, 30.0, 25.0, 20.0, 15.0, 10.0, 5.0];
                    let within = usual.into_iter().filter(|r| (slowest..fastest).contains(r));
                    std::iter::once(fastest).chain(within).chain([slowest]).collect()
                }
            })
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        Ok(rates)
    }
}

/// Why a device can never be a camera for us, whatever its modes.
pub(super) fn objection(what: &str, identity: &Identity) -> Option<SourceError> {
    let has = |flag| identity.capabilities.contains(flag);
    let object = |reason: &str, remedy: &str| Some(SourceError::unsupported(what.to_owned(), reason, remedy));
    if csi::is_raspberry_pi_sensor(&identity.driver) {
        let reason = format!(
            "the Raspberry Pi driver {} gives a sensor's raw data, which only libcamera makes pictures of",
            identity.driver
        );
        return object(&reason, csi::REMEDY);
    }
    let other = "choose the camera's capture node; `emotiond cameras` lists them";
    if has(Flags::VIDEO_M2M) || has(Flags::VIDEO_M2M_MPLANE) {
        return object("it is a codec or converter, not a camera", other);
    }
    if !has(Flags::VIDEO_CAPTURE) {
        let reason = if has(Flags::META_CAPTURE) {
            "it is a camera's metadata node"
        } else if has(Flags::VIDEO_OUTPUT) || has(Flags::VIDEO_OUTPUT_MPLANE) {
            "it is an output device, not a camera"
        } else if has(Flags::VIDEO_CAPTURE_MPLANE) {
            let remedy = "use a USB (UVC) camera, or pipe JPEG frames into `emotiond run --source stream:-`";
            return object("it captures only in multi-planar buffers", remedy);
        } else {
            "it does not capture video"
        };
        return object(reason, other);
    }
    if !has(Flags::STREAMING) {
        return object("it cannot stream into mapped memory", "use another camera");
    }
    None
}

const PLUG: &str = "plug it in or check the path";
const GROUP: &str = "add the user to the group that owns it (usually `video`)";

/// Turns what the system said of a device into what to do about it.
pub(super) fn explain(path: &Path, what: &str, error: io::Error) -> SourceError {
    let what = what.to_owned();
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            SourceError::Gone { what, reason: error.to_string(), remedy: PLUG }
        }
        Some(Errno::ACCESS | Errno::PERM) => SourceError::Denied { what, remedy: GROUP },
        Some(Errno::BUSY) => SourceError::Busy { what },
        // In the moment of unplugging drivers say all sorts of things; the missing node is the truth.
        _ if !path.exists() => SourceError::Gone { what, reason: error.to_string(), remedy: PLUG },
        // "No space left on device" would send people looking at their disk.
        Some(Errno::NOSPC) => SourceError::Io {
            what,
            error: io::Error::other("the USB bus has no bandwidth left; plug the camera into another port"),
        },
        _ => SourceError::Io { what, error },
    }
}

fn on_grid(value: u32, min: u32, max: u32, step: u32) -> bool {
    (min..=max).contains(&value) && (value - min).is_multiple_of(step.max(1))
}

fn rate(interval: Fraction) -> f64 {
    f64::from(interval.denominator) / f64::from(interval.numerator)
}

/// A name that a device gives itself: a plugged-in stranger must not be able to make up lines of a list.
fn one_line(name: &str) -> String {
    name.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_s_name_stays_on_its_line() {
        assert_eq!(one_line("Joe's cam\n/dev/video9\u{1b}[m"), "Joe's cam\u{fffd}/dev/video9\u{fffd}[m");
    }

    fn identity(driver: &str, capabilities: Flags) -> Identity {
        Identity { driver: driver.to_owned(), card: String::new(), bus: String::new(), capabilities }
    }

    fn objection_to(driver: &str, capabilities: Flags) -> Option<String> {
        objection("/dev/video0", &identity(driver, capabilities)).map(|error| error.to_string())
    }

    #[test]
    fn only_capture_devices_are_cameras() {
        let camera = Flags::VIDEO_CAPTURE | Flags::STREAMING;
        assert_eq!(objection_to("uvcvideo", camera), None);
        let refused = |driver, flags, part: &str| {
            let text = objection_to(driver, flags).unwrap();
            assert!(text.contains(part), "{text}");
        };
        refused("uvcvideo", Flags::META_CAPTURE | Flags::STREAMING, "metadata");
        refused("v4l2 loopback", Flags::VIDEO_OUTPUT | Flags::STREAMING, "output");
        refused("bcm2835-codec", Flags::VIDEO_M2M_MPLANE | Flags::STREAMING, "codec");
        refused("sun6i-csi", Flags::VIDEO_CAPTURE_MPLANE | Flags::STREAMING, "multi-planar");
        refused("saa7134", Flags::VIDEO_CAPTURE | Flags::READ_WRITE, "stream");
        refused("unicam", camera, "emotiond-rpicam.socket");
        refused("rp1-cfe", camera, "emotiond-rpicam.socket");
    }

    #[test]
    fn errors_say_what_to_do() {
        let present = Path::new("/dev/null");
        let of = |code: Errno| explain(present, "/dev/video9", code.into());
        assert!(matches!(of(Errno::NOENT), SourceError::Gone { .. }));
        assert!(matches!(of(Errno::NODEV), SourceError::Gone { .. }));
        assert!(matches!(of(Errno::ACCESS), SourceError::Denied { .. }));
        assert!(matches!(of(Errno::BUSY), SourceError::Busy { .. }));
        assert!(matches!(of(Errno::IO), SourceError::Io { .. }));
        let missing = explain(Path::new("/dev/no-such"), "x", Errno::IO.into());
        assert!(matches!(missing, SourceError::Gone { .. }));
    }

    #[test]
    fn what_is_not_a_video_device_is_refused() {
        assert!(matches!(Opened::open(Path::new("/dev/video-no-such")), Err(SourceError::Gone { .. })));
        let null = Opened::open(Path::new("/dev/null")).unwrap();
        let error = null.identity().err().unwrap();
        assert!(matches!(error, SourceError::Unsupported { .. }), "{error}");
    }

    #[test]
    fn sizes_of_a_range() {
        assert!(on_grid(640, 32, 3280, 2));
        assert!(on_grid(640, 2, 8192, 0));
        assert!(!on_grid(640, 33, 3280, 16));
        assert!(!on_grid(4000, 32, 3280, 1));
    }
}
