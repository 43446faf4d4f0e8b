//! The last seconds of one track as steps at a fixed rate: what a network that reads sequences takes.
//!
//! Frames come when they come; between two of them the values go along a straight line, and each step takes what that
//! line says at its moment. A gap longer than [`GAP`] is not bridged: the sequence begins anew. The values are of one
//! face, so they are overwritten when they are dropped, which happens with their track.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use zeroize::{Zeroize as _, Zeroizing};

use crate::moment::Moment;

/// Frames further apart say nothing of the time between them.
pub const GAP: Duration = Duration::from_secs(2);

/// How steps become the input of a network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StepLayout {
    /// Each step after the other, the oldest first: steps × values.
    Steps,
    /// In each step first the standard deviation of each value over all steps, then the values: steps × twice the values.
    DeviationAndSteps,
    /// Of each value the mean over the steps, then all standard deviations, minima and maxima: four times the values.
    Statistics,
}

/// What a sequence is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceSettings {
    /// Steps a second, above 0.
    pub rate: f64,
    /// Steps that are kept, 1 or more.
    pub steps: usize,
    /// Steps without which there is nothing to say, 1 to `steps`. A shorter sequence begins with its first step, repeated.
    pub least: usize,
    /// Values of a step, 1 or more.
    pub values: usize,
    /// How steps become an input.
    pub layout: StepLayout,
}

impl SequenceSettings {
    /// The number of values of a network's input.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self.layout {
            StepLayout::Steps => self.steps * self.values,
            StepLayout::DeviationAndSteps => self.steps * self.values * 2,
            StepLayout::Statistics => self.values * 4,
        }
    }

    fn step(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }
}

/// The steps of one track.
pub struct Sequence {
    settings: SequenceSettings,
    /// A ring of `steps` times `values`.
    ring: Zeroizing<Vec<f32>>,
    /// Where the next step goes.
    next: usize,
    /// Steps in it.
    length: usize,
    /// The moment and the values of the last frame.
    last: Option<Moment>,
    before: Zeroizing<Vec<f32>>,
    /// The moment of the next step.
    due: Moment,
}

impl Sequence {
    /// A sequence without a step.
    #[must_use]
    pub fn new(settings: SequenceSettings) -> Self {
        Self {
            ring: Zeroizing::new(vec![0.0; settings.steps * settings.values]),
            before: Zeroizing::new(vec![0.0; settings.values]),
            next: 0,
            length: 0,
            last: None,
            due: Moment::ZERO,
            settings,
        }
    }

    /// Takes in the values of a frame.
    ///
    /// # Panics
    /// If there are more or fewer of them than the settings say.
    pub fn push(&mut self, at: Moment, values: &[f32]) {
        assert_eq!(values.len(), self.settings.values, "one number for each value of a step");
        match self.last {
            Some(last) if at <= last => return,
            Some(last) if at - last <= GAP => {
                while self.due <= at {
                    let share = (self.due - last).as_secs_f64() / (at - last).as_secs_f64();
                    self.add(share as f32, values);
                    self.due += self.settings.step();
                }
            }
            _ => {
                self.length = 0;
                self.add(1.0, values);
                self.due = at + self.settings.step();
            }
        }
        self.last = Some(at);
        self.before.copy_from_slice(values);
    }

    /// Whether there are steps enough, the last of which is not older than [`GAP`].
    #[must_use]
    pub fn is_ready(&self, at: Moment) -> bool {
        self.length >= self.settings.least && self.last.is_some_and(|last| at - last <= GAP)
    }

    /// The input of a network, replacing what `into` held.
    pub fn write(&self, into: &mut Zeroizing<Vec<f32>>) {
        into.zeroize();
        let SequenceSettings { steps, values, layout, .. } = self.settings;
        match layout {
            StepLayout::Statistics => {
                let columns = || (0..values).map(|value| self.steps().map(move |step| step[value]));
                let count = self.length as f32;
                let mean = |column: &mut dyn Iterator<Item = f32>| column.sum::<f32>() / count;
                into.extend(columns().map(|mut column| mean(&mut column)));
                into.extend((0..values).map(|value| self.deviation(value)));
                into.extend(columns().map(|column| column.fold(f32::INFINITY, f32::min)));
                into.extend(columns().map(|column| column.fold(f32::NEG_INFINITY, f32::max)));
            }
            StepLayout::Steps | StepLayout::DeviationAndSteps => {
                let deviations: Zeroizing<Vec<f32>> = Zeroizing::new(match layout {
                    StepLayout::DeviationAndSteps => {
                        (0..values).map(|value| self.padded_deviation(value)).collect()
                    }
                    _ => Vec::new(),
                });
                let first = self.steps().next().into_iter().cycle().take(steps - self.length);
                for step in first.chain(self.steps()) {
                    into.extend_from_slice(&deviations);
                    into.extend_from_slice(step);
                }
            }
        }
    }

