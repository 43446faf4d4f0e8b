//! A detector's outputs, hostile: faces with finite boxes and sound scores, and crops of whatever they point at.
#![no_main]


use emotiond::vision::emotion::{Flip, square};
use emotiond::vision::detect::nms::merge;
use emotiond::vision::detect::yunet;
use emotiond::capture::frame::warp::{Cropper, Letterbox};
use emotiond::inference::manifest::{Align, Crop};
use emotiond_core::track::{Tracker, TrackerSettings};
use image::RgbImage;
use libfuzzer_sys::fuzz_target;

const SIDE: u32 = 32;

fuzz_target!(|data: &[u8]| {
    let (numbers, _) = data.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
    let mut candidates = Vec::new();
    yunet::decode(&numbers, 3, 8.0, 0.5, &mut candidates);
    let most = candidates.len();
    let mut faces = Vec::new();
    merge(&mut candidates, 0.3, &mut faces);
    assert!(candidates.is_empty() && faces.len() <= most);

    let picture = RgbImage::from_fn(48, 36, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut letterbox = Letterbox::new(SIDE, SIDE);
    letterbox.fit(&picture);
    let crops = [(Align::Landmarks, 2.6), (Align::Eyes, 1.15)]
        .map(|(align, scale)| Crop { scale, mirrored_scale: None, offset: [0.0, -0.06], align });
    let mut cropper = Cropper::default();
    let mut out = vec![0; 24 * 24 * 3];
    for face in &faces {
        assert!((0.0..=1.0).contains(&face.score), "{face:?}");
        let bounds = face.bounds;
        assert!([bounds.x, bounds.y, bounds.width, bounds.height].iter().all(|v| v.is_finite()), "{face:?}");
        assert!(bounds.width > 0.0 && bounds.height > 0.0, "{face:?}");
        let (_facing, _turned) = (face.facing(), face.turned());
        for crop in &crops {
            cropper.crop(&picture, &square(crop, face, Flip::Plain), (24, 24), false, &mut out);
        }
    }

    let mut tracker = Tracker::new(TrackerSettings::default());
    for at in [0, 40, 80, 2_000, 20_000] {
        let tracks = tracker.update(emotiond_core::Moment::from_millis(at), &faces);
        assert_eq!(tracks.len(), faces.len());
        let mut distinct = tracks.clone();
        distinct.sort_unstable_by_key(|track| track.0);
        distinct.dedup();
        assert_eq!(distinct.len(), tracks.len(), "two faces share a track");
    }
});
