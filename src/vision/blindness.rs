//! Tells a covered lens or a dark room from an empty one.

use std::time::Duration;

use crate::capture::frame::luma::Luma;
use emotiond_core::Moment;

/// A picture this dark, on a scale of 0 to 255, ...
const DARK_MEAN: f32 = 20.0;
/// ... or this flat shows nothing: sensor noise alone spreads luma by less.
const FLAT_DEVIATION: f32 = 4.0;
/// For so long before the camera counts as blind, and for so long before it counts as seeing again.
const HOLD: Duration = Duration::from_secs(2);

/// Whether the camera is blind, with a hold time in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blindness {
    blind: bool,
    changing_since: Option<Moment>,
}

impl Blindness {
    /// Takes one picture's luma into account; returns whether the camera is blind.
    pub fn update(&mut self, at: Moment, luma: Luma) -> bool {
        let shows_nothing = luma.deviation < FLAT_DEVIATION
            || (luma.mean < DARK_MEAN && luma.deviation < 2.0 * FLAT_DEVIATION);
        if shows_nothing == self.blind {
            self.changing_since = None;
        } else {
            let since = *self.changing_since.get_or_insert(at);
            if at - since >= HOLD {
                self.blind = shows_nothing;
                self.changing_since = None;
            }
        }
        self.blind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Luma = Luma { mean: 3.0, deviation: 1.5 };
    const ROOM: Luma = Luma { mean: 90.0, deviation: 45.0 };

    #[test]
    fn a_dark_moment_is_not_blindness_and_a_dark_minute_is() {
        let mut blindness = Blindness::default();
        let seconds = Moment::from_secs;
        assert!(!blindness.update(seconds(0), BLACK));
        assert!(!blindness.update(seconds(1), BLACK));
        assert!(!blindness.update(seconds(2) - Duration::from_millis(1), ROOM));
        assert!(!blindness.update(seconds(3), BLACK));
        assert!(blindness.update(seconds(5), BLACK));
        assert!(blindness.update(seconds(6), ROOM));
        assert!(!blindness.update(seconds(8), ROOM));
    }

    #[test]
    fn a_dim_room_with_something_in_it_is_seen() {
        let mut blindness = Blindness::default();
        let dim = Luma { mean: 14.0, deviation: 12.0 };
        assert!((0..100).all(|s| !blindness.update(Moment::from_secs(s), dim)));
    }
}
