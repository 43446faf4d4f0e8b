//! The format of a segment file: a header, then records, then zeros up to the file's full size.
//!
//! ```text
//! segment  = "emotiond queue 1"  record*  zero*
//! record   = magic u32 | crc32 u32 | kind u16 | topic bytes u16 | body bytes u32 | key u64 | topic | body | zeros to a
//!            multiple of 8                                                (all numbers little-endian)
//! summary  = kind 1: key, topic, body
//! removal  = kind 2: no topic; the body is pairs of u64, each a range of keys from the first to before the second
//! ```
//!
//! The CRC-32 covers everything after itself, so that neither a record cut by a power failure nor a flipped bit becomes
//! a summary. A reader that meets something else looks for the next intact record at the next multiple of 8: damage costs
//! the records that it hits. A key above [`GREATEST_KEY`] is damage too.

use std::ops::Range;

/// The size of a segment file in bytes; a record that is larger gets a file of its own.
pub(super) const SIZE: usize = 256 * 1024;
/// The most bytes of a file that is read: more than the largest message takes, with the longest topic.
pub(super) const LARGEST: u64 = 1024 * 1024;
/// The greatest key of a summary: what comes after it never overflows. A summary a second takes 290 billion years to it.
pub(super) const GREATEST_KEY: u64 = u64::MAX >> 1;
/// The first bytes of every segment file. The digit is the version of the format.
pub(super) const HEADER: &[u8; 16] = b"emotiond queue 1";

const MAGIC: [u8; 4] = *b"Emq\x01";
const RECORD_HEADER: usize = 24;
const ALIGNMENT: usize = 8;
const SUMMARY: u16 = 1;
const REMOVAL: u16 = 2;

/// A record as it lies in a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Record<'a> {
    /// A summary under its key.
    Summary { key: u64, topic: &'a str, body: &'a str },
    /// These keys are no longer needed.
    Removal(Vec<Range<u64>>),
}

impl Record<'_> {
    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(MAGIC);
        out.extend([0; 4]); // the check sum, once the rest is there
        match self {
            Self::Summary { key, topic, body } => {
                let topic_length = u16::try_from(topic.len()).expect("a topic has at most 65535 bytes");
                fields(out, SUMMARY, topic_length, body.len(), *key);
                out.extend(topic.as_bytes());
                out.extend(body.as_bytes());
            }
            Self::Removal(ranges) => {
                fields(out, REMOVAL, 0, ranges.len() * 16, 0);
                out.extend(
                    ranges.iter().flat_map(|range| [range.start, range.end]).flat_map(u64::to_le_bytes),
                );
            }
        }
        finish(out, start);
    }
}

/// A record that says nothing and is as long as a summary with this topic and this body, for the place of one.
pub(super) fn nothing(topic: &str, body: &str) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([0; 4]);
    let payload = topic.len() + body.len();
    fields(&mut out, REMOVAL, 0, payload, 0);
    out.resize(out.len() + payload, 0);
    finish(&mut out, 0);
    out
}

/// Puts in the check sum of the record from `start` to the end, and the zeros behind it.
fn finish(out: &mut Vec<u8>, start: usize) {
    let sum = crc32fast::hash(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
}

fn fields(out: &mut Vec<u8>, kind: u16, topic: u16, body: usize, key: u64) {
    let body = u32::try_from(body).expect("messages are bounded far below 4 GiB");
    out.extend(kind.to_le_bytes());
    out.extend(topic.to_le_bytes());
    out.extend(body.to_le_bytes());
    out.extend(key.to_le_bytes());
}

/// The intact record at `at`, and where the next begins.
fn decode(bytes: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let header = bytes.get(at..at + RECORD_HEADER)?;
    if header[..4] != MAGIC {
        return None;
    }
    let number = |range: Range<usize>| {
        header[range].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (topic, body) = (number(10..12) as usize, number(12..16) as usize);
    let payload = at + RECORD_HEADER;
    let end = payload + topic + body;
    let sum = crc32fast::hash(bytes.get(at + 8..end)?);
    if u64::from(sum) != number(4..8) {
        return None;
    }
    let (topic, body) = (&bytes[payload..payload + topic], &bytes[payload + topic..end]);
    let record = match number(8..10) as u16 {
        SUMMARY => Record::Summary {
            key: Some(number(16..24)).filter(|key| *key <= GREATEST_KEY)?,
            topic: str::from_utf8(topic).ok()?,
            body: str::from_utf8(body).ok()?,
        },
        REMOVAL => {
            let numbers: Vec<u64> = body
                .chunks_exact(8)
                .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("chunks of 8")))
                .collect();
            Record::Removal(numbers.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect())
        }
        _ => return None,
    };
    Some((record, at + (end - at).next_multiple_of(ALIGNMENT)))
}

/// Gives every record that could be one the check sum that makes it one: what is tried on random bytes would else end
/// there.
#[cfg(any(test, feature = "harness"))]
pub(super) fn repair(bytes: &mut [u8]) {
    for at in (HEADER.len()..bytes.len()).step_by(ALIGNMENT) {
        let Some(header) = bytes.get(at..at + RECORD_HEADER).filter(|header| header[..4] == MAGIC) else {
            continue;
        };
        let length = |from: usize, to: usize| {
            header[from..to].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        let end = at + RECORD_HEADER + length(10, 12) + length(12, 16);
        if let Some(rest) = bytes.get(at + 8..end) {
            let sum = crc32fast::hash(rest).to_le_bytes();
            bytes[at + 4..at + 8].copy_from_slice(&sum);
        }
    }
}

/// The intact records of a segment, oldest first.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    /// Where the last intact record ends: the place for the next one.
    pub end: usize,
    /// How many damaged places lay before an intact record.
    pub damaged: usize,
}

