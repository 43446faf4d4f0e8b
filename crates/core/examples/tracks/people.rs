//! Drawn people: where their faces are from frame to frame, and what a detector sees of them.

use std::f32::consts::TAU;

use emotiond_core::geometry::Rect;
use fastrand::Rng;

use crate::Seen;

/// The scenarios by name.
pub const SCENARIOS: [&str; 7] = [
    "two cross",
    "turned away",
    "behind a pillar",
    "a crowd",
    "one takes another's place",
    "passers-by",
    "two talk",
];

const WIDTH: f32 = 640.0;
const HEIGHT: f32 = 480.0;
/// How much of a face another one may hide before it is not found.
const HIDDEN: f32 = 0.35;

/// Somebody, in one frame.
#[derive(Clone, Copy)]
struct Somebody {
    person: u32,
    x: f32,
    y: f32,
    size: f32,
    /// Whether the face is turned away, or hidden by a thing.
    away: bool,
}

/// The frames of one scenario, `rate` a second. Equal seeds give equal frames.
pub fn draw(scenario: &str, rate: f64, seed: u64) -> Vec<Vec<Seen>> {
    let mut rng = Rng::with_seed(seed);
    let step = 1.0 / rate as f32;
    let times = |seconds: f32| (0..(seconds / step) as usize).map(move |frame| frame as f32 * step);
    let frames: Vec<Vec<Somebody>> = match scenario {
        "two cross" => {
            let (speed, y) = (between(&mut rng, 0.5, 1.5), between(&mut rng, 150.0, 300.0));
            let sizes = [between(&mut rng, 60.0, 90.0), between(&mut rng, 60.0, 90.0)];
            let lower = between(&mut rng, -20.0, 20.0);
            times(WIDTH / (speed * sizes[0]))
                .map(|t| {
                    let right =
                        Somebody { person: 1, x: speed * sizes[0] * t, y, size: sizes[0], away: false };
                    let x = WIDTH - speed * sizes[1] * t;
                    vec![right, Somebody { person: 2, x, y: y + lower, size: sizes[1], away: false }]
                })
                .collect()
        }
        "turned away" => {
            let (from, long) = (between(&mut rng, 3.0, 5.0), between(&mut rng, 0.8, 3.5));
            let (size, drift) = (between(&mut rng, 50.0, 120.0), between(&mut rng, -0.25, 0.25));
            times(12.0)
                .map(|t| {
                    let x = 300.0 + drift * size * t;
                    vec![Somebody { person: 1, x, y: 200.0, size, away: (from..from + long).contains(&t) }]
                })
                .collect()
        }
        "behind a pillar" => {
            let (size, speed) = (between(&mut rng, 50.0, 80.0), between(&mut rng, 0.6, 1.8));
            let pillar = between(&mut rng, 1.2, 2.2) * size;
            times(WIDTH / (speed * size))
                .map(|t| {
                    let x = speed * size * t;
                    let away = (x - WIDTH / 2.0).abs() < pillar / 2.0;
                    vec![Somebody { person: 1, x, y: 200.0 + 10.0 * t.sin(), size, away }]
                })
                .collect()
        }
        "a crowd" => {
            let walkers: Vec<_> = (1..=6).map(|person| Wanderer::new(person, &mut rng)).collect();
            times(20.0).map(|t| walkers.iter().map(|walker| walker.at(t)).collect()).collect()
        }
        "one takes another's place" => {
            let (leaves, pause) = (between(&mut rng, 3.0, 6.0), between(&mut rng, 0.4, 6.0));
            let sizes = [between(&mut rng, 60.0, 120.0), between(&mut rng, 60.0, 120.0)];
            let x = 300.0 + between(&mut rng, -0.5, 0.5) * sizes[0];
            times(16.0)
                .map(|t| {
                    // Walks off to the side for half a second before nothing more is seen.
                    let off = (t - (leaves - 0.5)).max(0.0) * 1.5 * sizes[0];
                    let first = Somebody { person: 1, x: 300.0 + off, y: 200.0, size: sizes[0], away: false };
                    let second = Somebody { person: 2, x, y: 200.0, size: sizes[1], away: false };
                    let mut there = Vec::new();
                    if t < leaves {
                        there.push(first);
                    }
                    if t >= leaves + pause {
                        there.push(second);
                    }
                    there
                })
                .collect()
        }
        "passers-by" => {
            let mut walkers = Vec::new();
            let mut start = 0.0;
            for person in 1..=8 {
                let size = between(&mut rng, 50.0, 80.0);
                walkers.push((
                    person,
                    start,
                    size,
                    between(&mut rng, 0.8, 2.0) * size,
                    between(&mut rng, 180.0, 260.0),
                ));
                start += between(&mut rng, 0.7, 4.0);
            }
            times(start + 10.0)
                .map(|t| {
                    walkers
                        .iter()
                        .map(|&(person, start, size, speed, y)| Somebody {
                            person,
                            x: speed * (t - start),
                            y,
                            size,
                            away: false,
                        })
                        .filter(|one| (0.0..WIDTH).contains(&one.x))
                        .collect()
                })
                .collect()
        }
        _ => {
            // Two who stand side by side and turn to each other by turns.
            let (size, apart) = (between(&mut rng, 60.0, 90.0), between(&mut rng, 1.1, 1.8));
            let (every, phase) = (between(&mut rng, 3.0, 7.0), between(&mut rng, 0.0, 5.0));
            times(20.0)
                .map(|t| {
                    let turn = ((t + phase) / every).fract();
                    let sway = 0.15 * size * (TAU * t / 4.0).sin();
                    let one = |person, side: f32, away| Somebody {
                        person,
                        x: 320.0 + side * apart * size / 2.0 + sway,
                        y: 200.0,
                        size,
                        away,
                    };
                    vec![one(1, -1.0, turn < 0.25), one(2, 1.0, (0.45..0.7).contains(&turn))]
                })
                .collect()
        }
    };
    frames.into_iter().map(|there| detect(there, &mut rng)).collect()
}

