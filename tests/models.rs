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
    attempt(change, damage).expect_err("a model that does not fit its manifest")
}

/// Whether an emotion model whose manifest and file are changed as told loads.
fn attempt(change: impl FnOnce(String) -> String, damage: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
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
    TfliteEmotion::load(&path).map(drop).map_err(|error| error.to_string())
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
        ("damaged", |bytes| bytes.truncate(bytes.len() / 2)),
        ("damaged", |bytes| bytes[0..4].fill(0xff)),
    ] {
        let message = refusal(keep, damage);
        assert!(message.contains(what), "{what}: {message}");
    }
}

/// Each of 64 bytes spread over the file is damaged in turn: what cannot be run is called damaged. Most of them are weights,
/// of which nobody can say that they are wrong: those run.
#[test]
fn what_is_damaged_is_called_damaged() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini-xception-fer2013.toml");
    let size = std::fs::metadata(shipped.with_extension("tflite")).unwrap().len() as usize;
    let mut refused = 0;
    for step in 0..64 {
        // Tables and vectors stand at both ends, weights between them.
        let position = if step % 2 == 0 { 8 + 17 * step } else { size - 1 - 97 * step };
        let outcome = attempt(|text| text, |bytes| bytes[position] ^= 0xff);
        if let Err(message) = outcome {
            refused += 1;
            let said = [
                "damaged",
                "the file has",
                "too few",
                "expected one input",
                "8-bit tensor",
                "is no TensorFlow",
            ];
            assert!(said.iter().any(|words| message.contains(words)), "byte {position}: {message}");
            assert!(!message.contains("no room") && !message.contains("perhaps"), "{message}");
        }
    }
    assert!(refused > 3, "only {refused} of 64 were refused");
}

#[test]
fn a_detector_is_no_emotion_model_and_the_other_way_round() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let message = TfliteEmotion::load(&models.join("emotiond-face.toml")).unwrap_err().to_string();
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
