//! Networks that read the last seconds of a face, in the built program: in summaries, over a clip, and where the law or the
//! operator withholds them.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with the shipped models, the drawn ones, and an emotion model whose logits are its embedding.
fn models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for source in ["models", "tests/data/sequence"] {
        for entry in std::fs::read_dir(Path::new(ROOT).join(source)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let manifest = std::fs::read_to_string(folder.path().join("emotiond-mtl.toml")).unwrap();
    let with_embedding = format!("{manifest}\n[embedding]\noutput = 0\n");
    std::fs::write(folder.path().join("embedding.toml"), with_embedding).unwrap();
    folder
}

fn config(models: &Path, site: &str, names: &str) -> PathBuf {
    let path = models.join("emotiond.conf");
    let text = format!(
        "site = \"{site}\"\ndevice = \"test\"\n[models]\ndirectory = {models:?}\nemotion = \"embedding\"\n\
         sequences = [{names}]\n[camera]\nsource = \"replay:{ROOT}/tests/data/astronaut.png\"\n\
         [summary]\nwindow = \"5s\"\n{}",
        if site == "workplace" { "[privacy]\nlegal_basis = \"safety\"\n" } else { "" }
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn emotiond(arguments: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).args(arguments).arg("--config").arg(config);
    command.output().unwrap()
}

const ALL: &str = "\"emotiond-temporal\", \"engagement-drawn\", \"mimicry-drawn\"";

#[test]
fn summaries_say_what_sequences_say() {
    let models = models();
    let config = config(models.path(), "home", ALL);
    let output = emotiond(&["run", "--publish", "stdout"], &config);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summaries = lines(&output);
    let last = &summaries[summaries.len() - 2]["sequences"];
    let sum = |head: &str| last[head].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum::<f64>();
    assert!((sum("expression") - 1.0).abs() < 0.01 && (sum("engagement") - 1.0).abs() < 0.01, "{last}");
    // The face of the photo smiles all the time.
    assert!(last["expression"]["happiness"].as_f64().unwrap() > 0.9, "{last}");
    let mimicry = last["mimicry"].as_object().unwrap();
    assert_eq!(mimicry.len(), 6, "{last}");
    assert!(mimicry.values().all(|v| (0.0..=1.0).contains(&v.as_f64().unwrap())), "{last}");
}

#[test]
fn two_models_can_be_blended() {
    let models = models();
    let path = config(models.path(), "home", "");
    let plain = std::fs::read_to_string(&path).unwrap();
    // The same network with another calibration says other things of the same face.
    let manifest = std::fs::read_to_string(models.path().join("emotiond-mtl.toml")).unwrap();
    std::fs::write(
        models.path().join("hot.toml"),
        manifest.replace("temperature = 0.843", "temperature = 6.0"),
    )
    .unwrap();
    let happiness = |emotion: &str| {
        std::fs::write(&path, plain.replace("emotion = \"embedding\"", emotion)).unwrap();
        let photo = format!("{ROOT}/tests/data/astronaut.png");
        let output = emotiond(&["analyze", "--json", &photo], &path);
        assert!(output.status.success(), "{}", text(&output.stderr));
        lines(&output)[0]["faces"][0]["expression"]["happiness"].as_f64().unwrap()
    };
    let (cold, hot) = (happiness("emotion = \"emotiond-mtl\""), happiness("emotion = \"hot\""));
    assert!(cold - hot > 0.2, "{cold} {hot}");
    let blended = happiness("emotion = \"emotiond-mtl\"\nblend = \"hot\"\nblend_weight = 0.25");
    assert!((blended - (0.75 * cold + 0.25 * hot)).abs() < 1e-3, "{blended}");
    // Seven classes and eight are no classes to mix.
    let config = models.path().join("other.conf");
    let text_of = plain.replace("emotion = \"embedding\"", "emotion = \"emotiond-mtl\"\nblend = \"seven\"");
    std::fs::write(&config, text_of).unwrap();
    let heads = manifest.find("[[head]]").unwrap();
    let seven = format!(
        "{}[[head]]\nkind = \"expression\"\noutput = 0\nslice = [0, 7]\nlabels = [\"neutral\", \"happiness\", \
         \"surprise\", \"sadness\", \"anger\", \"disgust\", \"fear\"]\nactivation = \"softmax\"\n",
        &manifest[..heads]
    );
    std::fs::write(models.path().join("seven.toml"), seven).unwrap();
    let output = emotiond(&["run", "--publish", "stdout"], &config);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("nothing can be blended"), "{}", text(&output.stderr));
}

#[test]
fn a_clip_has_them_once_there_is_enough_of_the_face() {
    let models = models();
    let config = config(models.path(), "home", "\"emotiond-temporal\"");
    let frames = models.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for number in 1..=8 {
        std::fs::copy(Path::new(ROOT).join("tests/data/astronaut.png"), frames.join(format!("{number}.png")))
            .unwrap();
    }
    let frames = frames.to_str().unwrap();
    let output = emotiond(&["analyze", "--clip", frames, "--fps", "10"], &config);
    let lines = lines(&output);
    // Five steps of a tenth of a second are needed.
    let said: Vec<bool> = lines.iter().map(|line| line.get("sequence.expression").is_some()).collect();
    assert_eq!(said, [false, false, false, false, true, true, true, true], "{}", text(&output.stderr));
    assert!(lines[7]["sequence.expression"]["happiness"].as_f64().unwrap() > 0.9);
    let csv =
        text(&emotiond(&["analyze", "--clip", frames, "--fps", "10", "--format", "csv"], &config).stdout);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let place = rows[0].iter().position(|column| *column == "sequence.expression.happiness").unwrap();
    assert_eq!(rows[1][place], "");
    assert!(rows[8][place].parse::<f64>().unwrap() > 0.9);
}

#[test]
fn attention_is_not_measured_where_it_is_withheld() {
    let models = models();
    // With a legal basis emotion is estimated at work, and attention is not.
    let exempt = config(models.path(), "workplace", ALL);
    let output = emotiond(&["run", "--publish", "stdout"], &exempt);
    let summaries = lines(&output);
    let last = &summaries[summaries.len() - 2];
    assert!(last["expression"].is_object() && last["sequences"]["expression"].is_object(), "{last}");
    assert!(last["sequences"].get("engagement").is_none(), "{last}");
    assert!(text(&output.stderr).contains("measures attention"), "{}", text(&output.stderr));
    // Without one nothing of emotion is opened, sequences neither: this one is not even there.
    let school = config(models.path(), "education", "\"no-such-model\"");
    let output = emotiond(&["run", "--publish", "stdout"], &school);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(lines(&output).iter().all(|line| line["sequences"].is_null() && line["expression"].is_null()));
}

#[test]
fn a_manifest_maps_outputs_to_valence_and_arousal() {
    let models = models();
    let manifest = std::fs::read_to_string(models.path().join("emotiond-mtl.toml")).unwrap();
    let heads = manifest.find("[[head]]\nkind = \"valence_arousal\"").unwrap();
    // Both are read off the first two action units and the eight expressions; the biases alone count here.
    let with = |row: &str| {
        let affect = format!(
            "[[head]]\nkind = \"valence_arousal\"\noutput = 1\nslice = [0, 2]\nactivation = \"tanh\"\n\
             linear = [{row}, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1]]\n"
        );
        std::fs::write(models.path().join("embedding.toml"), format!("{}{affect}", &manifest[..heads]))
            .unwrap();
        let photo = format!("{ROOT}/tests/data/astronaut.png");
        emotiond(&["analyze", "--json", &photo], &config(models.path(), "home", ""))
    };
    let output = with("[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let face = &lines(&output)[0]["faces"][0];
    let near = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-3;
    assert!(near(&face["valence"], 0.5_f64.tanh()) && near(&face["arousal"], -(1.0_f64.tanh())), "{face}");
    let short = with("[0, 0.5]");
    assert_eq!(short.status.code(), Some(78));
    assert!(text(&short.stderr).contains("expected 11 numbers"), "{}", text(&short.stderr));
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let models = models();
    let plain = |names: &str| {
        let path = config(models.path(), "home", names);
        let text = std::fs::read_to_string(&path).unwrap().replace("\"embedding\"", "\"emotiond-mtl\"");
        std::fs::write(&path, text).unwrap();
        path
    };
    let refused = |config: &Path, words: &str| {
        let output = emotiond(&["run", "--publish", "stdout"], config);
        assert_eq!(output.status.code(), Some(78), "{words}");
        assert!(text(&output.stderr).contains(words), "{words}: {}", text(&output.stderr));
    };
    refused(
        &plain("\"engagement-drawn\""),
        "takes an embedding of 8 values, and the emotion model gives none",
    );
    refused(&plain("\"emotiond-mtl\""), "kind = \"sequence\"");
    refused(&plain("\"emotiond-temporal\", \"emotiond-temporal\""), "head of the same name");
    let manifest = models.path().join("emotiond-temporal.toml");
    let whole = std::fs::read_to_string(&manifest).unwrap();
    for (old, new, words) in [
        (
            "\"expression.neutral\"",
            "\"expression.boredom\"",
            "\"expression.boredom\", which the emotion model does not give",
        ),
        ("steps = 24", "steps = 25", "[1, 25, 8]"),
        ("steps = 24", "steps = 0", "1 to 4096"),
        ("layout = \"steps\"", "layout = \"statistics\"", "[1, 32]"),
        ("name = \"expression\"", "name = \"engagement\"", "attention = true"),
        ("name = \"expression\"", "name = \"Expression!\"", "a name of a-z"),
        ("\"neutral\", \"happiness\"", "\"neutral\", \"neutral\"", "different words"),
        (", \"contempt\"]", "]", "number of values"),
        ("kind = \"classes\"", "kind = \"expression\"", "classes or activations"),
        ("rate = 10.0", "rate = 1000.0", "0.1..=60"),
    ] {
        assert!(whole.contains(old), "{old}");
        std::fs::write(&manifest, whole.replace(old, new)).unwrap();
        refused(&plain("\"emotiond-temporal\""), words);
    }
}
