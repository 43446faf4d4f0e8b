//! The shape of a manifest's TOML, and what has to hold before it becomes a [`Manifest`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::sequence::{SequenceHead, SequenceInput, SequenceTable};
use super::{Activation, Color, Crop, Head, Manifest, NetworkInput, OutputRef, Source, Task, YunetDetector};
use emotiond_core::report::score::ScoreKind;

/// The version of the manifest format that this program reads.
const FORMAT: u32 = 1;
/// The longest text and the most entries of a list, far beyond any manifest's: the texts go into messages and `info`.
const LONGEST: usize = 1000;
/// The bounds of `std`; `mean` is within the upper one of 0. Pixels are 0..=255, so no network needs more.
const DEVIATIONS: RangeInclusive<f32> = 1e-4..=1e4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    manifest: u32,
    name: String,
    version: String,
    kind: Kind,
    file: String,
    sha256: String,
    licence: String,
    source: String,
    #[serde(default)]
    training_data: Vec<String>,
    input: Option<NetworkInput>,
    crop: Option<Crop>,
    embedding: Option<EmbeddingTable>,
    sequence: Option<SequenceTable>,
    #[serde(default, rename = "head")]
    heads: Vec<RawHead>,
    detector: Option<DetectorTable>,
}

/// The output that describes the face as a whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddingTable {
    output: OutputRef,
}

/// How a face detector's outputs are read, by the manifest's `decoder`.
#[derive(Deserialize)]
#[serde(tag = "decoder", rename_all = "lowercase")]
enum DetectorTable {
    /// Cells of the `YuNet` family.
    Yunet(YunetDetector),
    /// What earlier versions read.
    Blazeface(IgnoredAny),
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Emotion,
    FaceDetector,
    Sequence,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHead {
    kind: HeadKind,
    name: Option<String>,
    output: Option<OutputRef>,
    slice: Option<[usize; 2]>,
    from: Option<HeadKind>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    activation: Activation,
    temperature: Option<Temperature>,
    bias: Option<Vec<f32>>,
    thresholds: Option<Vec<f32>>,
    prior: Option<Vec<f32>>,
    linear: Option<[Vec<f32>; 2]>,
    circumplex: Option<BTreeMap<String, [f32; 2]>>,
    action_units: Option<BTreeMap<String, [f32; 2]>>,
}

/// One number for all labels, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Temperature {
    All(f32),
    Each(Vec<f32>),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum HeadKind {
    Expression,
    ActionUnits,
    ValenceArousal,
    /// Of a sequence model.
    Classes,
    /// Of a sequence model.
    Activations,
}

impl RawManifest {
    pub(super) fn check(self, path: &Path) -> Result<Manifest, String> {
        if self.manifest != FORMAT {
            let found = self.manifest;
            return Err(format!("manifest = {found}, but this version of emotiond reads format {FORMAT}"));
        }
        // A manifest can only name a file beside itself: it must not reach elsewhere on the disk.
        if self.file.is_empty() || self.file.contains(['/', '\\']) || self.file.starts_with('.') {
            return Err(format!(
                "file = {:?} must be the plain name of a file beside the manifest",
                self.file
            ));
        }
        if self.sha256.len() != 64
            || !self.sha256.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        {
            return Err(format!("sha256 = {:?} must be 64 lower-case hexadecimal digits", self.sha256));
        }
        self.check_texts()?;
        if let Some(input) = &self.input {
            input.check()?;
        }
        let picture = self.input.as_ref().ok_or("a model that takes a picture needs an [input] table");
        let sequence = self.sequence.is_some();
        let task = match self.kind {
            Kind::FaceDetector => {
                if self.crop.is_some() || !self.heads.is_empty() || self.embedding.is_some() || sequence {
                    return Err(
                        "a face_detector has neither [crop] nor [[head]], nor [embedding] or [sequence]"
                            .to_owned(),
                    );
                }
                let detector = self.detector.ok_or("a face_detector needs a [detector] table")?;
                Task::FaceDetector(detector.check(picture?)?)
            }
            Kind::Emotion => {
                if self.detector.is_some() || sequence {
                    return Err("an emotion model has neither [detector] nor [sequence]".to_owned());
                }
                picture?;
                let crop = self.crop.ok_or("an emotion model needs a [crop] table")?;
                crop.check()?;
                let embedding = self.embedding.map(|table| table.output);
                Task::Emotion { crop, heads: check_heads(self.heads)?, embedding }
            }
            Kind::Sequence => {
                let pictures = self.input.is_some() || self.crop.is_some() || self.embedding.is_some();
                if pictures || self.detector.is_some() {
                    return Err(
                        "a sequence model has none of [input], [crop], [embedding], [detector]".to_owned()
                    );
                }
                let input = self.sequence.ok_or("a sequence model needs a [sequence] table")?.check()?;
                let head = check_sequence_head(self.heads, &input)?;
                Task::Sequence(input, head)
            }
        };
        let nothing =
            NetworkInput { width: 0, height: 0, color: Color::Gray, mean: Vec::new(), std: Vec::new() };
        Ok(Manifest {
            file: path.parent().unwrap_or(Path::new("")).join(&self.file),
            path: path.to_owned(),
            name: self.name,
            version: self.version,
            sha256: self.sha256,
            licence: self.licence,
            source: self.source,
            training_data: self.training_data,
            input: self.input.unwrap_or(nothing),
            task,
        })
    }
}

impl RawManifest {
    fn check_texts(&self) -> Result<(), String> {
        let named = [
            ("name", &self.name),
            ("version", &self.version),
            ("file", &self.file),
            ("licence", &self.licence),
            ("source", &self.source),
        ];
        let listed = self.training_data.iter().map(|text| ("training_data", text));
        let labels = self.heads.iter().flat_map(|head| &head.labels).map(|label| ("labels", label));
        let lists = self.heads.iter().map(|head| head.labels.len()).chain([self.training_data.len()]);
        if let Some(length) = lists.into_iter().find(|length| *length > LONGEST) {
            return Err(format!("a list has {length} entries; {LONGEST} at most are allowed"));
        }
        for (key, text) in named.into_iter().chain(listed).chain(labels) {
            let length = text.chars().count();
            if length > LONGEST {
                return Err(format!("{key} has {length} characters; {LONGEST} at most are allowed"));
            }
            if text.chars().any(char::is_control) {
                return Err(format!("{key} = {text:?} must be one line without control characters"));
            }
        }
        Ok(())
    }
}

impl NetworkInput {
    fn check(&self) -> Result<(), String> {
        for (key, side) in [("width", self.width), ("height", self.height)] {
            if !(16..=1024).contains(&side) {
                return Err(format!("[input] {key} = {side} is not in 16..=1024"));
            }
        }
        let channels = self.color.channels();
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                let found = values.len();
                return Err(format!(
                    "[input] {key} has {found} values; expected 1, or one for each of {channels} channels"
                ));
            }
        }
        let most = DEVIATIONS.end();
        // A range contains no NaN.
        if self.mean.iter().any(|mean| !(-most..=*most).contains(mean)) {
            return Err(format!("[input] mean = {:?} is not in -{most}..={most}", self.mean));
        }
        if self.std.iter().any(|std| !DEVIATIONS.contains(std)) {
            return Err(format!("[input] std = {:?} is not in {DEVIATIONS:?}", self.std));
        }
        Ok(())
    }
}

