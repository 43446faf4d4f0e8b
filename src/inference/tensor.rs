//! Between pixels or scores and what a tensor holds.

use zeroize::Zeroize as _;

use super::manifest::{Color, NetworkInput};
use crate::host::wipe::wipe;

/// The affine quantization of an 8-bit tensor: `real = scale * (stored - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Real value of one step, above 0.
    pub scale: f32,
    /// The stored value of real 0.
    pub zero_point: i32,
}

impl Quantization {
    /// The stored value nearest to a real one, within the bounds of `int8`.
    #[must_use]
    pub fn to_i8(self, real: f32) -> i8 {
        self.stored(real).clamp(-128.0, 127.0) as i8
    }

    /// The stored value nearest to a real one, within the bounds of `uint8`.
    fn to_u8(self, real: f32) -> u8 {
        self.stored(real).clamp(0.0, 255.0) as u8
    }

    /// The real value of a stored one.
    #[must_use]
    pub fn to_real(self, stored: i32) -> f32 {
        self.scale * (stored - self.zero_point) as f32
    }

    /// Halves go away from zero, as TensorFlow Lite's QUANTIZE does.
    fn stored(self, real: f32) -> f32 {
        (real / self.scale).round() + self.zero_point as f32
    }
}

/// The type of a tensor's elements, with its quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// 32-bit floats.
    Float32,
    /// Signed bytes.
    Int8(Quantization),
    /// Unsigned bytes.
    UInt8(Quantization),
}

/// Turns RGB pixels into the elements of an input tensor: one table lookup a channel.
#[derive(Debug)]
pub(super) enum InputWriter {
    /// For `float32`.
    Float { color: Color, tables: Tables<f32>, elements: Vec<f32> },
    /// For `int8` and `uint8`; signed values by their bit pattern.
    Byte { color: Color, tables: Tables<u8>, elements: Vec<u8> },
    /// For a network that takes packed RGB as it is: every element differs from its pixel in the same bits, none in
    /// `uint8` and the sign in `int8`. Without a lookup, many are filled at once.
    Flipped { bits: u8, elements: Vec<u8> },
    /// Of a network that takes no picture.
    Values { elements: Vec<f32> },
}

/// The element that each of the 256 pixel values becomes, per channel in the tensor's order.
type Tables<T> = Vec<[T; 256]>;

impl InputWriter {
    pub(super) fn new(input: &NetworkInput, element: Element) -> Self {
        let color = input.color;
        let length = input.width as usize * input.height as usize * color.channels();
        match element {
            Element::Float32 => {
                Self::Float { color, tables: tables(input, |real| real), elements: vec![0.0; length] }
            }
            Element::Int8(q) => {
                Self::byte(color, tables(input, |real| q.to_i8(real).cast_unsigned()), length)
            }
            Element::UInt8(q) => Self::byte(color, tables(input, |real| q.to_u8(real)), length),
        }
    }

    fn byte(color: Color, tables: Tables<u8>, length: usize) -> Self {
        let elements = vec![0; length];
        match flipped(&tables).filter(|_| color == Color::Rgb) {
            Some(bits) => Self::Flipped { bits, elements },
            None => Self::Byte { color, tables, elements },
        }
    }

    /// Fills the elements from packed RGB pixels of the input's size.
    pub(super) fn fill(&mut self, rgb: &[u8]) {
        match self {
            Self::Float { color, tables, elements } => fill(*color, tables, rgb, elements),
            Self::Byte { color, tables, elements } => fill(*color, tables, rgb, elements),
            Self::Flipped { bits, elements } => {
                elements.iter_mut().zip(rgb).for_each(|(element, pixel)| *element = pixel ^ *bits);
            }
            Self::Values { .. } => unreachable!("a network that takes no picture is shown none"),
        }
    }
}

impl InputWriter {
    /// Overwrites the elements with zeros.
    pub(super) fn wipe(&mut self) {
        match self {
            Self::Float { elements, .. } | Self::Values { elements } => elements.as_mut_slice().zeroize(),
            Self::Byte { elements, .. } | Self::Flipped { elements, .. } => wipe(elements),
        }
    }
}

fn tables<T: Copy + Default>(input: &NetworkInput, store: impl Fn(f32) -> T) -> Tables<T> {
    let of = |values: &[f32], channel: usize| values[channel.min(values.len() - 1)];
    (0..input.color.channels())
        .map(|channel| {
            let (mean, std) = (of(&input.mean, channel), of(&input.std, channel));
            std::array::from_fn(|pixel| store((pixel as f32 - mean) / std))
        })
        .collect()
}

/// The bits in which every element differs from its pixel, if they are always the same.
fn flipped(tables: &[[u8; 256]]) -> Option<u8> {
    let bits = tables.first()?[0];
    let same = |table: &[u8; 256]| (0..=255).all(|pixel: u8| table[pixel as usize] == pixel ^ bits);
    tables.iter().all(same).then_some(bits)
}

