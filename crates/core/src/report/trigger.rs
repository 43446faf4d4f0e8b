//! Triggers: a signal above or below a level for a time becomes an event, with hysteresis and a cool-down.
//!
//! A signal is one number a frame for the whole scene ([`Signals`]):
//!
//! | signal | value | range |
//! |---|---|---|
//! | `expression.<name>` | the greatest smoothed probability among the faces | 0..=1 |
//! | `action_units.<AU>` | the greatest activation among the faces | 0..=1 |
//! | `valence`, `arousal` | the mean over the faces | -1..=1 |
//! | `faces` | the number of faces | 0.. |
//! | `facing` | the share of the faces turned to the camera | 0..=1 |
//! | `compound.<name>` | the greatest strength among the faces | 0..=1 |
//! | `people` | the number of visits under way, those missed for a moment included | 0.. |
//! | `dwell` | the seconds for which the visit that is longest has lasted | 0.. |
//! | `visit` | as `people`; without a level: each visit starts and ends by itself | 0.. |
//!
//! So `above` on an expression reads "any face shows it" and `below` reads "no face shows it". The time of `for` belongs
//! to the frame: a smile that one face passes on to the next is one smile. A signal without a value (nobody there, no
//! such head in the model, withheld for privacy, camera not ok) meets no condition, above or below.

mod signal;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::moment::Moment;
use crate::report::observation::TrackId;

pub use signal::{Signal, Signals};

/// Which side of the level meets the condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// The signal is greater than this.
    Above(f64),
    /// The signal is less than this.
    Below(f64),
    /// There is no level: [`Signal::Visit`] starts when somebody has come and ends when that one has gone.
    Presence,
}

/// One trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSettings {
    /// The name, part of the topic.
    pub name: String,
    /// What is watched.
    pub signal: Signal,
    /// The level and its side.
    pub level: Level,
    /// How long the condition must be met without a break.
    pub hold: Duration,
    /// How far the signal must come back over the level for the condition to end; 0 or more, in units of the signal.
    pub hysteresis: f64,
    /// How long after its end the trigger stays silent.
    pub cooldown: Duration,
    /// Whether the end is an event, too.
    pub end: bool,
}

/// Start or end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The condition has been met for the trigger's time.
    Start,
    /// The condition is no longer met.
    End,
}

/// The start or the end of what a trigger watches for.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerEvent {
    /// The trigger's name.
    pub name: String,
    /// What is watched.
    pub signal: Signal,
    /// Start or end.
    pub phase: Phase,
    /// When: the frame that decided it.
    pub at: Moment,
    /// The signal in that frame, if it had a value.
    pub value: Option<f64>,
    /// How long the condition has been met.
    pub lasted: Duration,
    /// Whether it is an event on the wire; false for the end of a trigger that publishes none, which is a change of the
    /// trigger's state and nothing more.
    pub published: bool,
    /// Whether the trigger's condition is met after it: true also for the end of one visit while others go on.
    pub active: bool,
}

/// All triggers of a run.
#[derive(Debug)]
pub struct Triggers {
    triggers: Vec<Trigger>,
    max_gap: Duration,
    last: Option<Moment>,
}

#[derive(Debug)]
struct Trigger {
    settings: TriggerSettings,
    /// Since when the condition is met.
    since: Option<Moment>,
    started: bool,
    silent_until: Moment,
    /// Of [`Level::Presence`]: the visits that have been told of, and how long they have lasted.
    told: BTreeMap<TrackId, Duration>,
}

impl Triggers {
    /// Triggers that have seen nothing. Frames further apart than `max_gap` say nothing about the time between: a
    /// condition met before such a gap has ended with it.
    #[must_use]
    pub fn new(settings: Vec<TriggerSettings>, max_gap: Duration) -> Self {
        let triggers = settings
            .into_iter()
            .map(|settings| Trigger {
                settings,
                since: None,
                started: false,
                silent_until: Moment::ZERO,
                told: BTreeMap::new(),
            })
            .collect();
        Self { triggers, max_gap, last: None }
    }

