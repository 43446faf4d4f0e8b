//! Networks that read the last seconds of one face: of its scores, or of the emotion network's embeddings. Both stay in
//! memory, belong to a track, and are overwritten when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

use super::EmotionModel;
use crate::inference::manifest::{Activation, Manifest, SequenceHead, SequenceInput, SequenceSource, Task};
use crate::inference::{ModelError, Network};
use emotiond_core::Moment;
use emotiond_core::report::observation::TrackId;
use emotiond_core::report::score::{Scores, Vocabulary};
use emotiond_core::sequence::Sequence;

/// The most faces at once of which sequences are kept. Others are read, but not their sequences.
const MOST: usize = 32;

/// All networks that read sequences.
#[derive(Default)]
pub struct Sequences {
    readers: Vec<SequenceReader>,
    /// The embedding of each track's last reading.
    embeddings: BTreeMap<TrackId, Zeroizing<Vec<f32>>>,
}

impl Sequences {
    /// Opens one more network, which is to take what `model` gives.
    ///
    /// # Errors
    /// If the manifest is not one of such a network, its file does not fit it, or the model does not give what it takes.
    pub fn open(&mut self, manifest: Manifest, model: &dyn EmotionModel) -> Result<(), ModelError> {
        let reader = SequenceReader::load(manifest, model)?;
        let name = |vocabulary: &Vocabulary| vocabulary.heads().next().map(|(head, _)| head.name.clone());
        if self.readers.iter().any(|other| name(&other.vocabulary) == name(&reader.vocabulary)) {
            let reason = "another sequence model has a head of the same name".to_owned();
            return Err(ModelError::Manifest { path: reader.network.manifest().path.clone(), reason });
        }
        self.readers.push(reader);
        Ok(())
    }

    /// What each network can say.
    pub fn vocabularies(&self) -> impl Iterator<Item = &Arc<Vocabulary>> {
        self.readers.iter().map(|reader| &reader.vocabulary)
    }

    /// Keeps the embedding of the face that the model has just read, if any network takes it.
    pub fn embed(&mut self, track: TrackId, model: &mut dyn EmotionModel) {
        let wanted = self.readers.iter().any(|reader| reader.places.is_none());
        if wanted && (self.embeddings.len() < MOST || self.embeddings.contains_key(&track)) {
            model.take_embedding(self.embeddings.entry(track).or_default());
        }
    }

    /// What is known of a face in this frame goes into its sequences; returns what the networks say of them. `scores` are
    /// those that were last read, not smoothed.
    ///
    /// # Errors
    /// If a network cannot be run.
    pub fn read(&mut self, track: TrackId, at: Moment, scores: &Scores) -> anyhow::Result<Vec<Scores>> {
        let embedding = self.embeddings.get(&track).map(|embedding| embedding.as_slice());
        let mut said = Vec::new();
        for reader in &mut self.readers {
            said.extend(reader.read(track, at, scores, embedding)?);
        }
        Ok(said)
    }

    /// Drops what is kept of a track that is over.
    pub fn remove(&mut self, track: TrackId) {
        self.embeddings.remove(&track);
        for reader in &mut self.readers {
            reader.tracks.remove(&track);
        }
    }

    /// Drops what is kept of all tracks, and overwrites what is left of the last one in the networks.
    pub fn scrub(&mut self) {
        self.embeddings.clear();
        for reader in &mut self.readers {
            reader.tracks.clear();
            let _ran = reader.network.scrub();
        }
    }
}

/// One network.
struct SequenceReader {
    network: Network,
    input: SequenceInput,
    head: SequenceHead,
    /// Index, first value and number of values of its output.
    output: (usize, usize, usize),
    /// The places of the scores that it takes; `None` if it takes embeddings.
    places: Option<Vec<usize>>,
    vocabulary: Arc<Vocabulary>,
    tracks: BTreeMap<TrackId, TrackSequence>,
    /// The values of a step, and of all.
    step: Zeroizing<Vec<f32>>,
    steps: Zeroizing<Vec<f32>>,
}

/// What is kept of one track.
struct TrackSequence {
    sequence: Sequence,
    /// What the network said last, and when.
    said: Option<(Moment, Scores)>,
}

