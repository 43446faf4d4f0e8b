//! The default detector's outputs, hostile: faces with finite boxes and sound scores.
#![no_main]

use emotiond::vision::detect::nms::merge;
use emotiond::vision::detect::yunet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[columns, stride, score, overlap], data)) = data.split_first_chunk() else { return };
    let (numbers, _) = data.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
    let (columns, stride) = (usize::from(columns % 16) + 1, f32::from(1_u8 << (stride % 6 + 1)));
    // The range that a manifest may ask for.
    let least = 0.01 + 0.98 * f32::from(score) / 255.0;
    let mut candidates = Vec::new();
    yunet::decode(&numbers, columns, stride, least, &mut candidates);
    let most = candidates.len();
    let mut faces = Vec::new();
    merge(&mut candidates, f32::from(overlap) / 255.0, &mut faces);
    assert!(candidates.is_empty() && faces.len() <= most && most <= numbers.len() / 16);
    for face in &faces {
        assert!((least..=1.0).contains(&face.score), "{face:?}");
        let bounds = face.bounds;
        assert!([bounds.x, bounds.y, bounds.width, bounds.height].iter().all(|v| v.is_finite()), "{face:?}");
        assert!(bounds.width > 0.0 && bounds.height > 0.0, "{face:?}");
        let (_facing, _turned) = (face.facing(), face.turned());
    }
});
