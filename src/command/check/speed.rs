//! The models: which they are, and how many faces this machine can hold with them.

use std::time::Duration;

use image::RgbImage;

use super::table::Finding;
use crate::command::capacity::face;
use crate::config::Settings;
use crate::host::clock::thread_time;
use crate::vision::emotion::Flip;
use crate::vision::models::{self, Models};

/// Runs of each network that are timed, and runs before them, in which caches fill and the processor wakes up.
const RUNS: usize = 9;
const WARM_UP: usize = 3;

/// Opens the models and times them on a grey picture, which takes the networks as long as any other.
pub fn models(settings: &Settings) -> Finding {
    match opened(settings) {
        Ok(finding) => finding,
        Err(error) => {
            Finding::error("models", &error, "reinstall the models, or correct the section [models]")
        }
    }
}

fn opened(settings: &Settings) -> anyhow::Result<Finding> {
    let mut models = models::open(&settings.models, &settings.privacy.policy)?;
    let named = |model: &emotiond_core::report::payload::ModelInfo| {
        format!("{} {} (sha256 {}…)", model.name, model.version, model.sha256.get(..12).unwrap_or_default())
    };
    let names: Vec<_> = models.info.iter().map(named).collect();
    let (frame, face) = timed(&mut models)?;
    let names = format!("{}; range {}", names.join(", "), settings.models.range.name());
    Ok(judge(&names, settings.camera.mode.rate, frame, face))
}

/// Median time that the detector takes for a frame and the emotion model for a face: of the processor, which is the same
/// whatever else the machine does.
fn timed(models: &mut Models) -> anyhow::Result<(Duration, Option<Duration>)> {
    let picture = RgbImage::from_pixel(640, 480, image::Rgb([128; 3]));
    let frame = median(|| models.detector.detect(&picture).map(drop))?;
    let Some(emotion) = models.emotion.as_mut() else { return Ok((frame, None)) };
    let face = face(0);
    Ok((frame, Some(median(|| emotion.read(&picture, &face, Flip::Plain).map(drop))?)))
}

fn median(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for round in 0..WARM_UP + RUNS {
        let begin = thread_time();
        run()?;
        if round >= WARM_UP {
            times.push(thread_time().saturating_sub(begin));
        }
    }
    times.sort();
    Ok(times[RUNS / 2])
}

/// One thread analyses: of each second, what the frames at `rate` a second leave is there for faces.
fn judge(names: &str, rate: f64, frame: Duration, face: Option<Duration>) -> Finding {
    let ms = |time: Duration| format!("{:.1} ms", 1000.0 * time.as_secs_f64());
    let left = 1.0 - rate * frame.as_secs_f64();
    let Some(face) = face else {
        let detail = format!("{names}; {} a frame, no emotion is read", ms(frame));
        return if left > 0.0 { Finding::ok("models", detail) } else { too_slow(&detail, rate) };
    };
    let faces = (left / face.as_secs_f64()).max(0.0);
    let at_once = faces / rate;
    let detail = format!(
        "{names}; {} a frame and {} a face on one core: at {rate} frames a second about {faces:.0} faces a second, {at_once:.0} at once",
        ms(frame),
        ms(face)
    );
    if at_once < 1.0 { too_slow(&detail, rate) } else { Finding::ok("models", detail) }
}

fn too_slow(detail: &str, rate: f64) -> Finding {
    let remedy =
        format!("lower camera.rate, which is {rate}, or use a faster machine; frames will be dropped");
    Finding::warning("models", format!("{detail}: this machine is too slow for that"), remedy)
}

#[cfg(test)]
mod tests {
    use super::super::table::Verdict;
    use super::*;

    #[test]
    fn what_frames_leave_of_a_second_is_there_for_faces() {
        let ms = Duration::from_millis;
        let finding = judge("a 1", 5.0, ms(20), Some(ms(10)));
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.detail.contains("about 90 faces a second, 18 at once"), "{finding:?}");
        for (frame, face) in [(ms(250), Some(ms(10))), (ms(190), Some(ms(50))), (ms(250), None)] {
            let finding = judge("a 1", 5.0, frame, face);
            assert_eq!(finding.verdict, Verdict::Warning, "{finding:?}");
            assert!(finding.remedy.unwrap().contains("camera.rate"));
        }
        assert_eq!(judge("a 1", 5.0, ms(20), None).verdict, Verdict::Ok);
    }
}