fn fill<T: Copy>(color: Color, tables: &[[T; 256]], rgb: &[u8], elements: &mut [T]) {
    let (pixels, _) = rgb.as_chunks::<3>();
    match (color, tables) {
        (Color::Gray, [table]) => {
            for (element, pixel) in elements.iter_mut().zip(pixels) {
                *element = table[luma(*pixel) as usize];
            }
        }
        (Color::Rgb, [first, second, third]) => {
            let (elements, _) = elements.as_chunks_mut::<3>();
            // Eight pixels at a time, so that counting them costs little beside the lookups.
            let (many, few) = pixels.as_chunks::<8>();
            let (many_elements, few_elements) = elements.as_chunks_mut::<8>();
            let look_up = |element: &mut [T; 3], &[r, g, b]: &[u8; 3]| {
                *element = [first[r as usize], second[g as usize], third[b as usize]];
            };
            for (elements, pixels) in many_elements.iter_mut().zip(many) {
                for (element, pixel) in elements.iter_mut().zip(pixels) {
                    look_up(element, pixel);
                }
            }
            few_elements.iter_mut().zip(few).for_each(|(element, pixel)| look_up(element, pixel));
        }
        (Color::Bgr, [first, second, third]) => {
            let (elements, _) = elements.as_chunks_mut::<3>();
            for (element, &[r, g, b]) in elements.iter_mut().zip(pixels) {
                *element = [first[b as usize], second[g as usize], third[r as usize]];
            }
        }
        _ => unreachable!("there is one table a channel"),
    }
}

/// BT.601 luma in 14-bit fixed point, the rounding that OpenCV's `COLOR_RGB2GRAY` uses.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((4899 * u32::from(r) + 9617 * u32::from(g) + 1868 * u32::from(b) + (1 << 13)) >> 14) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantization_is_within_half_a_step(scale in 1e-4f32..1.0, zero_point in -128i32..=127, stored in -128i32..=127, nudge in -0.49f32..0.49) {
            let q = Quantization { scale, zero_point };
            let real = q.to_real(stored) + nudge * scale;
            prop_assert!((i32::from(q.to_i8(real)) - stored).abs() <= 1);
            prop_assert!((q.to_real(i32::from(q.to_i8(real))) - real).abs() <= scale * 0.51);
        }

        #[test]
        fn out_of_range_values_saturate(real in 1e6f32..1e9) {
            let q = Quantization { scale: 0.01, zero_point: 3 };
            prop_assert_eq!((q.to_i8(real), q.to_i8(-real)), (127, -128));
            prop_assert_eq!((q.to_u8(real), q.to_u8(-real)), (255, 0));
        }

        #[test]
        fn tables_say_what_the_formula_says(rgb in prop::array::uniform3(any::<u8>()), mean in 0f32..255.0, std in 1f32..255.0) {
            let input = NetworkInput { width: 8, height: 8, color: Color::Bgr, mean: vec![mean, 0.0, 1.0], std: vec![std] };
            let mut writer = InputWriter::new(&input, Element::Float32);
            writer.fill(&rgb.repeat(64));
            let InputWriter::Float { elements, .. } = writer else { panic!("expected floats") };
            let [r, g, b] = rgb.map(f32::from);
            prop_assert_eq!(&elements[..3], &[(b - mean) / std, g / std, (r - 1.0) / std]);
            prop_assert_eq!(&elements[189..], &elements[..3]);
        }
    }

    #[test]
    fn pixels_that_are_taken_as_they_are_need_no_table_and_become_what_it_says() {
        let rgb: Vec<u8> = (0..=255).cycle().take(16 * 16 * 3).collect();
        let filled = |mean: f32, std: f32, scale: f32, zero_point: i32| {
            let input =
                NetworkInput { width: 16, height: 16, color: Color::Rgb, mean: vec![mean], std: vec![std] };
            let mut writer = InputWriter::new(&input, Element::Int8(Quantization { scale, zero_point }));
            writer.fill(&rgb);
            let table = tables(&input, |real| Quantization { scale, zero_point }.to_i8(real).cast_unsigned());
            let expected: Vec<u8> = rgb.iter().map(|pixel| table[0][*pixel as usize]).collect();
            match writer {
                InputWriter::Flipped { elements, .. } => (true, elements == expected),
                InputWriter::Byte { elements, .. } => (false, elements == expected),
                InputWriter::Float { .. } | InputWriter::Values { .. } => (false, false),
            }
        };
        assert_eq!(filled(0.0, 1.0, 1.0, -128), (true, true));
        assert_eq!(filled(127.5, 127.5, 1.0 / 127.5, -1), (false, true), "127 and 128 are two steps apart");
    }

    #[test]
    fn luma_is_opencv_s() {
        // cv2.cvtColor(np.uint8([[[r, g, b]]]), cv2.COLOR_RGB2GRAY) gave these.
        for (rgb, expected) in
            [([255, 255, 255], 255), ([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29)]
        {
            assert_eq!(luma(rgb), expected);
        }
    }
}
