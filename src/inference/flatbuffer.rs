//! The little of a TensorFlow Lite file that is looked at before the library sees it.
//!
//! Follows the published schema (`tensorflow/lite/schema/schema.fbs`): a flatbuffer with the identifier `TFL3` whose
//! root table `Model` lists `buffers` as its fifth field. Every access is checked against the file's size.

mod bytes;
mod graph;

use bytes::{follow, read_u32};
pub(super) use graph::unknown_operations;

/// Field of `Model` that lists the buffers.
const MODEL_BUFFERS: usize = 4;
/// Field of `Buffer` with the position of its bytes behind the flatbuffer; 0 and 1 mean "inside".
const BUFFER_OFFSET: usize = 1;

/// Says why a file cannot be a model that TensorFlow Lite 2.17 runs; nothing found is no proof that it can.
pub(super) fn objection(bytes: &[u8]) -> Option<String> {
    let Some(identifier) = bytes.get(4..8) else {
        return Some(format!("{} bytes are too few for a model", bytes.len()));
    };
    if identifier != b"TFL3" {
        return Some(format!(
            "expected the identifier TFL3, found {:?}; it is no TensorFlow Lite file",
            String::from_utf8_lossy(identifier)
        ));
    }
    match outside_buffers(bytes) {
        None => Some("its list of buffers points outside the file; the file is damaged".to_owned()),
        Some(0) => graph::damage(bytes).map(|what| format!("the file is damaged: {what}")),
        Some(count) => Some(format!(
            "{count} of its buffers lie behind the flatbuffer (as ai-edge-quantizer writes them), where TensorFlow \
             Lite 2.17 does not look; write the file again with the bytes inside its buffers"
        )),
    }
}

/// The number of buffers whose bytes lie behind the flatbuffer; `None` if the file is malformed.
fn outside_buffers(bytes: &[u8]) -> Option<usize> {
    let root = follow(bytes, 0)?;
    let Some(field) = bytes::field(bytes, root, MODEL_BUFFERS)? else { return Some(0) };
    let vector = follow(bytes, field)?;
    let count = read_u32(bytes, vector)? as usize;
    if count > bytes.len() / 4 {
        return None;
    }
    let mut outside = 0;
    for index in 0..count {
        let buffer = follow(bytes, vector + 4 + 4 * index)?;
        if let Some(at) = bytes::field(bytes, buffer, BUFFER_OFFSET)? {
            let offset = bytes.get(at..at.checked_add(8)?)?;
            let offset = u64::from_le_bytes(offset.try_into().ok()?);
            // Bytes that lie behind the flatbuffer are in the file all the same.
            if offset >= bytes.len() as u64 {
                return None;
            }
            outside += usize::from(offset > 1);
        }
    }
    Some(outside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A model with one buffer whose `offset` field is as given, by hand: root, its vtable, the vector, the buffer.
    fn model(offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(24u32.to_le_bytes()); // 0: the root table is at 24
        bytes.extend(b"TFL3");
        bytes.extend([14u16, 8, 0, 0, 0, 0, 4].map(u16::to_le_bytes).concat()); // 8: vtable of Model, buffers at +4
        bytes.extend([0; 2]);
        bytes.extend(16i32.to_le_bytes()); // 24: Model, its vtable 16 before
        bytes.extend(4u32.to_le_bytes()); // 28: buffers, at 32
        bytes.extend(1u32.to_le_bytes()); // 32: one buffer
        bytes.extend(12u32.to_le_bytes()); // 36: at 48
        bytes.extend([8u16, 12, 0, 4].map(u16::to_le_bytes).concat()); // 40: vtable of Buffer, offset at +4
        bytes.extend(8i32.to_le_bytes()); // 48: Buffer
        bytes.extend(offset.to_le_bytes()); // 52
        bytes
    }

    #[test]
    fn buffers_behind_the_flatbuffer_are_named() {
        assert_eq!(outside_buffers(&model(0)), Some(0));
        assert_eq!(outside_buffers(&model(1)), Some(0));
        let behind = [model(60), vec![0; 16]].concat();
        let message = objection(&behind).unwrap();
        assert!(message.contains("1 of its buffers lie behind"), "{message}");
        assert!(objection(&model(60)).unwrap().contains("damaged"), "nothing is there");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(objection(b"").unwrap().contains("0 bytes"));
        assert!(objection(b"\x08\0\0\0HDF5....").unwrap().contains("TFL3"));
        assert!(objection(&model(0)[..40]).unwrap().contains("damaged"));
    }

    proptest! {
        #[test]
        fn damage_anywhere_never_panics(at in 0usize..60, value in any::<u8>(), length in 0usize..=60) {
            let mut bytes = model(60);
            bytes[at] = value;
            bytes.truncate(length);
            let _ = objection(&bytes);
        }
    }
}