impl Crop {
    fn check(&self) -> Result<(), String> {
        if ![self.scale, self.mirrored_scale.unwrap_or(1.0)].iter().all(|s| (0.1..=10.0).contains(s)) {
            return Err(format!("[crop] scale = {} or mirrored_scale is not in 0.1..=10", self.scale));
        }
        if self.offset.iter().any(|o| !(-5.0..=5.0).contains(o)) {
            return Err(format!("[crop] offset = {:?} is not in -5..=5", self.offset));
        }
        Ok(())
    }
}

impl DetectorTable {
    fn check(self, input: &NetworkInput) -> Result<YunetDetector, String> {
        let Self::Yunet(detector) = self else {
            return Err(
                "[detector] decoder = \"blazeface\": emotiond no longer reads BlazeFace networks; name \
                        \"emotiond-face\" in models.detector, or leave that key out"
                    .to_owned(),
            );
        };
        let YunetDetector { strides, outputs, min_score, overlap } = &detector;
        if strides.len() != outputs.len() {
            let (strides, outputs) = (strides.len(), outputs.len());
            return Err(format!("[detector] has {strides} strides and {outputs} outputs: one for each"));
        }
        if strides.is_empty() || strides.iter().any(|s| *s == 0 || *s > input.width.min(input.height)) {
            return Err(format!("[detector] strides = {strides:?} must be in 1..=the input's side"));
        }
        within("min_score", *min_score, 0.01, 0.99)?;
        within("overlap", *overlap, 0.01, 0.99)?;
        Ok(detector)
    }
}

fn within(key: &str, value: f32, low: f32, high: f32) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(format!("[detector] {key} = {value} is not in {low}..={high}"))
}