fn between(rng: &mut Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.f32()
}

/// Somebody who walks about in loops.
struct Wanderer {
    person: u32,
    center: (f32, f32),
    reach: f32,
    turn: f32,
    phase: f32,
    size: f32,
    /// When, and how long, the face is turned away.
    away: (f32, f32),
}

impl Wanderer {
    fn new(person: u32, rng: &mut Rng) -> Self {
        Self {
            person,
            center: (between(rng, 120.0, WIDTH - 120.0), between(rng, 120.0, HEIGHT - 120.0)),
            reach: between(rng, 20.0, 110.0),
            turn: between(rng, 0.05, 0.12),
            phase: between(rng, 0.0, TAU),
            size: between(rng, 45.0, 80.0),
            away: (between(rng, 2.0, 17.0), between(rng, 0.0, 3.0)),
        }
    }

    fn at(&self, t: f32) -> Somebody {
        let angle = self.phase + TAU * self.turn * t;
        Somebody {
            person: self.person,
            x: self.center.0 + self.reach * angle.cos(),
            y: self.center.1 + 0.3 * self.reach * (2.0 * angle).sin(),
            size: self.size,
            away: (self.away.0..self.away.0 + self.away.1).contains(&t),
        }
    }
}

/// What a detector finds: not who is behind a nearer face or turned away, one in twenty missed, boxes that tremble.
fn detect(mut there: Vec<Somebody>, rng: &mut Rng) -> Vec<Seen> {
    // The larger face is the nearer one.
    there.sort_by(|a, b| b.size.total_cmp(&a.size));
    let mut nearer: Vec<Rect> = Vec::new();
    let mut seen = Vec::new();
    for one in there {
        let half = one.size / 2.0;
        let true_box = Rect { x: one.x - half, y: one.y - half, width: one.size, height: one.size };
        let covered = nearer.iter().any(|other| overlap(other, &true_box) > HIDDEN * one.size * one.size);
        nearer.push(true_box);
        if one.away || covered || rng.f32() < 0.05 {
            continue;
        }
        let size = one.size * (1.0 + 0.05 * normal(rng));
        let (x, y) = (one.x + 0.04 * one.size * normal(rng), one.y + 0.04 * one.size * normal(rng));
        let bounds = Rect { x: x - size / 2.0, y: y - size / 2.0, width: size, height: size };
        seen.push(Seen { person: one.person, bounds });
    }
    seen
}

fn overlap(a: &Rect, b: &Rect) -> f32 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    width.max(0.0) * height.max(0.0)
}

/// About normally distributed: the sum of twelve.
fn normal(rng: &mut Rng) -> f32 {
    (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0
}
