//! Scaling packed RGB: a part of a picture to any size for the detector, whole blocks to their mean for a face's crop.
//!
//! Of our own because every frame pays for it: the detector's picture takes a quarter of the instructions that a general
//! crate took on a Cortex-A53, and the lines kept between its two passes hold what the camera saw, so they are wiped.

use image::RgbImage;

use crate::host::wipe::wipe;

/// A part of a picture: left, top, width and height in its pixels.
pub type Part = (u32, u32, u32, u32);

/// Values of a line are blended in registers of this many; a multiple of any vector's length.
const LANES: usize = 64;
/// Rows that are made at once. Columns are then blended side by side in vectors, and a vector unit of Arm's takes four
/// rows apart and puts them together while it loads and stores.
const ROWS: usize = 4;
/// What the weights of rows and of columns add up to. A blended row stays within sixteen bits, a pixel within thirty-two.
const ROW_ONE: u16 = 1 << 8;
const COLUMN_ONE: u16 = 1 << 15;
const SHIFT: u32 = 8 + 15;

/// Which positions of one axis each output position is made of, and their weights.
#[derive(Debug, Default)]
struct Taps {
    sides: (u32, u32),
    /// Positions that each output has a weight for.
    count: usize,
    first: Vec<usize>,
    /// `count` for each output; they add up to the same sum everywhere.
    weights: Vec<u16>,
}

impl Taps {
    /// Bilinear interpolation where the axis grows; where it shrinks, the triangle is as wide as the shrinking, so that
    /// every position counts and stripes do not alias.
    fn set(&mut self, from: u32, to: u32, one: u16) {
        if self.sides == (from, to) {
            return;
        }
        self.sides = (from, to);
        let ratio = f64::from(from) / f64::from(to);
        let reach = ratio.max(1.0);
        self.count = ((reach * 2.0).ceil() as usize).min(from as usize);
        self.first.clear();
        self.weights.clear();
        let last_first = from as usize - self.count;
        for position in 0..to {
            let center = (f64::from(position) + 0.5) * ratio;
            let first = ((center - reach - 0.5).ceil().max(0.0) as usize).min(last_first);
            let weight = |tap: usize| {
                let distance = ((first + tap) as f64 + 0.5 - center).abs() / reach;
                (1.0 - distance).max(0.0)
            };
            let sum: f64 = (0..self.count).map(weight).sum();
            // Rounded where the weights so far add up to, not each for itself: a plain surface must not become darker or
            // brighter, however many weights there are.
            let mut so_far = 0.0;
            let mut before = 0;
            for tap in 0..self.count {
                so_far += weight(tap) / sum;
                let now = (so_far * f64::from(one)).round() as u16;
                self.weights.push(now - before);
                before = now;
            }
            self.first.push(first);
        }
    }
}

/// The same value of [`ROWS`] rows.
type Side<T> = [T; ROWS];

/// Scales parts of pictures, and keeps its tables and its lines for the next.
#[derive(Debug, Default)]
pub struct Scaler {
    rows: Taps,
    columns: Taps,
    lines: Side<Vec<u16>>,
    sides: Vec<Side<u16>>,
    scaled: Vec<Side<u8>>,
    done: Side<Vec<u8>>,
}

impl Scaler {
    /// Scales a part of a picture into a part of packed RGB pixels, `stride` bytes from row to row.
    ///
    /// # Panics
    /// If one part reaches out of its picture, or is empty.
    pub fn scale(&mut self, picture: &RgbImage, from: Part, pixels: &mut [u8], stride: usize, to: Part) {
        let (left, top, width, height) = from;
        assert!(
            left + width <= picture.width() && top + height <= picture.height(),
            "the part lies within the picture"
        );
        self.rows.set(height, to.3, ROW_ONE);
        self.columns.set(width, to.2, COLUMN_ONE);
        let Self { rows, columns, lines, sides, scaled, done } = self;
        let (whole, used) = (picture.width() as usize * 3, width as usize * 3);
        lines.iter_mut().for_each(|line| line.resize(used, 0));
        sides.resize(used, Side::default());
        scaled.resize(to.2 as usize * 3, Side::default());
        done.iter_mut().for_each(|row| row.resize(scaled.len(), 0));
        let source = &picture.as_raw()[top as usize * whole + left as usize * 3..];
        let mut targets = pixels.chunks_mut(stride).skip(to.1 as usize).take(to.3 as usize);
        for (firsts, weights) in rows.first.chunks(ROWS).zip(rows.weights.chunks(rows.count * ROWS)) {
            let weights = weights.chunks_exact(rows.count);
            for ((line, first), weights) in lines.iter_mut().zip(firsts).zip(weights) {
                blend_rows(&source[first * whole..], whole, weights, line);
            }
            put_together(lines, sides);
            blend_columns(sides, columns, scaled);
            take_apart(scaled, done);
            for (row, done) in targets.by_ref().take(firsts.len()).zip(&*done) {
                row[to.0 as usize * 3..][..done.len()].copy_from_slice(done);
            }
        }
        lines.iter_mut().for_each(|line| wipe(bytemuck::cast_slice_mut(line)));
        wipe(bytemuck::cast_slice_mut(sides));
        wipe(bytemuck::cast_slice_mut(scaled));
        done.iter_mut().for_each(|row| wipe(row));
    }
}

