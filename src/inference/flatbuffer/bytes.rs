//! Reading a flatbuffer: tables, vectors and numbers, every access checked against the size. `None`: malformed.

/// The position of a table's field: `Some(None)` if it is absent, `None` if the table is malformed.
pub(super) fn field(bytes: &[u8], table: usize, index: usize) -> Option<Option<usize>> {
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
pub(super) fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    let target = at.checked_add(read_u32(bytes, at)? as usize)?;
    (target < bytes.len()).then_some(target)
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The elements of a table's vector of numbers of four bytes; none if the field is absent.
pub(super) fn numbers(bytes: &[u8], table: usize, index: usize) -> Option<Vec<u32>> {
    let Some(at) = field(bytes, table, index)? else { return Some(Vec::new()) };
    let vector = follow(bytes, at)?;
    let length = (read_u32(bytes, vector)? as usize).checked_mul(4)?;
    let content = bytes.get(vector + 4..(vector + 4).checked_add(length)?)?;
    Some(content.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

/// The positions of the tables in a table's vector of tables; none if the field is absent.
pub(super) fn tables(bytes: &[u8], table: usize, index: usize) -> Option<Vec<usize>> {
    let Some(at) = field(bytes, table, index)? else { return Some(Vec::new()) };
    let vector = follow(bytes, at)?;
    let count = numbers(bytes, table, index)?.len();
    (0..count).map(|number| follow(bytes, vector + 4 + 4 * number)).collect()
}

/// A table's number of four bytes.
pub(super) fn number(bytes: &[u8], table: usize, index: usize, default: u32) -> Option<u32> {
    field(bytes, table, index)?.map_or(Some(default), |at| read_u32(bytes, at))
}

/// A table's number of one byte.
pub(super) fn byte(bytes: &[u8], table: usize, index: usize) -> Option<u8> {
    field(bytes, table, index)?.map_or(Some(0), |at| bytes.get(at).copied())
}

/// The content of a table's text or vector of bytes; nothing if the field is absent.
pub(super) fn content(bytes: &[u8], table: usize, index: usize) -> Option<&[u8]> {
    let Some(at) = field(bytes, table, index)? else { return Some(&[]) };
    let vector = follow(bytes, at)?;
    bytes.get(vector + 4..(vector + 4).checked_add(read_u32(bytes, vector)? as usize)?)
}
