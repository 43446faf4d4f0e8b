//! The little of a TensorFlow Lite file that is looked at before the library sees it.
//!
//! Follows the published schema (`tensorflow/lite/schema/schema.fbs`): a flatbuffer with the identifier `TFL3` whose
//! root table `Model` lists `buffers` as its fifth field. Every access is checked against the file's size.

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
        Some(0) => None,
        Some(count) => Some(format!(
            "{count} of its buffers lie behind the flatbuffer (as ai-edge-quantizer writes them), where TensorFlow \
             Lite 2.17 does not look; write the file anew with the bytes inside its buffers"
        )),
    }
}

/// The number of buffers whose bytes lie behind the flatbuffer; `None` if the file is malformed.
fn outside_buffers(bytes: &[u8]) -> Option<usize> {
    let root = follow(bytes, 0)?;
    let Some(field) = field(bytes, root, MODEL_BUFFERS)? else { return Some(0) };
    let vector = follow(bytes, field)?;
    let count = read_u32(bytes, vector)? as usize;
    if count > bytes.len() / 4 {
        return None;
    }
    let mut outside = 0;
    for index in 0..count {
        let buffer = follow(bytes, vector + 4 + 4 * index)?;
        if let Some(at) = self::field(bytes, buffer, BUFFER_OFFSET)? {
            let offset = bytes.get(at..at.checked_add(8)?)?;
            outside += usize::from(u64::from_le_bytes(offset.try_into().ok()?) > 1);
        }
    }
    Some(outside)
}

/// The position of a table's field: `Some(None)` if it is absent, `None` if the table is malformed.
fn field(bytes: &[u8], table: usize, index: usize) -> Option<Option<usize>> {
    // A table begins with the signed distance back to its vtable; a vtable with its own size, then the table's.
    let back = i64::from(read_u32(bytes, table)?.cast_signed());
    let vtable = usize::try_from(i64::try_from(table).ok()? - back).ok()?;
    let size = usize::from(read_u16(bytes, vtable)?);
    let entry = 4 + 2 * index;
    if entry + 2 > size {
        return Some(None);
    }
    Some(match read_u16(bytes, vtable + entry)? {
        0 => None,
        distance => Some(table + usize::from(distance)),
    })
}

/// Where the forward offset stored at a position leads.
fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    let target = at.checked_add(read_u32(bytes, at)? as usize)?;
    (target < bytes.len()).then_some(target)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}
