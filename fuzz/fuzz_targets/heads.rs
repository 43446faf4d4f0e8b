//! An emotion network's outputs, hostile: an error, or finite scores in their ranges.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use emotiond::vision::emotion::heads;
use emotiond::inference::manifest::{Head, Manifest, Task};
use emotiond_core::report::score::{ScoreKind, Vocabulary};
use libfuzzer_sys::fuzz_target;

static HEADS: LazyLock<Vec<Head>> = LazyLock::new(|| {
    let text = include_str!("../../models/emotiond-mtl.toml");
    let manifest = Manifest::parse(Path::new("emotiond-mtl.toml"), text).expect("the shipped manifest");
    let Task::Emotion { heads, .. } = manifest.task else { panic!("no emotion model") };
    heads
});

static VOCABULARY: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| Arc::new(heads::vocabulary(&HEADS)));

fuzz_target!(|data: &[u8]| {
    let (numbers, _) = data.as_chunks::<4>();
    let mut numbers = numbers.iter().map(|four| f32::from_le_bytes(*four));
    let values: Vec<Vec<f32>> = HEADS
        .iter()
        .map(|head| (0..heads::values(head).unwrap_or(0)).map(|_| numbers.next().unwrap_or(0.0)).collect())
        .collect();
    let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let Ok(scores) = heads::read(&HEADS, &VOCABULARY, &values) else { return };
    assert!(scores.is_finite(), "{scores:?}");
    for (head, range) in VOCABULARY.heads() {
        let values = &scores.values()[range];
        let least = if head.kind == ScoreKind::Signed { -1.0 } else { 0.0 };
        assert!(values.iter().all(|value| (least..=1.0).contains(value)), "{}: {values:?}", head.name);
        if head.kind == ScoreKind::Distribution {
            assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{values:?}");
        }
    }
});
