//! Resizing and turning pictures for the networks: letterboxes for detectors, aligned squares for faces.
//!
//! Both reuse their buffers, so that a running daemon allocates nothing here.

use image::RgbImage;

use super::scale::{Blocks, Part, Scaler};
use crate::host::wipe::wipe;
use emotiond_core::geometry::{Face, Point, Rect};

/// Fits a whole picture into a network's input, keeping its aspect ratio, with black bars on two sides.
#[derive(Debug)]
pub struct Letterbox {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    filled: Option<(u32, u32)>,
    scaler: Scaler,
}

/// Where a picture lies in its letterbox.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Left and top edge of the picture in the letterbox.
    pub offset: Point,
    /// Letterbox pixels a picture pixel, horizontally and vertically (they differ by rounding alone).
    pub scale: Point,
}

impl Fit {
    /// Where a picture comes to lie in a letterbox: centred, as large as fits, in whole pixels.
    #[must_use]
    pub fn new(picture: (u32, u32), letterbox: (u32, u32)) -> (Self, (u32, u32)) {
        let (width, height) = (f64::from(picture.0.max(1)), f64::from(picture.1.max(1)));
        let scale = (f64::from(letterbox.0) / width).min(f64::from(letterbox.1) / height);
        let fitted = |side: f64, limit: u32| ((side * scale).round() as u32).clamp(1, limit);
        let size = (fitted(width, letterbox.0), fitted(height, letterbox.1));
        let offset = Point { x: ((letterbox.0 - size.0) / 2) as f32, y: ((letterbox.1 - size.1) / 2) as f32 };
        let scale = Point { x: (f64::from(size.0) / width) as f32, y: (f64::from(size.1) / height) as f32 };
        (Self { offset, scale }, size)
    }

    /// From the letterbox to the picture.
    fn to_picture(self, point: Point) -> Point {
        Point { x: (point.x - self.offset.x) / self.scale.x, y: (point.y - self.offset.y) / self.scale.y }
    }

    /// A face in the letterbox as one in the picture.
    #[must_use]
    pub fn face_to_picture(&self, face: &Face) -> Face {
        let Rect { x, y, width, height } = face.bounds;
        let Point { x: left, y: top } = self.to_picture(Point { x, y });
        Face {
            bounds: Rect { x: left, y: top, width: width / self.scale.x, height: height / self.scale.y },
            score: face.score,
            keypoints: face.keypoints.map(|point| self.to_picture(point)),
        }
    }
}

impl Letterbox {
    /// A letterbox of a network's input size.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let pixels = vec![0; width as usize * height as usize * 3];
        Self { width, height, pixels, filled: None, scaler: Scaler::default() }
    }

    /// Fits a picture in; [`Letterbox::pixels`] then holds it.
    pub fn fit(&mut self, picture: &RgbImage) -> Fit {
        self.fit_part(picture, (0, 0, picture.width(), picture.height()))
    }

    /// Fits a part of a picture in.
    ///
    /// # Panics
    /// If the part reaches out of the picture.
    pub fn fit_part(&mut self, picture: &RgbImage, (left, top, width, height): Part) -> Fit {
        let (mut fit, size) = Fit::new((width, height), (self.width, self.height));
        if self.filled != Some(size) {
            self.pixels.fill(0);
            self.filled = Some(size);
        }
        if width == 0 || height == 0 {
            return fit;
        }
        let target = (fit.offset.x as u32, fit.offset.y as u32, size.0, size.1);
        let stride = self.width as usize * 3;
        self.scaler.scale(picture, (left, top, width, height), &mut self.pixels, stride, target);
        // From the part to the picture.
        fit.offset.x -= left as f32 * fit.scale.x;
        fit.offset.y -= top as f32 * fit.scale.y;
        fit
    }

    /// The letterbox: packed RGB.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Overwrites it with black.
    pub fn wipe(&mut self) {
        wipe(&mut self.pixels);
    }
}

/// A turned square in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// Its centre in picture coordinates (the centre of the top left pixel is at 0.5, 0.5).
    pub center: Point,
    /// Its side in pixels, above 0.
    pub side: f32,
    /// Radians from the picture's x axis to the square's (clockwise as seen, since y points down).
    pub angle: f32,
}

/// Cuts turned squares out of pictures.
///
/// When it shrinks, it averages over the area of each output pixel; when it enlarges, it interpolates bilinearly.
/// Outside the picture the nearest pixel of its edge is repeated.
#[derive(Debug, Default)]
pub struct Cropper {
    blocks: Blocks,
}

/// Packed RGB pixels with the map from picture coordinates to theirs.
struct Patch<'a> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
    origin: Point,
    scale: f32,
}