    /// The events that one frame brings, those included that change a trigger's state alone. Without a frame (camera
    /// lost, blind, paused) call it with [`Signals::none`], so that what was going on ends.
    pub fn update(&mut self, at: Moment, signals: &Signals) -> Vec<TriggerEvent> {
        let at = self.last.map_or(at, |last| last.max(at));
        let torn = self.last.is_some_and(|last| at - last > self.max_gap);
        let ended = self.last.filter(|_| torn).map(|last| last + self.max_gap);
        self.last = Some(at);
        let mut events = Vec::new();
        for trigger in &mut self.triggers {
            if trigger.settings.level == Level::Presence {
                events.extend(trigger.follow(at, signals));
                continue;
            }
            if let Some(ended) = ended {
                events.extend(trigger.update(ended, None));
            }
            events.extend(trigger.update(at, signals.get(&trigger.settings.signal)));
        }
        events
    }
}

impl Trigger {
    fn update(&mut self, at: Moment, value: Option<f64>) -> Option<TriggerEvent> {
        if !value.is_some_and(|value| self.met(value)) {
            let since = self.since.take()?;
            if !core::mem::take(&mut self.started) {
                return None;
            }
            self.silent_until = at + self.settings.cooldown;
            return Some(self.event(Phase::End, at, value, since));
        }
        let since = *self.since.get_or_insert(at);
        let due = at - since >= self.settings.hold && at >= self.silent_until;
        if self.started || !due {
            return None;
        }
        self.started = true;
        Some(self.event(Phase::Start, at, value, since))
    }

    /// Whether a value meets the condition: the bare level to begin with, the level moved by the hysteresis to go on.
    fn met(&self, value: f64) -> bool {
        let slack = if self.since.is_some() { self.settings.hysteresis } else { 0.0 };
        match self.settings.level {
            Level::Above(level) if slack > 0.0 => value >= level - slack,
            Level::Above(level) => value > level,
            Level::Below(level) if slack > 0.0 => value <= level + slack,
            Level::Below(level) => value < level,
            Level::Presence => false,
        }
    }

    /// The starts and ends of visits. How long a gap in the pictures may be within one is the tracker's to say.
    fn follow(&mut self, at: Moment, signals: &Signals) -> Vec<TriggerEvent> {
        let value = signals.get(&self.settings.signal);
        let mut events = Vec::new();
        for visit in &signals.staying {
            if let Some(dwell) = self.told.get_mut(&visit.track) {
                *dwell = visit.dwell;
            } else if visit.dwell >= self.settings.hold && at >= self.silent_until {
                self.told.insert(visit.track, visit.dwell);
                events.push(self.happened(Phase::Start, at, value, visit.dwell));
            }
        }
        let staying = |track: &TrackId| signals.staying.iter().any(|visit| visit.track == *track);
        let (told, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            core::mem::take(&mut self.told).into_iter().partition(|(track, _)| staying(track));
        self.told = told;
        for dwell in gone.into_values() {
            self.silent_until = at + self.settings.cooldown;
            events.push(self.happened(Phase::End, at, value, dwell));
        }
        events
    }

    fn event(&self, phase: Phase, at: Moment, value: Option<f64>, since: Moment) -> TriggerEvent {
        self.happened(phase, at, value, at - since)
    }

    fn happened(&self, phase: Phase, at: Moment, value: Option<f64>, lasted: Duration) -> TriggerEvent {
        let TriggerSettings { name, signal, .. } = &self.settings;
        let (name, signal) = (name.clone(), signal.clone());
        let published = phase != Phase::End || self.settings.end;
        let active = phase == Phase::Start || !self.told.is_empty();
        TriggerEvent { name, signal, phase, at, value, lasted, published, active }
    }
}

#[cfg(test)]
mod tests;
