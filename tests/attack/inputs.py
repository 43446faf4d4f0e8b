"""Hostile input, made up here: configurations, manifests, models, pictures, streams, and brokers' bytes."""

import hashlib
import random
import re
import struct
import subprocess
from pathlib import Path

from target import PHOTO, ROOT, field, packet, publish

#: The same attack every time.
RANDOM = random.Random(16)


def mutated(data, random=RANDOM):
    """The bytes with something overwritten, cut out, doubled or cut off."""
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data))
        match random.randrange(5):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                size = random.randint(1, 64)
                data[at:at + size] = random.randbytes(size)
            case 2:
                del data[at:at + random.randint(1, 256)]
            case 3:
                data[at:at] = data[at:at + random.randint(1, 256)]
            case 4:
                del data[max(at, len(data) // 4):]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def jpeg(folder):
    """The photo as a baseline JPEG."""
    path = Path(folder) / "photo.jpg"
    ffmpeg("-i", PHOTO, "-q:v", 3, path)
    return path.read_bytes()


def pictures(folder):
    """The largest pictures that are allowed, of the costliest kinds, and what is larger: name and path."""
    kinds = {
        "jpeg-48mp.jpg": ("yuvj444p", 8000, 6000),
        "jpeg-420-48mp.jpg": ("yuvj420p", 8000, 6000),
        "png-rgba64-48mp.png": ("rgba64be", 8000, 6000),
        "png-rgb24-48mp.png": ("rgb24", 8000, 6000),
    }
    for name, (pixels, width, height) in kinds.items():
        path = Path(folder) / name
        ffmpeg("-f", "lavfi", "-i", f"testsrc=s={width}x{height}", "-frames:v", 1, "-pix_fmt", pixels, path)
        yield name, path


def huge(jpeg):
    """A JPEG of a few bytes that says it has 16384×16384 pixels."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[:at + 5] + struct.pack(">HH", 16384, 16384) + jpeg[at + 9:]


def configurations():
    """Configurations: mutations of the shipped one with every key in force, and those that grow without end."""
    shipped = (ROOT / "systemd/emotiond.toml").read_text()
    active = re.sub(r"(?m)^#(?=[a-z_]+ = )", "", shipped)
    for _ in range(100):
        yield mutated(RANDOM.choice([shipped, active]).encode())
    trigger = '[[trigger]]\nname = "t{}"\nwhen = "happiness > 0.5"\nfor = "5s"\n'
    yield ('site = "home"\n' + "".join(trigger.format(n) for n in range(10_000))).encode()
    yield f'site = "workplace"\n[privacy]\nlegal_basis = "{"x" * 300_000}"\n'.encode()
    yield f'site = "home"\ndevice = "{"x" * 1_000_000}"\n'.encode()
    yield b'site = "home"\n' + b"[" * 100_000
    yield b"\xff\xfe" * 1000


def manifests(folder):
    """Manifests: mutations of the shipped one, and numbers beyond all sense."""
    text = (ROOT / "models/emotiond-mtl.toml").read_text()
    model = ROOT / "models/emotiond-mtl.tflite"
    text = text.replace('file = "', f'file = "{model.parent}/')
    for value in ("1e38", "nan", "inf", "-inf", "0", "-1e38", "1e-45"):
        yield text.replace("mean = [127.5]", f"mean = [{value}]"), "mean" if value != "0" else None
        yield text.replace("std = [127.5]", f"std = [{value}]"), "std"
    for value in (0, -1, 2**31, 2**63 - 1, 100_000):
        yield text.replace("width = 128", f"width = {value}"), "width"
    for _ in range(60):
        yield mutated(text.encode()).decode(errors="replace"), None


def damaged_models(folder):
    """Models whose digest is right and whose content is not: paths of manifests, and whether more than a part is missing."""
    text = (ROOT / "models/emotiond-mtl.toml").read_text()
    whole = (ROOT / "models/emotiond-mtl.tflite").read_bytes()
    cuts = [whole[:len(whole) * part // 20] for part in range(1, 20)]
    flips = [mutated(whole, random.Random(seed)) for seed in range(40)]
    # The tables of the file lie at its end or its beginning: most random bytes hit weights.
    tables = []
    for seed in range(40):
        source = random.Random(1000 + seed)
        data = bytearray(whole)
        for _ in range(4):
            at = source.choice([source.randrange(4096), len(data) - 1 - source.randrange(16384)])
            data[at] ^= source.randrange(1, 256)
        tables.append(bytes(data))
    for number, (content, cut) in enumerate([(c, True) for c in cuts] + [(f, False) for f in flips + tables]):
        path = Path(folder) / f"damaged-{number}.tflite"
        path.write_bytes(content)
        manifest = re.sub('sha256 = ".*"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', text)
        manifest = manifest.replace("emotiond-mtl.tflite", path.name)
        path.with_suffix(".toml").write_text(manifest)
        yield path.with_suffix(".toml"), cut
        path.unlink()


def streams(jpeg):
    """Motion JPEG: cut, mixed with garbage, repeated, without an end."""
    yield b""
    yield RANDOM.randbytes(200_000)
    yield b"\xff\xd8" * 50_000
    yield b"\xff\xd8" + b"\0" * 5_000_000
    yield jpeg[:len(jpeg) // 2]
    for _ in range(40):
        yield b"".join(RANDOM.choice([jpeg, mutated(jpeg), RANDOM.randbytes(3000)]) for _ in range(6))


def brokers():
    """What hostile brokers send once somebody has connected; the last item says whether they then go on for ever."""
    accepted = b"\x20\x02\x00\x00"
    command = "emotiond/hall/pause/set"
    yield "says nothing", b"", False
    yield "closes at once", None, False
    yield "garbage", RANDOM.randbytes(100_000), False
    for code in (1, 2, 3, 4, 5, 6, 255):
        yield f"refuses with {code}", bytes([0x20, 2, 0, code]), False
    yield "accepts three times", accepted * 3, False
    yield "a packet of 256 MB", accepted + b"\x30\xff\xff\xff\x7f" + b"x" * 1_000_000, False
    yield "a length of five bytes", accepted + b"\x30\xff\xff\xff\xff\x7f", False
    yield "a flood of commands", accepted + publish(command, b"ON") * 20_000, False
    yield "a message of 70 KB", accepted + publish(command, b"x" * 70_000), False
    yield "messages that nobody asked for", accepted + publish("a/b", b"x" * 60_000) * 50, False
    yield "acknowledgements of nothing", accepted + b"".join(
        packet(kind, struct.pack(">H", number)) for kind in (0x40, 0x50, 0x62, 0x70)
        for number in (0, 1, 2, 100, 101, 65535)), False
    for kind in range(16):
        yield f"packet {kind} with a random body", accepted + packet(kind << 4, RANDOM.randbytes(50)), False
    yield "QoS 2, never released", accepted + b"".join(
        publish(command, b"ON", qos=2, number=number) for number in range(1, 5000)), False
    yield "QoS 3", accepted + packet(0x36, field(command) + b"\0\1ON"), False
    yield "a topic of 65535 bytes", accepted + publish("x" * 60_000, b""), False
    yield "a topic that is no text", accepted + packet(0x30, b"\x00\x04\xff\xfe\0\x01x"), False
    yield "answers to pings without end", accepted + b"\xd0\x00" * 50_000, True
    yield "a byte every tenth of a second", accepted[:1], True
    yield "CONNECT in return", packet(0x10, field("MQTT") + b"\x04\x02\0\0" + field("x")), False
