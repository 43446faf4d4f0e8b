//! An emotion network's outputs, hostile: an error, or finite scores in their ranges.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use emotiond::vision::emotion::heads;
use emotiond::inference::manifest::{Head, Manifest, Task};
use libfuzzer_sys::fuzz_target;

static HEADS: LazyLock<Vec<Head>> = LazyLock::new(|| {
    let text = include_str!("../../models/emotiond-mtl.toml");
    let manifest = Manifest::parse(Path::new("emotiond-mtl.toml"), text).expect("the shipped manifest");
    let Task::Emotion { heads, .. } = manifest.task else { panic!("no emotion model") };
    heads
});

fuzz_target!(|data: &[u8]| {
    let (numbers, _) = data.as_chunks::<4>();
    let mut numbers = numbers.iter().map(|four| f32::from_le_bytes(*four));
    let values: Vec<Vec<f32>> = HEADS
        .iter()
        .map(|head| (0..heads::values(head).unwrap_or(0)).map(|_| numbers.next().unwrap_or(0.0)).collect())
        .collect();
    let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let Ok(emotion) = heads::read(&HEADS, &values) else { return };
    assert!(emotion.is_finite(), "{emotion:?}");
    if let Some(expression) = emotion.expression {
        let sum: f32 = expression.iter().sum();
        assert!((sum - 1.0).abs() < 1e-3, "{expression:?}");
    }
    assert!(emotion.action_units.iter().all(|unit| (0.0..=1.0).contains(unit)));
    assert!(emotion.valence_arousal.iter().flatten().all(|value| (-1.0..=1.0).contains(value)));
});