impl<'a> Records<'a> {
    /// The records of a file with these bytes; `None` if it is not a segment of this version.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        bytes.starts_with(HEADER).then_some(Self { bytes, end: HEADER.len(), damaged: 0 })
    }

    /// What follows the last intact record: zeros, unless a write was cut off.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.end..).unwrap_or_default()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, end) = decode(self.bytes, self.end).or_else(|| {
            let next = (self.end + ALIGNMENT..self.bytes.len()).step_by(ALIGNMENT);
            let found = next.into_iter().find_map(|at| decode(self.bytes, at))?;
            self.damaged += 1;
            Some(found)
        })?;
        self.end = end;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(bodies: &[String]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = HEADER.to_vec();
        let mut ends = Vec::new();
        for (key, body) in bodies.iter().enumerate() {
            Record::Summary { key: key as u64, topic: "emotiond/hall/summary", body }.encode(&mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn bodies(bytes: &[u8]) -> (Vec<(u64, String)>, usize) {
        let mut records = Records::of(bytes).unwrap();
        let summaries = records.by_ref().map(|record| match record {
            Record::Summary { key, topic: "emotiond/hall/summary", body } => (key, body.to_owned()),
            other => panic!("{other:?}"),
        });
        (summaries.collect(), records.damaged)
    }

    #[test]
    fn another_file_is_not_a_segment() {
        assert!(Records::of(b"").is_none() && Records::of(&[0xa5; 1000]).is_none());
        assert!(Records::of(b"emotiond queue 2 and more").is_none());
    }

    #[test]
    fn removals_come_back() {
        let mut bytes = HEADER.to_vec();
        let removal = Record::Removal(vec![3..7, 9..10]);
        removal.encode(&mut bytes);
        Record::Removal(Vec::new()).encode(&mut bytes);
        bytes.resize(SIZE, 0);
        let mut records = Records::of(&bytes).unwrap();
        assert_eq!(records.next(), Some(removal));
        assert_eq!(records.next(), Some(Record::Removal(Vec::new())));
        assert_eq!((records.next(), records.damaged), (None, 0));
        assert!(records.rest().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_stands_in_the_place_of_a_summary_says_nothing_and_is_as_long() {
        for body in ["", "{}", "{\"sequence\":12345678}"] {
            let mut bytes = HEADER.to_vec();
            Record::Summary { key: 7, topic: "emotiond/hall/summary", body }.encode(&mut bytes);
            let end = bytes.len();
            Record::Summary { key: 8, topic: "t", body: "{}" }.encode(&mut bytes);
            let nothing = nothing("emotiond/hall/summary", body);
            assert_eq!(nothing.len(), end - HEADER.len());
            bytes[HEADER.len()..end].copy_from_slice(&nothing);
            let mut records = Records::of(&bytes).unwrap();
            let Some(Record::Removal(ranges)) = records.next() else { panic!("{body}") };
            assert!(ranges.iter().all(Range::is_empty));
            assert_eq!(records.next(), Some(Record::Summary { key: 8, topic: "t", body: "{}" }));
            assert_eq!((records.next(), records.damaged), (None, 0));
        }
    }

    #[test]
    fn a_key_after_which_none_can_follow_is_damage() {
        let mut bytes = HEADER.to_vec();
        for key in [GREATEST_KEY, GREATEST_KEY + 1, u64::MAX, 3] {
            Record::Summary { key, topic: "t", body: "{}" }.encode(&mut bytes);
        }
        let mut records = Records::of(&bytes).unwrap();
        let keys: Vec<_> = records
            .by_ref()
            .map(|record| match record {
                Record::Summary { key, .. } => key,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((keys, records.damaged), (vec![GREATEST_KEY, 3], 1));
    }

    proptest! {
        /// A power failure: the last record is there in part, or something else is in its place.
        #[test]
        fn a_torn_record_costs_itself_alone(
            texts in prop::collection::vec("[a-z{}\":0-9 é]{0,200}", 1..20),
            cut in any::<prop::sample::Index>(),
            garbage in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let (mut bytes, ends) = file(&texts);
            let last = ends.len().checked_sub(2).map_or(HEADER.len(), |at| ends[at]);
            // Up to before the last byte that counts: what follows it is padding.
            let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() - last;
            bytes.truncate(last + cut.index(length));
            bytes.extend(garbage);
            bytes.resize(SIZE, 0);
            let expected: Vec<_> = (0..).zip(texts.iter().cloned()).take(texts.len() - 1).collect();
            prop_assert_eq!(bodies(&bytes), (expected, 0));
        }

        #[test]
        fn flipped_bits_cost_the_records_they_hit(
            texts in prop::collection::vec("[a-z]{0,100}", 2..20),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..255_u8), 1..4),
        ) {
            let (mut bytes, ends) = file(&texts);
            let whole = bytes.len() - HEADER.len();
            let mut hit = std::collections::BTreeSet::new();
            for (at, bits) in flips {
                let at = HEADER.len() + at.index(whole);
                bytes[at] ^= bits;
                hit.insert(ends.iter().position(|end| at < *end).unwrap());
            }
            let (read, _) = bodies(&bytes);
            for (key, body) in &read {
                prop_assert_eq!(body, &texts[*key as usize]);
            }
            prop_assert!(read.len() >= texts.len() - hit.len());
        }
    }
}
