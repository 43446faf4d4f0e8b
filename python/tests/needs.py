"""What only some machines have: where it is missing a test, or its file, is skipped and the reason says what to install.

PyTorch is Debian's 1.13 on most machines (`scripts/setup --tests`): PyPI's comes with gigabytes of CUDA libraries.
"""

from types import ModuleType

import pytest

FULL = "pip install --require-hashes -r python/requirements.txt (7 GB)"
_WITH_TESTS = "scripts/setup --tests"
_INSTALL = {
    "torch": f"Debian's python3-torch and {_WITH_TESTS}, or {FULL}",
    "litert_torch": FULL,
    "sklearn.metrics": "pip install scikit-learn into that environment; nothing else needs it",
}


def needed(name: str) -> ModuleType:
    """The module of this name."""
    reason = f"{name} is not installed: {_INSTALL.get(name, _WITH_TESTS)}"
    return pytest.importorskip(name, reason=reason, exc_type=ImportError)


def torch_2(why: str) -> None:
    """Go on with PyTorch 2 or later only."""
    torch = needed("torch")
    if torch.__version__.startswith("1."):
        pytest.skip(f"{why} takes PyTorch 2, this is {torch.__version__}: {FULL}", allow_module_level=True)
