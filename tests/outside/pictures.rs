//! The faces that the daemon is shown, and all forms in which their pictures are in its memory.

use std::path::Path;
use std::sync::OnceLock;

use emotiond::capture::frame::decode::decode;
use emotiond::capture::frame::warp::{Cropper, Letterbox};
use emotiond::capture::frame::{Frame, PixelFormat};
use emotiond::inference::manifest::{Manifest, Task};
use emotiond::inference::tensor::Quantization;
use emotiond::vision::detect::{self, FaceDetector as _};
use emotiond::vision::emotion::{EmotionModel as _, Flip, TfliteEmotion, square};
use emotiond_core::geometry::Face;
use image::{RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use tflitec::interpreter::Interpreter;
use tflitec::model::Model;
use tflitec::tensor::DataType;
use zeroize::Zeroizing;

use crate::needles::Needles;

/// Different pictures in the stream.
const PICTURES: u32 = 4;

pub fn models() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
}

/// A folder with the models, networks that read sequences, and the default emotion network with its logits as an
/// embedding: what such networks keep for seconds. Made once.
pub fn models_with_embedding() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let drawn = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sequence"));
        for source in [models(), drawn] {
            for entry in std::fs::read_dir(source).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        let plain = std::fs::read_to_string(models().join("emotiond-mtl.toml")).unwrap();
        let manifest = format!("{plain}\n[embedding]\noutput = 0\n");
        std::fs::write(folder.path().join("embedding.toml"), manifest).unwrap();
        folder
    })
    .path()
}

/// The embeddings of a face, as it is and mirrored.
fn embeddings(needles: &mut Needles, number: usize, picture: &RgbImage, face: &Face) {
    let mut model = TfliteEmotion::load(&models_with_embedding().join("embedding.toml")).unwrap();
    for flip in [Flip::Plain, Flip::Mirrored] {
        model.read(picture, face, flip).unwrap();
        let mut embedding = Zeroizing::default();
        model.take_embedding(&mut embedding);
        assert_eq!(embedding.len(), 8);
        let bytes: Vec<u8> = embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        needles.add_short(&format!("{flip:?} embedding {number}"), &bytes);
    }
}

/// The manifest of the default emotion network.
fn emotion() -> Manifest {
    Manifest::read(&models().join("emotiond-mtl.toml")).unwrap()
}

/// The size of a face as the emotion network takes it, one byte an element.
pub fn crop_bytes() -> usize {
    let input = emotion().input;
    (input.width * input.height * 3) as usize
}

/// The pictures' JPEG files, and the byte runs of the pictures. Made once.
pub fn made() -> &'static (Vec<Vec<u8>>, Needles) {
    static MADE: OnceLock<(Vec<Vec<u8>>, Needles)> = OnceLock::new();
    MADE.get_or_init(|| {
        let jpegs = jpegs();
        let needles = needles(&jpegs);
        (jpegs, needles)
    })
}

/// JPEG files of a face in slightly different places.
fn jpegs() -> Vec<Vec<u8>> {
    let photo =
        image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap().into_rgb8();
    let shifted = |by: u32| {
        let part = imageops::crop_imm(&photo, 3 * by, 2 * by, 480, 480).to_image();
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90).encode(&part, 480, 480, ColorType::Rgb).unwrap();
        jpeg
    };
    (0..PICTURES).map(shifted).collect()
}

/// Motion JPEG of a minute at 25 frames a second. A frame in a hundred has lost its second half, about which something is
/// said in the log.
pub fn minute(jpegs: &[Vec<u8>]) -> Vec<u8> {
    let frame = |number: usize| {
        let jpeg = &jpegs[number / 25 % jpegs.len()];
        if number % 100 == 50 { [&jpeg[..jpeg.len() / 2], &[0xff, 0xd9]].concat() } else { jpeg.clone() }
    };
    (0..60 * 25).flat_map(frame).collect()
}

/// The byte runs of those pictures: as JPEG, decoded, scaled for the detector, and cropped for the emotion network, each
/// as pixels and as the elements of its tensor.
fn needles(jpegs: &[Vec<u8>]) -> Needles {
    let mut needles = Needles::default();
    let emotion = emotion();
    let Task::Emotion { crop, .. } = &emotion.task else { panic!("it is the emotion model") };
    for (number, jpeg) in jpegs.iter().enumerate() {
        // After the tables, which any JPEG of this encoder has.
        needles.add(&format!("JPEG {number}"), &jpeg[1024..]);
        let picture = decoded(jpeg);
        needles.add(&format!("picture {number}"), &picture);
        let luma: Vec<u8> = imageops::grayscale(&picture).into_raw();
        needles.add(&format!("grey picture {number}"), &luma);
        let mut detector = detect::open(models(), "emotiond-face").unwrap();
        let input = &detector.manifest().input;
        let mut letterbox = Letterbox::new(input.width, input.height);
        letterbox.fit(&picture);
        let label = format!("input of the detector {number}");
        tensor(&mut needles, &label, letterbox.pixels(), detector.manifest());
        let faces = detector.detect(&picture).unwrap();
        assert_eq!(faces.len(), 1, "the face of picture {number}");
        let (width, height) = (emotion.input.width, emotion.input.height);
        let mut pixels = vec![0; (width * height * 3) as usize];
        for (label, flip) in [("crop", Flip::Plain), ("mirrored crop", Flip::Mirrored)] {
            let (square, mirrored) = (square(crop, &faces[0], flip), flip == Flip::Mirrored);
            Cropper::default().crop(&picture, &square, (width, height), mirrored, &mut pixels);
            tensor(&mut needles, &format!("{label} {number}"), &pixels, &emotion);
        }
        embeddings(&mut needles, number, &picture, &faces[0]);
    }
    needles
}

fn decoded(jpeg: &[u8]) -> RgbImage {
    let mut picture = RgbImage::new(0, 0);
    let (format, at) = (PixelFormat::Mjpeg, emotiond_core::Moment::ZERO);
    let frame = Frame { format, width: 480, height: 480, stride: 0, bytes: jpeg.to_vec(), at };
    decode(&frame, &mut picture).unwrap();
    picture
}

/// Pixels, and the elements that they become.
fn tensor(needles: &mut Needles, label: &str, pixels: &[u8], manifest: &Manifest) {
    let (mean, std) = (manifest.input.mean[0], manifest.input.std[0]);
    let real = |pixel: u8| (f32::from(pixel) - mean) / std;
    needles.add(label, pixels);
    let elements: Vec<u8> = match quantization(manifest) {
        Some(quantization) => {
            pixels.iter().map(|&pixel| quantization.to_i8(real(pixel)).cast_unsigned()).collect()
        }
        None => pixels.iter().flat_map(|&pixel| real(pixel).to_le_bytes()).collect(),
    };
    needles.add(&format!("{label}, as elements"), &elements);
}

/// How the pixels of a network with an 8-bit input are stored.
fn quantization(manifest: &Manifest) -> Option<Quantization> {
    let model = Model::new(manifest.file.to_str().unwrap()).unwrap();
    let interpreter = Interpreter::new(&model, None).unwrap();
    interpreter.allocate_tensors().unwrap();
    let input = interpreter.input(0).unwrap();
    let found = input.quantization_parameters().filter(|_| input.data_type() == DataType::Int8);
    assert!(found.is_some() || input.data_type() == DataType::Float32, "{}", manifest.name);
    found.map(|found| Quantization { scale: found.scale, zero_point: found.zero_point })
}
