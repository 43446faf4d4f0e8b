"""Action-unit targets from MediaPipe's face landmarker (Apache-2.0), used as a teacher.

The `.task` file is a zip of TFLite files. The landmark network is given the region of interest that MediaPipe itself
cuts, 1.5 times BlazeFace's box, in units of our frame of a face: the medians of decision 9 and `crop.py` convert one
into the other.

A unit is a sum of blendshapes, left and right averaged, divided by its 98th
percentile over the training faces and clipped to 0..1: an intensity relative to what
web faces show, not a FACS coder's A to E. Units the teacher ranks badly on posed
faces (AU 6, 9, 15: AUC below .77 or none) are left out; AU 4 is kept and marked weak.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..runtime import PythonRunner
from .contract import UNITS
from .data import cut

# Index in MediaPipe's list of 52 blendshapes (face_blendshapes_graph.cc, kBlendshapeNames).
BLENDSHAPES = {
    "browDown": (1, 2), "browInnerUp": (3,), "browOuterUp": (4, 5), "eyeSquint": (19, 20),
    "eyeWide": (21, 22), "jawOpen": (25,), "mouthLowerDown": (34, 35), "mouthShrugLower": (42,),
    "mouthSmile": (44, 45), "mouthStretch": (46, 47), "mouthUpperUp": (48, 49),
}
COMBINATIONS = {
    "AU1": ("browInnerUp",),
    "AU2": ("browOuterUp",),
    "AU4": ("browDown",),
    "AU5": ("eyeWide",),
    "AU7": ("eyeSquint",),
    "AU12": ("mouthSmile",),
    "AU17": ("mouthShrugLower",),
    "AU20": ("mouthStretch",),
    "AU25": ("jawOpen", "mouthLowerDown", "mouthUpperUp"),
    "AU27": ("jawOpen",),
}
FULL_SCALE_PERCENTILE = 98
REGION_SCALE, REGION_OFFSET = 1.5 * 0.866 / 0.355, (0.0, (0.076 - 0.057) / 0.355)

# The landmarks that the blendshape network reads (kLandmarksSubsetIdxs of the same file).
LANDMARKS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78,
    80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152,
    153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246,
    249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312,
    314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381,
    382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478),
])


class Teacher:
    def __init__(self, task: Path):
        with zipfile.ZipFile(task) as archive:
            self.landmarks, self.blendshapes = (
                PythonRunner(archive.read(f"{name}.tflite")) for name in ("face_landmarks_detector", "face_blendshapes")
            )
        shapes = self.landmarks.shapes
        self.points = [shape[-1] for shape in shapes].index(478 * 3)
        # Two outputs of one value; the 4-dimensional one is the presence of a face.
        self.presence = shapes.index((1, 1, 1, 1))

    def __call__(self, square: np.ndarray) -> tuple[np.ndarray, float]:
        """The 52 blendshapes of a uint8 cached square, and the landmark network's face probability."""
        image = Image.fromarray(square).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
        found = self.landmarks(np.asarray(image, np.float32)[None] / 255)
        points = found[self.points].reshape(478, 3)[LANDMARKS, :2]
        presence = float(found[self.presence].item())
        return self.blendshapes(points[None])[0].reshape(52), 1 / (1 + np.exp(-presence))


def units_of(blendshapes: np.ndarray) -> np.ndarray:
    """`[n, 52]` to unscaled `[n, len(UNITS)]`."""
    columns = []
    for unit in UNITS:
        parts = [blendshapes[:, BLENDSHAPES[name]].mean(1) for name in COMBINATIONS[unit]]
        columns.append(np.sum(parts, 0))
    return np.stack(columns, 1)


def full_scale(units: np.ndarray) -> np.ndarray:
    return np.percentile(units, FULL_SCALE_PERCENTILE, axis=0)


def targets(work: Path, name: str, count: int) -> torch.Tensor | None:
    """Float32 `[count, len(UNITS)]` for training, 0 to 1, of full scale over the training faces of all sets; NaN for
    faces that are held out or were not taught. None if there is no teaching of the set."""
    if not (work / f"{name}-units.npz").is_file():
        return None
    scale = scale_of(work)
    taught, split = np.load(work / f"{name}-units.npz"), np.load(work / f"{name}.npz")["split"]
    index = taught["index"]
    out = np.full((count, len(UNITS)), np.nan, np.float32)
    out[index] = np.clip(units_of(taught["blendshapes"]) / scale, 0, 1)
    out[split != 0] = np.nan
    return torch.from_numpy(out)


def scale_of(work: Path) -> np.ndarray:
    """Full scale of each unit."""
    parts = []
    for path in sorted(work.glob("*-units.npz")):
        taught, split = np.load(path), np.load(work / f"{path.name.removesuffix('-units.npz')}.npz")["split"]
        parts.append(units_of(taught["blendshapes"][split[taught["index"]] == 0]))
    return full_scale(np.concatenate(parts))


def teach(work: Path, task: Path, name: str, pictures, training: int, held_out: int, seed: int = 3) -> None:
    """Write `NAME-units.npz`: blendshapes of some faces of a prepared set, by their index; `pictures[i]` is the uint8 RGB
    picture of face i."""
    stored = np.load(work / f"{name}.npz")
    faces = np.load(work / f"{name}-located.npy")
    split = stored["split"]
    usable = (stored["majority"] >= 0) & stored["found"]
    rng = np.random.default_rng(seed)
    index = np.concatenate([
        rng.permutation(np.flatnonzero(usable & (split == s)))[:count] for s, count in ((0, training), (1, held_out))
    ])
    teacher = Teacher(task)
    found = [teacher(cut(pictures[i], faces[i], REGION_SCALE, REGION_OFFSET)) for i in index]
    shapes = np.stack([shape for shape, _ in found]).astype(np.float32)
    presence = np.array([p for _, p in found], np.float32)
    print(f"{name}: {len(index)} faces, presence median {np.median(presence):.3f}", flush=True)
    np.savez(work / f"{name}-units.npz", index=index, blendshapes=shapes, presence=presence)
