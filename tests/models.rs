//! Models that are not what their manifests say are refused with what was expected, what was found and the remedy.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test file for code that is none")]

use std::path::Path;

use emotiond::inference::Network;
use emotiond::inference::manifest::Manifest;
use emotiond::vision::detect;
use emotiond::vision::emotion::TfliteEmotion;
use sha2::{Digest, Sha256};

/// The error of an emotion model whose manifest and file are changed as told.
fn refusal(change: impl FnOnce(String) -> String, damage: impl FnOnce(&mut Vec<u8>)) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini-xception-fer2013.toml");
    let mut bytes = std::fs::read(shipped.with_extension("tflite")).unwrap();
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let before = digest(&bytes);
    damage(&mut bytes);
    let manifest = change(std::fs::read_to_string(&shipped).unwrap()).replace(&before, &digest(&bytes));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mini-xception-fer2013.toml");
    std::fs::write(&path, manifest).unwrap();
    if !bytes.is_empty() {
        std::fs::write(path.with_extension("tflite"), bytes).unwrap();
    }
    TfliteEmotion::load(&path).expect_err("a model that does not fit its manifest").to_string()
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_expected_and_found() {
    let keep = |text: String| text;
    let message = refusal(|text| text.replace("sha256 = \"65e3", "sha256 = \"0000"), |_| ());
    assert!(message.contains("expected SHA-256 0000961b"), "{message}");
    assert!(message.contains("found 65e3961b") && message.contains("run scripts/setup"), "{message}");

    let message = refusal(keep, Vec::clear);
    assert!(message.contains("cannot read") && message.contains("run scripts/setup"), "{message}");

    let message = refusal(|text| text.replace("width = 64", "width = 48"), |_| ());
    assert!(message.contains("says [1, 64, 48, 1], the file has [1, 64, 64, 1]"), "{message}");

    let message = refusal(|text| text.replace(", \"neutral\"]", "]"), |_| ());
    assert!(message.contains("says 6") && message.contains("the file has 7"), "{message}");

    let message = refusal(|text| text.replace("output = 0", "output = \"scores\""), |_| ());
    assert!(message.contains("\"scores\"") && message.contains("0 \"Identity\""), "{message}");

    let message = refusal(|text| text.replace("output = 0", "output = 0\nslice = [1, 7]"), |_| ());
    assert!(message.contains("[1, 7]") && message.contains("7 values"), "{message}");
}

#[test]
fn damaged_files_are_errors_even_with_the_right_digest() {
    let keep = |text: String| text;
    for (what, damage) in [
        ("TFL3", (|bytes| bytes[4] = b'X') as fn(&mut Vec<u8>)),
        ("damaged", |bytes| bytes.truncate(64)),
        ("cannot be run", |bytes| bytes.truncate(bytes.len() / 2)),
        ("cannot be run", |bytes| bytes[0..4].fill(0xff)),
    ] {
        let message = refusal(keep, damage);
        assert!(message.contains(what), "{what}: {message}");
    }
}

#[test]
fn a_detector_is_no_emotion_model_and_the_other_way_round() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let message = TfliteEmotion::load(&models.join("blazeface-short.toml")).unwrap_err().to_string();
    assert!(message.contains("expected kind = \"emotion\""), "{message}");
    let message = detect::open(&models, "mini-xception-fer2013").err().unwrap().to_string();
    assert!(message.contains("expected kind = \"face_detector\""), "{message}");
}

#[test]
fn a_network_forgets_a_picture_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/emotiond-mtl.toml");
    let mut network = Network::load(Manifest::read(&path).unwrap()).unwrap();
    assert!(!network.scrub(), "nothing has been shown to it");
    let scores = |network: &Network| {
        let mut scores = Vec::new();
        network.read(0, &mut scores).unwrap();
        scores
    };
    let input = &network.manifest().input;
    let picture: Vec<u8> = (0..input.width * input.height * 3).map(|i| (i * 31 % 251) as u8).collect();
    network.run(&picture).unwrap();
    let shown = scores(&network);
    assert!(network.scrub());
    assert_ne!(scores(&network), shown, "the outputs are those of nothing");
    assert!(!network.scrub(), "a camera that comes and goes costs no further run");
    network.run(&picture).unwrap();
    assert_eq!(scores(&network), shown);
}
