use super::*;

const EMOTION: &str = r#"
manifest = 1
name = "net-1.2"
version = "1"
kind = "emotion"
file = "net.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
licence = "MIT"
source = "here"
[input]
width = 64
height = 64
color = "gray"
mean = [127.5]
std = [127.5]
[crop]
align = "eyes"
scale = 1.2
[[head]]
kind = "expression"
output = 0
slice = [0, 3]
labels = ["neutral", "happiness", "anger"]
activation = "softmax"
temperature = 1.5
[[head]]
kind = "action_units"
output = "units"
labels = ["AU1", "AU12"]
activation = "sigmoid"
[[head]]
kind = "valence_arousal"
from = "expression"
[head.circumplex]
neutral = [0.0, 0.0]
happiness = [0.8, 0.5]
anger = [-0.5, 0.6]
[head.action_units]
AU12 = [0.2, 0.1]
"#;

fn parse(text: &str) -> Result<Manifest, String> {
    Manifest::parse(Path::new("models/net.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_manifest_says_what_a_network_takes_and_gives() {
    let manifest = parse(EMOTION).unwrap();
    assert_eq!(manifest.file, Path::new("models/net.tflite"));
    let Task::Emotion { crop, heads, .. } = manifest.task else { panic!("expected an emotion model") };
    assert_eq!((crop.align, crop.offset), (Align::Eyes, [0.0, 0.0]));
    assert!(matches!(&heads[0], Head::Expression { source, labels, .. }
        if source.slice == Some([0, 3]) && labels[2] == Expression::Anger));
    assert!(
        matches!(&heads[1], Head::ActionUnits { source, .. } if source.output == OutputRef::Name("units".into()))
    );
    assert!(
        matches!(&heads[2], Head::Circumplex { points, .. } if points[&Expression::Happiness] == [0.8, 0.5])
    );
}

#[test]
fn every_contradiction_is_refused_and_named() {
    for (from, to, named) in [
        ("manifest = 1", "manifest = 2", "format 1"),
        ("\"net.tflite\"", "\"../net.tflite\"", "plain name"),
        ("\"net.tflite\"", "\"/etc/net.tflite\"", "plain name"),
        ("0000\"", "000g\"", "64 lower-case"),
        ("width = 64", "width = 0", "width = 0"),
        ("mean = [127.5]", "mean = [1.0, 2.0]", "expected 1"),
        ("width = 64", "width = 15", "width = 15 is not in 16..=1024"),
        ("mean = [127.5]", "mean = [1e38]", "is not in -10000..=10000"),
        ("mean = [127.5]", "mean = [nan]", "mean = [NaN] is not in"),
        ("std = [127.5]", "std = [0.0]", "std = [0.0] is not in 0.0001..=10000"),
        ("std = [127.5]", "std = [inf]", "std = [inf] is not in"),
        ("name = \"net-1.2\"", "name = \"net\\u001b[2J\"", "without control characters"),
        ("color = \"gray\"", "color = \"grey\"", "unknown variant"),
        ("licence = \"MIT\"", "licence = \"MIT\"\nlicense = 1", "unknown field `license`"),
        ("scale = 1.2", "scale = nan", "[crop] scale"),
        ("scale = 1.2", "scale = 1.2\nmirrored_scale = 11.0", "mirrored_scale is not in"),
        ("\"happiness\", \"anger\"]", "\"happy\", \"anger\"]", "unknown expression \"happy\""),
        ("\"happiness\", \"anger\"]", "\"anger\", \"anger\"]", "label twice"),
        ("\"happiness\", \"anger\"]", "\"happiness\"]", "expected exactly the labels"),
        ("activation = \"softmax\"", "activation = \"tanh\"", "expected one of"),
        ("activation = \"softmax\"", "activation = \"none\"", "needs activation = \"softmax\""),
        ("temperature = 1.5", "temperature = 0.0", "temperature = [0.0]; expected one number in 0.01..=100"),
        ("temperature = 1.5", "prior = [0.5, 0.5]", "expected a number in 0.000001..=1000000 for each label"),
        ("temperature = 1.5", "prior = [0.5, 0.5, 1e38]", "expected a number in 0.000001..=1000000"),
        ("kind = \"action_units\"", "kind = \"expression\"", "more than one [[head]]"),
        ("AU12 = [0.2", "AU9 = [0.2", "names AU9"),
        ("[-0.5, 0.6]", "[-1.5, 0.6]", "not in -1..=1"),
        ("output = \"units\"", "", "needs output"),
        ("slice = [0, 3]", "slice = [0, 0]", "length above 0"),
        ("[crop]\nalign = \"eyes\"\nscale = 1.2\n", "", "needs a [crop]"),
        ("kind = \"emotion\"", "kind = \"face_detector\"", "neither [crop] nor [[head]]"),
    ] {
        assert!(EMOTION.contains(from), "{from}");
        let message = parse(&EMOTION.replacen(from, to, 1)).expect_err(to);
        assert!(message.contains(named), "{to}: {message}");
        assert!(message.contains("models/net.toml"), "{message}");
    }
}

#[test]
fn texts_and_lists_have_a_longest_length() {
    let text = "x".repeat(1001);
    let long = EMOTION.replacen("\"net-1.2\"", &format!("{text:?}"), 1);
    let message = parse(&long).unwrap_err();
    assert!(message.contains("name has 1001 characters; 1000 at most"), "{message}");
    let list = EMOTION.replacen("source =", &format!("training_data = {:?}\nsource =", vec!["a"; 1001]), 1);
    let message = parse(&list).unwrap_err();
    assert!(message.contains("a list has 1001 entries"), "{message}");
}

fn detector(table: &str) -> String {
    let head = EMOTION.split_once("[crop]").unwrap().0.replace("\"emotion\"", "\"face_detector\"");
    format!("{head}[detector]\n{table}\nmin_score = 0.5\noverlap = 0.3\n")
}

#[test]
fn a_detector_has_an_output_for_each_stride() {
    let table = |strides: &str| {
        detector(&format!("decoder = \"yunet\"\nstrides = {strides}\noutputs = [0, \"stride16\"]"))
    };
    let manifest = parse(&table("[8, 16]")).unwrap();
    assert!(matches!(manifest.task, Task::FaceDetector(detector) if detector.strides == [8, 16]));
    for (strides, said) in
        [("[8]", "1 strides and 2 outputs"), ("[0, 8]", "must be in 1..="), ("[8, 128]", "must be in 1..=")]
    {
        let message = parse(&table(strides)).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_manifest_of_an_earlier_detector_is_refused_with_the_remedy() {
    let blazeface =
        "anchors_per_layer = 2\ndecoder = \"blazeface\"\nstrides = [8, 16]\nboxes = 0\nscores = 1";
    let message = parse(&detector(blazeface)).unwrap_err();
    assert!(message.contains("no longer reads BlazeFace") && message.contains("emotiond-face"), "{message}");
    let message = parse(&detector("decoder = \"ssd\"")).unwrap_err();
    assert!(message.contains("unknown variant `ssd`"), "{message}");
}

#[test]
fn a_name_is_looked_for_in_the_folder_and_a_path_is_taken_as_it_is() {
    let folder = Path::new("/models");
    for (name, path) in [
        ("net-1.2", "/models/net-1.2.toml"),
        ("net.toml", "/models/net.toml"),
        ("./net", "./net.toml"),
        ("/elsewhere/net.toml", "/elsewhere/net.toml"),
    ] {
        assert_eq!(locate(folder, name), Path::new(path), "{name}");
    }
}

#[test]
fn every_shipped_manifest_is_valid() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let manifest = Manifest::read(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(manifest.file.file_stem(), path.file_stem(), "the file and its manifest share a name");
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} manifests in {}", folder.display());
}

#[test]
fn corrections_of_classes_and_units_are_checked() {
    let with = |after: &str, line: &str| parse(&EMOTION.replace(after, &format!("{after}\n{line}")));
    let temperature = "temperature = 1.5";
    let units = "labels = [\"AU1\", \"AU12\"]";
    let good = with(temperature, "bias = [0.5, 0.0, -0.5]").unwrap();
    let Task::Emotion { heads, .. } = good.task else { panic!("expected an emotion model") };
    assert!(matches!(&heads[0], Head::Expression { temperature, bias: Some(bias), .. }
        if *temperature == [1.5] && *bias == [0.5, 0.0, -0.5]));
    let each = parse(&EMOTION.replace(temperature, "temperature = [1.0, 1.5, 2.0]")).unwrap();
    let Task::Emotion { heads, .. } = each.task else { panic!("expected an emotion model") };
    assert!(matches!(&heads[0], Head::Expression { temperature, .. } if temperature.len() == 3));
    let units_good = with(units, "thresholds = [0.4, 0.7]").unwrap();
    let Task::Emotion { heads, .. } = units_good.task else { panic!("expected an emotion model") };
    assert!(matches!(&heads[1], Head::ActionUnits { thresholds: Some(t), .. } if *t == [0.4, 0.7]));
    for (text, word) in [
        (with(temperature, "bias = [0.5]"), "bias"),
        (with(temperature, "bias = [0.5, 0.0, 1e9]"), "bias"),
        (with(temperature, "thresholds = [0.5, 0.5, 0.5]"), "thresholds"),
        (with(units, "thresholds = [0.5]"), "thresholds"),
        (with(units, "thresholds = [0.5, 1.0]"), "thresholds"),
        (with(units, "bias = [0.5, 0.5]"), "bias"),
        (parse(&EMOTION.replace(temperature, "temperature = [1.0, 1.0]")), "temperature"),
        (
            parse(&EMOTION.replace("activation = \"softmax\"\ntemperature = 1.5", "bias = [0.0, 0.0, 0.0]")),
            "softmax",
        ),
    ] {
        let message = text.unwrap_err();
        assert!(message.contains(word), "{word}: {message}");
    }
}