impl Cropper {
    /// Fills `out`, packed RGB of `width` × `height`, with a square of a picture, or with what a mirror shows of it.
    ///
    /// # Panics
    /// If `out` has another size, or the picture is empty.
    pub fn crop(
        &mut self,
        picture: &RgbImage,
        square: &Square,
        (width, height): (u32, u32),
        mirrored: bool,
        out: &mut [u8],
    ) {
        assert_eq!(out.len(), width as usize * height as usize * 3, "the crop is packed RGB of its size");
        assert!(picture.width() > 0 && picture.height() > 0, "a picture has pixels");
        let ratio = square.side / width.min(height) as f32;
        // First whole blocks of pixels are averaged (vectorized, exact), which leaves at most three source pixels an
        // output pixel. A bilinear sample reaches over two pixels, so at steps of up to one and a half every source
        // pixel still counts, and four samples where one does would be most of the cost of a face's crop.
        let factor = ((ratio / 2.0).round() as u32).max(1);
        let patch = if factor > 1 {
            self.shrink(picture, square, factor)
        } else {
            Patch {
                pixels: picture.as_raw(),
                width: picture.width() as usize,
                height: picture.height() as usize,
                origin: Point::default(),
                scale: 1.0,
            }
        };
        match ratio / factor as f32 {
            left if left <= 1.5 => sample::<1>(&patch, square, width as usize, mirrored, out),
            _ => sample::<2>(&patch, square, width as usize, mirrored, out),
        }
        self.blocks.wipe();
    }

    /// The region around a square, in blocks of `factor` × `factor` pixels.
    fn shrink(&mut self, picture: &RgbImage, square: &Square, factor: u32) -> Patch<'_> {
        let (sin, cos) = square.angle.sin_cos();
        let reach = square.side / 2.0 * (sin.abs() + cos.abs()) + 2.0 * factor as f32;
        let span = |center: f32, side: u32| {
            let last = (side - 1) as f32;
            let low = (center - reach).floor().clamp(0.0, last) as u32;
            let high = (center + reach).ceil().clamp(0.0, last) as u32;
            let blocks = ((high - low + 1) / factor).max(1);
            (low, blocks, (blocks * factor).min(side - low))
        };
        let (left, width, region_width) = span(square.center.x, picture.width());
        let (top, height, region_height) = span(square.center.y, picture.height());
        let pixels = self.blocks.average(picture, (left, top, region_width, region_height), (width, height));
        Patch {
            pixels,
            width: width as usize,
            height: height as usize,
            origin: Point { x: left as f32, y: top as f32 },
            scale: 1.0 / factor as f32,
        }
    }
}

/// Fractional bits of a sampling position; positions stay below 2^19 pixels.
const BITS: u32 = 12;
const ONE: i32 = 1 << BITS;

/// Samples a square with `N` × `N` bilinear samples an output pixel.
fn sample<const N: usize>(patch: &Patch, square: &Square, width: usize, mirrored: bool, out: &mut [u8]) {
    let (sin, cos) = square.angle.sin_cos();
    let (rows, _) = out.as_chunks_mut::<3>();
    let height = rows.len() / width;
    let step_x = square.side / (width as f32 * N as f32);
    let step_y = square.side / (height as f32 * N as f32);
    let fixed = |value: f32| (value * ONE as f32).round() as i32;
    // One sample to the right and one down, in the patch.
    let right = (fixed(cos * step_x * patch.scale), fixed(sin * step_x * patch.scale));
    let (last_x, last_y) = (patch.width as i32 - 1, patch.height as i32 - 1);
    // Whether the four pixels around a position all exist.
    let inside = |(x, y): (i32, i32)| (0..last_x << BITS).contains(&x) && (0..last_y << BITS).contains(&y);
    // From the first sample of a row to its last.
    let across = (width as i32 * N as i32 - 1)
        .checked_mul(right.0)
        .zip((width as i32 * N as i32 - 1).checked_mul(right.1));
    for (y, row) in rows.chunks_exact_mut(width).enumerate() {
        let mut starts = [(0, 0); N];
        for (n, start) in starts.iter_mut().enumerate() {
            // The first sample of the row: half a step inside the square's left edge.
            let along = step_x / 2.0 - square.side / 2.0;
            let down = ((y * N + n) as f32 + 0.5) * step_y - square.side / 2.0;
            let x = square.center.x + cos * along - sin * down;
            let y = square.center.y + sin * along + cos * down;
            // Minus a half: from the coordinates of the plane to the index of the pixel whose centre lies there.
            *start = (
                fixed((x - patch.origin.x) * patch.scale - 0.5),
                fixed((y - patch.origin.y) * patch.scale - 0.5),
            );
        }
        // Samples lie on a line: if both of its ends are inside, all of it is.
        let whole = across.is_some_and(|(x, y)| {
            starts
                .iter()
                .all(|&start| inside(start) && inside((start.0.saturating_add(x), start.1.saturating_add(y))))
        });
        let done = match (whole, mirrored) {
            (false, _) => 0,
            (true, false) => sample_inside(patch, starts, right, row.iter_mut()),
            (true, true) => sample_inside(patch, starts, right, row.iter_mut().rev()),
        };
        for (x, y) in &mut starts {
            *x += right.0 * (done * N) as i32;
            *y += right.1 * (done * N) as i32;
        }
        for index in done..width {
            let mut sums = half::<N>();
            for (x, y) in &mut starts {
                for _ in 0..N {
                    add_bilinear(
                        patch,
                        (*x).clamp(0, last_x << BITS),
                        (*y).clamp(0, last_y << BITS),
                        &mut sums,
                    );
                    *x += right.0;
                    *y += right.1;
                }
            }
            row[if mirrored { width - 1 - index } else { index }] = mean::<N>(sums);
        }
    }
}

