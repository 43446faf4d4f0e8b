"""Draws pictures to learn from: faces of all sizes on many grounds, and things that are no faces.

Grounds are pieces of photographs from a folder, enlarged pieces of face crops, and what is drawn here. Photographs matter:
taught without them, a network took twice as many unlabelled things in scenes for faces as its teacher did.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SMALLEST = 13  # side of the smallest face crop, in pixels of the network's input
SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@&%8B0QOCGe§"


class Painter:
    """`crops` are RGB squares, `grey` uint8 `[n, 48, 48]`, `photos` of any size and content; pictures come out at `scale`
    times `width` × `height`.
    """

    def __init__(self, crops: list[np.ndarray], grey: np.ndarray, photos: list[Image.Image], width: int, height: int, seed: int,
                 scale: int = 2):
        self.crops, self.grey, self.photos = crops, grey, photos
        self.width, self.height, self.scale = width, height, scale
        self.rng = np.random.default_rng(seed)
        self.empty = False  # whether the last picture is drawn altogether, without anybody

    def picture(self) -> Image.Image:
        """A picture in its letterbox, sharp and well lit."""
        w, h = self.width * self.scale, self.height * self.scale
        inner = (w, h)
        if self.rng.random() < 0.25:  # another aspect ratio: black bars
            ratio = self.rng.choice([9 / 16, 3 / 4, 1.0, 16 / 9, 16 / 9])
            inner = (w, round(w / ratio)) if w / h < ratio else (round(h * ratio), h)
        kind = self.rng.choice(["scene", "mosaic", "near", "nobody", "photo"], p=[0.37, 0.06, 0.11, 0.22, 0.24])
        self.empty = kind == "nobody"
        image = getattr(self, f"_{kind}")(*inner)
        if inner == (w, h):
            return image
        whole = Image.new("RGB", (w, h))
        whole.paste(image, ((w - inner[0]) // 2, (h - inner[1]) // 2))
        return whole

    def _face(self, side: int) -> Image.Image:
        if self.rng.random() < 0.15:
            face = Image.fromarray(self.grey[self.rng.integers(len(self.grey))]).convert("RGB")
        else:
            face = Image.fromarray(self.crops[self.rng.integers(len(self.crops))])
        if self.rng.random() < 0.5:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        face = face.resize((side, side), Image.Resampling.BILINEAR)
        if self.rng.random() < 0.08:
            self._cover(face)
        return face

    def _cover(self, face: Image.Image) -> None:
        side = face.width
        color = tuple(int(v) for v in self.rng.integers(0, 256, 3))
        left, top = self.rng.integers(0, side, 2)
        ImageDraw.Draw(face).rectangle([left, top, left + side * self.rng.uniform(0.15, 0.5),
                                        top + side * self.rng.uniform(0.15, 0.5)], color)

    def _paste(self, image: Image.Image, side: int, x: int, y: int) -> None:
        face = self._face(side)
        mask = Image.new("L", (side, side), 0)
        edge = side * self.rng.uniform(0, 0.08)
        draw = ImageDraw.Draw(mask)
        (draw.ellipse if self.rng.random() < 0.4 else draw.rectangle)([edge, edge, side - edge, side - edge], 255)
        if self.rng.random() < 0.6:
            mask = mask.filter(ImageFilter.GaussianBlur(side * self.rng.uniform(0.01, 0.06)))
        if self.rng.random() < 0.5:
            angle = self.rng.normal(0, 14)
            face = face.rotate(angle, Image.Resampling.BILINEAR)
            mask = mask.rotate(angle, Image.Resampling.BILINEAR)
        image.paste(face, (x, y), mask)

    def _side(self, low: float, high: float) -> int:
        return int(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def _scene(self, w: int, h: int) -> Image.Image:
        image = self._ground(w, h)
        for _ in range(self.rng.integers(1, 8)):
            side = self._side(SMALLEST * self.scale, 0.8 * min(w, h))
            self._paste(image, side, int(self.rng.uniform(-0.25 * side, w - 0.75 * side)),
                        int(self.rng.uniform(-0.25 * side, h - 0.75 * side)))
        return image

    def _mosaic(self, w: int, h: int) -> Image.Image:
        image, side = Image.new("RGB", (w, h)), self._side(20 * self.scale, 110 * self.scale)
        for y in range(0, h, side):
            for x in range(0, w, side):
                image.paste(self._face(side), (x, y))
        return image

    def _near(self, w: int, h: int) -> Image.Image:
        """A face that fills the picture or more."""
        image = self._ground(w, h)
        side = int(min(w, h) * self.rng.uniform(0.8, 1.7))
        x = int((w - side) / 2 + self.rng.normal(0, 0.1) * w)
        y = int((h - side) / 2 + self.rng.normal(0, 0.1) * h)
        image.paste(self._face(side), (x, y))
        return image

    def _photo(self, w: int, h: int) -> Image.Image:
        """A piece of a photograph, whatever is on it."""
        if not self.photos:
            return self._ground(w, h)
        photo = self.photos[self.rng.integers(len(self.photos))]
        most = min(photo.width, photo.height * w / h)
        width = most * self.rng.uniform(0.3, 1) if self.rng.random() < 0.7 else most
        left, top = self.rng.uniform(0, photo.width - width), self.rng.uniform(0, photo.height - width * h / w)
        image = photo.resize((w, h), Image.Resampling.BILINEAR, (left, top, left + width, top + width * h / w))
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.rng.random() < 0.5 else image

    def _nobody(self, w: int, h: int) -> Image.Image:
        image = self._drawn_ground(w, h)
        draw = ImageDraw.Draw(image)
        for _ in range(self.rng.integers(1, 4)):
            self._sign(draw, w, h)
        return image.filter(ImageFilter.GaussianBlur(self.rng.uniform(0, 3))) if self.rng.random() < 0.6 else image

    def _sign(self, draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        """A row of letters, rings, or strokes."""
        size = self._side(0.08 * h, 0.5 * h)
        color = tuple(int(v) for v in self.rng.integers(0, 256, 3))
        x, y = self.rng.uniform(-0.1 * w, 0.7 * w), self.rng.uniform(-0.1 * h, 0.9 * h)
        kind = self.rng.integers(3)
        for _ in range(self.rng.integers(1, 9)):
            if kind == 0:
                letter = SIGNS[self.rng.integers(len(SIGNS))]
                draw.text((x, y), letter, color, ImageFont.load_default(size), stroke_width=int(self.rng.integers(0, 1 + size // 12)))
            elif kind == 1:
                draw.ellipse([x, y, x + size * self.rng.uniform(0.6, 1.1), y + size], outline=color,
                             width=max(2, int(size * self.rng.uniform(0.08, 0.3))))
            else:
                end = (x + self.rng.uniform(-0.5, 0.8) * size, y + size)
                draw.line([(x, y), end], color, max(2, int(size * self.rng.uniform(0.1, 0.3))))
                draw.ellipse([x, y, x + size / 3, y + size / 3], color)
            x += size * self.rng.uniform(0.6, 1.1)

    def _ground(self, w: int, h: int) -> Image.Image:
        if self.photos and self.rng.random() < 0.6:
            return self._photo(w, h)
        return self._drawn_ground(w, h)

    def _drawn_ground(self, w: int, h: int) -> Image.Image:
        kind = self.rng.integers(4)
        if kind <= 1:  # an enlarged piece of a crop, on its head so that a face is none
            crop = Image.fromarray(self.crops[self.rng.integers(len(self.crops))])
            side = self.rng.uniform(0.1, 0.4) * crop.width
            corner = int(self.rng.integers(4))
            left = 0 if corner % 2 else crop.width - side
            top = 0 if corner < 2 else crop.height - side
            image = crop.resize((w, h), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        elif kind == 2:  # coarse noise, smoothly enlarged
            cells = int(self.rng.integers(2, 40))
            noise = self.rng.integers(0, 256, (cells, cells, 3))
            image = Image.fromarray(noise.astype(np.uint8)).resize((w, h), Image.Resampling.BICUBIC)
        else:
            shade = np.linspace(*self.rng.integers(0, 256, (2, 3)), h)[:, None] + np.zeros((1, w, 1))
            image = Image.fromarray(shade.astype(np.uint8))
        if self.rng.random() < 0.5:
            draw = ImageDraw.Draw(image)
            for _ in range(self.rng.integers(1, 12)):
                x, y, a, b = (self.rng.random(4) * [w, h, w / 2, h / 2]).tolist()
                shape = draw.rectangle if self.rng.random() < 0.6 else draw.ellipse
                shape([x, y, x + a, y + b], tuple(int(v) for v in self.rng.integers(0, 256, 3)))
        return image


def photographs(folder: Path, side: int = 1280, least: int = 200) -> list[Image.Image]:
    """All photographs below a folder, RGB, shrunk to `side`; without icons and without the picture of the program's tests."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and "astronaut" not in path.name:
            image = Image.open(path).convert("RGB")
            if min(image.size) >= least:
                image.thumbnail((side, side))
                found.append(image)
    return found


def worn(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """The picture as a bad camera gives it, uint8 RGB: dark, grey, blurred, noisy, compressed."""
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    x = np.asarray(image, np.float32)
    if rng.random() < 0.2:
        x = np.repeat((x @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, 2)
    if rng.random() < 0.6:
        gain = rng.uniform(0.15, 0.6) if rng.random() < 0.25 else rng.uniform(0.7, 1.35)
        x = x * gain * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    if rng.random() < 0.2:
        x = x + rng.normal(0, rng.uniform(2, 12), x.shape)
    x = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        file = io.BytesIO()
        Image.fromarray(x).save(file, "JPEG", quality=int(rng.integers(25, 90)))
        x = np.asarray(Image.open(file))
    return x
