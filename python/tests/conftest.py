"""`pytest models/convert` takes up to a minute; `--full` also trains every network briefly and converts it."""

import os
from pathlib import Path

import pytest
import torch

from models.convert.published import EIGHT, Published


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="convert every published architecture (tens of minutes)")
    parser.addoption("--tflite-library", type=Path, default=os.environ.get("TFLITEC_PREBUILT_PATH"),
                     help="libtensorflowlite_c.so to check against (default: TFLITEC_PREBUILT_PATH)")  # fmt: skip


def pytest_configure(config):
    config.addinivalue_line("markers", "full: converts whole networks; needs --full")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        for item in items:
            if "full" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs --full"))


@pytest.fixture
def library(request) -> Path:
    """The C library that emotiond links; tests of it are skipped where it is not at hand."""
    path = request.config.getoption("--tflite-library")
    if not path:
        pytest.skip("needs --tflite-library or TFLITEC_PREBUILT_PATH")
    return Path(path)


class Tiny(torch.nn.Module):
    """A network of every kind of layer that matters here, small enough to convert in seconds."""

    def __init__(self, outputs: int = 10):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, bias=False)
        self.norm = torch.nn.BatchNorm2d(8, eps=1e-3)
        self.prelu = torch.nn.PReLU(8)
        self.classifier = torch.nn.Linear(8, outputs)

    def forward(self, x):
        x = torch.nn.functional.pad(x, (0, 1, 0, 1))
        return self.classifier(self.prelu(self.norm(self.stem(x))).mean((2, 3)))


@pytest.fixture
def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    module = Tiny().eval()
    with torch.no_grad():
        module.norm.running_mean.uniform_(-0.2, 0.2)
        module.norm.running_var.uniform_(0.5, 2.0)
        module.prelu.weight.uniform_(-0.2, 1.5)
        module.classifier.weight.mul_(4)
    return module


@pytest.fixture
def tiny_network() -> Published:
    """What `tiny` would be published as."""
    return Published("tiny_va_mtl", "tiny", 32, EIGHT, affect=True)