fn check_heads(raw: Vec<RawHead>) -> Result<Vec<Head>, String> {
    if raw.is_empty() {
        return Err("an emotion model needs at least one [[head]]".to_owned());
    }
    let mut seen = Vec::new();
    for head in &raw {
        if seen.contains(&head.kind) {
            return Err(format!("more than one [[head]] of the kind {:?}", head.kind));
        }
        seen.push(head.kind);
    }
    let heads = raw.into_iter().map(RawHead::check).collect::<Result<Vec<_>, _>>()?;
    check_circumplex(&heads)?;
    check_linear(&heads)?;
    Ok(heads)
}

/// A read-out needs a point for exactly the model's expressions, and action units that the model has.
fn check_circumplex(heads: &[Head]) -> Result<(), String> {
    let Some((points, units)) = heads.iter().find_map(|head| match head {
        Head::Circumplex { points, action_units } => Some((points, action_units)),
        _ => None,
    }) else {
        return Ok(());
    };
    let expressions: BTreeSet<_> = heads
        .iter()
        .filter_map(|head| if let Head::Expression { labels, .. } = head { Some(labels) } else { None })
        .flatten()
        .collect();
    if points.keys().collect::<BTreeSet<_>>() != expressions {
        return Err(format!(
            "[head.circumplex] has points for {:?}; expected exactly the labels of the expression head, {expressions:?}",
            points.keys()
        ));
    }
    for unit in units.keys() {
        let known = heads
            .iter()
            .any(|head| matches!(head, Head::ActionUnits { labels, .. } if labels.contains(unit)));
        if !known {
            return Err(format!("[head.action_units] names {unit}, which no action_units head has"));
        }
    }
    Ok(())
}

/// A sequence model has one head of kinds of its own.
fn check_sequence_head(heads: Vec<RawHead>, input: &SequenceInput) -> Result<SequenceHead, String> {
    let Ok([head]) = <[RawHead; 1]>::try_from(heads) else {
        return Err("a sequence model needs exactly one [[head]]".to_owned());
    };
    let kind = match head.kind {
        HeadKind::Classes => ScoreKind::Distribution,
        HeadKind::Activations => ScoreKind::Activations,
        other => {
            return Err(format!("a sequence model has a head of kind classes or activations, not {other:?}"));
        }
    };
    let calibrated = head.temperature.is_some() || head.bias.is_some() || head.prior.is_some();
    let derived = head.from.is_some() || head.circumplex.is_some() || head.action_units.is_some();
    if calibrated || derived || head.thresholds.is_some() || head.linear.is_some() {
        return Err(
            "the head of a sequence model has kind, name, output, slice, labels and activation alone"
                .to_owned(),
        );
    }
    let output = head.output.ok_or("the head needs output = <index or name of the tensor>")?;
    let source = Source { output, slice: head.slice };
    SequenceHead::check(kind, head.name, head.labels, source, head.activation, input)
}

/// A linear layer needs a weight for each output it takes.
fn check_linear(heads: &[Head]) -> Result<(), String> {
    let rows = heads.iter().find_map(|head| match head {
        Head::ValenceArousal { linear, .. } => linear.as_ref(),
        _ => None,
    });
    let labels = heads.iter().find_map(|head| match head {
        Head::Expression { labels, .. } => Some(labels.len()),
        _ => None,
    });
    let Some(rows) = rows else { return Ok(()) };
    let Some(labels) = labels else {
        return Err("[[head]] linear takes the outputs of an expression head, and there is none".to_owned());
    };
    let wanted = labels + 3;
    for row in rows {
        if row.len() != wanted || row.iter().any(|weight| !(-1e3..=1e3).contains(weight)) {
            return Err(format!(
                "[[head]] linear = {row:?}; expected {wanted} numbers in -1000..=1000: one for each expression, valence, \
                 arousal, and a bias"
            ));
        }
    }
    Ok(())
}