/// Half a unit of the mean of `N` × `N` samples, for rounding.
fn half<const N: usize>() -> [u32; 3] {
    [((N * N) as u32) << 15; 3]
}

fn mean<const N: usize>(sums: [u32; 3]) -> [u8; 3] {
    sums.map(|sum| (sum / (((N * N) as u32) << 16)) as u8)
}

/// Fills the pixels of a row whose samples all have four pixels around them, in less than half of the instructions that
/// clamping takes. Returns how many: eight bytes are read for two pixels, which the last two of a patch are not.
#[inline(never)]
fn sample_inside<'a, const N: usize>(
    patch: &Patch,
    starts: [(i32, i32); N],
    right: (i32, i32),
    pixels: impl Iterator<Item = &'a mut [u8; 3]>,
) -> usize {
    // Both coordinates in one number, since neither is below 0 anywhere.
    let packed = |(x, y): (i32, i32)| (i64::from(y) << 32).wrapping_add(i64::from(x)) as u64;
    let (mut positions, step) = (starts.map(packed), packed(right));
    let mut done = 0;
    for pixel in pixels {
        let mut sums = [0; 3];
        for position in &mut positions {
            for _ in 0..N {
                if !add_inside(patch, *position, &mut sums) {
                    return done;
                }
                *position = position.wrapping_add(step);
            }
        }
        *pixel = mean::<N>(sums);
        done += 1;
    }
    done
}

/// What [`add_bilinear`] does, at a position whose four pixels exist (y in the upper half), and half a unit for rounding.
/// False: they are the patch's last.
#[inline(always)]
fn add_inside(patch: &Patch, position: u64, sums: &mut [u32; 3]) -> bool {
    let width = patch.width as u32;
    let (left, top) = ((position as u32) >> BITS, (position >> (32 + BITS)) as u32);
    let stride = (width * 3) as usize;
    let start = ((top * width + left) * 3) as usize;
    let Some(pixels) = patch.pixels.get(start..start + stride + 8) else { return false };
    let two = |at: usize| pixels[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (Some(upper), Some(lower)) = (two(0), two(stride)) else { return false };
    let (fx, fy) = (position >> (BITS - 8) & 0xff, position >> (32 + BITS - 8) & 0xff);
    // Downwards first, four bytes at a time: each has sixteen bits, of which it takes no more than 255 × 256.
    // 128 more, which the weights across, 256 in all, make the half.
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    const HALF: u64 = 0x0080_0080_0080_0080;
    let even = HALF + (upper & EVEN) * (256 - fy) + (lower & EVEN) * fy;
    let odd = HALF + (upper >> 8 & EVEN) * (256 - fy) + (lower >> 8 & EVEN) * fy;
    // In the order of the bytes: even 0, odd 0, even 1 on the left; odd 1, even 2, odd 2 on the right.
    let lane = |lanes: u64, index: u32| (lanes >> (16 * index)) as u32 & 0xffff;
    let (near, far) = (256 - fx as u32, fx as u32);
    let [red, green, blue] = sums;
    *red += lane(even, 0) * near + lane(odd, 1) * far;
    *green += lane(odd, 0) * near + lane(even, 2) * far;
    *blue += lane(even, 1) * near + lane(odd, 2) * far;
    true
}

/// Adds the value at a position, in units of 2^-16, to a sum a channel.
fn add_bilinear(patch: &Patch, x: i32, y: i32, sums: &mut [u32; 3]) {
    let (left, top) = ((x >> BITS) as usize, (y >> BITS) as usize);
    // Eight bits of each fraction, so that the product of two weights has sixteen.
    let (fx, fy) = ((x & (ONE - 1)) as u32 >> (BITS - 8), (y & (ONE - 1)) as u32 >> (BITS - 8));
    let right = (left + 1).min(patch.width - 1);
    let bottom = (top + 1).min(patch.height - 1);
    let at = |column: usize, row: usize| {
        let start = (row * patch.width + column) * 3;
        &patch.pixels[start..start + 3]
    };
    let (tl, tr, bl, br) = (at(left, top), at(right, top), at(left, bottom), at(right, bottom));
    for channel in 0..3 {
        let upper = u32::from(tl[channel]) * (256 - fx) + u32::from(tr[channel]) * fx;
        let lower = u32::from(bl[channel]) * (256 - fx) + u32::from(br[channel]) * fx;
        sums[channel] += upper * (256 - fy) + lower * fy;
    }
}

#[cfg(test)]
#[path = "warp_tests.rs"]
mod tests;
