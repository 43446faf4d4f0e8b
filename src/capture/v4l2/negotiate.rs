//! Choosing the cheapest mode of a camera that is good enough. Pure.

use super::mode::{Choice, Mode};
use crate::capture::frame::PixelFormat;

/// What analysis needs of a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModeRequest {
    /// Width in pixels that is enough.
    pub width: u32,
    /// Height in pixels that is enough.
    pub height: u32,
    /// Frames analysed a second.
    pub rate: f64,
    /// Take this format or none.
    pub format: Option<PixelFormat>,
}

impl Default for ModeRequest {
    /// 640×480 analysed five times a second, in whatever format is cheapest.
    fn default() -> Self {
        Self { width: 640, height: 480, rate: 5.0, format: None }
    }
}

/// A camera run slower than this exposes each frame for so long in a dim room that moving faces blur.
const SHARP_RATE: f64 = 15.0;

/// The rate assumed of a driver that does not list rates: what nearly every camera runs at.
const USUAL_RATE: f64 = 30.0;

/// Chooses the mode that costs least: the work to take in every captured frame and to decode every analysed one, grown by
/// how far the mode falls short in size or rate. `None` if no mode has a format that can be decoded.
#[must_use]
pub fn negotiate(modes: &[Mode], requested: &ModeRequest) -> Option<Choice> {
    modes
        .iter()
        .filter(|mode| mode.width > 0 && mode.height > 0)
        .filter_map(|mode| Some((mode, mode.format()?)))
        .filter(|(_, format)| requested.format.is_none_or(|wanted| wanted == *format))
        .map(|(mode, format)| {
            let rate = choose_rate(&mode.rates, requested.rate);
            let choice = Choice { fourcc: mode.fourcc, format, width: mode.width, height: mode.height, rate };
            (cost(&choice, requested), choice)
        })
        // The first of equals wins: drivers list what suits them best first.
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, choice)| choice)
}

/// The lowest rate that is enough and sharp, else the highest there is.
fn choose_rate(rates: &[f64], wanted: f64) -> Option<f64> {
    let enough = wanted.max(SHARP_RATE) * 0.99; // 14.985 (15000/1001) is 15 to everybody
    let usable = rates.iter().copied().filter(|rate| rate.is_finite() && *rate > 0.0);
    let lowest = usable.clone().filter(|rate| *rate >= enough).min_by(f64::total_cmp);
    lowest.or_else(|| usable.max_by(f64::total_cmp))
}

/// Instructions a second of capture costs, grown by each shortfall, in rate more than in size.
fn cost(choice: &Choice, requested: &ModeRequest) -> f64 {
    let pixels = f64::from(choice.width) * f64::from(choice.height);
    let rate = choice.rate.unwrap_or(USUAL_RATE);
    let (take_in, decode) = instructions_per_pixel(choice.format);
    let work = pixels * (take_in * rate + decode * rate.min(requested.rate));

    // By area, for a wide picture as wide as was asked shows faces as large as a taller one would.
    let area = (pixels / (f64::from(requested.width.max(1)) * f64::from(requested.height.max(1)))).min(1.0);
    let pace = (rate / requested.rate).min(1.0);
    // Without colour the models see less than they were trained on.
    let grey = if choice.format == PixelFormat::Grey { 16.0 } else { 1.0 };
    work * grey / (area.powi(3) * pace.powi(8))
}

/// What a pixel costs: to copy and wipe it on every captured frame, and to decode it on every analysed one. Instructions of
/// a Cortex-A53 at 640×480 (JPEG of quality 85), counted by `scripts/pi-cost`; what a core waits for memory is left out.
fn instructions_per_pixel(format: PixelFormat) -> (f64, f64) {
    match format {
        PixelFormat::Mjpeg => (0.04, 25.9),
        PixelFormat::Yuyv | PixelFormat::Uyvy => (0.42, 8.3),
        PixelFormat::Nv12 => (0.32, 7.5),
        PixelFormat::Yu12 => (0.32, 8.2),
        PixelFormat::Rgb3 => (0.63, 0.5),
        PixelFormat::Grey => (0.21, 6.0),
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