/// The values of all lines, side by side.
fn put_together([a, b, c, d]: &Side<Vec<u16>>, sides: &mut [Side<u16>]) {
    for ((((side, a), b), c), d) in sides.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *side = [*a, *b, *c, *d];
    }
}

/// What [`put_together`] has put together, of pixels.
fn take_apart(sides: &[Side<u8>], [a, b, c, d]: &mut Side<Vec<u8>>) {
    for ((((side, a), b), c), d) in sides.iter().zip(a).zip(b).zip(c).zip(d) {
        [*a, *b, *c, *d] = *side;
    }
}

/// The weighted sum of as many rows as there are weights, `stride` apart.
fn blend_rows(rows: &[u8], stride: usize, weights: &[u16], line: &mut [u16]) {
    let add = |sums: &mut [u16], values: &[u8], weight: u16| {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += u16::from(*value) * weight;
        }
    };
    let (blocks, rest) = line.as_chunks_mut::<LANES>();
    let start_of_rest = blocks.len() * LANES;
    for (index, block) in blocks.iter_mut().enumerate() {
        let mut sums = [0; LANES];
        for (row, weight) in weights.iter().enumerate() {
            let start = row * stride + index * LANES;
            add(&mut sums, &rows[start..start + LANES], *weight);
        }
        *block = sums;
    }
    rest.fill(0);
    for (row, weight) in weights.iter().enumerate() {
        let start = row * stride + start_of_rest;
        add(rest, &rows[start..start + rest.len()], *weight);
    }
}

/// The pixels of all rows, from their blended lines.
fn blend_columns(sides: &[Side<u16>], columns: &Taps, scaled: &mut [Side<u8>]) {
    let (pixels, _) = scaled.as_flattened_mut().as_chunks_mut::<{ 3 * ROWS }>();
    let (sides, _) = sides.as_flattened().as_chunks::<{ 3 * ROWS }>();
    let weights = columns.weights.chunks_exact(columns.count);
    for ((pixel, first), weights) in pixels.iter_mut().zip(&columns.first).zip(weights) {
        let mut sums = [1 << (SHIFT - 1); 3 * ROWS];
        for (weight, values) in weights.iter().zip(&sides[*first..*first + columns.count]) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += u32::from(*value) * u32::from(*weight);
            }
        }
        for (value, sum) in pixel.iter_mut().zip(sums) {
            *value = (sum >> SHIFT) as u8;
        }
    }
}

/// Averages whole blocks of pixels, and keeps its memory for the next.
#[derive(Debug, Default)]
pub struct Blocks {
    sums: Vec<u32>,
    means: Vec<u8>,
}

impl Blocks {
    /// The mean of each block of a part of a picture, packed RGB of `columns` × `rows`: first along columns and then
    /// along rows, each rounded.
    ///
    /// # Panics
    /// If the part reaches out of the picture, or has fewer pixels than blocks along an axis.
    pub fn average(&mut self, picture: &RgbImage, from: Part, (columns, rows): (u32, u32)) -> &[u8] {
        let (left, top, width, height) = from;
        assert!(
            left + width <= picture.width() && top + height <= picture.height(),
            "the part lies within the picture"
        );
        let (across, down) = ((width / columns) as usize, (height / rows) as usize);
        let (along, upright) = (Mean::of(across), Mean::of(down));
        let used = columns as usize * across * 3;
        let Self { sums, means } = self;
        means.clear();
        sums.resize(used, 0);
        for block in 0..rows as usize {
            sums.fill(0);
            for row in 0..down {
                let start =
                    ((top as usize + block * down + row) * picture.width() as usize + left as usize) * 3;
                for (sum, value) in sums.iter_mut().zip(&picture.as_raw()[start..start + used]) {
                    *sum += u32::from(*value);
                }
            }
            for block in sums.chunks_exact(across * 3) {
                let (pixels, _) = block.as_chunks::<3>();
                for channel in 0..3 {
                    let sum = pixels.iter().map(|pixel| u32::from(upright.round(pixel[channel]))).sum();
                    means.push(along.round(sum));
                }
            }
        }
        wipe(bytemuck::cast_slice_mut(sums));
        means
    }

    /// Overwrites the means with black.
    pub fn wipe(&mut self) {
        wipe(&mut self.means);
    }
}

/// Division by a number of values, as a multiplication and a shift.
struct Mean {
    weight: u64,
    bits: u32,
}

impl Mean {
    fn of(count: usize) -> Self {
        let count = count as f64;
        let bits = (15..48)
            .find(|bits| ((1_u64 << (bits + 1)) as f64 / count).round() >= 32768.0)
            .expect("a face is smaller");
        Self { weight: ((1_u64 << bits) as f64 / count).round() as u64, bits }
    }

    fn round(&self, sum: u32) -> u8 {
        ((u64::from(sum) * self.weight + (1 << (self.bits - 1))) >> self.bits).min(255) as u8
    }
}

#[cfg(test)]
#[path = "scale_tests.rs"]
mod tests;
