//! What the stages of vision cost a picture: compare them within one run.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use emotiond::capture::frame::warp::{Cropper, Letterbox, Square};
use emotiond::vision::detect::{self, FaceDetector as _};
use emotiond::vision::emotion::{EmotionModel, Flip, TfliteEmotion};
use emotiond_core::geometry::Point;
use image::imageops::{self, FilterType};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn stages(criterion: &mut Criterion) {
    let photo =
        image::open(Path::new(ROOT).join("tests/data/astronaut.png")).expect("the photograph is there");
    let picture = imageops::resize(&photo.to_rgb8(), 640, 480, FilterType::Triangle);
    let models = Path::new(ROOT).join("models");
    let manifest = |name: &str| models.join(format!("{name}.toml"));
    let mut letterbox = Letterbox::new(256, 192);
    criterion.bench_function("letterbox 640x480 to 256x192", |b| {
        b.iter(|| letterbox.fit(black_box(&picture)));
    });
    let mut cropper = Cropper::default();
    let mut pixels = vec![0; 128 * 128 * 3];
    for side in [100.0, 200.0, 400.0] {
        let square = Square { center: Point { x: 300.0, y: 200.0 }, side, angle: 0.1 };
        criterion.bench_function(&format!("crop {side} to 128"), |b| {
            b.iter(|| cropper.crop(black_box(&picture), &square, (128, 128), false, &mut pixels));
        });
    }
    let mut detector = detect::open(&models, "emotiond-face").expect("scripts/setup has run");
    criterion.bench_function("emotiond-face", |b| b.iter(|| detector.detect(black_box(&picture))));
    let face = detector.detect(&picture).expect("the network runs")[0];
    for name in ["emotiond-mtl", "mini-xception-fer2013"] {
        let mut emotion = TfliteEmotion::load(&manifest(name)).expect("scripts/setup has run");
        criterion.bench_function(name, |b| {
            b.iter(|| emotion.read(black_box(&picture), &face, Flip::Mirrored));
        });
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
