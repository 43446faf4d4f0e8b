use proptest::prelude::*;

use super::*;

/// A machine on which work takes what it takes.
struct Machine {
    budget: Budget,
    interval: f64,
    /// Seconds of a frame without readings, and of a reading.
    frame: f64,
    reading: f64,
    used: f64,
    /// Frames analysed, and the readings of each.
    readings: Vec<usize>,
}

impl Machine {
    fn new(interval: f64, cores: Option<f64>, frame: f64, reading: f64) -> Self {
        let settings = BudgetSettings { interval: Some(Duration::from_secs_f64(interval)), cores };
        Self { budget: Budget::new(settings), interval, frame, reading, used: 1.0, readings: Vec::new() }
    }

    /// Runs for so many frames of the camera, with so many faces that could be read in each.
    fn run(&mut self, frames: u32, faces: usize) {
        for frame in 0..frames {
            let now = Moment::ZERO + Duration::from_secs_f64(f64::from(frame) * self.interval);
            let used = Duration::from_secs_f64(self.used);
            if !self.budget.settle(now, used).is_zero() {
                continue;
            }
            self.budget.begin(used);
            let readings = self.budget.readings(Duration::from_secs_f64(self.frame)).min(faces);
            let one = Duration::from_secs_f64(self.reading);
            (0..readings).for_each(|_| self.budget.read(Cost { wall: one, cpu: one }));
            self.used += self.frame + readings as f64 * self.reading;
            self.readings.push(readings);
        }
    }
}

proptest! {
    #[test]
    fn the_process_stays_within_its_cores(
        cores in 0.05_f64..2.0,
        interval in 0.03_f64..3.0,
        frame in 0.001_f64..0.3,
        reading in 0.0005_f64..0.1,
        faces in 0_usize..40,
        frames in 1_u32..300,
    ) {
        let mut machine = Machine::new(interval, Some(cores), frame, reading);
        machine.run(frames, faces);
        let allowed = cores * (f64::from(frames) * interval + BURST * RESERVE) + frame + reading;
        prop_assert!(machine.used - 1.0 <= allowed + 1e-6, "{} of {allowed}", machine.used - 1.0);
        prop_assert!(faces == 0 || machine.readings.iter().all(|readings| *readings >= 1));
    }

    #[test]
    fn readings_leave_time_for_the_next_frame(
        interval in 0.03_f64..1.0,
        frame in 0.001_f64..0.5,
        reading in 0.0005_f64..0.1,
    ) {
        let mut machine = Machine::new(interval, None, frame, reading);
        machine.run(50, 40);
        let left = (PLANNED * interval - frame).max(LEAST * interval);
        for readings in &machine.readings {
            prop_assert!(*readings as f64 * reading <= left.max(reading) + 1e-6);
        }
        // And what is left is used.
        let last = *machine.readings.last().unwrap();
        prop_assert!(last == 40 || (last + 1) as f64 * reading > left - 1e-6);
    }
}

#[test]
fn first_fewer_faces_are_read_then_fewer_frames_are_analysed() {
    // Five frames a second of 20 ms, and readings of 4 ms: a tenth of a core for frames alone.
    let run = |cores| {
        let mut machine = Machine::new(0.2, Some(cores), 0.020, 0.004);
        machine.run(500, 30);
        let tail = &machine.readings[machine.readings.len() / 2..];
        (machine.readings.len(), tail.iter().sum::<usize>() as f64 / tail.len() as f64)
    };
    assert_eq!(run(0.8), (500, 30.0));
    let (frames, readings) = run(0.3);
    assert_eq!(frames, 500);
    assert!((9.0..=10.5).contains(&readings), "(0.3 · 0.2 s - 20 ms) / 4 ms: {readings}");
    let (frames, readings) = run(0.06);
    // 0.06 cores in 24 ms a frame, over 100 s, and what was saved up before.
    assert!((245..=258).contains(&frames), "{frames}");
    assert!((readings - 1.0).abs() < 1e-9, "{readings}");
}

#[test]
fn a_recording_has_every_face_read() {
    let mut budget = Budget::new(BudgetSettings { interval: None, cores: Some(0.05) });
    budget.begin(Duration::ZERO);
    assert_eq!(budget.readings(Duration::from_secs(3)), usize::MAX);
    budget.settle(Moment::ZERO, Duration::ZERO);
    let wait = budget.settle(Moment::from_millis(100), Duration::from_secs(1));
    // It is slowed down instead: 1 s used, 50 ms saved up at the start and 5 ms earned.
    assert!((wait.as_secs_f64() - (1.0 - 0.055) / 0.05).abs() < 1e-6, "{wait:?}");
}

#[test]
fn without_a_bound_nothing_waits() {
    let mut budget = Budget::new(BudgetSettings::default());
    assert_eq!(budget.settle(Moment::ZERO, Duration::ZERO), Duration::ZERO);
    assert_eq!(budget.settle(Moment::ZERO, Duration::from_secs(1000)), Duration::ZERO);
    assert_eq!(budget.readings(Duration::from_secs(3)), usize::MAX);
}