impl SequenceReader {
    fn load(manifest: Manifest, model: &dyn EmotionModel) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Manifest { path: manifest.path.clone(), reason };
        let Task::Sequence(input, head) = manifest.task.clone() else {
            return Err(wrong("expected kind = \"sequence\"".to_owned()));
        };
        let places = match &input.source {
            SequenceSource::Scores(names) => {
                let vocabulary = model.vocabulary();
                let place = |name: &String| {
                    let unknown = || {
                        wrong(format!("it takes the score {name:?}, which the emotion model does not give"))
                    };
                    vocabulary.place(name).ok_or_else(unknown)
                };
                Some(names.iter().map(place).collect::<Result<Vec<_>, _>>()?)
            }
            SequenceSource::Embedding => {
                let (wanted, found) = (input.settings.values, model.embedding_length());
                if found != Some(wanted) {
                    let found = found.map_or_else(|| "none".to_owned(), |length| format!("one of {length}"));
                    return Err(wrong(format!(
                        "it takes an embedding of {wanted} values, and the emotion model gives {found} ([embedding] in \
                         its manifest)"
                    )));
                }
                None
            }
        };
        let network = Network::load(manifest)?;
        let output = network.locate(&head.source, head.scores.labels.len())?;
        let vocabulary = Arc::new(Vocabulary::new(vec![head.scores.clone()]));
        Ok(Self {
            network,
            input,
            head,
            output,
            places,
            vocabulary,
            tracks: BTreeMap::new(),
            step: Zeroizing::default(),
            steps: Zeroizing::default(),
        })
    }

    fn read(
        &mut self,
        track: TrackId,
        at: Moment,
        scores: &Scores,
        embedding: Option<&[f32]>,
    ) -> anyhow::Result<Option<Scores>> {
        if self.tracks.len() >= MOST && !self.tracks.contains_key(&track) {
            return Ok(None);
        }
        self.step.clear();
        match (&self.places, embedding) {
            (Some(places), _) => self.step.extend(places.iter().map(|place| scores.values()[*place])),
            (None, Some(embedding)) if !embedding.is_empty() => self.step.extend_from_slice(embedding),
            (None, _) => return Ok(None),
        }
        // One number that is none would stay for seconds.
        if self.step.iter().any(|value| !value.is_finite()) {
            return Ok(None);
        }
        let settings = self.input.settings;
        let kept = self
            .tracks
            .entry(track)
            .or_insert_with(|| TrackSequence { sequence: Sequence::new(settings), said: None });
        kept.sequence.push(at, &self.step);
        if !kept.sequence.is_ready(at) {
            kept.said = None;
            return Ok(None);
        }
        if let Some((said, scores)) = &kept.said
            && at - *said < self.input.every
        {
            return Ok(Some(scores.clone()));
        }
        kept.sequence.write(&mut self.steps);
        let run = self.network.run_on_values(&self.steps);
        run.context("failed to read a sequence")?;
        let (index, start, length) = self.output;
        let mut output = Vec::new();
        self.network.read(index, &mut output)?;
        let values = activated(&output[start..start + length], self.head.activation);
        ensure!(
            values.iter().all(|value| value.is_finite()),
            "an output of {} is not a number; its file may be damaged",
            self.network.manifest().name
        );
        let scores = Scores::new(Arc::clone(&self.vocabulary), values);
        kept.said = Some((at, scores.clone()));
        Ok(Some(scores))
    }
}

/// Scores of 0..=1.
fn activated(values: &[f32], activation: Activation) -> Vec<f32> {
    match activation {
        Activation::Softmax => {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = values.iter().map(|value| (value - largest).exp()).collect();
            let sum: f32 = powers.iter().sum();
            powers.iter().map(|power| power / sum).collect()
        }
        Activation::Sigmoid => values.iter().map(|value| 1.0 / (1.0 + (-value).exp())).collect(),
        // clamp() keeps what is not a number.
        Activation::None | Activation::Tanh => values.iter().map(|value| value.clamp(0.0, 1.0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_in_the_range_of_scores() {
        let shares = activated(&[1000.0, 1000.0, -5.0], Activation::Softmax);
        assert_eq!(shares, [0.5, 0.5, 0.0]);
        assert_eq!(activated(&[0.0, 90.0], Activation::Sigmoid), [0.5, 1.0]);
        assert_eq!(activated(&[-1.0, 0.25, 2.0], Activation::None), [0.0, 0.25, 1.0]);
        assert!(activated(&[f32::NAN], Activation::None)[0].is_nan(), "found out afterwards");
    }
}
