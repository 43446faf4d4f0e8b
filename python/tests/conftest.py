"""`pytest python` takes a minute or two; `--full` also trains every published network briefly and converts it.

What a test needs and is not installed makes it be skipped, with the reason in the list at the end (`-rs`).
"""

import os
import platform
from pathlib import Path

import pytest

from emotiond_models.convert.published import EIGHT, Published

from .needs import needed

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "third_party/tflite/lib" / platform.machine() / "libtensorflowlite_c.so"


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="convert every published architecture (tens of minutes)")
    parser.addoption("--tflite-library", type=Path, default=os.environ.get("TFLITEC_PREBUILT_PATH", LIBRARY),
                     help="libtensorflowlite_c.so to check against (default: TFLITEC_PREBUILT_PATH, or the one that "
                          "scripts/setup fetched)")  # fmt: skip


def pytest_configure(config):
    config.addinivalue_line("markers", "full: converts whole networks; needs --full")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        for item in items:
            if "full" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes tens of minutes: needs --full"))


@pytest.fixture(scope="session")
def library(pytestconfig) -> Path:
    """The C library that emotiond links."""
    path = Path(pytestconfig.getoption("--tflite-library"))
    if not path.is_file():
        pytest.skip(f"no C library at {path}: run scripts/setup, or give --tflite-library")
    return path


@pytest.fixture
def shipped() -> Path:
    """The manifest of the emotion network that is shipped."""
    return ROOT / "models/emotiond-mtl.toml"


@pytest.fixture(scope="session")
def tiny_network() -> Published:
    """What the network of `tiny.py` would be published as."""
    return Published("tiny_va_mtl", "tiny", 32, EIGHT, affect=True)


@pytest.fixture(scope="session")
def float_file() -> Path:
    """The network of `tiny.py`, exported by `test_export.py` with litert-torch, which most machines lack."""
    return Path(__file__).parent / "data/tiny.tflite"


@pytest.fixture
def tiny():
    torch = needed("torch")
    from .tiny import Tiny

    torch.manual_seed(0)
    module = Tiny().eval()
    with torch.no_grad():
        module.norm.running_mean.uniform_(-0.2, 0.2)
        module.norm.running_var.uniform_(0.5, 2.0)
        module.prelu.weight.uniform_(-0.2, 1.5)
        module.classifier.weight.mul_(4)
    return module
