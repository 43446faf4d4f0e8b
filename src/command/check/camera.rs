//! The camera: does a picture come, how long does it take, is it bright and sharp enough. Of each picture a few numbers
//! are kept; it is overwritten before the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use zeroize::Zeroize as _;

use super::table::Finding;
use crate::capture::frame::blur::blur;
use crate::capture::frame::decode::decode;
use crate::capture::frame::luma::Luma;
use crate::capture::v4l2::{csi, list};
use crate::capture::{CameraSettings, Context, FrameSource, SourceAccess, SourceError, Spec};
use crate::host::clock::SystemClock;

/// For so long after the first picture a camera may set its exposure before the picture is judged, ...
const SETTLE: Duration = Duration::from_secs(1);
/// ... and no more pictures than these are waited for: a recording at full speed is not played to its end.
const PICTURES: usize = 30;
/// Mean luma below which a picture is dark, 0 to 1; the daemon calls it blind at less than half of this.
const DARK: f32 = 0.16;
/// Mean luma above which it is washed out.
const BRIGHT: f32 = 0.92;
/// Blur above which a lens is probably out of focus. Of 120 photographs of people scaled to 640×480, 1 in 100 is above
/// 0.55; blurred by a Gaussian of 3 pixels, 3 in 4 are above 0.63.
const SOFT: f32 = 0.6;

/// What a look through the camera gave.
struct Sight {
    what: String,
    width: u32,
    height: u32,
    first: Duration,
    luma: Luma,
    blur: Option<f32>,
}

/// Opens the camera (or its stand-in) and judges what comes.
pub fn camera(settings: &CameraSettings) -> Finding {
    match look(settings) {
        Ok(sight) => judge(&sight, &driver(settings)),
        Err(error) => {
            // Of a port that was opened by mistake the error says it itself.
            let port = matches!(settings.access(), SourceAccess::Devices)
                && !matches!(error.downcast_ref(), Some(SourceError::Unsupported { .. }));
            let error = match csi::advice(&csi::ports()).filter(|_| port) {
                Some(advice) => anyhow::anyhow!("{error:#}; {advice}"),
                None => error,
            };
            Finding::error("camera", &error, "`emotiond cameras` lists those there are")
        }
    }
}

/// The kernel driver of a V4L2 camera, for the line.
fn driver(settings: &CameraSettings) -> String {
    let Spec::V4l2(path) = &settings.source else { return String::new() };
    let driver = list::look_at(path.clone(), &settings.mode).driver;
    if driver.is_empty() { driver } else { format!(", driver {driver}") }
}

fn look(settings: &CameraSettings) -> anyhow::Result<Sight> {
    let context = Context::new(Arc::new(SystemClock::new()));
    let begin = Instant::now();
    let mut source = settings.clone().opener(context)()?;
    let mut picture = RgbImage::new(0, 0);
    let outcome = watch(&mut *source, &mut picture, begin);
    picture.as_flat_samples_mut().samples.zeroize();
    outcome
}

fn watch(source: &mut dyn FrameSource, picture: &mut RgbImage, begin: Instant) -> anyhow::Result<Sight> {
    decode(&source.next()?, picture)?;
    let first = begin.elapsed();
    let settled = Instant::now() + SETTLE;
    let mut pictures = 1;
    while pictures < PICTURES && Instant::now() < settled {
        match source.next() {
            // A damaged frame later on is counted by the daemon, and no reason to judge the camera here.
            Ok(frame) => drop(decode(&frame, picture)),
            Err(SourceError::End) => break,
            Err(error) => return Err(error.into()),
        }
        pictures += 1;
    }
    let luma = Luma::of(picture).ok_or_else(|| anyhow::anyhow!("the camera's pictures have no pixels"))?;
    let (width, height) = picture.dimensions();
    Ok(Sight { what: source.describe(), width, height, first, luma, blur: blur(picture) })
}

fn judge(sight: &Sight, driver: &str) -> Finding {
    let Sight { what, width, height, first, luma, blur } = sight;
    let brightness = luma.mean / 255.0;
    let sharp = match blur {
        Some(blur) => format!("blur {blur:.2}"),
        None => "too plain to judge its focus".to_owned(),
    };
    let detail = format!(
        "{what}{driver}; a picture of {width}×{height} after {} ms, brightness {:.0} %, {sharp}",
        first.as_millis(),
        100.0 * brightness
    );
    if brightness < DARK {
        let remedy =
            "switch on a light, take off the lens cap, or turn the camera away from a window behind people";
        return Finding::warning("camera", detail + ": the picture is dark", remedy);
    }
    if brightness > BRIGHT {
        let remedy = "keep direct light out of the lens, or lower the exposure (`v4l2-ctl --list-ctrls`)";
        return Finding::warning("camera", detail + ": the picture is washed out", remedy);
    }
    if blur.is_some_and(|blur| blur > SOFT) {
        let remedy = "wipe the lens and turn its ring until `emotiond check` says less than 0.5; nothing may move meanwhile";
        return Finding::warning("camera", detail + ": the picture is probably out of focus", remedy);
    }
    Finding::ok("camera", detail)
}

#[cfg(test)]
mod tests {
    use super::super::table::Verdict;
    use super::*;

    fn of(mean: f32, blur: Option<f32>) -> Finding {
        let sight = Sight {
            what: "640×480 MJPG at 30 fps from /dev/video0 (C920)".to_owned(),
            width: 640,
            height: 480,
            first: Duration::from_millis(412),
            luma: Luma { mean, deviation: 40.0 },
            blur,
        };
        judge(&sight, ", driver uvcvideo")
    }

    #[test]
    fn a_dark_a_bright_and_a_soft_picture_are_told_apart() {
        let good = of(115.0, Some(0.33));
        assert_eq!(good.verdict, Verdict::Ok);
        assert!(
            good.detail
                .contains("driver uvcvideo; a picture of 640×480 after 412 ms, brightness 45 %, blur 0.33")
        );
        assert_eq!(of(115.0, None).verdict, Verdict::Ok);
        for (mean, blur, words) in
            [(20.0, Some(0.3), "is dark"), (250.0, None, "washed out"), (115.0, Some(0.72), "out of focus")]
        {
            let finding = of(mean, blur);
            assert_eq!(finding.verdict, Verdict::Warning);
            assert!(finding.detail.contains(words) && finding.remedy.is_some(), "{finding:?}");
        }
    }
}
