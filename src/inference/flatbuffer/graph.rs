//! What a model's graph says of itself: whether tensors, buffers and operations refer to what is there, and which
//! operations TensorFlow Lite 2.17 cannot have.

use super::bytes::{byte, content, follow, number, numbers, tables};

/// The last built-in operation of TensorFlow Lite 2.17.
const LAST_BUILTIN: u32 = 208;
/// The number that stands for an operation with a name of its own.
const CUSTOM: u32 = 32;
/// The number that says that the real one stands in the newer field.
const IN_NEWER_FIELD: u32 = 127;
/// The most elements of a tensor that is not damage: a gigabyte of floats.
const MOST_ELEMENTS: u64 = 1 << 28;

/// Fields of the schema's tables.
mod at {
    pub const MODEL_CODES: usize = 1;
    pub const MODEL_SUBGRAPHS: usize = 2;
    pub const MODEL_BUFFERS: usize = 4;
    pub const CODE_OLD: usize = 0;
    pub const CODE_CUSTOM: usize = 1;
    pub const CODE_BUILTIN: usize = 3;
    pub const GRAPH_TENSORS: usize = 0;
    pub const GRAPH_INPUTS: usize = 1;
    pub const GRAPH_OUTPUTS: usize = 2;
    pub const GRAPH_OPERATORS: usize = 3;
    pub const TENSOR_SHAPE: usize = 0;
    pub const TENSOR_TYPE: usize = 1;
    pub const TENSOR_BUFFER: usize = 2;
    pub const TENSOR_SPARSITY: usize = 6;
    pub const OPERATOR_CODE: usize = 0;
    pub const OPERATOR_INPUTS: usize = 1;
    pub const OPERATOR_OUTPUTS: usize = 2;
    pub const BUFFER_DATA: usize = 0;
}

/// Says what is wrong within a file; nothing found is no proof that it is whole.
pub(super) fn damage(bytes: &[u8]) -> Option<&'static str> {
    sound(bytes).unwrap_or(Err("a part of it lies outside the file")).err()
}

/// `None` if something leads out of the file.
fn sound(bytes: &[u8]) -> Option<Result<(), &'static str>> {
    let root = follow(bytes, 0)?;
    let codes = tables(bytes, root, at::MODEL_CODES)?.len();
    let buffers = tables(bytes, root, at::MODEL_BUFFERS)?;
    let buffers: Vec<usize> = buffers
        .iter()
        .map(|buffer| Some(content(bytes, *buffer, at::BUFFER_DATA)?.len()))
        .collect::<Option<_>>()?;
    let graphs = tables(bytes, root, at::MODEL_SUBGRAPHS)?;
    if graphs.is_empty() {
        return Some(Err("it holds no graph"));
    }
    for graph in graphs {
        let tensors = tables(bytes, graph, at::GRAPH_TENSORS)?;
        let known = |index: &u32| (*index as usize) < tensors.len();
        for tensor in &tensors {
            if let Err(what) = tensor_is_sound(bytes, *tensor, &buffers)? {
                return Some(Err(what));
            }
        }
        for index in [at::GRAPH_INPUTS, at::GRAPH_OUTPUTS] {
            if !numbers(bytes, graph, index)?.iter().all(known) {
                return Some(Err("its inputs or outputs are tensors that it does not have"));
            }
        }
        for operator in tables(bytes, graph, at::GRAPH_OPERATORS)? {
            if number(bytes, operator, at::OPERATOR_CODE, 0)? as usize >= codes {
                return Some(Err("it runs an operation that it does not name"));
            }
            // An optional input that is left out is -1.
            let inputs = numbers(bytes, operator, at::OPERATOR_INPUTS)?;
            let outputs = numbers(bytes, operator, at::OPERATOR_OUTPUTS)?;
            if !inputs.iter().filter(|index| **index != u32::MAX).chain(&outputs).all(known) {
                return Some(Err("an operation uses a tensor that it does not have"));
            }
        }
    }
    Some(Ok(()))
}

fn tensor_is_sound(bytes: &[u8], tensor: usize, buffers: &[usize]) -> Option<Result<(), &'static str>> {
    let shape = numbers(bytes, tensor, at::TENSOR_SHAPE)?;
    let elements = shape.iter().try_fold(1_u64, |product, side| {
        (side.cast_signed() >= 0).then(|| product.saturating_mul(u64::from(*side)))
    });
    let Some(elements) = elements.filter(|elements| *elements <= MOST_ELEMENTS) else {
        return Some(Err("a tensor has an impossible size"));
    };
    let Some(stored) = buffers.get(number(bytes, tensor, at::TENSOR_BUFFER, 0)? as usize) else {
        return Some(Err("a tensor's values are in a buffer that it does not have"));
    };
    // By the number of its type: 32-bit float, 16-bit float, 32-bit integer, unsigned byte, 64-bit integer, …
    let size = match byte(bytes, tensor, at::TENSOR_TYPE)? {
        0 | 2 => 4,
        1 | 7 => 2,
        3 | 6 | 9 => 1,
        4 => 8,
        ..=18 => 0,
        _ => return Some(Err("a tensor is of a type that there is not")),
    };
    let sparse = super::bytes::field(bytes, tensor, at::TENSOR_SPARSITY)?.is_some();
    if *stored > 0 && size > 0 && !sparse && *stored as u64 != elements * size {
        return Some(Err("a tensor has more or fewer values than its size says"));
    }
    Some(Ok(()))
}

/// The operations that TensorFlow Lite 2.17 has not among its built-in ones, for a person: to say why a sound file cannot
/// be run.
pub(in crate::inference) fn unknown_operations(bytes: &[u8]) -> Option<String> {
    let codes = tables(bytes, follow(bytes, 0)?, at::MODEL_CODES)?;
    let unknown: Vec<String> = codes.iter().filter_map(|code| unknown_operation(bytes, *code)).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

fn unknown_operation(bytes: &[u8], code: usize) -> Option<String> {
    let old = u32::from(byte(bytes, code, at::CODE_OLD)?);
    let newer = number(bytes, code, at::CODE_BUILTIN, 0)?;
    // As the library does: the greater one, since old files have the old field only.
    let builtin = if old == IN_NEWER_FIELD { newer } else { old.max(newer) };
    match builtin {
        CUSTOM => {
            let name = content(bytes, code, at::CODE_CUSTOM)?;
            (!name.is_empty()).then(|| format!("{:?}", String::from_utf8_lossy(name)))
        }
        ..=LAST_BUILTIN => None,
        number => Some(format!("number {number}")),
    }
}
