#!/usr/bin/env python3
"""Clips in which people cross, hide each other and turn away, made from pictures of faces, with the truth beside them.

    crossings.py EMOTIOND SCENES OUT [CLIPS]
    cargo run --release -p emotiond-core --example tracks -- OUT/0.jsonl 5    # and so on: what the tracker makes of it

SCENES has pictures under `scenes/` and a `labels.csv` (image, left, top, right, bottom, label) with the box of each
face. Heads are cut out and moved over another picture, at five frames a second for twenty seconds: two walk towards
each other, some stand and walk about, each is gone for a while. EMOTIOND (the built program) finds the faces with
`analyze --json`; a face that overlaps the true box of a head by a third is that head's. OUT gets one file a clip, one
line a frame: `{"faces": [{"box": [x, y, width, height], "person": 1}]}`. The pictures are deleted again.
"""

import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, FRAMES, RATE = 640, 480, 100, 5
LEAST = 60  # a face that is smaller in its picture would be enlarged too much


def heads(folder: Path) -> list[Image.Image]:
    """Cut-out heads, transparent around an ellipse; the face fills the middle half of each."""
    found = []
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            left, top, right, bottom = (int(row[f"face_{side}"]) for side in ("left", "top", "right", "bottom"))
            side = max(right - left, bottom - top)
            if side < LEAST:
                continue
            picture = Image.open(folder / "scenes" / row["image"]).convert("RGB")
            x, y = (left + right) // 2, (top + bottom) // 2
            box = (x - side, y - side, x + side, y + side)
            if box[0] < 0 or box[1] < 0 or box[2] > picture.width or box[3] > picture.height:
                continue
            cut = picture.crop(box).resize((256, 256))
            mask = Image.new("L", cut.size)
            ImageDraw.Draw(mask).ellipse((40, 24, 216, 232), fill=255)
            cut.putalpha(mask.filter(ImageFilter.GaussianBlur(6)))
            found.append(cut)
    return found


def paths(rng: random.Random):
    """For each person the centre and the size of the face at a time, or None while it is not to be seen."""
    made = []
    y, speed = rng.uniform(180, 260), rng.uniform(40, 110)
    for direction in (1, -1):  # two who cross
        size, off = rng.uniform(70, 105), rng.uniform(-25, 25)
        start = WIDTH / 2 - direction * speed * rng.uniform(5, 9)
        made.append(lambda t, d=direction, s=size, o=off, x=start: (x + d * speed * t, y + o, s))
    for _ in range(rng.randint(1, 2)):  # and some who stand about
        x, up, size = rng.uniform(120, 520), rng.uniform(150, 330), rng.uniform(60, 95)
        reach, turn = rng.uniform(5, 60), rng.uniform(0.03, 0.1)
        gone, back = (start := rng.uniform(3, 14)), start + rng.uniform(0.6, 2.8)

        def about(t, x=x, y=up, s=size, r=reach, w=turn, gone=gone, back=back):
            if gone <= t < back:
                return None
            return x + r * math.sin(2 * math.pi * w * t), y + 0.3 * r * math.cos(2 * math.pi * w * t), s

        made.append(about)
    return made


def overlap(a, b) -> float:
    """Intersection over union of two boxes [x, y, width, height]."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def clip(rng: random.Random, cuts, ground: Image.Image, folder: Path):
    """Draws the frames; returns the true boxes of each."""
    walkers = list(zip(rng.sample(cuts, 4), paths(rng), strict=False))
    truth = []
    for frame in range(FRAMES):
        picture = ground.copy()
        there = {}
        for person, (cut, path) in enumerate(walkers, 1):
            place = path(frame / RATE)
            if place is not None and 0 <= place[0] < WIDTH:
                there[person] = (*place, cut)
        for x, y, size, cut in sorted(there.values(), key=lambda one: one[2]):  # the larger one is nearer
            side = round(2 * size)
            picture.paste(small := cut.resize((side, side)), (round(x - size), round(y - size)), small)
        picture.save(folder / f"{frame:03}.png", compress_level=1)
        truth.append({p: (x - s / 2, y - s / 2, s, s) for p, (x, y, s, _) in there.items()})
    return truth


def main(emotiond: str, scenes: str, out: str, clips: str = "12") -> None:
    rng = random.Random(15)
    cuts = heads(Path(scenes))
    rng.shuffle(cuts)
    Path(out).mkdir(exist_ok=True)
    grey = Image.effect_noise((WIDTH, HEIGHT), 60).filter(ImageFilter.GaussianBlur(4)).convert("RGB")
    for number in range(int(clips)):
        with tempfile.TemporaryDirectory() as folder:
            truth = clip(rng, cuts, grey, Path(folder))
            pictures = sorted(str(path) for path in Path(folder).glob("*.png"))
            found = subprocess.run([emotiond, "analyze", "--json", *pictures], check=True, capture_output=True)
        lines = []
        strays = 0
        for line, boxes in zip(found.stdout.splitlines(), truth, strict=True):
            faces, taken = [], set()
            for face in json.loads(line)["faces"]:
                fits = {p: overlap(face["box"], box) for p, box in boxes.items() if p not in taken}
                person = max(fits, key=fits.get, default=None)
                if person is None or fits[person] < 1 / 3:
                    strays += 1
                    continue
                taken.add(person)
                faces.append({"box": face["box"], "person": person})
            lines.append(json.dumps({"faces": faces}))
        (Path(out) / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
        shown, seen = sum(map(len, truth)), sum(len(json.loads(line)["faces"]) for line in lines)
        print(f"clip {number}: {shown} heads drawn, {seen} found, {strays} faces that are nobody's")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
