//! What vision needs to know of the configuration.

use std::time::Duration;

use emotiond_core::budget::BudgetSettings;
use emotiond_core::report::summary::SummarySettings;
use emotiond_core::track::TrackerSettings;

use super::Settings;
use crate::capture::Timeline;
use crate::vision::VisionSettings;

impl Settings {
    /// What vision needs to know of them.
    #[must_use]
    pub fn vision(&self) -> VisionSettings {
        // Two frames may be missed before a face is no longer there.
        let three_frames = Duration::from_secs_f64(3.0 / self.camera.mode.rate);
        let tracker = TrackerSettings::default();
        let tracker = TrackerSettings { limit: tracker.limit.max(three_frames), ..tracker };
        let summary = SummarySettings {
            window: self.window,
            hold: SummarySettings::default().hold.max(three_frames),
            ambiguous: self.ambiguous,
            policy: self.privacy.policy,
            ..SummarySettings::default()
        };
        let interval = match self.camera.properties().timeline {
            Timeline::Live => Some(Duration::from_secs_f64(1.0 / self.camera.mode.rate)),
            // What is made of a recording does not depend on how fast the machine is.
            Timeline::Nominal { .. } => None,
        };
        VisionSettings {
            min_face: self.min_face,
            smoothing: self.smoothing,
            smoothing_by_head: self.smoothing_by_head.clone(),
            compound: self.compound,
            budget: BudgetSettings { interval, cores: self.cores },
            tracker,
            summary,
            triggers: self.triggers.clone(),
        }
    }
}
