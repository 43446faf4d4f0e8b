//! TensorFlow Lite models: the only module that names `tflitec`.
//!
//! A model is a manifest and a file beside it. [`Network::load`] refuses a file that is not the one its manifest
//! describes, before the library sees it (digest, format) or before the first picture does (types, shapes).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use tflitec::interpreter::{Interpreter, Options};
use tflitec::model::Model;
use tflitec::tensor::{DataType, Tensor};

use super::error::ModelError;
use super::manifest::{Manifest, OutputRef, SequenceInput, Source, Task};
use super::tensor::{Element, InputWriter, Quantization};
use crate::host::file;
use emotiond_core::sequence::StepLayout;

/// The largest model file, in bytes. No model for a small machine is larger, and under the unit's `MemoryMax=256M` a
/// larger one would end the daemon.
const LARGEST: u64 = 64 << 20;
/// Where TensorFlow Lite's kernels look for processors on arm64. Without it no model is opened, whichever it is.
const PROCESSORS: &str = "/sys/devices/system/cpu";

/// What is known of an output tensor.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name in the file.
    pub name: String,
    /// Its shape, batch first.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: Element,
}

impl Output {
    /// The number of its elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A loaded network: takes packed RGB pixels of the manifest's size, returns real numbers.
///
/// May be made in one thread and used in another, but is used by one at a time.
#[derive(Debug)]
pub struct Network {
    manifest: Manifest,
    interpreter: Interpreter<'static>,
    input: InputWriter,
    outputs: Vec<Output>,
    /// Whether its layers still hold what they made of a picture.
    marked: bool,
}

impl Network {
    /// Loads the model file of a manifest and checks it against the manifest.
    ///
    /// The file stays in memory as long as the process lives; loading the same file again reuses it.
    ///
    /// # Errors
    /// If the file is missing, is another one, cannot be run, or has another input than the manifest says.
    pub fn load(manifest: Manifest) -> Result<Self, ModelError> {
        let resident = resident_model(&manifest)?;
        let unusable =
            |reason: String| ModelError::Unusable { path: manifest.file.clone(), reason: reason.clone() };
        // One thread: the daemon has a core or two, and another thread of its own for the camera.
        let options = Options { thread_count: 1, is_xnnpack_enabled: true };
        let interpreter = Interpreter::new(resident.model, Some(options)).map_err(|error| {
            if let Some(machine) = without_processors(cfg!(target_arch = "aarch64"), Path::new(PROCESSORS)) {
                return machine;
            }
            unusable(match &resident.unknown_operations {
                Some(list) => format!("it uses operations that TensorFlow Lite 2.17 does not have: {list}"),
                None => format!(
                    "the file is damaged, or made for a newer TensorFlow Lite than 2.17 ({error}); fetch or convert it anew"
                ),
            })
        })?;
        if interpreter.input_tensor_count() != 1 || interpreter.output_tensor_count() == 0 {
            return Err(unusable(format!(
                "expected one input and at least one output, found {} and {}",
                interpreter.input_tensor_count(),
                interpreter.output_tensor_count()
            )));
        }
        interpreter.allocate_tensors().map_err(|error| {
            unusable(format!(
                "the file is damaged: its operations do not fit its tensors ({error}); fetch or convert it anew"
            ))
        })?;
        let input = {
            let tensor = interpreter.input(0).map_err(|e| unusable(e.to_string()))?;
            check_input(&manifest, &tensor)?;
            let element = element(&tensor).map_err(unusable)?;
            match &manifest.task {
                Task::Sequence(input, _) if element == Element::Float32 => {
                    InputWriter::Values { elements: vec![0.0; input.settings.inputs()] }
                }
                Task::Sequence(..) => {
                    return Err(unusable(format!(
                        "its input is {element:?}; expected Float32 for a sequence"
                    )));
                }
                _ => InputWriter::new(&manifest.input, element),
            }
        };
        let outputs = (0..interpreter.output_tensor_count())
            .map(|index| {
                let tensor = interpreter.output(index).map_err(|e| unusable(e.to_string()))?;
                Ok(Output {
                    name: tensor.name().to_owned(),
                    shape: tensor.shape().dimensions().clone(),
                    element: element(&tensor).map_err(unusable)?,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { manifest, interpreter, input, outputs, marked: false })
    }

    /// The manifest it was loaded by.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The output tensors in the order of the C API.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The index of the output tensor that a manifest names.
    ///
    /// # Errors
    /// If the file has no such tensor.
    pub fn find_output(&self, wanted: &OutputRef) -> Result<usize, ModelError> {
        let found = match wanted {
            OutputRef::Index(index) => (*index < self.outputs.len()).then_some(*index),
            OutputRef::Name(name) => self.outputs.iter().position(|output| output.name == *name),
        };
        found.ok_or_else(|| {
            let list: Vec<_> =
                self.outputs.iter().enumerate().map(|(i, o)| format!("{i} {:?}", o.name)).collect();
            self.mismatch("an output tensor", &format!("{wanted:?}"), &list.join(", "))
        })
    }

    /// Where the values of a head are, `wanted` of them: the index of the output tensor, the first value and their number.
    ///
    /// # Errors
    /// If the file has no such tensor, or has more or fewer values there.
    pub fn locate(&self, source: &Source, wanted: usize) -> Result<(usize, usize, usize), ModelError> {
        let index = self.find_output(&source.output)?;
        let output = &self.outputs[index];
        let (start, len) = source.slice.map_or((0, output.len()), |[start, len]| (start, len));
        if start + len > output.len() {
            return Err(self.mismatch(
                &format!("slice of the output {:?}", output.name),
                &format!("[{start}, {len}]"),
                &format!("{} values", output.len()),
            ));
        }
        if len != wanted {
            return Err(self.mismatch(
                &format!("number of values in the output {:?}", output.name),
                &format!("{wanted} (its labels, or valence and arousal)"),
                &len.to_string(),
            ));
        }
        Ok((index, start, len))
    }

    /// The error for a file that is not as its manifest says.
    #[must_use]
    pub fn mismatch(&self, what: &str, expected: &str, found: &str) -> ModelError {
        ModelError::Mismatch {
            path: self.manifest.path.clone(),
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }

    /// Runs the network on packed RGB pixels, `width * height * 3` bytes of the manifest's size.
    ///
    /// # Errors
    /// If the library fails.
    ///
    /// # Panics
    /// If there are more or fewer pixels.
    pub fn run(&mut self, rgb: &[u8]) -> Result<(), ModelError> {
        let input = &self.manifest.input;
        let size = input.width as usize * input.height as usize * 3;
        assert_eq!(rgb.len(), size, "{}: the input is {size} bytes of RGB", self.manifest.name);
        self.input.fill(rgb);
        self.run_on_input()
    }

    /// Runs a network that reads sequences.
    ///
    /// # Errors
    /// If the library fails.
    ///
    /// # Panics
    /// If there are more or fewer values than its input has.
    pub fn run_on_values(&mut self, values: &[f32]) -> Result<(), ModelError> {
        if let InputWriter::Values { elements } = &mut self.input {
            elements.copy_from_slice(values);
        }
        self.run_on_input()
    }

    fn run_on_input(&mut self) -> Result<(), ModelError> {
        self.marked = true;
        let run = self.set_input().and_then(|()| self.invoke());
        self.input.wipe();
        // The library's own copy too; it leaves its input as it is when it runs.
        let wiped = self.set_input();
        run.and(wiped)
    }

    fn set_input(&self) -> Result<(), ModelError> {
        match &self.input {
            InputWriter::Float { elements, .. } | InputWriter::Values { elements } => {
                self.interpreter.copy(elements, 0)
            }
            InputWriter::Byte { elements, .. } | InputWriter::Flipped { elements, .. } => {
                self.interpreter.copy(elements, 0)
            }
        }
        .map_err(|e| self.failed(&e))
    }

    /// Runs on nothing, so that what the layers made of the last picture is overwritten within the library. Returns whether
    /// there was something to overwrite: a loose plug must not cost a run each time it comes off.
    pub fn scrub(&mut self) -> bool {
        let marked = self.marked;
        if marked {
            match self.invoke() {
                Ok(()) => self.marked = false,
                Err(error) => log::debug!("{error}"),
            }
        }
        marked
    }

    /// Runs the network on what its input holds: [`Network::run`] without the pixels, to time the bare network.
    ///
    /// # Errors
    /// If the library fails.
    pub fn invoke(&mut self) -> Result<(), ModelError> {
        self.interpreter.invoke().map_err(|e| self.failed(&e))
    }

    /// Copies an output tensor of the last run, flattened and as real numbers, replacing what `into` held.
    ///
    /// # Errors
    /// If there was no run.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn read(&self, index: usize, into: &mut Vec<f32>) -> Result<(), ModelError> {
        let tensor = self.interpreter.output(index).map_err(|e| self.failed(&e))?;
        into.clear();
        match self.outputs[index].element {
            Element::Float32 => into.extend_from_slice(tensor.data::<f32>()),
            Element::Int8(q) => into.extend(tensor.data::<i8>().iter().map(|v| q.to_real(i32::from(*v)))),
            Element::UInt8(q) => into.extend(tensor.data::<u8>().iter().map(|v| q.to_real(i32::from(*v)))),
        }
        Ok(())
    }

    fn failed(&self, error: &tflitec::Error) -> ModelError {
        ModelError::Run { name: self.manifest.name.clone(), reason: error.to_string() }
    }
}

/// A model file in memory.
struct Resident {
    model: &'static Model<'static>,
    /// Operations that the library may not have.
    unknown_operations: Option<String>,
}

/// The model of a manifest, read once a process: `tflitec`'s interpreter borrows it for its whole life.
fn resident_model(manifest: &Manifest) -> Result<&'static Resident, ModelError> {
    static RESIDENT: Mutex<BTreeMap<String, &'static Resident>> = Mutex::new(BTreeMap::new());
    let bytes = read_checked(manifest)?;
    let mut resident = RESIDENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = resident.get(&manifest.sha256) {
        return Ok(known);
    }
    let unusable = |reason| ModelError::Unusable { path: manifest.file.clone(), reason };
    if let Some(reason) = super::flatbuffer::objection(&bytes) {
        return Err(unusable(reason));
    }
    let unknown_operations = super::flatbuffer::unknown_operations(&bytes);
    let model = Model::from_bytes(Box::leak(bytes.into_boxed_slice()))
        .map_err(|e| unusable(format!("{e}; the file is damaged")))?;
    let known: &'static Resident =
        Box::leak(Box::new(Resident { model: Box::leak(Box::new(model)), unknown_operations }));
    resident.insert(manifest.sha256.clone(), known);
    Ok(known)
}

fn read_checked(manifest: &Manifest) -> Result<Vec<u8>, ModelError> {
    let path = &manifest.file;
    let unreadable = |error| ModelError::Unreadable { path: path.clone(), error };
    let bytes = file::read(path, LARGEST).map_err(unreadable)?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != manifest.sha256 {
        return Err(ModelError::Digest { path: path.clone(), expected: manifest.sha256.clone(), found });
    }
    Ok(bytes)
}

fn check_input(manifest: &Manifest, tensor: &Tensor) -> Result<(), ModelError> {
    let input = &manifest.input;
    let (what, expected) = match &manifest.task {
        Task::Sequence(SequenceInput { settings, .. }, _) => {
            let inputs = settings.inputs();
            let shape = match settings.layout {
                StepLayout::Statistics => vec![1, inputs],
                StepLayout::Steps | StepLayout::DeviationAndSteps => {
                    vec![1, settings.steps, inputs / settings.steps]
                }
            };
            ("shape of the input [batch, steps, values] or [batch, statistics]", shape)
        }
        _ => {
            let shape = vec![1, input.height as usize, input.width as usize, input.color.channels()];
            ("shape of the input [batch, height, width, channels]", shape)
        }
    };
    let found = tensor.shape().dimensions();
    if *found != expected {
        return Err(ModelError::Mismatch {
            path: manifest.path.clone(),
            what: what.to_owned(),
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        });
    }
    Ok(())
}

/// What an arm64 machine lacks for any model to be opened: no fault of the model.
fn without_processors(arm64: bool, place: &Path) -> Option<ModelError> {
    (arm64 && !place.exists()).then(|| ModelError::Processors { missing: place.to_owned() })
}

fn element(tensor: &Tensor) -> Result<Element, String> {
    let quantization = || match tensor.quantization_parameters() {
        Some(q) if q.scale > 0.0 && q.scale.is_finite() => {
            Ok(Quantization { scale: q.scale, zero_point: q.zero_point })
        }
        _ => Err(format!("its 8-bit tensor {:?} has no scale and zero point", tensor.name())),
    };
    match tensor.data_type() {
        DataType::Float32 => Ok(Element::Float32),
        DataType::Int8 => Ok(Element::Int8(quantization()?)),
        DataType::UInt8 => Ok(Element::UInt8(quantization()?)),
        other => Err(format!("its tensor {:?} is {other:?}; expected Float32, Int8 or UInt8", tensor.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_processors_are_described_the_machine_is_named_and_not_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("cpu");
        let text = without_processors(true, &missing).unwrap().to_string();
        assert!(text.contains("cpu, which is not there; mount /sys"), "{text}");
        assert!(
            without_processors(true, folder.path()).is_none()
                && without_processors(false, &missing).is_none()
        );
    }
}