    fn add(&mut self, share: f32, values: &[f32]) {
        let start = self.next * self.settings.values;
        let place = &mut self.ring[start..start + self.settings.values];
        for ((place, before), now) in place.iter_mut().zip(self.before.iter()).zip(values) {
            // At the ends it is what the frames say, to the last bit.
            *place = if share >= 1.0 { *now } else { before + share * (now - before) };
        }
        self.next = (self.next + 1) % self.settings.steps;
        self.length = (self.length + 1).min(self.settings.steps);
    }

    /// The steps, the oldest first.
    fn steps(&self) -> impl Iterator<Item = &[f32]> + Clone {
        let SequenceSettings { steps, values, .. } = self.settings;
        let first = self.next + steps - self.length;
        (0..self.length).map(move |place| {
            let start = (first + place) % steps * values;
            &self.ring[start..start + values]
        })
    }

    /// The standard deviation of a value over the steps, of the whole population as NumPy's.
    fn deviation(&self, value: usize) -> f32 {
        spread(self.steps().map(|step| step[value]), self.length)
    }

    /// The same over as many steps as a network sees, the repeated first ones included.
    fn padded_deviation(&self, value: usize) -> f32 {
        let missing = self.settings.steps - self.length;
        let first = self.steps().next().into_iter().cycle().take(missing);
        spread(first.chain(self.steps()).map(|step| step[value]), self.settings.steps)
    }
}

fn spread(values: impl Iterator<Item = f32> + Clone, count: usize) -> f32 {
    let count = count as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let squares: f64 = values.map(|value| (f64::from(value) - mean) * (f64::from(value) - mean)).sum();
    libm::sqrt(squares / count) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(steps: usize, least: usize, layout: StepLayout) -> SequenceSettings {
        SequenceSettings { rate: 10.0, steps, least, values: 2, layout }
    }

    fn input(sequence: &Sequence) -> Vec<f32> {
        let mut input = Zeroizing::new(vec![9.0; 3]);
        sequence.write(&mut input);
        input.to_vec()
    }

    #[test]
    fn steps_by_hand_in_each_layout() {
        let at = Moment::from_millis;
        let filled = |layout| {
            let mut sequence = Sequence::new(settings(3, 3, layout));
            // Steps at 0, 0.1 and 0.2 s, of which the second and third lie on the line to 0.25 s.
            sequence.push(at(0), &[0.0, 1.0]);
            assert!(!sequence.is_ready(at(0)));
            sequence.push(at(250), &[2.5, 1.0]);
            assert!(sequence.is_ready(at(250)));
            input(&sequence)
        };
        assert_eq!(filled(StepLayout::Steps), [0.0, 1.0, 1.0, 1.0, 2.0, 1.0]);
        let deviation = (2.0_f32 / 3.0).sqrt();
        assert_eq!(
            filled(StepLayout::DeviationAndSteps),
            [deviation, 0.0, 0.0, 1.0, deviation, 0.0, 1.0, 1.0, deviation, 0.0, 2.0, 1.0]
        );
        assert_eq!(filled(StepLayout::Statistics), [1.0, 1.0, deviation, 0.0, 0.0, 1.0, 2.0, 1.0]);
    }

    #[test]
    fn a_short_sequence_begins_with_its_first_step_and_a_gap_begins_anew() {
        let at = Moment::from_millis;
        let mut sequence = Sequence::new(settings(3, 1, StepLayout::Steps));
        sequence.push(at(1000), &[1.0, 2.0]);
        assert_eq!(input(&sequence), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        sequence.push(at(1100), &[3.0, 4.0]);
        assert_eq!(input(&sequence), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(!sequence.is_ready(at(3101)), "what was seen too long ago says nothing of now");
        sequence.push(at(3101), &[5.0, 6.0]);
        assert_eq!(input(&sequence), [5.0, 6.0, 5.0, 6.0, 5.0, 6.0]);
        sequence.push(at(3000), &[7.0, 8.0]);
        assert_eq!(input(&sequence)[4..], [5.0, 6.0], "the past changes nothing");
    }

    proptest! {
        /// What goes in does not depend on how often frames come.
        #[test]
        fn a_straight_line_is_the_same_line_at_any_rate(
            pauses in prop::collection::vec(1_u64..1900, 1..60),
            slope in -3.0_f32..3.0,
            steps in 1_usize..20,
        ) {
            let mut sequence = Sequence::new(settings(steps, 1, StepLayout::Steps));
            let value = |ms: u64| [slope * ms as f32 / 1000.0, 1.0];
            let mut now = 0;
            sequence.push(Moment::from_millis(now), &value(now));
            for pause in &pauses {
                now += pause;
                sequence.push(Moment::from_millis(now), &value(now));
            }
            let input = input(&sequence);
            prop_assert_eq!(input.len(), steps * 2);
            let last = now / 100;
            let count = (last as usize + 1).min(steps);
            for place in 0..count {
                let step = last - (count - 1 - place) as u64;
                let found = input[(steps - count + place) * 2];
                prop_assert!((found - value(step * 100)[0]).abs() < 2e-3, "{found} {step}");
            }
        }
    }
}