impl RawHead {
    fn check(self) -> Result<Head, String> {
        let kind = self.kind;
        let wrong = |what: &str| Err(format!("the {kind:?} head {what}"));
        let allowed: &[Activation] = match kind {
            HeadKind::Expression => &[Activation::None, Activation::Softmax, Activation::Sigmoid],
            HeadKind::ActionUnits => &[Activation::None, Activation::Sigmoid],
            HeadKind::ValenceArousal => &[Activation::None, Activation::Tanh],
            HeadKind::Classes | HeadKind::Activations => return wrong("belongs to a sequence model"),
        };
        if self.name.is_some() {
            return wrong("has a name, which only the head of a sequence model may have");
        }
        if !allowed.contains(&self.activation) {
            return wrong(&format!("has activation {:?}; expected one of {allowed:?}", self.activation));
        }
        let calibrated = self.temperature.is_some() || self.bias.is_some() || self.prior.is_some();
        if kind != HeadKind::Expression && calibrated {
            return wrong("has a temperature, a bias or a prior, which only an expression head may have");
        }
        if self.linear.is_some() && (kind != HeadKind::ValenceArousal || self.from.is_some()) {
            return wrong("has linear, which only a valence_arousal head with an output may have");
        }
        if kind != HeadKind::ActionUnits && self.thresholds.is_some() {
            return wrong("has thresholds, which only an action_units head may have");
        }
        if self.slice.is_some_and(|[start, len]| len == 0 || start > 1 << 20 || len > 1 << 20) {
            return wrong(&format!("has slice = {:?}; expected [start, length above 0]", self.slice));
        }
        if self.from.is_some() || self.circumplex.is_some() || self.action_units.is_some() {
            return self.check_readout();
        }
        if self.labels.iter().collect::<BTreeSet<_>>().len() != self.labels.len() {
            return wrong(&format!("has a label twice: {:?}", self.labels));
        }
        if self.labels.is_empty() != (kind == HeadKind::ValenceArousal) {
            return wrong("needs labels, unless it is a valence_arousal head, which has none");
        }
        let Some(output) = self.output else { return wrong("needs output = <index or name of the tensor>") };
        let source = Source { output, slice: self.slice };
        let activation = self.activation;
        match kind {
            HeadKind::ValenceArousal | HeadKind::Classes | HeadKind::Activations => {
                Ok(Head::ValenceArousal { source, activation, linear: self.linear })
            }
            HeadKind::ActionUnits => {
                let (labels, thresholds) = (self.labels, self.thresholds);
                if let Some(thresholds) = &thresholds
                    && (thresholds.len() != labels.len()
                        || thresholds.iter().any(|t| !(0.01..=0.99).contains(t)))
                {
                    return wrong(&format!(
                        "has thresholds = {thresholds:?}; expected a number in 0.01..=0.99 for each label"
                    ));
                }
                Ok(Head::ActionUnits { source, labels, activation, thresholds })
            }
            HeadKind::Expression => {
                let scaled = self.temperature.is_some() || self.bias.is_some();
                if scaled && activation != Activation::Softmax {
                    return wrong("has a temperature or a bias, which needs activation = \"softmax\"");
                }
                let (temperature, allowed) = match self.temperature {
                    None => (vec![1.0], 1),
                    Some(Temperature::All(temperature)) => (vec![temperature], 1),
                    Some(Temperature::Each(each)) => (each, self.labels.len()),
                };
                if temperature.len() != allowed || temperature.iter().any(|t| !(0.01..=100.0).contains(t)) {
                    return wrong(&format!(
                        "has temperature = {temperature:?}; expected one number in 0.01..=100, or one for each label"
                    ));
                }
                if let Some(bias) = &self.bias
                    && (bias.len() != self.labels.len() || bias.iter().any(|b| !(-100.0..=100.0).contains(b)))
                {
                    return wrong(&format!(
                        "has bias = {bias:?}; expected a number in -100..=100 for each label"
                    ));
                }
                if let Some(prior) = &self.prior
                    && (prior.len() != self.labels.len() || prior.iter().any(|p| !(1e-6..=1e6).contains(p)))
                {
                    return wrong(&format!(
                        "has prior = {prior:?}; expected a number in 0.000001..=1000000 for each label"
                    ));
                }
                let labels = self.labels.iter().map(|l| l.parse()).collect::<Result<_, _>>()?;
                Ok(Head::Expression {
                    source,
                    labels,
                    activation,
                    temperature,
                    bias: self.bias,
                    prior: self.prior,
                })
            }
        }
    }

    fn check_readout(self) -> Result<Head, String> {
        let plain = self.output.is_none() && self.slice.is_none() && self.labels.is_empty();
        if self.kind != HeadKind::ValenceArousal || self.from != Some(HeadKind::Expression) || !plain {
            return Err(
                "a read-out is a valence_arousal head with from = \"expression\", without output, slice \
                        or labels"
                    .to_owned(),
            );
        }
        let points = self.circumplex.ok_or("the read-out of valence and arousal needs [head.circumplex]")?;
        let action_units = self.action_units.unwrap_or_default();
        for (label, point) in points.iter().chain(&action_units) {
            if point.iter().any(|v| !(-1.0..=1.0).contains(v)) {
                return Err(format!("[head.circumplex] {label} = {point:?} is not in -1..=1"));
            }
        }
        let points = points
            .into_iter()
            .map(|(label, point)| label.parse().map(|expression| (expression, point)))
            .collect::<Result<_, String>>()?;
        Ok(Head::Circumplex { points, action_units })
    }
}
