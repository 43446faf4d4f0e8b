//! Where a face is and where it goes: a Kalman filter that knows nothing but the centre of a box and the time.

use crate::geometry::Point;

/// What the filter assumes, in face sizes: how far a detected centre is from the true one, how fast a face may move
/// that is seen for the first time, and how much a velocity changes in a second (the root of a spectral density).
const MEASURED: f64 = 0.06;
const FIRST_SPEED: f64 = 1.0;
const UNREST: f64 = 0.7;
/// How long a velocity is believed in without a sight of the face, in seconds: people stop.
const MOMENTUM: f64 = 1.5;

/// A centre and its velocity, with their variances; both axes are alike and have one set of them.
#[derive(Clone, Debug)]
pub(super) struct Motion {
    center: [f64; 2],
    /// Pixels a second.
    velocity: [f64; 2],
    /// Of the centre, of both together, and of the velocity.
    variance: [f64; 3],
}

impl Motion {
    /// A face that has just been seen for the first time, of a size in pixels.
    pub(super) fn new(center: Point, size: f64) -> Self {
        let square = |share: f64| (share * size) * (share * size);
        Self {
            center: [f64::from(center.x), f64::from(center.y)],
            velocity: [0.0; 2],
            variance: [square(MEASURED), 0.0, square(FIRST_SPEED)],
        }
    }

    /// Where the face should be after so many seconds unseen.
    pub(super) fn ahead(&self, seconds: f64) -> [f64; 2] {
        let moved = seconds.min(MOMENTUM);
        [0, 1].map(|axis| self.center[axis] + self.velocity[axis] * moved)
    }

    /// Takes in where the face is so many seconds later.
    pub(super) fn follow(&mut self, seconds: f64, center: Point, size: f64) {
        if seconds <= 0.0 {
            self.center = [f64::from(center.x), f64::from(center.y)];
            return;
        }
        let expected = self.ahead(seconds);
        let noise = (UNREST * size) * (UNREST * size);
        let [place, both, speed] = self.variance;
        let place = place + seconds * (2.0 * both + seconds * (speed + noise * seconds / 3.0));
        let both = both + seconds * (speed + noise * seconds / 2.0);
        let speed = speed + noise * seconds;
        let measured = (MEASURED * size) * (MEASURED * size);
        let gain = [place / (place + measured), both / (place + measured)];
        let seen = [f64::from(center.x), f64::from(center.y)];
        for axis in 0..2 {
            let surprise = seen[axis] - expected[axis];
            self.center[axis] = expected[axis] + gain[0] * surprise;
            self.velocity[axis] += gain[1] * surprise;
        }
        self.variance = [(1.0 - gain[0]) * place, (1.0 - gain[0]) * both, speed - gain[1] * both];
    }
}
