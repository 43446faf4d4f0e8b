//! How many faces a frame may have read, and when the next frame may be taken: from measured times.
//!
//! Two bounds hold. The frame rate: decoding, detection and readings together are done before the next frame is due.
//! And the processor time of the whole process, if it is bounded: a credit that grows by so many cores a second and
//! falls by what was used. While it is short, first fewer faces are read, down to one a frame; then frames are left
//! until the credit is back. Over any time, the process uses no more than its cores, `BURST` of them and one frame.

use core::time::Duration;

use crate::moment::Moment;

/// The part of the time between two frames that is planned with; the rest is for what varies.
const PLANNED: f64 = 0.9;
/// The part of it that readings get even where the rest of a frame leaves none: the frame rate is lost then anyway, and
/// faces are to be read all the same.
const LEAST: f64 = 0.25;
/// The most credit that is saved up, in seconds of the bound: so long may a crowd that has just come in use more.
const BURST: f64 = 2.0;
/// The part of it that readings leave, so that frames need not wait for what could not be foreseen.
const RESERVE: f64 = 0.5;
/// The weight of the newest time in the mean of those measured.
const NEWEST: f64 = 0.2;

/// What bounds the work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetSettings {
    /// The time between two frames that are due; `None` if frames wait until the last one is done, as those of a recording
    /// do, whose results must not depend on the machine: then every face is read as often as it should be.
    pub interval: Option<Duration>,
    /// The processor time that the process may use, in cores; `None` without a bound.
    pub cores: Option<f64>,
}

/// What some work took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Time that passed.
    pub wall: Duration,
    /// Processor time of the thread.
    pub cpu: Duration,
}

/// A mean of measured times, in seconds, in which the newest weigh most.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate(Option<f64>);

impl Estimate {
    fn add(&mut self, time: f64) {
        self.0 = Some(self.0.map_or(time, |mean| mean + NEWEST * (time - mean)));
    }
}

/// The budget of one pipeline.
#[derive(Debug)]
pub struct Budget {
    settings: BudgetSettings,
    /// A frame without readings, wall time.
    frame_wall: Estimate,
    /// Everything that the process does a frame, without readings, processor time.
    frame_cpu: Estimate,
    reading_wall: Estimate,
    reading_cpu: Estimate,
    /// Processor time that may be used now, seconds; below zero, frames wait.
    credit: f64,
    /// When the credit was settled, and the processor time of the process then.
    settled: Option<(Moment, Duration)>,
    /// The processor time of the process when the last frame began, and what its readings took.
    begun: Option<(Duration, Duration)>,
}

impl Budget {
    /// A budget of which nothing is used yet.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        Self {
            credit: settings.cores.unwrap_or_default() * BURST * RESERVE,
            settings,
            frame_wall: Estimate::default(),
            frame_cpu: Estimate::default(),
            reading_wall: Estimate::default(),
            reading_cpu: Estimate::default(),
            settled: None,
            begun: None,
        }
    }

    /// Settles the credit: `used` is the processor time of the whole process since its start. Returns how long a frame
    /// has to wait.
    pub fn settle(&mut self, now: Moment, used: Duration) -> Duration {
        let Some(cores) = self.settings.cores else { return Duration::ZERO };
        if let Some((then, before)) = self.settled {
            let earned = cores * (now - then).as_secs_f64();
            let spent = used.saturating_sub(before).as_secs_f64();
            self.credit = (self.credit + earned - spent).min(cores * BURST);
        }
        self.settled = Some((now, used));
        Duration::try_from_secs_f64((-self.credit / cores).max(0.0)).unwrap_or(Duration::MAX)
    }

    /// A frame begins: `used` is the processor time of the whole process since its start.
    pub fn begin(&mut self, used: Duration) {
        if let Some((before, readings)) = self.begun {
            self.frame_cpu.add(used.saturating_sub(before).saturating_sub(readings).as_secs_f64());
        }
        self.begun = Some((used, Duration::ZERO));
    }

    /// How many faces may be read in the frame that has begun: one at least. `wall` is what it takes without them.
    #[must_use]
    pub fn readings(&mut self, wall: Duration) -> usize {
        self.frame_wall.add(wall.as_secs_f64());
        let by_time = self.settings.interval.map(|interval| {
            let interval = interval.as_secs_f64();
            let left = PLANNED * interval - self.frame_wall.0.unwrap_or_default();
            count(left.max(LEAST * interval), self.reading_wall)
        });
        let by_cpu = self.settings.interval.zip(self.settings.cores).map(|(interval, cores)| {
            let earned = cores * interval.as_secs_f64() - self.frame_cpu.0.unwrap_or_default();
            let planned = self.credit - cores * BURST * RESERVE + earned;
            // Not what is earned only later.
            count(planned.min(self.credit - self.frame_cpu.0.unwrap_or_default()), self.reading_cpu)
        });
        by_time.unwrap_or(usize::MAX).min(by_cpu.unwrap_or(usize::MAX))
    }

    /// Takes note of what reading one face took.
    pub fn read(&mut self, cost: Cost) {
        self.reading_wall.add(cost.wall.as_secs_f64());
        self.reading_cpu.add(cost.cpu.as_secs_f64());
        if let Some((_, readings)) = &mut self.begun {
            *readings += cost.cpu;
        }
    }
}

/// How often something fits into so many seconds: once at least, and once only until it is known what it takes.
fn count(seconds: f64, one: Estimate) -> usize {
    match one.0 {
        // The conversion saturates.
        Some(one) => ((seconds / one.max(1e-9)) as usize).max(1),
        None => 1,
    }
}

#[cfg(test)]
mod tests;
