"""What the network is to say about each drawn picture: the published YuNet-n's view at the same size, corrected by its
view at twice the size, where small faces are plain.
"""

import numpy as np
from PIL import Image

from .decode import CHANNELS, STRIDES, candidates, ious, sigmoid
from .pictures import Painter, worn

SURE, DOUBTFUL = 0.6, 0.3  # scores at twice the size: a face; perhaps one
NEAR = 0.5  # faces of more than this part of the height are seen better at the small size
SAME = 0.4  # overlap with a face from which a cell's box is that face's
RADIUS = 2.5  # cells around a face's centre that may stand for it
MOST = 10  # cells a face at most

CLS, OBJ, BOX, POINTS, WEIGHT = 0, 1, slice(2, 6), slice(6, 16), 16


class Teacher:
    """YuNet from its ONNX file: RGB uint8 `[h, w, 3]` to the levels of `decode`."""

    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def levels(self, picture: np.ndarray) -> list[np.ndarray]:
        h, w = picture.shape[:2]
        x = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))[None].astype(np.float32)
        said = dict(zip(self.names, self.session.run(None, {"input": x}), strict=True))
        out = []
        for stride in STRIDES:
            parts = [logit(said[f"{head}_{stride}"]) if head in ("cls", "obj") else said[f"{head}_{stride}"]
                     for head in ("cls", "obj", "bbox", "kps")]
            out.append(np.concatenate(parts, 2).reshape(h // stride, w // stride, CHANNELS))
        return out


def logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p)).astype(np.float32)


def cells(levels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All levels' numbers `[n, CHANNELS]`, with each cell's corner in pixels `[n, 2]` and stride `[n]`."""
    numbers, corners, strides = [], [], []
    for stride, level in zip(STRIDES, levels, strict=True):
        rows, columns = level.shape[:2]
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x.ravel(), y.ravel()], 1) * stride)
        strides.append(np.full(rows * columns, stride))
        numbers.append(level.reshape(-1, CHANNELS))
    return np.concatenate(numbers), np.concatenate(corners), np.concatenate(strides)


def target(teacher: Teacher, sharp: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Float32 `[cells, 17]`: the probabilities cls and obj, box and points as `decode` has them, and the weight that
    box and points have. `sharp` is the picture at twice the size, `seen` as the network gets it.
    """
    same = teacher.levels(seen)
    numbers, corners, strides = cells(same)
    height = seen.shape[0]
    boxes, points, scores = faces(teacher, sharp, same, height)
    out = np.zeros((len(numbers), 17), np.float32)
    out[:, :2] = sigmoid(numbers[:, :2])
    out[:, 2:16] = numbers[:, 2:]
    score = np.sqrt(out[:, CLS] * out[:, OBJ])
    center = corners + numbers[:, 2:4] * strides[:, None]
    size = np.exp(np.clip(numbers[:, 4:6], -5, 5)) * strides[:, None]
    said = np.concatenate([center - size / 2, size], 1)
    out[:, WEIGHT] = np.where(score > 0.1, score, 0)
    over = ious(said, boxes) if len(boxes) else np.zeros((len(said), 1))
    # What the small view alone takes for a face is none.
    out[over.max(1) < 0.2, :2] *= 0.3
    out[over.max(1) < 0.2, WEIGHT] = 0
    if not len(boxes):
        return out
    owner = np.where(over.max(1) > SAME, over.argmax(1), -1)
    for k in np.flatnonzero(scores >= SURE):
        chosen = _chosen(boxes[k], over[:, k], score, corners, strides)
        owner[chosen] = k
        out[chosen, OBJ] = np.maximum(out[chosen, OBJ], 0.95)
        out[chosen, CLS] = np.maximum(out[chosen, CLS], np.clip(over[chosen, k], 0.7, 0.95))
        out[chosen, WEIGHT] = 1
    mine = np.flatnonzero((owner >= 0) & (out[:, WEIGHT] > 0))
    k, s = owner[mine], strides[mine, None]
    out[mine, 2:4] = (boxes[k, :2] + boxes[k, 2:] / 2 - corners[mine]) / s
    out[mine, 4:6] = np.log(np.maximum(boxes[k, 2:], 1) / s)
    out[mine, POINTS] = ((points[k] - corners[mine, None]) / s[..., None]).reshape(-1, 10)
    return out


def faces(teacher: Teacher, sharp: np.ndarray, same: list[np.ndarray], height: int):
    """Boxes, points and scores in pixels of the small picture; doubtful ones too."""
    boxes, points, scores = candidates(teacher.levels(sharp), DOUBTFUL)
    far = boxes / 2, points / 2, scores
    near = candidates(same, SURE)
    near = [part[near[0][:, 3] > NEAR * height * 0.8] for part in near]
    # Near faces outrank what the large view says about the same one.
    order = np.concatenate([np.minimum(far[2], 0.999) - (far[0][:, 3] > NEAR * height), near[2]])
    boxes, points, scores = (np.concatenate([a, b]) for a, b in zip(far, near, strict=True))
    kept = []
    for i in np.argsort(-order, kind="stable"):
        if not kept or ious(boxes[i : i + 1], boxes[kept]).max() <= 0.35:
            kept.append(i)
    return boxes[kept], points[kept], scores[kept]


def _chosen(box, over, score, corners, strides) -> np.ndarray:
    """The cells that are to stand for a face, chosen as SimOTA does (Ge et al., YOLOX, 2021): by what they say already."""
    center = box[:2] + box[2:] / 2
    apart = np.abs(corners + strides[:, None] / 2 - center) / strides[:, None]
    able = np.flatnonzero((apart.max(1) < RADIUS) & (over > 0.1))
    if not len(able):
        return able
    count = int(np.clip(np.sort(over[able])[-MOST:].sum(), 1, MOST))
    cost = -np.log(np.maximum(score[able], 1e-4)) - 3 * np.log(np.maximum(over[able], 1e-4))
    return able[np.argsort(cost)[:count]]


def empty(width: int, height: int) -> np.ndarray:
    """The target of a picture without anybody. The large view is not asked: it takes some letters for faces."""
    count = sum((width // s) * (height // s) for s in STRIDES)
    out = np.zeros((count, 17), np.float32)
    out[:, CLS] = 0.3  # of no consequence beside an `obj` of zero
    return out


def pool(path, teacher: Teacher, painter: Painter, count: int) -> None:
    """Write `count` pictures and targets to `path` (`.npz`)."""
    images, wanted = [], []
    for _ in range(count):
        sharp = painter.picture()
        small = sharp.resize((painter.width, painter.height), Image.Resampling.BOX)
        seen = worn(small, painter.rng)
        images.append(seen)
        said = empty(painter.width, painter.height) if painter.empty else target(teacher, np.asarray(sharp), seen)
        wanted.append(said.astype(np.float16))
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, image=np.stack(images), target=np.stack(wanted))
    temporary.rename(path)
